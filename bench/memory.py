"""Run a command and tell the peak memory of all of its processes together, and what that consists of.

    python bench/memory.py [--log FILE] tallac backup FOLDER

Samples /proc ten times a second (Linux). RSS counts a page that two processes share twice; PSS divides it among them. Both are of
mapped files too, which the kernel can take back; "anonymous" is what it can't. Below the peaks stands what each process had when
PSS was highest: memory of its own, files that it maps, and memory that it shares. With `--log`, all samples go to a file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

SAMPLE_SECONDS = 0.1
FIELDS = ("Rss", "Pss", "Anonymous")
PARTS = ("Pss_Anon", "Pss_File", "Pss_Shmem")

Sizes = Mapping[str, int]


def tree_of(root: int) -> list[int]:
    """Give a process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting += children.get(process, [])
    return found


def memory_of(process: int) -> dict[str, int]:
    """Give kilobytes by kind; zeros for a process that has ended."""
    sizes = dict.fromkeys(FIELDS + PARTS, 0)
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return sizes
    for line in lines:
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0])
    return sizes


def _shown(sizes: Sizes) -> str:
    return " + ".join(f"{sizes[name] / 1000:.0f}" for name in PARTS)


def watch(command: subprocess.Popen[bytes], log: TextIO | None) -> tuple[Sizes, list[Sizes]]:
    """Sample until a command ends; return the peaks of all processes together, and what each had when PSS was highest."""
    peaks = dict.fromkeys(FIELDS, 0)
    highest: list[Sizes] = []
    started = time.monotonic()
    while command.poll() is None:
        samples = [memory_of(process) for process in tree_of(command.pid)]
        together = {name: sum(sample[name] for sample in samples) for name in FIELDS}
        if together["Pss"] > peaks["Pss"]:
            highest = list(samples)
        peaks = {name: max(peaks[name], together[name]) for name in FIELDS}
        if log is not None:
            parts = "; ".join(_shown(sample) for sample in samples)
            print(f"{time.monotonic() - started:.1f} s: {together['Pss'] / 1000:.0f} MB: {parts}", file=log, flush=True)
        time.sleep(SAMPLE_SECONDS)
    return peaks, highest


def main() -> int:
    """Run the command and print the peaks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    log = None if arguments.log is None else arguments.log.open("w")
    with subprocess.Popen(arguments.command) as command:
        peaks, highest = watch(command, log)
    if log is not None:
        log.close()
    figures = ", ".join(f"{name.lower()} {peaks[name] / 1000:.0f} MB" for name in FIELDS)
    print(f"peak of {len(highest)} processes together: {figures}", file=sys.stderr)
    for number, sizes in enumerate(highest):
        print(f"  process {number}: {_shown(sizes)} MB of its own, of files, shared", file=sys.stderr)
    return command.returncode


if __name__ == "__main__":
    sys.exit(main())
