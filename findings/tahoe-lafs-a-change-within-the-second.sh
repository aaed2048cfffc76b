#!/usr/bin/env bash
# tahoe-lafs 1.20.0: `tahoe backup` keeps the old content of a file that changed within the second in which it was backed up.
#
# The record of what was uploaded holds mtime and ctime in whole seconds, and is believed however young the file was. Where the new
# content is as long as the old one, the file counts as unchanged, in every later backup too, until something else of it changes.
#
# Seen with the class that `tahoe backup` asks, Python 3.11, on a file system that keeps nanoseconds:
#
#   written in second N, recorded, asked again in second N         unchanged (right)
#   other bytes of the same length, still in second N              unchanged (wrong; mtime and ctime differ by milliseconds)
#   the same two minutes later                                     unchanged (wrong)
#   other bytes of another length, still in second N               changed
#   other bytes of the same length, in second N + 1                changed
#
# Consequences for Tallac: it compares nanoseconds, and reads again what was too young when it was read (docs/decisions/011); of what
# only `tahoe backup` has recorded it believes nothing that changed in the day before. Fails when any of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=
for candidate in python3.11 python3.12 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || { echo 'needs Python 3.11 or 3.12' >&2; exit 2; }
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install tahoe-lafs==1.20.0 setuptools==80.9.0
unset PYTHONPATH PYTHONDONTWRITEBYTECODE
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

from allmydata.scripts import backupdb

folder = Path(sys.argv[1])
print("tahoe-lafs", version("tahoe-lafs"), "Python", sys.version.split()[0])
database = backupdb.get_backupdb(str(folder / "backupdb.sqlite"))
file = folder / "file"


def begin_second():
    """Wait for the beginning of a second, so that a few writes fit into it."""
    time.sleep(1 - time.time() % 1 + 0.01)


def is_unchanged():
    return bool(database.check_file(str(file)).was_uploaded())


def record(content):
    file.write_bytes(content)
    database.check_file(str(file)).did_upload(b"URI:CHK:a-cap-of-this-content")


seen = []


def show(what, unchanged):
    seen.append(unchanged)
    print(f"{what:62} {'unchanged' if unchanged else 'changed'}")


begin_second()
record(b"one")
first = file.stat()
show("written in second N, recorded, asked again in second N", is_unchanged())
time.sleep(0.05)
file.write_bytes(b"two")
second = file.stat()
assert first.st_mtime_ns != second.st_mtime_ns and first.st_ctime_ns != second.st_ctime_ns, "the file system's clock is too coarse"
assert int(first.st_mtime) == int(second.st_mtime) and int(first.st_ctime) == int(second.st_ctime), "too slow; try again"
show("other bytes of the same length, still in second N", is_unchanged())
real = time.time
backupdb.time.time = lambda: real() + 120
show("the same two minutes later", is_unchanged())
backupdb.time.time = real

begin_second()
record(b"one")
first = file.stat()
file.write_bytes(b"three")
assert int(first.st_ctime) == int(file.stat().st_ctime), "too slow; try again"
show("other bytes of another length, still in second N", is_unchanged())

begin_second()
record(b"one")
begin_second()
file.write_bytes(b"two")
show("other bytes of the same length, in second N + 1", is_unchanged())
sys.exit("this has changed" if seen != [True, True, True, False, False] else 0)
PYTHON
