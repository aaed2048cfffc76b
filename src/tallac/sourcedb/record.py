"""What the source database knows of some sources on one grid, and what a backup will have it know.

What a run learns of directories is staged and becomes visible at `commit`, after the snapshot has been entered. What it stored
of files goes in at once as provisional rows, so that a run that is killed has not read in vain.
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
"""No grid's epoch; what is of it has to be looked up piece by piece."""

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
    """How a source directory was stored.

    Attributes:
        signature: Hash of its names and their stat fields at that time; None where something forbids to rely on it.
        packed: Its packed directory cap.
        below: A digest of its subdirectories' names and caps, as they stand in that directory. Rows of one tree may come from
            several runs, and a subdirectory's row may be newer than what the directory's cap holds of it.
        read_ns: When its reading began, by the client's clock.
        files, directories, size: What is below it, itself not counted.
        excluded: How many files and directories below it were left out by the user's rules; what is in those is not counted.
        epoch: The grid's epoch in which all of it was last seen to be there; a row that is staged need not tell.
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
    """Entries that a run which did not end has stored.

    Attributes:
        read_ns: When the reading of their directory began.
        table: The entries, encoded as a directory's table is.
    """

    read_ns: int
    table: bytes


class SourceRecord:
    """What is known of some sources on one grid. It stays usable when the database fails: it then knows nothing more.

    Not thread-safe. One run has one SourceRecord; the staged rows of an earlier one are dropped.
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
        """Look up how the directory at an absolute path was stored."""
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
        """Whether runs that did not end have left rows of these sources."""
        return self._connection is not None and self._has_provisional

    def provisional(self, path: bytes, name: bytes) -> list[ProvisionalRows]:
        """Give those rows of a directory that may have a name among them; later ones last."""
        if self._connection is None or not self._has_provisional:
            return []
        try:
            rows = self._connection.execute(_SELECT_PROVISIONAL, (self._grid, path, name, name)).fetchall()
        except sqlite3.Error as error:
            self._fail(error)
            return []
        return [ProvisionalRows._make(row) for row in rows]

    def keep_provisional(self, path: bytes, first: bytes, last: bytes, rows: ProvisionalRows) -> None:
        """Remember entries of a directory just stored, within about a second also on disk.

        Args:
            path: The directory's absolute path.
            first: The first name among the entries.
            last: The last one.
            rows: The entries.
        """
        if self._connection is None:
            return
        self._waiting.append((self._grid, path, first, last, *rows))
        self._waiting_size += len(path) + len(rows.table)
        if self._waiting_size > FLUSH_SIZE or self._monotonic() - self._flushed_at > FLUSH_INTERVAL_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the provisional rows that wait."""
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
        """Have a directory's row written at `commit`."""
        if self._connection is None:
            return
        self._staged.append((path, *row[:-1]))
        if len(self._staged) >= STAGED_ROWS_MAX:
            self._spill()

    def drop_below(self, path: bytes) -> None:
        """Have the rows of a directory that is gone, and of all below it, removed at `commit`."""
        if self._connection is not None:
            self._dropped.append(path)

    def commit(self, epoch: int = 0) -> None:
        """Apply what was staged and forget the provisional rows of these sources. Call after the snapshot has been entered.

        Args:
            epoch: The grid's, when the run began: that of all rows that were staged.
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
        """Do without the database from now on."""
        self._connection = None
        self._staged.clear()
        self._waiting.clear()
        self._give_up(error)


class Transaction:
    """A transaction for the length of a block, rolled back where the block fails."""

    def __init__(self, connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> None:
        self._connection = connection
        self._begin = begin

    def __enter__(self) -> None:
        self._connection.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _range_below(grid: str, path: bytes) -> tuple[str, bytes, bytes, bytes]:
    """Give the values that choose in SQL: the path, and all that begins with the path and a slash."""
    below = path.rstrip(b"/")
    return grid, path, below + b"/", below + b"0"
