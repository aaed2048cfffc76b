"""When each stored object was last found healthy, and when to check it again.

A storage grid loses objects, so those that a backup reuses are checked from time to time: never in the first month after they were
stored or checked, always after two, and in between with a chance that grows linearly, which spreads the checks over many backups
(docs/backupdb.rst of Tahoe-LAFS). The record is local state and can be lost: an unknown object is checked once.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from tallac.errors import LocalStateError

MONTH_NS = 30 * 24 * 3600 * 1_000_000_000
NEVER_BEFORE_NS = MONTH_NS
ALWAYS_AFTER_NS = 2 * MONTH_NS
_WAITING_MAX = 500
_BUSY_SECONDS_MAX = 20.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS seen (cap BLOB PRIMARY KEY, at_ns INTEGER NOT NULL) WITHOUT ROWID"


def check_chance(age_ns: int) -> float:
    """Return the probability, 0 to 1, of checking an object of this age in ns; a negative age proves nothing and counts as old."""
    if age_ns < 0:
        return 1.0
    return min(1.0, max(0.0, (age_ns - NEVER_BEFORE_NS) / (ALWAYS_AFTER_NS - NEVER_BEFORE_NS)))


class HealthRecord:
    """The times at which objects of one grid were found healthy. Caps are stored as hashes. Thread-safe.

    ReadError with its file is no reason to end a backup: all is then as good as unknown.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int], chance: Callable[[], float]) -> None:
        """Open the file, creating it if needed; its folder exists.

        Args:
            path: The file, an SQLite database.
            now_ns: The clock.
            chance: Returns random numbers in [0, 1).

        Raises:
            LocalStateError: The file can't be created.
        """
        self._now_ns = now_ns
        self._chance = chance
        self._lock = threading.Lock()
        self._waiting: dict[bytes, int] = {}
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS_MAX, check_same_thread=False)
            self._connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise LocalStateError(f"{path}: can't keep what was checked there ({error}); remove this file") from error

    def is_due(self, encoded: bytes) -> bool:
        """Whether the object of an encoded cap is to be checked now."""
        seen_ns = self._seen_ns(_key(encoded))
        if seen_ns is None:
            return True
        chance = check_chance(self._now_ns() - seen_ns)
        return chance > 0 and self._chance() < chance

    def saw(self, encoded: bytes) -> None:
        """Record that an object was stored or found healthy just now."""
        with self._lock:
            self._waiting[_key(encoded)] = self._now_ns()
            if len(self._waiting) >= _WAITING_MAX:
                self._flush()

    def saw_first(self, encoded: bytes) -> None:
        """Record an object that was stored just now, unless there is a record of it."""
        if self._seen_ns(_key(encoded)) is None:
            self.saw(encoded)

    def close(self) -> None:
        """Write pending records, and close the file."""
        with self._lock:
            self._flush()
            self._connection.close()

    def _seen_ns(self, key: bytes) -> int | None:
        with self._lock:
            if key in self._waiting:
                return self._waiting[key]
            try:
                row = self._connection.execute("SELECT at_ns FROM seen WHERE cap = ?", (key,)).fetchone()
            except sqlite3.Error:
                return None
            return None if row is None else int(row[0])

    def _flush(self) -> None:
        rows, self._waiting = list(self._waiting.items()), {}
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)
        except sqlite3.Error:
            return  # An object that is not recorded is checked again.


def _key(encoded: bytes) -> bytes:
    return hashlib.blake2b(encoded, digest_size=16, person=b"tallac seen").digest()
