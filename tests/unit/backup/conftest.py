"""A source, a grid in memory, and a backup at the push of a button."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from tests.ticks import AHEAD_NS, pass_a_tick

from tallac.backup import BackupSummary, Change, Observer, Progress
from tallac.backup.decide import UNCHANGED_BY
from tallac.backup.dry_run import DryRunSummary, dry_run
from tallac.backup.leaves import Leaf, LeafTask
from tallac.backup.look_ahead import LookAhead
from tallac.backup.request import BackupRequest
from tallac.backup.run import back_up
from tallac.caps import DirectoryReadCap, MutableDirectoryRead, MutableDirectoryWrite
from tallac.dag import Entry, SnapshotFacts
from tallac.interfaces import Clock
from tallac.source import CACHE_MARKER, NOTHING_OWN, FileSystem, Scope, Selection
from tallac.sourcedb import SourceDatabase
from tallac.testing.determinism import FakeClock
from tallac.testing.memory_grid import MemoryGrid


class WatchedFileSystem(FileSystem):
    """The real file system, which notes which files are opened for reading and can be told to interfere.

    Attributes:
        elsewhere: The inode of a directory that seems to lie on another file system.
        forbidden: The name of a directory that must not be listed.
    """

    def __init__(self) -> None:
        self.elsewhere: int | None = None
        self.forbidden: bytes | None = None
        self.opened: list[bytes] = []
        self.before_open: Callable[[bytes], None] | None = None
        self.after_open: Callable[[bytes], None] | None = None

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        is_file = not flags & os.O_DIRECTORY
        if name == self.forbidden and not flags & os.O_PATH:
            raise PermissionError(errno.EACCES, "Permission denied")
        if is_file and self.before_open is not None:
            self.before_open(name)
        descriptor = super().open(name, flags, directory)
        if is_file:
            self.opened.append(name)
            if self.after_open is not None:
                self.after_open(name)
        return descriptor

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return _with_mounts(super().scandir(descriptor), self.elsewhere)


@contextmanager
def _with_mounts(
    listing: AbstractContextManager[Iterator[os.DirEntry[str]]], elsewhere: int | None
) -> Iterator[Iterator[os.DirEntry[str]]]:
    with listing as entries:
        # A DirEntry can't be made up; this is what is asked of one.
        yield (cast("os.DirEntry[str]", _Mounted(entry)) if entry.inode() == elsewhere else entry for entry in entries)


class _Mounted:
    """A directory entry of a mount point."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name = entry.name
        self._entry = entry

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Tell of another device."""
        status = self._entry.stat(follow_symlinks=follow_symlinks)
        named = (name for name in dir(status) if name.startswith("st_") and name not in status.__match_args__)
        fields = {name: getattr(status, name) for name in named}
        return os.stat_result([*status[:2], status.st_dev + 1, *status[3:]], fields)


@dataclass
class Wishes:
    """What a bench is told of its next backup.

    Attributes:
        sources: Names below the source that are backed up in its place; none for the source itself.
        time_ns, trusts_timestamps, skips_unchanged, unchanged_by, counts_ahead: See `BackupRequest`.
    """

    sources: tuple[str, ...] = ()
    time_ns: int | None = None
    trusts_timestamps: bool = True
    skips_unchanged: bool = False
    allows_empty: bool = False
    removed_share_max: float | None = None
    unchanged_by: frozenset[str] = frozenset(UNCHANGED_BY)
    counts_ahead: bool = True


class ReportedBefore(LookAhead):
    """What another process would report that has seen the whole source before the backup begins.

    Attributes:
        reported: What it has reported; a test may change it.
        taken: The paths that were asked for and found.
    """

    def __init__(self, task: LeafTask, started_ns: int) -> None:
        self.task, self.started_ns = task, started_ns
        self.reported = {leaf.path: leaf for leaf in task.leaves()}
        self.taken: list[bytes] = []

    @staticmethod
    @contextmanager
    def of(order: BackupRequest, clock: Clock, changed_after_ns: int = 0) -> Iterator[ReportedBefore]:
        """Look at the source of a request, and take the listings of what has changed since a time."""
        root = os.open(order.source, os.O_RDONLY)
        try:
            task = LeafTask(root, order.source, order.selection, order.scope, order.own, changed_after_ns, clock)
            yield ReportedBefore(task, clock.now_ns())
        finally:
            os.close(root)

    def find(self, path: bytes, now_ns: int) -> Leaf | None:
        leaf = self.reported.pop(path, None)
        if leaf is not None:
            self.taken.append(path)
        return leaf


class Bench:
    """Backs a source up and looks at what came of it. The clock is ahead of the file system's, so that files count as settled."""

    def __init__(self, folder: Path, grid: MemoryGrid) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.database_path = folder / "state" / "source.db"
        self.grid = grid
        self.clock = FakeClock(time.time_ns() + AHEAD_NS)
        self.filesystem = WatchedFileSystem()
        self.root: MutableDirectoryWrite = grid.create_directory()
        self.unreadable: list[tuple[bytes, str]] = []
        self.notices: list[tuple[bytes, str]] = []
        self.changes: list[tuple[Change, bytes]] = []
        self.progress: list[Progress] = []
        self.database_notices: list[str] = []
        self.workers = 0
        self.selection = Selection()
        self.excluded: list[bytes] = []
        self.own = NOTHING_OWN
        self.wishes = Wishes()
        self.looks_ahead = False
        self.reported: ReportedBefore | None = None

    def back_up(self, *, path: tuple[bytes, ...] = (b"backups",), host: str = "here") -> BackupSummary:
        """Make a snapshot, a minute after the last one; what changes after that has other timestamps."""
        self.clock.advance(60)
        self.filesystem.opened.clear()
        self.grid.events.clear()
        with SourceDatabase(self.database_path, self.database_notices.append) as database:
            order = self._order(path, host)
            with ReportedBefore.of(order, self.clock) if self.looks_ahead else nullcontext() as self.reported:
                summary = back_up(
                    *(self.grid, order, database, self.clock),
                    observer=self._observer(),
                    filesystem=self.filesystem,
                    ahead=self.reported,
                )
        pass_a_tick(self.database_path.parent)
        return summary

    def dry_run(self, *, path: tuple[bytes, ...] = (b"backups",)) -> DryRunSummary:
        """Say what a snapshot would come to."""
        self.filesystem.opened.clear()
        self.grid.events.clear()
        order = self._order(path, "here")
        with SourceDatabase(self.database_path, self.database_notices.append) as database:
            record = database.record(self.grid.identity, *order.named_sources)
            return dry_run(self.grid, order, record, self.clock, observer=self._observer(), filesystem=self.filesystem)

    def _observer(self) -> Observer:
        return Observer(
            unreadable=lambda path, reason: self.unreadable.append((path, reason)),
            notice=lambda path, message: self.notices.append((path, message)),
            file=None if self.looks_ahead else lambda change, path: self.changes.append((change, path)),
            excluded=self.excluded.append,
            progress=self.progress.append,
        )

    def _order(self, path: tuple[bytes, ...], host: str) -> BackupRequest:
        paths = [os.fsencode(self.source / name) for name in self.wishes.sources]
        return BackupRequest(
            self.root,
            path,
            b"/" if paths else os.fsencode(self.source),
            SnapshotFacts(host=host),
            selection=self.selection,
            own=self.own,
            workers=self.workers,
            scope=Scope.of(paths) if paths else None,
            sources=tuple(paths),
            time_ns=self.wishes.time_ns,
            trusts_timestamps=self.wishes.trusts_timestamps,
            skips_unchanged=self.wishes.skips_unchanged,
            allows_empty=self.wishes.allows_empty,
            removed_share_max=self.wishes.removed_share_max,
            unchanged_by=self.wishes.unchanged_by,
            counts_ahead=self.wishes.counts_ahead,
        )

    def names(self, *path: bytes) -> list[bytes]:
        """List a directory below the root."""
        return [entry.name for entry in self.entries(*path)]

    def entries(self, *path: bytes) -> list[Entry]:
        """List a directory below the root."""
        cap: DirectoryReadCap = self.root.read_cap
        for name in path:
            entry = self.grid.read_directory(cap).get(name)
            assert entry is not None, name
            assert isinstance(entry.cap, DirectoryReadCap | MutableDirectoryRead), name
            cap = entry.cap
        return list(self.grid.read_directory(cap))

    def entry(self, *path: bytes) -> Entry:
        """Find an entry below the root."""
        return next(entry for entry in self.entries(*path[:-1]) if entry.name == path[-1])

    def content(self, *path: bytes) -> bytes:
        """Read a file below the root."""
        cap = self.entry(*path).cap
        return self.grid.open_file(cap).read()  # type: ignore[arg-type]  # It is a file's, or the test fails.

    def latest(self, *path: bytes) -> bytes:
        """Read a file of the latest snapshot."""
        return self.content(b"backups", b"Latest", *path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench on a grid without workers."""
    return Bench(tmp_path, MemoryGrid(small_size_max=100_000, chunk_size=30_000))


@pytest.fixture
def shared_bench(tmp_path: Path) -> Bench:
    """A bench on a grid that worker processes can store for."""
    folder = tmp_path / "contents"
    folder.mkdir()
    bench = Bench(tmp_path, MemoryGrid(folder, small_size_max=100_000, chunk_size=30_000))
    bench.workers = 2
    return bench


def plant(source: Path, *more: tuple[str, int]) -> None:
    """Make a tree with something of each kind that a selection may leave out, and further files with these sizes."""
    for name, size in (("a/one", 10), ("a/two.iso", 500), ("a/cache/x", 7), ("b/c/d/three", 3000), ("own/key", 40), *more):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"x" * size)
    (source / "a" / "cache" / "CACHEDIR.TAG").write_bytes(CACHE_MARKER.header)
    (source / "b" / ".tallacignore").write_text("*.tmp\n")
    (source / "b" / "c" / "gone.tmp").write_text("not wanted")
    (source / "empty").mkdir()
