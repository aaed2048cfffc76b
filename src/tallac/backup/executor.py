"""Who carries out a job: this thread, others, or a pool of worker processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol

from tallac.backup.messages import Answer, BatchJob, BatchResult, Finish, Finished, Job, PiecesJob, PiecesResult
from tallac.backup.reading import FileStorer
from tallac.backup.worker import StoreTask
from tallac.workers.pool import WorkerPool

_ADVICE = "nothing was entered, start the backup again"

Take = Callable[[BatchResult | PiecesResult], None]


class Executor(Protocol):
    """Carries out jobs. Answers come within `submit` or `drain`, in any order."""

    def submit(self, job: BatchJob | PiecesJob, take: Take) -> None:
        """Take a job, waiting while there is too much under way."""
        ...

    def drain(self) -> None:
        """Wait for all answers."""
        ...


class Here:
    """Carries out a job at once, in this process."""

    def __init__(self, storer: FileStorer) -> None:
        self._storer = storer

    def submit(self, job: BatchJob | PiecesJob, take: Take) -> None:
        if isinstance(job, BatchJob):
            take(BatchResult(self._storer.store_batch(job), None))
        else:
            tokens, problem = self._storer.store_pieces(job)
            take(PiecesResult(tokens, problem, None))

    def drain(self) -> None:
        """Do nothing: nothing is ever under way."""


class Threads:
    """Has jobs carried out by threads of this process, for grids that are bound by waiting. At most two jobs a thread wait."""

    def __init__(self, make_storer: Callable[[], FileStorer], count: int) -> None:
        """Start threads when they are needed; each gets a storer of its own."""
        self._make_storer = make_storer
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="tallac-store")
        self._under_way_max = 2 * count
        self._under_way: dict[Future[BatchResult | PiecesResult], Take] = {}
        self._own = threading.local()
        self._storers: list[FileStorer] = []

    def submit(self, job: BatchJob | PiecesJob, take: Take) -> None:
        while len(self._under_way) >= self._under_way_max:
            self._take_some()
        self._under_way[self._pool.submit(self._carry_out, job)] = take

    def drain(self) -> None:
        while self._under_way:
            self._take_some()

    def finish(self) -> None:
        """Wait for all answers, and end the threads."""
        self.drain()
        self.stop()

    def stop(self) -> None:
        """End the threads once each has finished the job that it is at. Calling it twice does nothing."""
        self._pool.shutdown(cancel_futures=True)
        while self._storers:
            self._storers.pop().close()

    def _take_some(self) -> None:
        done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
        for future in done:
            take = self._under_way.pop(future)
            take(future.result())

    def _carry_out(self, job: BatchJob | PiecesJob) -> BatchResult | PiecesResult:
        storer: FileStorer | None = getattr(self._own, "storer", None)
        if storer is None:
            storer = self._own.storer = self._make_storer()
            self._storers.append(storer)
        if isinstance(job, BatchJob):
            return BatchResult(storer.store_batch(job), None)
        tokens, problem = storer.store_pieces(job)
        return PiecesResult(tokens, problem, None)


class Workers:
    """Has jobs carried out by worker processes, and passes their receipts on.

    All but `stop` raise WorkerDiedError where a worker is gone, and what a worker could not go on with.
    """

    def __init__(self, task: StoreTask, count: int, adopt: Callable[[bytes], None]) -> None:
        """Start the processes; `adopt` is called with each receipt.

        Raises:
            OSError: They can't be started.
        """
        self._adopt = adopt
        self._pool: WorkerPool[Job, Answer] = WorkerPool(task, count, advice=_ADVICE)

    def submit(self, job: BatchJob | PiecesJob, take: Take) -> None:
        self._pool.submit(job, partial(self._take, take))

    def drain(self) -> None:
        self._pool.drain()

    def finish(self) -> None:
        """Wait for all answers, have everything made durable, and end the processes."""
        self._pool.submit_to_each(Finish(), self._take_last)
        self._pool.finish()

    def stop(self) -> None:
        """End the processes early; what they stored may be lost. Calling it after `finish`, or twice, does nothing."""
        self._pool.stop()

    def _take(self, take: Take, answer: Answer) -> None:
        assert not isinstance(answer, Finished)
        if answer.receipt is not None:
            self._adopt(answer.receipt)
        take(answer)

    def _take_last(self, answer: Answer) -> None:
        assert isinstance(answer, Finished)
        self._adopt(answer.receipt)
