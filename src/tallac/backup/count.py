"""A quick count of a source, in a process of its own that runs ahead of the walk.

It takes 6 microseconds of a processor a file, where to store one takes 300 or more; and what it has looked up, the walk finds in
the system's cache. It is for people who wait: nothing that is stored depends on it, and whatever goes wrong with it only leaves
the end unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import msgspec

from tallac.backup.left_out import OwnLeftOut
from tallac.backup.summary import Observer, Progress
from tallac.dag import join_path
from tallac.errors import LocalStateError, TallacError
from tallac.source import REAL, ChosenScan, DirectorySelection, DirectoryStack, FileSystem, Mounts, OwnFiles, Scan, Scope, Selection
from tallac.workers.pool import WorkerPool, can_start_workers

START_AFTER_NS = 1_000_000_000
"""A backup that is over by then needs no count."""

STEP_FILES = 10_000
"""So many files are counted before the count is reported, and those of the directory that it is in."""

JOBS_MAX = 2
"""The process has its next job before it has done the last one: it is asked only now and then."""


class SourceCount(msgspec.Struct, frozen=True):
    """How much a source holds, as far as it was counted.

    Attributes:
        files: Everything that is no directory; a file with several names counts once for each.
        size: Bytes of the regular files among them.
        is_complete: Whether that is all.
    """

    files: int = 0
    size: int = 0
    is_complete: bool = False


class CountTask(msgspec.Struct, frozen=True):
    """The task of the process that counts; it has no secrets, and each job is to go on for `STEP_FILES`.

    Attributes:
        root: The descriptor of the source, which the process inherits.
        source, selection, scope, own: As in the request.
    """

    root: int
    source: bytes
    selection: Selection
    scope: Scope | None
    own: OwnFiles

    @property
    def descriptors(self) -> tuple[int, ...]:
        """See `tallac.workers.task.WorkerTask`."""
        return (self.root,)

    @contextmanager
    def open(self) -> Iterator[Callable[[None], SourceCount]]:
        """See `tallac.workers.task.WorkerTask`."""
        counts = self.count()
        last = SourceCount()

        def go_on(_: None) -> SourceCount:
            nonlocal last
            enough = last.files + STEP_FILES
            while not last.is_complete and last.files < enough:
                last = next(counts)
            return last

        yield go_on

    def count(self, filesystem: FileSystem = REAL) -> Iterator[SourceCount]:
        """Count what a backup would store, as far as names and stat fields tell; what can't be looked at is passed over.

        Yields:
            The count so far, after each directory; the last one is complete.
        """
        with DirectoryStack(self.root, filesystem=filesystem) as stack:
            yield from _Counting(self.own, stack, filesystem).run(
                self.source,
                self.selection.at_root(self.source, filesystem.fstat(self.root).st_dev, self.scope, self.own.file_inodes),
            )


class _Below(NamedTuple):
    """A directory that is to be counted; one without a name is the source itself."""

    name: bytes
    path: bytes
    selection: DirectorySelection


class _Counting:
    """One walk that counts; it leaves out what a backup leaves out."""

    def __init__(self, own: OwnFiles, stack: DirectoryStack, filesystem: FileSystem) -> None:
        self._own = OwnLeftOut(own, filesystem, Observer())
        self._mounts = Mounts()
        self._stack = stack
        self._filesystem = filesystem
        self._files = self._size = 0

    def run(self, source: bytes, selection: DirectorySelection) -> Iterator[SourceCount]:
        """Go through the source; as `CountTask.count`. Trees may be deeper than Python's stack, so visits have one of their own."""
        self._mounts = self._filesystem.mounts().seen_from(source)
        visits = [self._visit(_Below(b"", source, selection))]
        try:
            while visits:
                below = next(visits[-1], None)
                if below is not None:
                    visits.append(self._visit(below))
                    continue
                visits.pop()
                yield SourceCount(self._files, self._size, is_complete=not visits)
        finally:
            while visits:
                visits.pop().close()

    def _visit(self, directory: _Below) -> Generator[_Below, None, None]:
        try:
            if directory.name:
                self._stack.enter(directory.name, to_pass=directory.selection.scope is not None)
        except OSError:
            return
        try:
            mounted = self._mounts.names.get(directory.path, {})
            with directory.selection.scan(self._stack.descriptor, self._filesystem, mounted) as listing:
                yield from self._count(directory, listing)
        except (OSError, LocalStateError):
            return
        finally:
            if directory.name:
                self._stack.leave()

    def _count(self, directory: _Below, listing: Scan) -> Iterator[_Below]:
        descriptor, path, is_passage = self._stack.descriptor, directory.path, directory.selection.scope is not None
        if directory.name and not is_passage and self._own.recognises(path, directory.name, descriptor, listing):
            return
        mounted = self._mounts.names.get(path)
        selection = directory.selection.reading(listing, descriptor, path, _ignore, self._filesystem, mounted)
        chosen = ChosenScan(listing, selection)
        for found in chosen.entries(_ignore):
            if not found.is_directory and not self._own.holds(path, found, descriptor):
                self._files += 1
                self._size += found.size if found.is_regular else 0
        for found in chosen.directories():
            below = selection.beneath(found)
            if not below.is_hollow and not self._own.holds(path, found, self._stack.descriptor):
                yield _Below(found.name, join_path(path, found.name), below)


class CountAhead:
    """Counts a source while its backup runs, and tells the backup's progress what to expect. Close it."""

    def __init__(self, task: CountTask, now_ns: int) -> None:
        """Take the time at which the backup began; nothing is started yet."""
        self._task = task
        self._start_ns = now_ns + START_AFTER_NS
        self._pool: WorkerPool[None, SourceCount] | None = None
        self._jobs = 0
        self._has_ended = not can_start_workers()

    def look(self, progress: Progress, now_ns: int) -> None:
        """Take over what was counted by now, without waiting; begin to count once the backup has been running for a second."""
        if self._has_ended or now_ns < self._start_ns:
            return
        try:
            if self._pool is None:
                self._pool = WorkerPool(self._task, 1, advice="")
                progress.is_counting = True
            self._pool.poll()
            while self._jobs < JOBS_MAX and not self._has_ended:
                self._jobs += 1
                self._pool.submit(None, partial(self._take, progress))
        except (OSError, TallacError):
            # What is not counted is not known.
            self.close()
            progress.is_counting = False
        if self._has_ended:
            self.close()

    def close(self) -> None:
        """End the count where it is. Doing so twice does nothing."""
        self._has_ended = True
        if self._pool is not None:
            self._pool.stop()
            self._pool = None

    def _take(self, progress: Progress, count: SourceCount) -> None:
        self._jobs -= 1
        progress.files_counted, progress.bytes_counted = count.files, count.size
        if count.is_complete:
            progress.files_expected, progress.bytes_expected = count.files, count.size
            progress.is_counting = False
            self._has_ended = True


def _ignore(*_: object) -> None:
    """Do nothing."""
