"""Directories whose entries are in the cap itself (`DIR2-LIT`), in the table format of Tahoe-LAFS, the same on every grid.

An entry is a netstring of four netstrings: name, read cap, sealed write cap (empty here) and metadata in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tallac.caps import DirectoryReadCap, LiteralDirectory, parse_lenient
from tallac.dag import Entry, EntryList
from tallac.errors import CorruptObjectError, MalformedCapError, MalformedObjectError, RequestError
from tallac.gateway.edge_metadata import metadata_from_json
from tallac.interfaces import CapReader, Directory

_FIELDS = 4


def read_directory(reader: CapReader, cap: DirectoryReadCap) -> Directory:
    """Read a directory of any kind; a literal one needs no grid. Raises what `CapReader.read_directory` raises."""
    if isinstance(cap, LiteralDirectory):
        return EntryList(decode_literal(cap.data))
    return reader.read_directory(cap)


def decode_literal(table: bytes) -> list[Entry]:
    """Parse the table of a literal directory.

    Raises:
        CorruptObjectError: The table does not follow the format.
    """
    try:
        entries = [_entry(list(_netstrings(encoded))) for encoded in _netstrings(table)]
    except (ValueError, msgspec.MsgspecError, MalformedCapError, RequestError, RecursionError):
        raise MalformedObjectError("a literal directory's table is malformed") from None
    by_name = {entry.name: entry for entry in entries}
    return [by_name[name] for name in sorted(by_name)]


def _entry(fields: list[bytes]) -> Entry:
    if len(fields) != _FIELDS or not fields[0]:
        raise ValueError("an entry has four fields")
    name, cap, write, metadata = fields
    if write:
        raise CorruptObjectError("a literal directory holds a write cap")
    shown = msgspec.json.decode(metadata, type=dict[str, object])
    return Entry.of(name, parse_lenient(cap.rstrip(b" ")), metadata_from_json(shown))


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
