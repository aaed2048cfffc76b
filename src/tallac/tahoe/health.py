"""When each stored thing was last seen to be whole, and when to look again.

A storage grid loses things. So what is re-used is checked now and then: never in the first month after it was stored or checked,
always after two, and in between with a chance that grows evenly, which spreads the checks over many backups (docs/backupdb.rst of
Tahoe-LAFS). The record is kept on this machine and can be lost: what is not known is checked once.
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
    """Give the probability with which a thing is to be checked again. A time in the future says nothing, and is as good as old."""
    if age_ns < 0:
        return 1.0
    return min(1.0, max(0.0, (age_ns - NEVER_BEFORE_NS) / (ALWAYS_AFTER_NS - NEVER_BEFORE_NS)))


class HealthRecord:
    """What was seen when, of one grid. Caps are kept as hashes. Thread-safe.

    ReadError with its file is no reason to end a backup: all is then as good as unknown.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int], chance: Callable[[], float]) -> None:
        """Open or make the file; its folder exists.

        Args:
            path: The file.
            now_ns: The clock.
            chance: Gives numbers in [0, 1).

        Raises:
            LocalStateError: It can't be made.
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
        """Whether the thing behind a cap is to be checked now."""
        seen_ns = self._seen_ns(_key(encoded))
        if seen_ns is None:
            return True
        chance = check_chance(self._now_ns() - seen_ns)
        return chance > 0 and self._chance() < chance

    def saw(self, encoded: bytes) -> None:
        """Remember that a thing was stored just now, or found healthy."""
        with self._lock:
            self._waiting[_key(encoded)] = self._now_ns()
            if len(self._waiting) >= _WAITING_MAX:
                self._flush()

    def saw_first(self, encoded: bytes) -> None:
        """Remember a thing that was stored just now, unless more is known."""
        if self._seen_ns(_key(encoded)) is None:
            self.saw(encoded)

    def close(self) -> None:
        """Write what waits, and close the file."""
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
            return  # What is forgotten is checked again.


def _key(encoded: bytes) -> bytes:
    return hashlib.blake2b(encoded, digest_size=16, person=b"tallac seen").digest()
