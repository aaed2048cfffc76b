"""Make snapshots of a tree that was never on a disk, in the vault.

    python bench/made_trees.py FOLDER FILES FILES_IN_DIRECTORY [stored]

With `stored` files have 90 bytes, so that each is an object of the vault; without it they have 20 and lie in their directories.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import tallac
from tallac.backup.target import Target, enter_snapshot, open_target
from tallac.caps import DirectoryReadCap, DirectoryWriteCap, LiteralFile
from tallac.clock import SystemClock
from tallac.dag import Entry, Metadata, SnapshotFacts, encode_cap
from tallac.interfaces import CapWriter, Grid

CHANGED_EVERY = 100
STORED_SIZE = 90
STORED_TOGETHER = 500
SNAPSHOT_TIMES = (1_700_000_000 * 10**9, 1_700_003_600 * 10**9)
_DIRECTORY = Metadata(mode=0o040755, uid=0, gid=0, mtime=(1_700_000_000, 0))


def enter_made_snapshots(folder: Path, count: int, in_directory: int, *, is_stored: bool = False) -> None:
    """Enter two snapshots with so many files into the target `bench:`; each file is an object of its own where `is_stored`.

    Each hundredth directory differs between them or, where there are fewer, each hundredth file.
    """
    with tallac.Client(tallac.Folders.under(folder / "home")) as client:
        grid, located = client.workspace.resolve("bench:")
        assert isinstance(located.cap, DirectoryWriteCap)
        target = open_target(grid, located.cap, located.path)
        kept: dict[int, DirectoryReadCap] = {}
        for version, time_ns in enumerate(SNAPSHOT_TIMES):
            _enter(grid, target, time_ns, _Tree(count, in_directory, version, kept, is_stored=is_stored))


class _Tree:
    """A version of the tree; what is the same in both is made once."""

    def __init__(self, count: int, in_directory: int, version: int, kept: dict[int, DirectoryReadCap], *, is_stored: bool) -> None:
        self.count = count
        self._is_stored = is_stored
        self._in_directory = in_directory
        self._version = version
        self._kept = kept
        self._changes_files = count // in_directory < CHANGED_EVERY

    def store(self, writer: CapWriter) -> DirectoryReadCap:
        """Store it."""
        top = writer.build_directory()
        for number, first in enumerate(range(0, self.count, self._in_directory)):
            is_changed = self._changes_files or number % CHANGED_EVERY == 0
            cap = None if is_changed else self._kept.get(first)
            if cap is None:
                below = writer.build_directory()
                for entry in self._entries(writer, first, is_changed=is_changed):
                    below.add(entry)
                cap = below.finish()
            if not is_changed:
                self._kept[first] = cap
            top.add(Entry.of(b"d%09d" % first, cap, _DIRECTORY))
        return top.finish()

    def _entries(self, writer: CapWriter, first: int, *, is_changed: bool) -> Iterator[Entry]:
        last = min(first + self._in_directory, self.count)
        for start in range(first, last, STORED_TOGETHER):
            numbers = range(start, min(start + STORED_TOGETHER, last))
            contents = [self._content(number, is_changed=is_changed) for number in numbers]
            caps = writer.put_several(contents) if self._is_stored else [encode_cap(LiteralFile(each)) for each in contents]
            for number, encoded in zip(numbers, caps, strict=True):
                metadata = Metadata(mode=0o100644, uid=0, gid=0, mtime=(1_700_000_000 + number, number), inode=number)
                yield Entry(b"f%09d.txt" % number, encoded, metadata)

    def _content(self, number: int, *, is_changed: bool) -> bytes:
        version = self._version if is_changed and (not self._changes_files or number % CHANGED_EVERY == 0) else 0
        content = b"content %d of %d" % (version, number)
        return content + b"%0*d" % (STORED_SIZE - len(content), number) if self._is_stored else content


def _enter(grid: Grid, target: Target, time_ns: int, tree: _Tree) -> None:
    facts = SnapshotFacts(host="bench", sources=(b"/made",), files=tree.count)
    metadata = Metadata(mode=0o040755, uid=0, gid=0, mtime=(1_700_000_000, 0), snapshot=facts)
    with grid.session() as session:
        with session.writing() as writer:
            cap = tree.store(writer)
        session.commit([cap])
        enter_snapshot(grid, session, target, encode_cap(cap), metadata, SystemClock(), time_ns)


if __name__ == "__main__":
    enter_made_snapshots(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), is_stored="stored" in sys.argv[4:])
