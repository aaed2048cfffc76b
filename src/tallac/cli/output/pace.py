"""How fast something goes, and so how long it will still take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 60.0
"""The pace is that of the last minute: what was skipped at the beginning says nothing about what is left."""

RATE_SECONDS = 10.0
"""For a rate that people look at, the last seconds are enough."""

STEP_SECONDS = 1.0
"""Values that come sooner than this after one another are one."""

MEANINGFUL_SECONDS = 3.0
"""Before that, nothing is said about the end."""


class Pace:
    """The pace of a value that grows."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now, at 0; the clock returns seconds, of which the last `window_seconds` count."""
        self._window = window_seconds
        self._clock = clock
        self._points: deque[tuple[float, float]] = deque([(clock(), 0.0)])

    def note(self, value: float) -> float:
        """Note a value, and return by how much it has grown per second of late; 0 where that can't be told yet.

        One that has become smaller is another's: the pace begins anew with it.
        """
        now = self._clock()
        if value < self._points[-1][1]:
            self._points = deque([(now, value)])
            return 0.0
        began, before = self._points[0]
        rate = (value - before) / (now - began) if now - began >= STEP_SECONDS else 0.0
        if now - self._points[-1][0] >= STEP_SECONDS:
            self._points.append((now, value))
            while len(self._points) > 2 and now - self._points[1][0] >= self._window:
                self._points.popleft()
        return rate

    def seconds_left(self, share: float) -> float | None:
        """Note which share of the work is done, from 0 to 1; return how many seconds the rest will take, None where unknown."""
        rate = self.note(share)
        if rate <= 0 or self._clock() - self._points[0][0] < MEANINGFUL_SECONDS:
            return None
        return (1.0 - share) / rate
