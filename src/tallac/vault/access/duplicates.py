"""Small objects that are kept twice, so that none is indispensable, with a check that takes no key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import CorruptObjectError
from tallac.interfaces import Backend, Expect, Finding
from tallac.vault.mutable.conditional_put import put_once

CHECK_SIZE = 16
_COPY = ".copy"
_MISSING, _DAMAGED = "missing", "damaged"
_NAME = re.compile(r"[a-z]+/[0-9a-f]{32}")


def duplicate_paths(path: str) -> tuple[str, str]:
    """Return the names of both copies."""
    return path, path + _COPY


def without_copy(path: str) -> str:
    """Return the name of the first copy of an object."""
    return path.removesuffix(_COPY)


def add_check(body: bytes) -> bytes:
    """Write a body such that damage shows."""
    return body + hash_file_bytes(body)[:CHECK_SIZE]


def take_check(stored: bytes, path: str) -> bytes:
    """Return the body.

    Raises:
        CorruptObjectError: It is damaged.
    """
    body, check = stored[:-CHECK_SIZE], stored[-CHECK_SIZE:]
    if check != hash_file_bytes(body)[:CHECK_SIZE]:
        raise CorruptObjectError(f"the vault's {path} is damaged")
    return body


def read_duplicated(backend: Backend, path: str) -> bytes | None:
    """Return the body from whichever copy is whole; None where there is neither.

    Raises:
        CorruptObjectError: What there is, is damaged.
    """
    damage: CorruptObjectError | None = None
    for name in duplicate_paths(path):
        found = backend.get_versioned(name)
        if found is None:
            continue
        try:
            return take_check(found[0], name)
        except CorruptObjectError as error:
            damage = error
    if damage is not None:
        raise damage
    return None


def check_duplicates(backend: Backend, names: Iterable[str]) -> Iterator[Finding]:
    """Iterate over the damage to the objects of these names; one that was deleted meanwhile is passed over.

    A copy that is missing is merely worth knowing, since a run that was killed between the two leaves that.
    """
    for path in sorted({without_copy(name) for name in names}):
        read_errors = {name: _damage_of(backend, name) for name in duplicate_paths(path)}
        wrong = {name: message for name, message in read_errors.items() if message is not None}
        if set(wrong.values()) == {_MISSING, _DAMAGED}:
            # What was yours had two copies. Whoever can add may have put this there.
            yield Finding(
                None, f"{path} is none of the vault's objects, or all that is left of one; ignored", damaged=False, stored=path
            )
        elif len(wrong) == 1:
            name, message = next(iter(wrong.items()))
            sentence = f"{name} is {message}; the other copy is used meanwhile, and `tallac repair` rewrites it"
            yield Finding(None, sentence, damaged=message == _DAMAGED, stored=name)
        elif _DAMAGED in wrong.values():
            lost = f"no copy of {path} is intact: if it was yours, set your passphrases again with `tallac change-passphrase`"
            yield Finding(None, lost, stored=path)


def is_lost(backend: Backend, name: str) -> bool:
    """Whether no copy of the object that has this name, or of which it is a copy, is whole."""
    return all(_damage_of(backend, each) is not None for each in duplicate_paths(without_copy(name)))


def copy_duplicates(source: Backend, mirror: Backend, prefixes: Iterable[str]) -> None:
    """Copy both copies of all these objects to a mirror, as far as they are whole; the mirror's other objects stay.

    One that the source lacks may have been removed there, or lost: no listing and no look can tell.
    """
    paths = {without_copy(item.name) for prefix in prefixes for item in source.list(prefix)}
    for path in sorted(path for path in paths if _NAME.fullmatch(path)):
        with suppress(CorruptObjectError):  # The mirror's own may be whole; `check` tells of the source's.
            body = read_duplicated(source, path)
            if body is not None:
                for name in duplicate_paths(path):
                    _put_checked(mirror, name, body)


def _put_checked(mirror: Backend, name: str, body: bytes) -> None:
    stored = add_check(body)
    found = mirror.get_versioned(name)
    if found is None:
        put_once(mirror, name, stored, Expect.ABSENT)
    elif found[0] != stored:
        put_once(mirror, name, stored, found[1])


def _damage_of(backend: Backend, name: str) -> str | None:
    found = backend.get_versioned(name)
    if found is None:
        return _MISSING
    try:
        take_check(found[0], name)
    except CorruptObjectError:
        return _DAMAGED
    return None
