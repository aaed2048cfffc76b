"""Jobs carried out by threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from tallac.backup.executor import OnResult
from tallac.backup.file_storer import FileStorer
from tallac.backup.messages import BatchJob, BatchResult, ChunksJob, ChunksResult


class Threads:
    """Has jobs carried out by threads of this process, for grids that are bound by waiting. At most two jobs a thread wait."""

    def __init__(self, make_storer: Callable[[], FileStorer], count: int) -> None:
        """Start threads when they are needed; each gets a storer of its own."""
        self._make_storer = make_storer
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="tallac-store")
        self._under_way_max = 2 * count
        self._under_way: dict[Future[BatchResult | ChunksResult], OnResult] = {}
        self._own = threading.local()
        self._storers: list[FileStorer] = []

    def submit(self, job: BatchJob | ChunksJob, on_result: OnResult) -> None:
        while len(self._under_way) >= self._under_way_max:
            self._take_some()
        self._under_way[self._pool.submit(self._carry_out, job)] = on_result

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
            on_result = self._under_way.pop(future)
            on_result(future.result())

    def _carry_out(self, job: BatchJob | ChunksJob) -> BatchResult | ChunksResult:
        storer: FileStorer | None = getattr(self._own, "storer", None)
        if storer is None:
            storer = self._own.storer = self._make_storer()
            self._storers.append(storer)
        if isinstance(job, BatchJob):
            return BatchResult(storer.store_batch(job), None)
        tokens, problem = storer.store_chunks(job)
        return ChunksResult(tokens, problem, None)
