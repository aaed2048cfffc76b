#!/usr/bin/env bash
# pyperf 2.9.0 on Linux: the peak memory of a command is that of the process that started it, where that was larger.
#
# `pyperf command` reports command_max_rss from what wait4 says of the child. Linux keeps that number across exec: what a process had
# before it became another program counts, and after fork, vfork or posix_spawn that is the peak of its parent, also of memory that the
# parent has given back long ago. VmHWM in /proc/PID/status begins anew with the program. Seen with pyperf 2.9.0 on Python 3.11, Linux
# 6.18, for `grep VmHWM /proc/self/status`:
#
#   pyperf's command_max_rss                                      12 MiB, and grep says 2 MiB of itself
#   ru_maxrss, from a Python that holds 300 MiB                   318 MiB
#   ru_maxrss, from one that held them, and has 18 MiB by now     318 MiB
#   ru_maxrss, from that one, by way of posix_spawn               318 MiB
#   ru_maxrss, from that one, by way of a small Python            11 MiB: the small one's
#
# So a benchmark that makes its data in its own process and then measures commands finds that all take the same, and that none grows.
#
# Consequence for Tallac: bench/scale.py makes its trees in a process of its own, and the smallest peak that it can show is its own.
# Fails when this changes.
set -euo pipefail
[ "$(uname)" = Linux ] || { echo 'needs Linux' >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pyperf==2.9.0
export HOME="$folder"
uname -sr
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import re
import subprocess
import sys
from importlib.metadata import version

import pyperf

FOLDER = sys.argv[1]
COMMAND = ["/bin/grep", "VmHWM", "/proc/self/status"]
MIB = 1 << 20
BALLAST = 300
changed = 0

print("pyperf", version("pyperf"), "Python", sys.version.split()[0])


def say(name, seen, is_recorded):
    global changed
    changed += not is_recorded
    print("as recorded" if is_recorded else "CHANGED", f"{name}: {seen:.0f} MiB")


def peak_and_own():
    """Return what wait4 says of the command, and what it says of itself, in MiB."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as process:
        own = int(re.search(r"\d+", process.stdout.read())[0]) / 1024
        return os.wait4(process.pid, 0)[2].ru_maxrss / 1024, own


def present():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024


result = f"{FOLDER}/result.json"
measure = [sys.executable, "-m", "pyperf", "command", "-q", "-p1", "-n1", "-l1", "-w0", "-o", result, "--", *COMMAND]
subprocess.run(measure, check=True, stdout=subprocess.DEVNULL)
peak = pyperf.Benchmark.load(result).get_metadata()["command_max_rss"] / MIB
_, own = peak_and_own()
say("grep of itself", own, own < 5)
say("command_max_rss of the same", peak, peak > 2 * own)

ballast = bytearray(BALLAST * MIB)
peak, own = peak_and_own()
say("from a Python that holds 300 MiB", peak, peak > BALLAST and own < 5)
del ballast
peak, own = peak_and_own()
say("from one that held them", peak, peak > BALLAST and own < 5 and present() < BALLAST / 2)
spawned = os.posix_spawn(COMMAND[0], COMMAND, {}, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
peak = os.wait4(spawned, 0)[2].ru_maxrss / 1024
say("from that one, by posix_spawn", peak, peak > BALLAST)
program = (
    "import os, subprocess\n"
    f"process = subprocess.Popen({COMMAND}, stdout=subprocess.DEVNULL)\n"
    "print(os.wait4(process.pid, 0)[2].ru_maxrss / 1024)\n"
)
peak = float(subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE).stdout)
say("from that one, by way of a small Python", peak, 5 < peak < BALLAST / 2)
sys.exit(1 if changed else 0)
PYTHON
