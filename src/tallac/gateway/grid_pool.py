"""Grids in single-threaded workers: a grid is not thread-safe and its calls block, which the event loop must not do.

Reading, writing and walking have workers of their own, so that one file is read while another is stored and a third is checked. A
slow client occupies no worker: an upload is complete before a worker stores it, and a download is read one step a call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tallac.errors import StoreUnavailableError
from tallac.interfaces import Grid

T = TypeVar("T")

READING_WORKERS = 3
WRITING_WORKERS = 2


class GridWorker:
    """One grid and the only thread that may use it. Calls run one after another, in the order of their submission."""

    def __init__(self, open_grid: Callable[[], Grid], require_open: Callable[[], None]) -> None:
        """Prepare the thread; the first call opens the grid in it. Each call begins with require_open, which may raise."""
        self._open_grid = open_grid
        self._require_open = require_open
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tallac-grid")
        self._grid: Grid | None = None
        self.waiting = 0

    async def run(self, call: Callable[[Grid], T]) -> T:
        """Run a call with the grid and return its result. To cancel the caller does not interrupt a call that has begun."""
        future = self.submit(call)
        return await asyncio.wrap_future(future)

    def submit(self, call: Callable[[Grid], T]) -> Future[T]:
        """Queue a call without waiting for it."""
        self.waiting += 1
        future = self._executor.submit(self._called, call)
        future.add_done_callback(self._count_down)
        return future

    def close(self) -> None:
        """Wait for the running call and for the queued ones, which the pool has told to end, and close the grid."""
        closing = self._executor.submit(self._close)
        self._executor.shutdown(wait=True)
        closing.result()

    def _called(self, call: Callable[[Grid], T]) -> T:
        self._require_open()
        return call(self._opened())

    def _opened(self) -> Grid:
        if self._grid is None:
            self._grid = self._open_grid()
        return self._grid

    def _close(self) -> None:
        if self._grid is not None:
            self._grid.close()

    def _count_down(self, _future: Future[T]) -> None:
        self.waiting -= 1


class GridPool:
    """All workers of one gateway."""

    def __init__(self, open_grid: Callable[[], Grid]) -> None:
        """Create the workers; open_grid opens one more grid and is called from several threads."""
        self._is_ending = threading.Event()
        self._reading = [GridWorker(open_grid, self.require_open) for _ in range(READING_WORKERS)]
        self._writing = [GridWorker(open_grid, self.require_open) for _ in range(WRITING_WORKERS)]
        self._walking = GridWorker(open_grid, self.require_open)

    def reading(self) -> GridWorker:
        """Return the least busy worker for reading."""
        return min(self._reading, key=lambda worker: worker.waiting)

    def writing(self) -> GridWorker:
        """Return the least busy worker for storing and changing."""
        return min(self._writing, key=lambda worker: worker.waiting)

    def walking(self) -> GridWorker:
        """Return the worker for walks over everything below a directory."""
        return self._walking

    def require_open(self) -> None:
        """Require that the gateway does not end. A call that may take long asks this now and then.

        Raises:
            StoreUnavailableError: It does.
        """
        if self._is_ending.is_set():
            raise StoreUnavailableError("the gateway was told to end; try again when it runs again")

    def close(self) -> None:
        """End the calls that ask `require_open`, and close all workers, also after an error; the first is raised at the end."""
        self._is_ending.set()
        errors: list[Exception] = []
        for worker in [*self._reading, *self._writing, self._walking]:
            try:
                worker.close()
            except Exception as error:  # noqa: BLE001 - it is raised below, once the others are closed.
                errors.append(error)
        if errors:
            raise errors[0]
