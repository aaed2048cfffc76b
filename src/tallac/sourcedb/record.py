"""The rows of the source database for some sources on one grid, and those that a backup adds.

Rows of directories are staged and become visible at `commit`, after the snapshot has been linked. Rows of stored files are written
at once as provisional rows, so that a run which is killed has not read in vain.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

FLUSH_INTERVAL_SECONDS = 1.0
FLUSH_SIZE = 4 * 2**20
STAGED_ROWS_MAX = 500

EPOCH_UNKNOWN = -1
"""Not the epoch of any grid; objects of such rows have to be looked up one by one."""

_SELECT = (
    "SELECT signature, packed, below, read_ns, files, directories, bytes, excluded, epoch FROM directories "
    "WHERE grid = ? AND path = ?"
)
_SELECT_PROVISIONAL = (
    "SELECT read_ns, rows FROM provisional WHERE grid = ? AND path = ? AND first <= ? AND last >= ? ORDER BY sequence"
)
_FIND_PROVISIONAL = "SELECT 1 FROM provisional WHERE grid = ? AND (path = ? OR (path >= ? AND path < ?)) LIMIT 1"
_DELETE_PROVISIONAL = "DELETE FROM provisional WHERE grid = ? AND (path = ? OR (path >= ? AND path < ?))"
_DELETE_DIRECTORIES = "DELETE FROM directories WHERE grid = ? AND (path = ? OR (path >= ? AND path < ?))"
_STAGE_TABLE = """
CREATE TEMP TABLE IF NOT EXISTS staged (
    path BLOB PRIMARY KEY, signature BLOB, packed BLOB, below BLOB,
    read_ns INTEGER, files INTEGER, directories INTEGER, bytes INTEGER, excluded INTEGER
) WITHOUT ROWID
"""
_STAGE = "INSERT OR REPLACE INTO temp.staged VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_APPLY = (
    "INSERT OR REPLACE INTO main.directories "
    "(grid, path, signature, packed, below, read_ns, files, directories, bytes, excluded, epoch) "
    "SELECT ?, path, signature, packed, below, read_ns, files, directories, bytes, excluded, ? FROM temp.staged"
)
_ADD_PROVISIONAL = "INSERT INTO provisional (grid, path, first, last, read_ns, rows) VALUES (?, ?, ?, ?, ?, ?)"


class DirectoryRow(NamedTuple):
    """The record of a stored source directory.

    Attributes:
        signature: Hash of its names and their stat fields at that time; None if it can't be relied on.
        encoded: Its encoded directory cap.
        below: A digest of the names and caps of its subdirectories in that directory. Rows of one tree may come from
            several runs, and the row of a subdirectory may be newer than its cap in the directory.
        read_ns: The client's wall clock, in ns, before the directory was read: any earlier change is included.
        files, directories, size: Counts, and bytes, of everything below it, without itself.
        excluded: Number of files and directories below it that the user's rules left out, without their contents.
        epoch: The epoch of the grid in which all of it was last known to exist; a staged row may leave it out.
    """

    signature: bytes | None
    encoded: bytes
    below: bytes
    read_ns: int
    files: int
    directories: int
    size: int
    excluded: int = 0
    epoch: int = EPOCH_UNKNOWN


class ProvisionalRows(NamedTuple):
    """Entries that an interrupted run has stored.

    Attributes:
        read_ns: The client's wall clock, in ns, before their directory was read.
        table: The entries, encoded as the table of a directory.
    """

    read_ns: int
    table: bytes


class SourceRecord:
    """The rows of some sources on one grid. If the database fails, it stays usable and has no more rows.

    Not thread-safe. Each run has one SourceRecord; rows that an earlier one staged and did not commit are dropped.
    """

    def __init__(
        self,
        connection: sqlite3.Connection | None,
        grid: str,
        sources: Sequence[bytes],
        give_up: Callable[[sqlite3.Error], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._grid = grid
        self._below = [_range_below(grid, source) for source in sources]
        self._give_up = give_up
        self._monotonic = monotonic
        self._staged: list[tuple[object, ...]] = []
        self._dropped: list[bytes] = []
        self._waiting: list[tuple[str, bytes, bytes, bytes, int, bytes]] = []
        self._waiting_size = 0
        self._flushed_at = monotonic()
        self._has_provisional = self._begin()

    def directory(self, path: bytes) -> DirectoryRow | None:
        """Return the row of the directory at an absolute path; None if there is none."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute(_SELECT, (self._grid, path)).fetchone()
        except sqlite3.Error as error:
            self._fail(error)
            return None
        return None if row is None else DirectoryRow._make(row)

    @property
    def has_provisional(self) -> bool:
        """Whether interrupted runs have left rows of these sources."""
        return self._connection is not None and self._has_provisional

    def provisional(self, path: bytes, name: bytes) -> list[ProvisionalRows]:
        """Return the provisional rows of a directory that may hold a name, later ones last."""
        if self._connection is None or not self._has_provisional:
            return []
        try:
            rows = self._connection.execute(_SELECT_PROVISIONAL, (self._grid, path, name, name)).fetchall()
        except sqlite3.Error as error:
            self._fail(error)
            return []
        return [ProvisionalRows._make(row) for row in rows]

    def keep_provisional(self, path: bytes, first: bytes, last: bytes, rows: ProvisionalRows) -> None:
        """Record entries of a directory that were just stored; they are on disk within about a second.

        Args:
            path: The directory's absolute path.
            first: The first name among the entries.
            last: The last name among the entries.
            rows: The entries.
        """
        if self._connection is None:
            return
        self._waiting.append((self._grid, path, first, last, *rows))
        self._waiting_size += len(path) + len(rows.table)
        if self._waiting_size > FLUSH_SIZE or self._monotonic() - self._flushed_at > FLUSH_INTERVAL_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the pending provisional rows."""
        self._flushed_at = self._monotonic()
        if self._connection is None or not self._waiting:
            return
        rows, self._waiting, self._waiting_size = self._waiting, [], 0
        try:
            with Transaction(self._connection):
                self._connection.executemany(_ADD_PROVISIONAL, rows)
        except sqlite3.Error as error:
            self._fail(error)

    def stage(self, path: bytes, row: DirectoryRow) -> None:
        """Stage the row of a directory, to be written at `commit`."""
        if self._connection is None:
            return
        self._staged.append((path, *row[:-1]))
        if len(self._staged) >= STAGED_ROWS_MAX:
            self._spill()

    def drop_below(self, path: bytes) -> None:
        """Stage the removal of the rows of a removed directory and of everything below it, for `commit`."""
        if self._connection is not None:
            self._dropped.append(path)

    def commit(self, epoch: int = 0) -> None:
        """Apply the staged rows and delete the provisional rows of these sources. Call after the snapshot has been linked.

        Args:
            epoch: The epoch of the grid at the start of the run, for all staged rows.
        """
        self._waiting.clear()
        if self._connection is None:
            return
        self._spill()
        if self._connection is None:
            return
        try:
            with Transaction(self._connection):
                for path in self._dropped:
                    self._connection.execute(_DELETE_DIRECTORIES, _range_below(self._grid, path))
                self._connection.execute(_APPLY, (self._grid, epoch))
                self._connection.executemany(_DELETE_PROVISIONAL, self._below)
            self._connection.execute("DELETE FROM temp.staged")
        except sqlite3.Error as error:
            self._fail(error)

    def _begin(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute("PRAGMA temp_store = FILE")
            self._connection.execute(_STAGE_TABLE)
            self._connection.execute("DELETE FROM temp.staged")
            found = [self._connection.execute(_FIND_PROVISIONAL, below).fetchone() for below in self._below]
        except sqlite3.Error as error:
            self._fail(error)
            return False
        return any(found)

    def _spill(self) -> None:
        """Move staged rows from memory to a temporary table, which SQLite keeps in a file of its own."""
        if self._connection is None or not self._staged:
            return
        rows, self._staged = self._staged, []
        try:
            with Transaction(self._connection, "BEGIN"):
                self._connection.executemany(_STAGE, rows)
        except sqlite3.Error as error:
            self._fail(error)

    def _fail(self, error: sqlite3.Error) -> None:
        """Report an error of the database once, and do without it from now on."""
        self._connection = None
        self._staged.clear()
        self._waiting.clear()
        self._give_up(error)


class Transaction:
    """A transaction around a block, rolled back if the block raises."""

    def __init__(self, connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> None:
        self._connection = connection
        self._begin = begin

    def __enter__(self) -> None:
        if self._connection.in_transaction:
            # An interrupt has come between the beginning or the end of one and its block; it is never within another.
            self._connection.execute("ROLLBACK")
        self._connection.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _range_below(grid: str, path: bytes) -> tuple[str, bytes, bytes, bytes]:
    """Return the parameters of the SQL condition for a path and everything below it."""
    below = path.rstrip(b"/")
    return grid, path, below + b"/", below + b"0"
