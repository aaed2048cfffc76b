"""This machine's record of a target: when it first saw each snapshot, and what it forgot.

One SQLite file, readable by the user alone: what was forgotten is kept with its cap. Losing the file loses `--undo`, and makes the
next `forget` believe the times that snapshots claim; it harms no snapshot.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from tallac.dag import Entry, decode_table, encode_table, parse_snapshot_name
from tallac.errors import LocalStateError, MalformedObjectError
from tallac.local_files import make_private_folders

SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 20.0
TOLERANCE_NS = 600 * 1_000_000_000
"""Clocks that differ by no more than this count as the same."""

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS looks (target BLOB PRIMARY KEY, time_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (
    target BLOB NOT NULL,
    snapshot BLOB NOT NULL,
    after_ns INTEGER,
    seen_ns INTEGER NOT NULL,
    PRIMARY KEY (target, snapshot)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    target BLOB NOT NULL,
    run INTEGER NOT NULL,
    name BLOB NOT NULL,
    entry BLOB NOT NULL
);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class Sight(msgspec.Struct, frozen=True):
    """When a snapshot was first seen.

    Attributes:
        after_ns: The last look before, at which it was not there; None where there was none.
        seen_ns: The look at which it was there.
    """

    after_ns: int | None
    seen_ns: int

    def counted_ns(self, claimed_ns: int) -> int:
        """Return the time that counts: the claimed one where it can be true, else that of the first sight.

        It can be true where it lies between the two looks, give or take `TOLERANCE_NS`.
        """
        is_later = claimed_ns > self.seen_ns + TOLERANCE_NS
        is_earlier = self.after_ns is not None and claimed_ns < self.after_ns - TOLERANCE_NS
        return self.seen_ns if is_later or is_earlier else claimed_ns


class RetentionRecord:
    """The file. Not thread-safe; several processes may have it open. What a method has written is durable when it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, creating it where it is missing.

        Raises:
            LocalStateError: It can't be used.
        """
        self._path = path
        with self._explained():
            make_private_folders(path.parent)
            # SQLite gives its side files the mode that the main file has, so that one has to be right before SQLite sees it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        try:
            with self._explained():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def look(self, target: bytes, entries: Iterable[Entry], now_ns: int) -> dict[bytes, Sight]:
        """Note that these are all of a target's entries now, and say of each name when it was first seen.

        A look from the future was made under a wrong clock, then or now, and proves nothing.

        Args:
            target: The fingerprint of the target's directory.
            entries: What its `Archives/` holds.
            now_ns: The time.
        """
        found = {fingerprint(entry): entry.name for entry in entries}
        with self._transaction():
            row = self._connection.execute("SELECT time_ns FROM looks WHERE target = ?", (target,)).fetchone()
            after_ns = row[0] if row is not None and row[0] <= now_ns else None
            self._connection.executemany(
                "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", [(target, snapshot, after_ns, now_ns) for snapshot in found]
            )
            self._connection.execute("INSERT OR REPLACE INTO looks VALUES (?, ?)", (target, now_ns))
            rows = self._connection.execute("SELECT snapshot, after_ns, seen_ns FROM seen WHERE target = ?", (target,)).fetchall()
        return {found[snapshot]: Sight(after, seen) for snapshot, after, seen in rows if snapshot in found}

    def replace(self, target: bytes, old: Entry, new: Entry) -> None:
        """Record that a rewritten snapshot was first seen when its former self was."""
        with self._transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO seen SELECT target, ?, after_ns, seen_ns FROM seen WHERE target = ? AND snapshot = ?",
                (fingerprint(new), target, fingerprint(old)),
            )

    def keep_forgotten(self, target: bytes, entries: Sequence[Entry]) -> None:
        """Keep what is about to be forgotten, as one run."""
        if not entries:
            return
        with self._transaction():
            run = self._connection.execute("SELECT coalesce(max(run), 0) + 1 FROM forgotten").fetchone()[0]
            self._connection.executemany(
                "INSERT INTO forgotten (target, run, name, entry) VALUES (?, ?, ?, ?)",
                [(target, run, entry.name, encode_table([entry])) for entry in entries],
            )

    def last_forgotten(self, target: bytes) -> list[Entry]:
        """Return what the last run forgot that is not undone, in order of the names."""
        sql = "SELECT entry FROM forgotten WHERE target = ? AND run = (SELECT max(run) FROM forgotten WHERE target = ?)"
        return self._entries(sql, (target, target))

    def all_forgotten(self, target: bytes) -> list[Entry]:
        """Return all that was ever forgotten and is not undone; of two with one name, the one forgotten last."""
        return self._entries("SELECT entry FROM forgotten WHERE target = ? ORDER BY number", (target,))

    def drop_forgotten(self, target: bytes, names: Iterable[bytes]) -> None:
        """Delete the rows of what is back, or lost for good."""
        with self._transaction():
            self._connection.executemany("DELETE FROM forgotten WHERE target = ? AND name = ?", [(target, name) for name in names])

    def _entries(self, sql: str, values: tuple[bytes, ...]) -> list[Entry]:
        with self._explained():
            rows = self._connection.execute(sql, values).fetchall()
            entries = [entry for (table,) in rows for entry in decode_table(table)]
        by_name = {entry.name: entry for entry in entries}
        return [by_name[name] for name in sorted(by_name)]

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise LocalStateError(f"{self._path}: a newer Tallac wrote this; upgrade to use it")
        self._connection.execute("PRAGMA synchronous = FULL")
        if version < SCHEMA_VERSION:
            self._connection.executescript(_SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, MalformedObjectError) as error:
            raise LocalStateError(
                f"{self._path}: can't use the record of what was seen and forgotten ({error}); "
                "if it is damaged, move it away; `tallac forget --undo` then can't restore earlier snapshots"
            ) from error


def fingerprint(entry: Entry) -> bytes:
    """Return a key of a snapshot, by its name and cap; neither can be read from it."""
    return hashlib.sha256(len(entry.name).to_bytes(4, "big") + entry.name + entry.encoded).digest()[:16]


def claimed_ns(entry: Entry) -> int | None:
    """Return the time that a snapshot's name tells; None for what is no snapshot."""
    return parse_snapshot_name(entry.name) if entry.is_directory else None
