"""A quick count of a source, in a process of its own that runs ahead of the walk.

It takes 6 microseconds of a processor a file, where to store one takes 300 or more; and what it has looked up, the walk finds in
the system's cache. It is for people who wait: nothing that is stored depends on it, and whatever goes wrong with it only leaves
the end unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from tallac.backup.quick_look import Looked, LookTask
from tallac.backup.summary import Progress
from tallac.clock import SystemClock
from tallac.errors import TallacError
from tallac.source import REAL, FileSystem, SourceEntry
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


class CountTask(LookTask, frozen=True):
    """The task of the process that counts; it has no secrets, and each job is to go on for `STEP_FILES`."""

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
        files = size = 0

        def look(looked: Looked) -> Iterator[SourceEntry]:
            nonlocal files, size
            for found in looked.files():
                files += 1
                size += found.size if found.is_regular else 0
            return looked.chosen.directories()

        for is_complete in self.walk(look, filesystem, SystemClock()):
            yield SourceCount(files, size, is_complete)


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
