"""Directories that another program has stored since, offered where one is made."""

from __future__ import annotations

from tallac.backup.recorded import ForeignSnapshot
from tallac.backup.target import open_target
from tallac.caps import DirectoryReadCap, ImmutableFile
from tallac.dag import Entry, Metadata, SnapshotFacts, encode_cap
from tallac.testing.memory_grid import MemoryGrid

FACTS = Metadata(snapshot=SnapshotFacts(host="h"))


def _store(grid: MemoryGrid, entries: list[Entry]) -> DirectoryReadCap:
    with grid.session() as session, session.writing() as writer:
        return writer.put_directory(entries)


def _tree(grid: MemoryGrid) -> tuple[DirectoryReadCap, DirectoryReadCap]:
    file = Entry.of(b"file", ImmutableFile(bytes(16), bytes(32), 1, 1, 5))
    below = _store(grid, [file])
    return below, _store(grid, [Entry.of(b"below", below), file])


def test_the_newest_snapshot_of_another_program_is_offered() -> None:
    """Its directories are found by their names; what is a file there, or is not there, is none."""
    grid = MemoryGrid()
    target = open_target(grid, grid.create_directory(), [])
    below, top = _tree(grid)
    own, other = Entry.of(b"2026-11-23_17:02:11Z", below, FACTS), Entry.of(b"2026-11-24_17:02:11Z", top)
    grid.edit_directory(target.archives, lambda _: [own, other])
    foreign = ForeignSnapshot(grid, target)
    assert foreign.directory(()) == encode_cap(top)
    assert foreign.directory((b"below",)) == encode_cap(below)
    assert [foreign.directory(path) for path in ((b"file",), (b"none",), (b"below", b"none"), (b"file", b"none"))] == [None] * 4


def test_own_snapshots_are_not() -> None:
    """What Tallac has stored itself is in its own record, or was changed since."""
    grid = MemoryGrid()
    target = open_target(grid, grid.create_directory(), [])
    below, top = _tree(grid)
    own, other = Entry.of(b"2026-11-25_17:02:11Z", top, FACTS), Entry.of(b"2026-11-24_17:02:11Z", below)
    grid.edit_directory(target.archives, lambda _: [own, other])
    assert ForeignSnapshot(grid, target).directory(()) is None


def test_what_is_damaged_is_stored_anew() -> None:
    """A directory that can't be read ends no backup."""
    grid = MemoryGrid()
    target = open_target(grid, grid.create_directory(), [])
    _, top = _tree(grid)
    grid.edit_directory(target.archives, lambda _: [Entry.of(b"2026-11-24_17:02:11Z", top)])
    del grid.tables[encode_cap(top)]
    assert ForeignSnapshot(grid, target).directory((b"below",)) is None
