"""Directories whose entries are in the cap itself (`DIR2-LIT`), in the table format of Tahoe-LAFS, the same on every grid.

An entry is a netstring of four netstrings: name, read cap, sealed write cap (empty here) and metadata in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

from tallac.caps import IMMUTABLE_PREFIX, LiteralDirectory, parse_lenient
from tallac.dag.child_metadata import NODE_KEY, from_child_metadata, to_child_metadata
from tallac.dag.child_names import grid_name, local_name
from tallac.dag.entry import Entry
from tallac.errors import CorruptObjectError, MalformedCapError, MalformedObjectError

LITERAL_TABLE_SIZE_MAX = 55
"""The longest table, in bytes, that a node puts into the cap itself."""

_FIELDS = 4


def literal_directory(entries: Iterable[Entry]) -> LiteralDirectory | None:
    """Return the cap of a directory that is so small that its cap holds it, as a node makes it; None for a larger one."""
    table = b""
    for entry in entries:
        table += encode_child(entry)
        if len(table) > LITERAL_TABLE_SIZE_MAX:
            return None
    return LiteralDirectory(table)


def encode_child(entry: Entry) -> bytes:
    """Return an entry as nodes write it into a directory, without its write cap. Entries come in the order of their names."""
    cap = entry.cap.danger_whole_text().removeprefix(IMMUTABLE_PREFIX).encode()
    node_facts = {key: value for key, value in (entry.metadata.other or {}).items() if key == NODE_KEY}
    metadata = json.dumps(to_child_metadata(entry.metadata) | node_facts).encode()
    return _netstring(b"".join(map(_netstring, (grid_name(entry.name).encode(), cap, b"", metadata))))


def decode_literal(table: bytes) -> list[Entry]:
    """Parse the table of a literal directory.

    Raises:
        CorruptObjectError: The table does not follow the format.
    """
    try:
        entries = [_entry(list(_netstrings(encoded))) for encoded in _netstrings(table)]
    except (ValueError, OverflowError, TypeError, msgspec.MsgspecError, MalformedCapError, RecursionError):
        raise MalformedObjectError("a literal directory's table is malformed") from None
    by_name = {entry.name: entry for entry in entries}
    return [by_name[name] for name in sorted(by_name)]


def _entry(fields: list[bytes]) -> Entry:
    if len(fields) != _FIELDS or not fields[0]:
        raise ValueError("an entry has four fields")
    name, cap, write, shown = fields
    if write:
        raise CorruptObjectError("a literal directory holds a write cap")
    metadata = from_child_metadata(msgspec.json.decode(shown, type=dict[str, object]))
    # Numbers that are too large for a vault's tables, and unpaired surrogates, are refused here.
    msgspec.msgpack.encode(metadata)
    return Entry.of(local_name(name.decode()), parse_lenient(cap.rstrip(b" ")), metadata)


def _netstring(content: bytes) -> bytes:
    return b"%d:%s," % (len(content), content)


def _netstrings(text: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(text):
        colon = text.index(b":", place)
        digits = text[place:colon]
        if not digits.isdigit() or len(digits) > 6:
            raise ValueError("a netstring begins with its length")
        end = colon + 1 + int(digits)
        if text[end : end + 1] != b",":
            raise ValueError("a netstring ends with a comma")
        yield text[colon + 1 : end]
        place = end + 1
