"""The file of the source database: opens it, and starts a new one if it can't be used.

Losing it is harmless: the next backup takes longer. So a problem with it is a warning, and never ends a backup.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from tallac.local_files import make_private_folders, write_ahead
from tallac.sourcedb.record import EPOCH_UNKNOWN, SourceRecord, Transaction

SCHEMA_VERSION = 3
BUSY_TIMEOUT_SECONDS = 20.0
APPLICATION_ID = 0x54616C63

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS directories (
    grid TEXT NOT NULL,
    path BLOB NOT NULL,
    signature BLOB,
    packed BLOB NOT NULL,
    below BLOB NOT NULL,
    read_ns INTEGER NOT NULL,
    files INTEGER NOT NULL,
    directories INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    excluded INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT {EPOCH_UNKNOWN},
    PRIMARY KEY (grid, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS provisional (
    sequence INTEGER PRIMARY KEY,
    grid TEXT NOT NULL,
    path BLOB NOT NULL,
    first BLOB NOT NULL,
    last BLOB NOT NULL,
    read_ns INTEGER NOT NULL,
    rows BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS provisional_path ON provisional (grid, path, first);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_UPGRADE_FROM_2 = (
    "ALTER TABLE directories ADD COLUMN excluded INTEGER NOT NULL DEFAULT 0",
    f"ALTER TABLE directories ADD COLUMN epoch INTEGER NOT NULL DEFAULT {EPOCH_UNKNOWN}",
    "DROP TABLE epochs",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

# An index for a path alone is not worth its space: there are few grids.
_NEXT_GRID = "SELECT min(grid) FROM directories WHERE grid > ?"
_FILES = "SELECT files, read_ns FROM directories WHERE grid = ? AND path = ?"

Notice = Callable[[str], None]


class SourceDatabase:
    """The source database of one user, in one file of mode 0600. Not thread-safe; several processes may have it open."""

    def __init__(self, path: Path, notice: Notice) -> None:
        """Open the database, creating it if it is missing.

        Args:
            path: The file; its folder is created with mode 0700.
            notice: Called with one sentence that says what can't be used and what follows.
        """
        self._path = path
        self._notice = notice
        self._connection = self._open_or_replace()

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The open database; None if it can't be used."""
        return self._connection

    def record(self, grid: str, *sources: bytes) -> SourceRecord:
        """Return the record of some sources on one grid.

        Args:
            grid: The identity of the grid.
            sources: Their absolute paths.
        """
        return SourceRecord(self._connection, grid, sources, self._give_up)

    def close(self) -> None:
        """Close the file; rows that were staged and not committed are dropped."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _give_up(self, error: sqlite3.Error) -> None:
        self._notice(f"the source database can't be used ({error}); this backup continues without it")

    def _open_or_replace(self) -> sqlite3.Connection | None:
        try:
            try:
                return self._open()
            except sqlite3.DatabaseError as error:
                if not _is_unusable(error):
                    raise
                self._replace_damaged(str(error))
                return self._open()
        except (sqlite3.Error, OSError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._notice(f"the source database can't be opened ({reason}); this backup continues without it")
            return None

    def _open(self) -> sqlite3.Connection:
        make_private_folders(self._path.parent)
        # SQLite creates its side files with the mode of the main file, so that one must be right before SQLite opens it.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise sqlite3.DatabaseError("it was written by a newer Tallac")
            write_ahead(connection, BUSY_TIMEOUT_SECONDS)
            connection.execute("PRAGMA synchronous = NORMAL")
            if version == 2:
                _upgrade(connection)
            elif version < SCHEMA_VERSION:
                connection.executescript(_SCHEMA)
            connection.execute("SELECT count(*) FROM (SELECT signature, epoch FROM directories LIMIT 1)").fetchone()
            connection.execute("SELECT count(*) FROM (SELECT rows FROM provisional LIMIT 1)").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _replace_damaged(self, reason: str) -> None:
        renamed = self._path.with_name(self._path.name + ".unusable")
        os.replace(self._path, renamed)
        for ending in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path.with_name(self._path.name + ending))
        self._notice(
            f"the source database can't be used ({reason}); it was renamed to {renamed} and a "
            "new one created, so this backup takes longer"
        )


class LastBackup(NamedTuple):
    """The last backup of some sources, to the grid on which most of their files are recorded.

    Attributes:
        files: About how many files they had; 0 where that is not known.
        read_ns: Wall clock, before the first of them was read; what is as it was recorded has not changed since.
    """

    files: int = 0
    read_ns: int = 0


def last_backup(path: Path, sources: Sequence[bytes]) -> LastBackup:
    """Return what is known of the last backup of some sources. Nothing is made or changed.

    Args:
        path: The file of the source database.
        sources: Their absolute paths.
    """
    if not path.exists():
        return LastBackup()
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
            most, grid = LastBackup(), ""
            while (found := connection.execute(_NEXT_GRID, (grid,)).fetchone()[0]) is not None:
                grid = found
                asked = (connection.execute(_FILES, (grid, source)).fetchone() for source in sources)
                rows = [row for row in asked if row is not None]
                most = max(most, LastBackup(sum(row[0] for row in rows), min((row[1] for row in rows), default=0)))
            return most
    except (sqlite3.Error, TypeError, ValueError):
        return LastBackup()  # Whatever is wrong with it is said when it is opened to be used.


def _upgrade(connection: sqlite3.Connection) -> None:
    with Transaction(connection):
        # Another process may have created it first.
        if connection.execute("PRAGMA user_version").fetchone()[0] == 2:
            for statement in _UPGRADE_FROM_2:
                connection.execute(statement)


def _is_unusable(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is not a source database of this version, as opposed to a lock, a full disk and other passing errors."""
    return not isinstance(error, sqlite3.OperationalError) or error.sqlite_errorcode == sqlite3.SQLITE_ERROR
