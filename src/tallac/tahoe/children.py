"""Entries of a directory <-> children on a Tahoe-LAFS grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from tallac.caps import Cap, DirectoryReadCap, FileReadCap, UnknownCap, WriteCap, parse_lenient
from tallac.dag import Entry
from tallac.dag.child_metadata import NODE_KEY, fits_standard_keys, from_child_metadata, standard_keys, to_child_metadata
from tallac.dag.child_names import grid_name, local_name
from tallac.errors import MalformedCapError
from tallac.webapi import WebChild


class TahoeDirectory:
    """The entries of a directory, sorted by name."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._by_name: dict[bytes, Entry] | None = None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def get(self, name: bytes) -> Entry | None:
        if self._by_name is None:
            self._by_name = {entry.name: entry for entry in self._entries}
        return self._by_name.get(name)


def entries_of(children: Mapping[str, WebChild], *, with_node_key: bool) -> list[Entry]:
    """Convert children to entries, sorted by name. Caps of unknown kind are kept as they are; a child without a cap is left out."""
    entries = []
    for name, child in children.items():
        cap = _strongest(child)
        if cap is not None:
            metadata = from_child_metadata(child.metadata, with_node_key=with_node_key)
            entry = Entry.of(local_name(name), cap, metadata)
            entries.append(msgspec.structs.replace(entry, write=_unknown_write(child, cap)) if entry.write is None else entry)
    return sorted(entries, key=lambda entry: entry.name)


def child_of(entry: Entry) -> tuple[str, WebChild]:
    """Convert an entry to a child and its name on the grid."""
    return grid_name(entry.name), _child(entry, to_child_metadata(entry.metadata))


def without_node_key(entry: Entry) -> Entry:
    """Return an entry without the metadata that only a node can set."""
    other = entry.metadata.other
    if other is None or NODE_KEY not in other:
        return entry
    kept = {key: value for key, value in other.items() if key != NODE_KEY}
    return msgspec.structs.replace(entry, metadata=msgspec.structs.replace(entry.metadata, other=kept or None))


def is_said_by(recorded: Iterable[Entry], entries: Iterable[Entry]) -> bool:
    """Whether a stored directory holds all that a restore of these entries needs, so that it can be reused.

    It may have been stored by `tahoe backup`, which keeps less metadata. Both sequences are sorted by name.
    """
    recorded, entries = list(recorded), list(entries)
    return len(recorded) == len(entries) and all(map(_is_said, recorded, entries))


def _is_said(recorded: Entry, entry: Entry) -> bool:
    if recorded == entry:
        return True
    if (recorded.name, recorded.encoded) != (entry.name, entry.encoded) or not fits_standard_keys(entry.metadata):
        return False
    return recorded.metadata == from_child_metadata(standard_keys(entry.metadata))


def _child(entry: Entry, metadata: dict[str, object]) -> WebChild:
    cap = entry.cap
    kind = "dirnode" if isinstance(cap, DirectoryReadCap) else "filenode" if isinstance(cap, FileReadCap) else "unknown"
    return WebChild(kind, cap.danger_whole_text(), None if entry.write is None else entry.write.decode(), metadata)


def _unknown_write(child: WebChild, read: Cap) -> bytes | None:
    """Return a write cap of unknown kind, which is passed on beside the read cap that can't be derived from it."""
    if child.write is None or child.read is None or child.read != read.danger_whole_text():
        return None
    try:
        return child.write.encode() if isinstance(parse_lenient(child.write), UnknownCap) else None
    except MalformedCapError:
        return None


def _strongest(child: WebChild) -> Cap | None:
    for text in (child.write, child.read):
        if text is None:
            continue
        try:
            cap = parse_lenient(text)
        except MalformedCapError:
            continue
        # A cap of unknown kind can't be used as a write cap here.
        if text is child.read or isinstance(cap, WriteCap):
            return cap
    return None
