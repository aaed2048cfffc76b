#!/usr/bin/env bash
# asyncssh 2.24.1: `import asyncssh` has the system's C compiler and linker run, each time, to look for two libraries.
#
# While it is imported it asks ctypes.util.find_library for liboqs (two names) and nettle (three names). Where `ldconfig -p` does not have
# one of these names, find_library has gcc link against it, and then ld; so on a machine with a compiler and without the libraries each
# import starts some ten processes, and no use of the module has asked for what is looked for. Seen with asyncssh 2.24.1 on Python 3.11,
# Debian 12 with gcc 12 and nettle, without liboqs, beside other work; medians of seven imports, each in a process of its own:
#
#                                       processes that the import starts      time of the import
#   as it is                            ldconfig, gcc and ld: 3, 2 and 2      0.127 s
#   where find_library finds nothing    none                                  0.089 s
#
# A program that is started often, a backup by the hour on a small machine say, runs a linker by the hour. What is lost without the two
# libraries is one key exchange (sntrup761x25519) and the umac checksums; ML-KEM comes from cryptography.
#
# Consequence for Tallac: src/tallac/backends/sftp_session.py loads it with a find_library that tries the names of installed libraries.
# Fails when this changes.
set -euo pipefail
command -v gcc ld >/dev/null || { echo "needs gcc and ld" >&2; exit 2; }
if ldconfig -p | grep -q 'liboqs\.so'; then echo "needs a machine without liboqs" >&2; exit 2; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install asyncssh==2.24.1 cryptography==50.0.2
"$folder/venv/bin/python" - <<'PYTHON'
import collections
import os
import statistics
import subprocess
import sys

IMPORT = """
import asyncio, ctypes.util, os, sys, time
import cryptography.hazmat.bindings._rust
started = []
sys.addaudithook(lambda event, given: started.append(os.path.basename(str(given[0]))) if event == "subprocess.Popen" else None)
if {finds_nothing}:
    ctypes.util.find_library = lambda name: None
begun = time.perf_counter()
import asyncssh
print(time.perf_counter() - begun, *started)
"""


def imports(finds_nothing):
    runs = []
    for _ in range(7):
        code = IMPORT.format(finds_nothing=finds_nothing)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, *started = done.stdout.split()
        runs.append((float(seconds), collections.Counter(started)))
    return statistics.median(seconds for seconds, _ in runs), runs[0][1]


before, after = imports(False), imports(True)
for what, (seconds, started) in (("as it is", before), ("find_library finds nothing", after)):
    print(f"{what:28} {seconds:.3f} s   {dict(started) or 'no process'}")
assert before[1]["gcc"] >= 2, "the compiler is not run any more"
assert before[1]["ldconfig"] >= 2
assert not after[1], "something else is run as well"
print("as described: an import runs a compiler and a linker")
PYTHON
