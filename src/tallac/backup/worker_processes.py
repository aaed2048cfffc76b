"""Jobs carried out by a pool of worker processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tallac.backup.executor import OnResult
from tallac.backup.messages import Answer, BatchJob, ChunksJob, Finish, Finished, Job
from tallac.backup.worker import StoreTask
from tallac.workers.pool import WorkerPool

_ADVICE = "no snapshot was made, start the backup again"


class Workers:
    """Has jobs carried out by worker processes, and passes their receipts on.

    All but `stop` raise WorkerCrashedError where a worker died, and whatever a worker could not handle.
    """

    def __init__(self, task: StoreTask, count: int, adopt: Callable[[bytes], None]) -> None:
        """Start the processes; `adopt` is called with each receipt.

        Raises:
            OSError: They can't be started.
        """
        self._adopt = adopt
        self._pool: WorkerPool[Job, Answer] = WorkerPool(task, count, advice=_ADVICE)

    def submit(self, job: BatchJob | ChunksJob, on_result: OnResult) -> None:
        self._pool.submit(job, partial(self._take, on_result))

    def drain(self) -> None:
        self._pool.drain()

    def finish(self) -> None:
        """Wait for all answers, have everything made durable, and end the processes."""
        self._pool.submit_to_each(Finish(), self._take_last)
        self._pool.finish()

    def stop(self) -> None:
        """End the processes early; what they stored may be lost. Calling it after `finish`, or twice, does nothing."""
        self._pool.stop()

    def _take(self, on_result: OnResult, answer: Answer) -> None:
        assert not isinstance(answer, Finished)
        if answer.receipt is not None:
            self._adopt(answer.receipt)
        on_result(answer)

    def _take_last(self, answer: Answer) -> None:
        assert isinstance(answer, Finished)
        self._adopt(answer.receipt)
