"""Who carries out a job: this thread, or others beside it, which are loaded where they are started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tallac.backup.file_storer import FileStorer
from tallac.backup.messages import BatchJob, BatchResult, ChunksJob, ChunksResult
from tallac.backup.request import BackupRequest
from tallac.backup.summary import Observer
from tallac.interfaces import CapWriter
from tallac.source import FileSystem

OnResult = Callable[[BatchResult | ChunksResult], None]


class Executor(Protocol):
    """Carries out jobs. Answers come within `submit` or `drain`, in any order."""

    def submit(self, job: BatchJob | ChunksJob, on_result: OnResult) -> None:
        """OnResult a job, waiting while there is too much under way."""
        ...

    def drain(self) -> None:
        """Wait for all answers."""
        ...


class Pool(Executor, Protocol):
    """Carries out jobs beside this thread. It has to be stopped, whatever happens."""

    def finish(self) -> None:
        """Wait for all answers, have everything made durable, and end."""
        ...

    def stop(self) -> None:
        """End early; what was stored may be lost. Calling it after `finish`, or twice, does nothing."""
        ...


class InlineExecutor:
    """Carries out a job at once, in this process."""

    def __init__(self, storer: FileStorer) -> None:
        self._storer = storer

    def submit(self, job: BatchJob | ChunksJob, on_result: OnResult) -> None:
        if isinstance(job, BatchJob):
            on_result(BatchResult(self._storer.store_batch(job), None))
        else:
            tokens, problem = self._storer.store_chunks(job)
            on_result(ChunksResult(tokens, problem, None))

    def drain(self) -> None:
        """Do nothing: nothing is ever under way."""


class Pools:
    """The workers of one batch: processes, or threads where the grid wants these; started once, when there is enough to read.

    Close it: whatever is under way then may be lost.
    """

    def __init__(self, root: int, writer: CapWriter, request: BackupRequest, observer: Observer, filesystem: FileSystem) -> None:
        """Start nothing yet; `root` is the source's descriptor."""
        self._root = root
        self._writer = writer
        self._request = request
        self._observer = observer
        self._filesystem = filesystem
        self._pool: Pool | None = None

    def start(self) -> Executor | None:
        """Start the workers, unless they have been; None where there can't be any."""
        if self._pool is None:
            self._pool = self._make_threads() if self._writer.threads else self._make_workers()
        return self._pool

    def finish(self) -> None:
        """Wait until what workers store is durable, and end them. What this process has stored leaves beside their last packs.

        Raises:
            StoreError: The store failed.
            WorkerCrashedError: A worker was killed.
        """
        if self._pool is not None:
            self._writer.send_rest()
            self._pool.finish()

    def close(self) -> None:
        """End the workers early; after `finish` this does nothing."""
        if self._pool is not None:
            self._pool.stop()

    def _make_threads(self) -> Pool:
        # lazy import: a backup of what has hardly changed starts none
        from tallac.backup.threads import Threads

        writer = self._writer
        return Threads(lambda: FileStorer(self._root, writer, writer.small_size_max, self._filesystem), writer.threads)

    def _make_workers(self) -> Pool | None:
        # lazy import: a backup of what has hardly changed starts none
        from tallac.backup.worker import StoreTask
        from tallac.backup.worker_processes import Workers
        from tallac.workers.pool import can_start_workers

        recipe = self._writer.worker_recipe()
        if recipe is None or self._request.workers == 0 or not can_start_workers():
            return None
        try:
            return Workers(StoreTask(recipe, self._root, self._writer.small_size_max), self._request.workers, self._writer.adopt)
        except OSError as error:
            self._observer.notice(self._request.source, f"can't start worker processes ({error.strerror}); continuing without them")
            return None
