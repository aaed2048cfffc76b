"""A target whose snapshots are forgotten, marked or rewritten."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tallac.caps import DirectoryWriteCap
from tallac.dag import LATEST, Entry, Metadata, SnapshotFacts, display_path, encode_cap, newest_snapshot
from tallac.dag.entry import OURS
from tallac.errors import EntryError, EntryNotFoundError
from tallac.interfaces import CapEditor, Clock, Grid

Edit = Callable[[list[Entry]], list[Entry]]


class Target(msgspec.Struct, frozen=True):
    """An open target.

    Attributes:
        directory: The directory that holds `Archives/` and `Latest`.
        archives: The directory of the snapshots.
        label: How it is shown to the user, as `home:docs`.
    """

    directory: DirectoryWriteCap
    archives: DirectoryWriteCap
    label: str

    @property
    def fingerprint(self) -> bytes:
        """A key of the target in local state; it holds no secret."""
        return hashlib.sha256(encode_cap(self.archives.read_cap)).digest()[:16]

    def read(self, editor: CapEditor) -> list[Entry]:
        """Return the entries of `Archives/`."""
        return editor.edit_directory(self.archives, list)


def set_latest(grid: Grid, target: Target, clock: Clock) -> None:
    """Set `Latest` to the newest snapshot that is left, with its metadata; remove it where none is left.

    `Archives/` is read inside the edit: whoever enters a snapshot meanwhile either makes this swap fail, or sets `Latest` later.
    """

    def replace(entries: list[Entry]) -> list[Entry]:
        newest = newest_snapshot(grid.read_directory(target.archives.read_cap), clock.now_ns())
        others = [entry for entry in entries if entry.name != LATEST]
        return others if newest is None else [*others, Entry(LATEST, newest.encoded, newest.metadata)]

    grid.edit_directory(target.directory, replace)


def find_named(entries: Iterable[Entry], names: Sequence[bytes], label: str) -> list[Entry]:
    """Return the entries with these names.

    Raises:
        EntryNotFoundError: One is missing.
        EntryError: One is no snapshot.
    """
    by_name = {entry.name: entry for entry in entries}
    for name in names:
        if name not in by_name:
            raise EntryNotFoundError(f"{label}: no snapshot {display_path(name)} found; `tallac snapshots {label}` lists them")
        if not by_name[name].is_directory:
            raise EntryError(f"{label}: {display_path(name)} in Archives is no snapshot")
    return [by_name[name] for name in dict.fromkeys(names)]


def with_mark(entry: Entry, key: str, value: str | None) -> Entry:
    """Return the entry with a mark, or without it for None; all other keys stay as they are."""
    other = dict(entry.metadata.other or {})
    found = other.get(OURS)
    marks = dict(found) if isinstance(found, dict) else {}
    marks.pop(key, None)
    if value is not None:
        marks[key] = value
    other.pop(OURS, None)
    if marks:
        other[OURS] = marks
    return with_metadata(entry, msgspec.structs.replace(entry.metadata, other=other or None))


def with_metadata(entry: Entry, metadata: Metadata) -> Entry:
    """Return the entry with other metadata."""
    return Entry(entry.name, entry.encoded, metadata, entry.write)


def facts_of(entry: Entry) -> SnapshotFacts:
    """Return a snapshot's facts; empty ones where another tool made it."""
    return entry.metadata.snapshot or SnapshotFacts()
