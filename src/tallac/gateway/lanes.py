"""Lanes: grids in threads of their own. A grid is not thread-safe, and its calls block; the gateway's event loop does neither.

Reading, writing and walking have lanes of their own, so that a file is read while another is stored and a third is checked. What
waits for a client, however slow, holds no lane: uploads are complete before a lane is asked, and of a download one step at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tallac.interfaces import Grid

T = TypeVar("T")

READING_LANES = 3
WRITING_LANES = 2


class Lane:
    """One grid and the thread that may touch it. Calls run one after another, in the order in which they came."""

    def __init__(self, open_grid: Callable[[], Grid]) -> None:
        """Open nothing yet: the grid is opened by the first call, in the lane's thread."""
        self._open_grid = open_grid
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tallac-grid")
        self._grid: Grid | None = None
        self.waiting = 0

    async def run(self, call: Callable[[Grid], T]) -> T:
        """Run a call with the grid, and give what it gives. A cancelled caller does not end a call that has begun."""
        future = self.submit(call)
        return await asyncio.wrap_future(future)

    def submit(self, call: Callable[[Grid], T]) -> Future[T]:
        """Have a call run, and do not wait for it."""
        self.waiting += 1
        future = self._executor.submit(lambda: call(self._opened()))
        future.add_done_callback(self._count_down)
        return future

    def close(self) -> None:
        """Wait for what runs, drop what waits, and close the grid."""
        closing = self._executor.submit(self._close)
        self._executor.shutdown(wait=True)
        closing.result()

    def _opened(self) -> Grid:
        if self._grid is None:
            self._grid = self._open_grid()
        return self._grid

    def _close(self) -> None:
        if self._grid is not None:
            self._grid.close()

    def _count_down(self, _future: Future[T]) -> None:
        self.waiting -= 1


class Lanes:
    """All lanes of one gateway."""

    def __init__(self, open_grid: Callable[[], Grid]) -> None:
        """Take what opens one more grid; it is called from several threads."""
        self._reading = [Lane(open_grid) for _ in range(READING_LANES)]
        self._writing = [Lane(open_grid) for _ in range(WRITING_LANES)]
        self._walking = Lane(open_grid)

    def reading(self) -> Lane:
        """Give the lane in which reading waits least."""
        return min(self._reading, key=lambda lane: lane.waiting)

    def writing(self) -> Lane:
        """Give the lane in which storing and changing wait least."""
        return min(self._writing, key=lambda lane: lane.waiting)

    def walking(self) -> Lane:
        """Give the lane for what looks at everything below a directory, step by step."""
        return self._walking

    def close(self) -> None:
        """Close all lanes; every one is tried, and the first error is raised."""
        errors: list[Exception] = []
        for lane in [*self._reading, *self._writing, self._walking]:
            try:
                lane.close()
            except Exception as error:  # noqa: BLE001 - it is raised below, once the others are closed.
                errors.append(error)
        if errors:
            raise errors[0]
