"""Batches of regular files, restored by worker processes: small files many at a time, large ones in ranges side by side."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from tallac.dag import Components, EncodedCap, Entry, join_components
from tallac.interfaces import Announce, AnnouncingReader, CapReader
from tallac.restore.files.file_writer import Batch, FileWriter
from tallac.restore.filesystem import DESTINATION
from tallac.restore.options import RestoreSettings
from tallac.restore.parallel.worker import Answer, Job, RangeJob, WriteTask
from tallac.restore.report import BatchResult, ProblemKind
from tallac.restore.safe_names import is_unusual
from tallac.source import open_beneath
from tallac.workers.pool import WorkerPool, can_start_workers

WORKERS = 2

INLINE_FILES_MAX = 64
INLINE_SIZE_MAX = 4 << 20
"""Up to so much is written in this process: starting workers takes longer."""

JOB_FILES_MIN = 200
JOB_SIZE_MIN = 2 << 20
"""Batches of small directories go to a worker together, until they come to so much: each message costs as much as some files."""

JOB_TURNS_MAX = 256
"""Or until results have been asked for so many times: few files may come from here on, and until these are written no directory is
finished."""

JOBS_AHEAD = 24
"""Over a line so many jobs wait until what they read is here. Files that follow each other lie in some 8 MiB of packs, of which
each job of small files needs something: the next ones are on their way while these are written."""

LARGE_SIZE_MIN = 32 << 20
RANGE_SIZE = 16 << 20

_ADVICE = "restored files are kept; restore again into another folder"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A batch that was handed in.

    Attributes:
        result: What became of it; None while it is not known.
        missing: How many ranges are under way, of a large file.
        descriptor: That file, open from when it is made until it has its metadata; -1 for none.
        error: What went wrong with one of them first.
    """

    batch: Batch
    result: BatchResult | None = None
    missing: int = 0
    descriptor: int = -1
    error: Exception | None = field(default=None, repr=False)

    def close_file(self) -> None:
        """Close the large file, if one is open."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class PoolRunner:
    """See `tallac.restore.parallel.runner.BatchRunner`. The workers start once there is enough to do.

    A worker looks into the grid without looking twice; what it finds damaged is read again here, so that only this process says so.
    """

    def __init__(self, task: WriteTask, writer: FileWriter, workers: int = WORKERS, announce: Announce | None = None) -> None:
        """Write with workers, and what is too little for them, or too odd, with a writer of this process; announce what is read."""
        self._task = task
        self._writer = writer
        self._workers = workers
        self._pool: WorkerPool[Job, Answer] | None = None
        self._is_inline = True
        self._files = self._size = 0
        self._waiting: deque[_Waiting] = deque()
        # What goes into the next job.
        self._gathered: list[_Waiting] = []
        self._gathered_files = self._gathered_size = self._gathered_turns = 0
        self._announce = announce
        # Jobs, each with what waits until they can be read at once.
        self._announced: deque[tuple[list[_Waiting], Callable[[], None]]] = deque()

    def submit(self, batch: Batch, directory: int) -> None:
        waiting = _Waiting(batch)
        self._waiting.append(waiting)
        size = batch.size
        pool = self._choose_pool(len(batch.entries), size)
        if pool is None:
            if self._announce is not None:
                self._announce([entry.encoded for entry in batch.entries])
            waiting.result = self._writer.write_batch(batch, directory)
        elif len(batch.entries) == 1 and not self._task.settings.replaces and _is_divisible(batch.entries[0]):
            self._submit_large(pool, waiting, batch.entries[0], directory)
        else:
            self._gathered.append(waiting)
            self._gathered_files += len(batch.entries)
            self._gathered_size += size
            if self._gathered_files >= JOB_FILES_MIN or self._gathered_size >= JOB_SIZE_MIN:
                self._submit_gathered(pool)

    def results(self) -> list[BatchResult]:
        if self._pool is not None:
            self._pool.poll()
            self._gathered_turns += bool(self._gathered or self._announced)
            if self._gathered_turns >= JOB_TURNS_MAX:
                self._submit_all(self._pool)
        done = []
        while self._waiting and (result := self._waiting[0].result) is not None:
            self._waiting.popleft()
            done.append(result)
        return done

    def drain(self) -> list[BatchResult]:
        if self._pool is not None:
            self._submit_all(self._pool)
            self._pool.drain()
        return self.results()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.stop()
        for waiting in self._waiting:
            waiting.close_file()

    def _choose_pool(self, files: int, size: int) -> WorkerPool[Job, Answer] | None:
        self._files += files
        self._size += size
        if self._is_inline and (self._files > INLINE_FILES_MAX or self._size > INLINE_SIZE_MAX):
            self._is_inline = False
            try:
                self._pool = WorkerPool(self._task, self._workers, advice=_ADVICE)
            except OSError:
                return None  # No more processes can be had; this one does without.
        return self._pool

    def _submit_gathered(self, pool: WorkerPool[Job, Answer]) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._gathered_files = self._gathered_size = self._gathered_turns = 0
            if self._announce is None:
                self._hand_out(pool, gathered)
                return
            caps = [entry.encoded for waiting in gathered for entry in waiting.batch.entries]
            self._announced.append((gathered, self._announce(caps)))
            self._hand_out_announced(pool, JOBS_AHEAD)

    def _submit_all(self, pool: WorkerPool[Job, Answer]) -> None:
        self._submit_gathered(pool)
        self._hand_out_announced(pool, 0)
        self._gathered_turns = 0

    def _hand_out_announced(self, pool: WorkerPool[Job, Answer], left: int) -> None:
        """Hand out jobs as soon as what they read is here, until so many are left."""
        while len(self._announced) > left:
            gathered, wait = self._announced.popleft()
            wait()
            self._hand_out(pool, gathered)

    def _hand_out(self, pool: WorkerPool[Job, Answer], gathered: list[_Waiting]) -> None:
        pool.submit([waiting.batch for waiting in gathered], partial(self._take_batches, gathered))

    def _take_batches(self, gathered: list[_Waiting], answer: Answer) -> None:
        assert isinstance(answer, list)
        for waiting, result in zip(gathered, answer, strict=True):
            waiting.result = self._settled(waiting.batch, result)

    def _settled(self, batch: Batch, result: BatchResult) -> BatchResult:
        """Return a worker's result, after what it has found damaged was read again."""
        doubtful = {problem.path for problem in result.problems if problem.kind is ProblemKind.DAMAGED}
        if doubtful:
            result.problems = [problem for problem in result.problems if problem.path not in doubtful]
            entries = [entry for entry in batch.entries if join_components(batch.components, entry.name) in doubtful]
            result.add(self._writer.write_beneath(self._task.root, Batch(batch.components, entries, batch.replaced)))
        return result

    def _submit_large(self, pool: WorkerPool[Job, Answer], waiting: _Waiting, entry: Entry, directory: int) -> None:
        components = waiting.batch.components
        try:
            waiting.descriptor = _make_file(entry, directory)
        except OSError:
            # It fails in the plain way as well, and is reported as such.
            waiting.result = self._writer.write_batch(waiting.batch, directory)
            return
        found = os.fstat(waiting.descriptor)
        offsets = range(0, entry.size, RANGE_SIZE)
        waiting.missing = len(offsets)
        for offset in offsets:
            length = min(RANGE_SIZE, entry.size - offset)
            job = RangeJob(components, entry.name, found.st_dev, found.st_ino, entry.encoded, offset, length)
            pool.submit(job, partial(self._take_range, waiting, entry))

    def _take_range(self, waiting: _Waiting, entry: Entry, answer: Answer) -> None:
        assert not isinstance(answer, list)
        waiting.error = waiting.error or answer
        waiting.missing -= 1
        if not waiting.missing:
            waiting.result = self._finish_large(waiting, entry)

    def _finish_large(self, waiting: _Waiting, entry: Entry) -> BatchResult:
        batch = waiting.batch
        if waiting.error is None:
            result = BatchResult()
            try:
                self._writer.finish(entry, waiting.descriptor, batch.components, result)
            finally:
                waiting.close_file()
            return result
        waiting.close_file()
        # One process writes it from the beginning, or says why that can't be done.
        if not _is_stale(waiting.error):
            self._remove(batch.components, entry.name)
        return self._writer.write_beneath(self._task.root, batch)

    def _remove(self, components: Components, name: bytes) -> None:
        with suppress(OSError):  # Writing it again meets the same error, and reports it.
            directory = open_beneath(self._task.root, components, filesystem=DESTINATION)
            try:
                DESTINATION.remove(name, directory)
            finally:
                DESTINATION.close(directory)


def _make_file(entry: Entry, directory: int) -> int:
    """Make an empty file with room for its content, and open it; where that fails, there is none."""
    descriptor = DESTINATION.create(entry.name, directory)
    try:
        # Finding room once costs less than at each block, and a disk too small is noticed at once.
        DESTINATION.allocate(descriptor, entry.size)
    except OSError:
        os.close(descriptor)
        DESTINATION.remove(entry.name, directory)
        raise
    return descriptor


def make_runner(grid: CapReader, root: int, settings: RestoreSettings, writer: FileWriter, workers: int) -> PoolRunner | None:
    """Make a runner with worker processes below an open destination; None where there can't be any."""
    recipe = grid.reader_recipe() if workers and can_start_workers() else None
    if recipe is None:
        return None
    announce = grid.announcer() if isinstance(grid, AnnouncingReader) else None
    return PoolRunner(WriteTask(recipe, root, settings), writer, workers, announce)


def _is_divisible(entry: Entry) -> bool:
    """Whether a file is large, and its ranges can be written in any order; its name is one that every file system keeps."""
    if not EncodedCap(entry.encoded).is_file or entry.size < LARGE_SIZE_MIN or is_unusual(entry.name):
        return False
    return not entry.metadata.holes and not entry.metadata.flags


def _is_stale(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ESTALE
