"""The machine's clock."""

from __future__ import annotations

import sys
import time

from tallac.errors import LocalStateError

NOW_NS_MAX = 1 << 63


def since_start_ns() -> int:
    """Return nanoseconds since the machine was started, the same in all its processes; on Linux also those for which it slept."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic_ns()


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC.

        Raises:
            LocalStateError: The clock says something that no record could hold.
        """
        now_ns = time.time_ns()
        if not 0 <= now_ns < NOW_NS_MAX:
            raise LocalStateError("this machine's clock is before 1970 or after 2262; correct it, and run this again")
        return now_ns

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
