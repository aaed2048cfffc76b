"""A file system's clock: it may stand still for milliseconds, or for seconds, and what changes meanwhile looks as it did before."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICK_NS, COARSE_TICK_NS = 20_000_000, 2_000_000_000
AHEAD_NS = 3600 * 1_000_000_000
"""How far a test's clock is ahead of the file system's, so that files count as settled, also after the machine stood still."""


def pass_a_tick(folder: Path) -> None:
    """Wait until whatever changes in this file system gets another timestamp than what has changed so far."""
    probe = folder / "what time is it"
    probe.touch()
    before_ns = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before_ns:
        time.sleep(0.0005)
        os.utime(probe)
    probe.unlink()


def settle(folder: Path) -> None:
    """Wait until a backup takes all below a folder for what it was, since a later change would show in its timestamp."""
    times_ns = [path.lstat().st_ctime_ns for path in [folder, *folder.rglob("*")]]
    # A clock that counts hundredths of seconds, or whole ones, is taken for one of the coarsest.
    tick_ns = COARSE_TICK_NS if any(ctime_ns % 10_000_000 == 0 for ctime_ns in times_ns) else TICK_NS
    while time.time_ns() <= max(times_ns) + tick_ns:
        time.sleep(0.005)
