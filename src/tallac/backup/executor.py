"""Who carries out a job: this thread, or others beside it, which are loaded where they are started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tallac.backup.file_storer import FileStorer
from tallac.backup.messages import BatchJob, BatchResult, ChunksJob, ChunksResult

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
