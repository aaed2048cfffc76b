#!/usr/bin/env bash
# SQLite 3.40 to 3.54: PRAGMA journal_mode = WAL waits for a reader and for an exclusive lock, and not for a writer.
#
# With a busy timeout of ten seconds, and another connection that ends its transaction after one: the pragma succeeds after that second
# where the other one is reading, or has the file to itself, and says "database is locked" at once where it has begun to write
# (BEGIN IMMEDIATE). An INSERT in the same place waits in all three. So of two processes that make a database at the same moment, each
# with a schema, then the pragma, one may be refused, whatever its timeout. Seen with Python's sqlite3 on SQLite 3.40.1, and with apsw
# 3.54.1.0, which brings SQLite 3.54.1; seconds until the pragma, and until an INSERT, is done:
#
#   the other connection has     PRAGMA journal_mode = WAL     INSERT
#   BEGIN, and has read          1                             1
#   BEGIN IMMEDIATE              refused after 0               1
#   BEGIN EXCLUSIVE              1                             1
#
# Consequence for Tallac: _use_log in src/tallac/backends/store_cache.py waits by itself. Fails when this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install apsw==3.54.1.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sqlite3
import sys
import threading
import time
from pathlib import Path

import apsw

FOLDER = Path(sys.argv[1])
TIMEOUT_SECONDS = 10
HELD_SECONDS = 1
HOLDERS = {"read": ("BEGIN", "SELECT * FROM t"), "write": ("BEGIN IMMEDIATE",), "exclusive": ("BEGIN EXCLUSIVE",)}
STATEMENTS = ("PRAGMA journal_mode = WAL", "INSERT INTO t VALUES (2)")


def by_sqlite3(path):
    return sqlite3.connect(path, timeout=TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)


def by_apsw(path):
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(TIMEOUT_SECONDS * 1000)
    return connection


def seconds(connect, holder, statement):
    path = FOLDER / f"{time.monotonic_ns()}.db"
    first, second = connect(path), connect(path)
    first.execute("CREATE TABLE t (x)")
    for each in HOLDERS[holder]:
        first.execute(each).fetchall()
    ending = threading.Timer(HELD_SECONDS, lambda: first.execute("COMMIT").fetchall())
    ending.start()
    began = time.monotonic()
    try:
        second.execute(statement).fetchall()
        result = "done"
    except (sqlite3.OperationalError, apsw.BusyError):
        result = "refused"
    took = time.monotonic() - began
    ending.join()
    return result, "waits" if took > HELD_SECONDS / 2 else "at once"


for name, connect, version in (
    ("sqlite3", by_sqlite3, sqlite3.sqlite_version),
    ("apsw", by_apsw, apsw.sqlite_lib_version()),
):
    found = {holder: [seconds(connect, holder, statement) for statement in STATEMENTS] for holder in HOLDERS}
    print(name, "SQLite", version, "Python", sys.version.split()[0])
    for holder, results in found.items():
        print(f"  {holder:10}", *results)
    assert found["read"] == [("done", "waits"), ("done", "waits")], "a reader"
    assert found["write"] == [("refused", "at once"), ("done", "waits")], "a writer"
    assert found["exclusive"] == [("done", "waits"), ("done", "waits")], "an exclusive lock"
PYTHON
