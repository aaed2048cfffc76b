"""What benches of growth measure: seconds of CPU and the peak of memory, of a command or of this process, and the table of them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from memory import memory_of, tree_of

TALLAC = Path(sys.executable).with_name("tallac")
SAMPLE_SECONDS = 0.2


class Figures(NamedTuple):
    """Seconds of CPU, user and system of all processes, and MB of memory at its peak."""

    seconds: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.3g} s, {self.megabytes:.0f} MB"


Rows = Mapping[str, Figures]


def table(kind: str, sizes: Sequence[int], measured: Sequence[Rows]) -> Iterator[str]:
    """Give the lines of a table; a row lacks the cells of sizes that were not measured, and their slope."""
    yield f"| {' | '.join([kind, *(f'{size:,}' for size in sizes), 'slope of the last step'])} |"
    yield "|---" * (len(sizes) + 2) + "|"
    for name in measured[0]:
        row = [figures[name] for figures in measured]
        slope = f"{_slope(*sizes[-2:], row[-2].seconds, row[-1].seconds):.2f}" if len(row) > 1 else ""
        yield f"| {' | '.join([name, *map(str, row), slope])} |"


def _slope(size: int, larger: int, seconds: float, more: float) -> float:
    return math.log(more / seconds) / math.log(larger / size)


def timed(work: Callable[[], object]) -> Figures:
    """Do something in this process."""
    started = time.process_time()
    work()
    return Figures(max(time.process_time() - started, 1e-6), own_peak())


def own_peak() -> float:
    """Return the memory of this process that is not of mapped files, in MB: those the kernel can take back."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1000


def run(
    arguments: Sequence[str | Path], folder: Path, *, program: str | Path = TALLAC, standard_input: int | None = None
) -> Figures:
    """Run a command, one of Tallac unless another program is given, with its configuration in a folder.

    Memory is the resident memory of the largest process, or the PSS of all together where that is more: pages of mapped files,
    too. Linux counts what this process had when it forked, so keep it small: what needs much memory is a program of its own.
    """
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment["TALLAC_HOME"] = str(folder / "home")
    with subprocess.Popen([program, *arguments], stdin=standard_input, stdout=subprocess.DEVNULL, env=environment) as process:
        sampler = _Sampler(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        together = sampler.stop()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}: exit status {process.returncode}")
    return Figures(usage.ru_utime + usage.ru_stime, max(usage.ru_maxrss, together) / 1000)


class _Sampler:
    """Looks at the memory of a process and of those that it has started, in a thread of its own."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Return kilobytes of PSS, of all processes at their peak."""
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, sum(memory_of(each)["Pss"] for each in tree_of(self._process)))
