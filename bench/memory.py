"""Run a command and tell the peak memory of all of its processes together.

    python bench/memory.py tallac backup FOLDER

Samples /proc ten times a second (Linux). RSS counts a page that two processes share twice; PSS divides it among them. Both are of
mapped files too, which the kernel can take back; "anonymous" is what it can't.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

SAMPLE_SECONDS = 0.1
FIELDS = ("Rss", "Pss", "Anonymous")


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
    sizes = dict.fromkeys(FIELDS, 0)
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return sizes
    for line in lines:
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0])
    return sizes


def main() -> int:
    """Run the command and print the peaks."""
    peaks = dict.fromkeys(FIELDS, 0)
    processes = 0
    with subprocess.Popen(sys.argv[1:]) as command:
        while command.poll() is None:
            tree = tree_of(command.pid)
            processes = max(processes, len(tree))
            samples = [memory_of(process) for process in tree]
            for name in FIELDS:
                peaks[name] = max(peaks[name], sum(sample[name] for sample in samples))
            time.sleep(SAMPLE_SECONDS)
    figures = ", ".join(f"{name.lower()} {peaks[name] / 1000:.0f} MB" for name in FIELDS)
    print(f"peak of {processes} processes together: {figures}", file=sys.stderr)
    return command.returncode


if __name__ == "__main__":
    sys.exit(main())
