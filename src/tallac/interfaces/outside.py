"""Time and randomness, which tests replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """The time, as nanoseconds since 1970 in UTC."""

    def now_ns(self) -> int: ...

    def sleep(self, seconds: float) -> None: ...


Randomness = Callable[[int], bytes]
"""Returns that many unpredictable bytes, as `os.urandom` does."""
