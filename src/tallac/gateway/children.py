"""The entries that a client sends as JSON, for new directories and for changes of existing ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from tallac.caps import (
    IMMUTABLE_PREFIX,
    READ_ONLY_PREFIX,
    TEXT_LENGTH_MAX,
    Cap,
    MutableDirectoryRead,
    MutableFileRead,
    ReadCap,
    UnknownCap,
    WriteCap,
    parse_lenient,
)
from tallac.dag import Entry, Metadata, encode_cap
from tallac.errors import RequestError
from tallac.gateway.edge_metadata import NO_WRITE_KEY, Json, metadata_from_json
from tallac.gateway.names import name_from_text, name_to_text


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that a client wants to set.

    Attributes:
        name: Its name.
        read: Its read cap, or a cap of unknown kind.
        write: The text of its write cap; None if the client sent none.
        metadata: What the client sent; None if it sent none.
    """

    name: bytes
    read: Cap
    write: str | None = field(default=None, repr=False)
    metadata: Json | None = field(default=None, repr=False)

    def entry(self, metadata: Metadata) -> Entry:
        """Return the entry with other metadata; its write cap is left out if the metadata says `no-write`."""
        is_locked = bool((metadata.other or {}).get(NO_WRITE_KEY))
        return self._entry(metadata, None if is_locked else self.write)

    def entry_as_given(self) -> Entry:
        """Return the entry with its metadata as the client sent them, which is how new directories store them."""
        return self._entry(metadata_from_json(self.metadata or {}), self.write)

    def _entry(self, metadata: Metadata, write: str | None) -> Entry:
        return Entry(self.name, encode_cap(self.read), metadata, None if write is None else write.encode())


def new_entry(name: bytes, cap: Cap) -> NewEntry:
    """Return the entry of a cap that this gateway has created."""
    if isinstance(cap, WriteCap):
        return NewEntry(name, cap.read_cap, cap.danger_whole_text())
    return NewEntry(name, cap)


def new_entry_from_texts(name: bytes, write: str | None, read: str | None, metadata: Json | None = None) -> NewEntry:
    """Return the entry of a write cap, a read cap or both, as a client sent them; a read cap sent as the write cap is accepted.

    Raises:
        RequestError: The caps contradict each other, or can't be stored in a directory.
    """
    if not write and not read:
        raise RequestError(f"a child needs a cap: give {name_to_text(name)!r} a ro_uri or rw_uri")
    if write:
        cap = _parsed(write.strip())
        if isinstance(cap, WriteCap):
            # The read cap follows from a known write cap; one that was sent beside it is ignored.
            return NewEntry(name, cap.read_cap, cap.danger_whole_text(), metadata)
        if not isinstance(cap, UnknownCap):
            return NewEntry(name, cap, None, metadata)
        return _unknown_child(name, cap.text, read, metadata)
    assert read is not None
    return NewEntry(name, _readable(name, read), None, metadata)


def parse_children(body: bytes) -> list[NewEntry]:
    """Parse the entries that a client sends, by name; of several with one name the last counts.

    Raises:
        RequestError: The body does not have the form of the answer to t=json.
    """
    if not body.strip():
        return []
    try:
        sent = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RequestError("the children are no JSON") from None
    if not isinstance(sent, dict):
        _refuse_shape()
    children = [_parse_child(name, value) for name, value in sent.items()]
    return sorted({child.name: child for child in children}.values(), key=lambda child: child.name)


def require_immutable(children: Iterable[NewEntry]) -> None:
    """Require that an immutable directory may hold these entries.

    Raises:
        RequestError: One of them is mutable, or of unknown kind.
    """
    for child in children:
        if child.write is not None or isinstance(child.read, MutableFileRead | MutableDirectoryRead):
            raise RequestError(
                f"MustBeDeepImmutableError: a cap passed to this operation for the child named {name_to_text(child.name)!r}, "
                "needed to be immutable but was not."
            )


def _parse_child(name: str, value: object) -> NewEntry:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], dict):
        _refuse_shape()
    facts: dict[str, object] = value[1]
    write, read, metadata = facts.get("rw_uri"), facts.get("ro_uri"), facts.get("metadata")
    if not isinstance(write, str | None) or not isinstance(read, str | None) or not isinstance(metadata, dict | None):
        _refuse_shape()
    return new_entry_from_texts(name_from_text(name), write, read, metadata)


def _unknown_child(name: bytes, write: str, read: str | None, metadata: Json | None) -> NewEntry:
    if write.startswith((READ_ONLY_PREFIX, IMMUTABLE_PREFIX)) and read is None:
        return NewEntry(name, UnknownCap(write), None, metadata)
    if read is None:
        raise RequestError(
            f"MustNotBeUnknownRWError: an operation to add a child named {name_to_text(name)!r} to a directory was given an "
            "unknown cap in a write slot. A read cap in the read slot (ro_uri) beside it would help."
        )
    return NewEntry(name, _readable(name, read), write, metadata)


def _readable(name: bytes, text: str) -> Cap:
    cap = _parsed(text)
    if isinstance(cap, WriteCap):
        raise RequestError(
            f"MustBeReadonlyError: a cap passed to this operation for the child named {name_to_text(name)!r}, needed to be "
            "read-only but was not."
        )
    if isinstance(cap, ReadCap) or not isinstance(cap, UnknownCap):
        return cap
    return cap if cap.text.startswith((READ_ONLY_PREFIX, IMMUTABLE_PREFIX)) else UnknownCap(READ_ONLY_PREFIX + cap.text)


def _parsed(text: str) -> Cap:
    text = text.removesuffix("\n")
    if len(text) > TEXT_LENGTH_MAX - 100 or not text.isascii():
        raise RequestError("a cap is longer than any, or not ASCII")
    for prefix in (READ_ONLY_PREFIX, IMMUTABLE_PREFIX):
        if text.startswith(prefix) and isinstance(parse_lenient(text), UnknownCap):
            _refuse_contradiction(prefix, parse_lenient(text.removeprefix(prefix)))
    return parse_lenient(text)


def _refuse_contradiction(prefix: str, bare: Cap) -> None:
    """Refuse a cap of a known kind that allows more than the prefix before it."""
    if not isinstance(bare, UnknownCap):
        error = "MustBeReadonlyError" if prefix == READ_ONLY_PREFIX else "MustBeDeepImmutableError"
        raise RequestError(f"{error}: {prefix!r} stands before the cap of something that can be changed ({bare.kind})")


def _refuse_shape() -> NoReturn:
    raise RequestError('the children are not as t=json gives them: {"NAME": ["filenode", {"ro_uri": "..."}]}')


def _refuse_constant(_text: str) -> NoReturn:
    raise ValueError("no number")
