"""Waits for what a distant server answers as long as anything is heard of it, however long that takes in all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

ANSWER_SECONDS = 60.0
"""So long nothing may be heard of a server while an answer is waited for. How long that takes in all does not matter."""

_LOOKS = 8
"""So many times in that time at least it is looked whether the server has taken anything of what was sent."""

LOOK_SECONDS = 1.0
"""And so often where that is more often: a wait is mentioned soon."""

T = TypeVar("T")


class Hearing:
    """Remembers when something was last heard of a server: bytes came in, or it has taken some of those that were sent.

    A body of some megabytes takes minutes on a slow line, and so does what waits behind it; a line that is dead is silent.

    Attributes:
        seconds: How long a silence may last.
        on_note: Called at each sign of life.
    """

    def __init__(self, seconds: float | None = None) -> None:
        """Begin to listen; None for the usual time."""
        self.seconds = ANSWER_SECONDS if seconds is None else seconds
        self.on_note: Callable[[], object] = lambda: None
        self._heard_at = time.monotonic()
        self._count_unsent: Callable[[], int] = lambda: 0
        self._unsent = 0

    def note(self) -> None:
        """Note that something was heard just now."""
        self._heard_at = time.monotonic()
        self.on_note()

    def watch_unsent(self, count: Callable[[], int]) -> None:
        """Take it for a sign of life where a number becomes less: of bytes to be sent, less those that the server is ready for."""
        self._count_unsent, self._unsent = count, count()

    def left(self, since: float) -> float:
        """Return how many seconds a silence may go on that began with the last sign of life, or at a time of `time.monotonic`."""
        unsent = self._count_unsent()
        if unsent < self._unsent:
            self.note()
        self._unsent = unsent
        return max(self._heard_at, since) + self.seconds - time.monotonic()


async def while_heard(answers: Coroutine[Any, Any, T], hearing: Hearing) -> T:
    """Return what is waited for, however long it takes while something is heard. Raises TimeoutError after a silence."""
    task = asyncio.ensure_future(answers)
    began = time.monotonic()
    try:
        while not task.done():
            left = hearing.left(began)
            if left <= 0:
                raise TimeoutError
            await asyncio.wait((task,), timeout=min(left, hearing.seconds / _LOOKS, LOOK_SECONDS))
        return task.result()
    finally:
        if not task.done():
            await give_up((task,))


async def give_up(tasks: Iterable[asyncio.Task[T]]) -> None:
    """Wait no more for answers, after an error."""
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
