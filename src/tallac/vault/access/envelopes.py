"""Envelopes: what a user has of a vault, its key and the aliases on it, sealed into the vault itself.

docs/format.md, "Passphrases", is the specification. A user's machines all add to one envelope, and none takes anything out unasked,
so that no alias is lost however their runs interleave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, open_sealed, seal_checked
from tallac.errors import ConflictError, CorruptObjectError, MalformedCapError, MalformedObjectError, MissingObjectError
from tallac.interfaces import Backend, Expect, Randomness, Version
from tallac.vault.access.duplicates import CHECK_SIZE, add_check, duplicate_paths, take_check
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.keys import EnvelopeKey, KeeperKey, LocatorKey, WriterKey, parse_vault_key
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.mutable.conditional_put import put_once

ENVELOPE_PREFIX = "envelopes/"
SWAPS_MAX = 1000
_STRENGTH: tuple[type[WriterKey | KeeperKey | LocatorKey], ...] = (LocatorKey, KeeperKey, WriterKey)

NamedCap: TypeAlias = tuple[str, str]
"""An alias's name, and its cap's whole text."""


@dataclass(frozen=True)
class Envelope:
    """The content of an envelope. Two machines may have given one name to two caps: both are there.

    Attributes:
        key: The strongest vault key that the user has.
        aliases: Names with the whole texts of their caps.
    """

    key: WriterKey | KeeperKey | LocatorKey
    aliases: frozenset[NamedCap] = field(repr=False)

    def joined(self, other: Envelope) -> Envelope:
        """Return the union of both."""
        stronger = max(self.key, other.key, key=lambda key: _STRENGTH.index(type(key)))
        return Envelope(stronger, self.aliases | other.aliases)

    def holds(self, key: WriterKey | KeeperKey | LocatorKey) -> bool:
        """Whether the envelope's own key allows all that another key of the vault does."""
        return _STRENGTH.index(type(self.key)) >= _STRENGTH.index(type(key))

    def without(self, aliases: Callable[[NamedCap], bool]) -> Envelope:
        """Return what is in this one alone."""
        return Envelope(self.key, frozenset(named for named in self.aliases if not aliases(named)))


class _Plain(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    key: str
    aliases: list[NamedCap]


class _Copy(msgspec.Struct, frozen=True):
    """One stored copy: its bytes, how to replace it, and what it says if it is whole."""

    stored: bytes
    version: Version | Expect
    envelope: Envelope | None


class EnvelopeFile:
    """One envelope in a backend, kept twice."""

    def __init__(self, backend: Backend, identity: str, key: EnvelopeKey, randomness: Randomness) -> None:
        """Name an envelope in the vault of this identity; nothing is read yet."""
        self.path = ENVELOPE_PREFIX + key.name
        self._backend = backend
        self._key = key.content
        self._randomness = randomness
        self._vault = bytes.fromhex(identity)
        self._context = b"envelope" + bytes((FORMAT_VERSION,)) + self._vault + self.path.encode("ascii")

    def read(self) -> Envelope:
        """Read what is in either copy.

        Raises:
            MissingObjectError: There is none.
            CorruptObjectError: Both are damaged.
        """
        copies = [self._read_copy(name) for name in duplicate_paths(self.path)]
        envelope = _joined(copies)
        if envelope is None:
            remedy = "a machine that has the aliases rewrites it with `tallac add-passphrase`"
            if any(copy.stored for copy in copies):
                raise CorruptObjectError(f"the vault's {self.path} is damaged: {remedy}")
            raise MissingObjectError(f"the vault's {self.path} is missing: {remedy}")
        return envelope

    def add(self, more: Envelope) -> None:
        """Add everything in `more` to both copies of the envelope; durable when this returns.

        A copy that is lost or damaged is written anew. Nothing is written where there is nothing to change.
        """
        self._swap(lambda present: more if present is None else present.joined(more))

    def remove(self, aliases: Callable[[NamedCap], bool]) -> None:
        """Take aliases out of both copies; durable when this returns. One that is interrupted may have taken out none."""
        self._swap(lambda present: None if present is None else present.without(aliases))

    def _swap(self, edit: Callable[[Envelope | None], Envelope | None]) -> None:
        for _ in range(SWAPS_MAX):
            copies = [self._read_copy(name) for name in duplicate_paths(self.path)]
            present = _joined(copies)
            wanted = edit(present)
            if wanted is None or (wanted == present and copies[0].stored == copies[1].stored):
                return
            stored = self._encode(wanted)
            try:
                for name, copy in zip(duplicate_paths(self.path), copies, strict=True):
                    put_once(self._backend, name, stored, copy.version)
            except ConflictError:
                continue
            return
        raise ConflictError(f"the vault's {self.path} was changed by others {SWAPS_MAX} times in a row: try again")

    def _read_copy(self, name: str) -> _Copy:
        found = self._backend.get_versioned(name)
        if found is None:
            return _Copy(b"", Expect.ABSENT, None)
        stored, version = found
        try:
            return _Copy(stored, version, self._decode(take_check(stored, name)))
        except CorruptObjectError:
            return _Copy(stored, version, None)

    def _encode(self, envelope: Envelope) -> bytes:
        plain = msgspec.msgpack.encode(_Plain(envelope.key.danger_whole_text(), sorted(envelope.aliases)))
        padded = pad_plain(plain, Codec(), SEAL_OVERHEAD + CHECK_SIZE)
        return add_check(seal_checked(self._key, self._randomness(SALT_SIZE), padded, self._context))

    def _decode(self, body: bytes) -> Envelope:
        try:
            padded = open_sealed(self._key, body, self._context)
            plain = msgspec.msgpack.decode(unpad_plain(padded, Codec(), SEAL_OVERHEAD + CHECK_SIZE), type=_Plain)
            key = parse_vault_key(plain.key)
            if key.vault != self._vault:
                raise MalformedObjectError(f"the vault's {self.path} holds the key of another vault")
            return Envelope(key, frozenset(plain.aliases))
        except (msgspec.MsgspecError, MalformedCapError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedObjectError(f"the vault's {self.path} does not follow the format: {error}") from None


def _joined(copies: list[_Copy]) -> Envelope | None:
    first, second = (copy.envelope for copy in copies)
    if first is None or second is None:
        return first or second
    return first.joined(second)
