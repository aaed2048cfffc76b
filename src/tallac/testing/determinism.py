"""A clock and a source of randomness that return the same values in every run."""

from __future__ import annotations

import random
from threading import Lock

NS_PER_SECOND = 1_000_000_000
START_NS = 1_795_453_200 * NS_PER_SECOND
"""2026-11-23 17:00:00 UTC, the default start of a `FakeClock`."""


class FakeClock:
    """A `Clock` that only moves when somebody sleeps or advances it. Thread-safe."""

    def __init__(self, now_ns: int = START_NS) -> None:
        self._lock = Lock()
        self._now_ns = now_ns

    def now_ns(self) -> int:
        with self._lock:
            return self._now_ns

    def sleep(self, seconds: float) -> None:
        """Advance the clock, without waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Advance the clock; a negative number sets it back."""
        with self._lock:
            self._now_ns += round(seconds * NS_PER_SECOND)


class SeededRandomness:
    """A `Randomness` determined by a seed. Thread-safe. Never use it for secrets."""

    def __init__(self, seed: int) -> None:
        self._lock = Lock()
        self._random = random.Random(seed)  # noqa: S311 - foreseeable on purpose

    def __call__(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        with self._lock:
            return self._random.randbytes(size)
