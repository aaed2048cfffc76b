"""Who carries out a job: this process, or a pool of workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tallac.backup.messages import BatchJob, BatchResult, Finish, Job, PiecesResult
from tallac.backup.reading import FileStorer


class Executor(Protocol):
    """Carries out jobs. Answers come within `submit` or `drain`, in any order."""

    def submit(self, job: Job, answer: Callable[[BatchResult | PiecesResult], None]) -> None:
        """Take a job, waiting while there is too much under way."""
        ...

    def drain(self) -> None:
        """Wait for all answers."""
        ...


class Here:
    """Carries out a job at once, in this process."""

    def __init__(self, storer: FileStorer) -> None:
        self._storer = storer

    def submit(self, job: Job, answer: Callable[[BatchResult | PiecesResult], None]) -> None:
        if isinstance(job, BatchJob):
            answer(BatchResult(self._storer.store_batch(job), None))
        elif not isinstance(job, Finish):
            tokens, problem = self._storer.store_pieces(job)
            answer(PiecesResult(tokens, problem, None))

    def drain(self) -> None:
        """Do nothing: nothing is ever under way."""
