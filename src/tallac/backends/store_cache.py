"""A cache on this machine's disk of what was read from one distant store. Losing it, whole or in part, costs requests alone.

What is in it is sealed as it is in the store, and verified when it is read: objects by the hash that they are asked for by, states
of mutable objects by a checksum here and by their seals. Several processes use it at a time. Where the disk is full, the file
damaged or gone, there is no cache, and no error.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from tallac.crypto.hashing import hash_file_bytes
from tallac.interfaces import Version
from tallac.local_files import make_private_folders, write_ahead

ENDING = ".cache"
APPLICATION_ID = 0x54616C6B
SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 2.0
"""Whoever waits for longer asks the store instead."""

WAITING_SIZE_MAX = 4 << 20
"""So many bytes are collected before they are written together."""

KEPT_SHARE = 3, 4
"""Where there is too much, the objects that were not used for the longest time go until so much is left."""

_SIDE_FILES = ("", "-wal", "-shm", "-journal")
_CHECKSUM_SIZE = 16
_LENGTH = struct.Struct(">I")
_SCHEMA = f"""
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS about (location TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, version BLOB NOT NULL, content BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS objects (hash BLOB PRIMARY KEY, content BLOB NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS objects_used ON objects (used);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class CacheReport(msgspec.Struct, frozen=True):
    """The amount that one cache holds.

    Attributes:
        path: Its file.
        location: The store's location, as messages show it.
        size: Bytes on disk.
        objects: How many directories and lists of large files are in it.
    """

    path: Path
    location: str
    size: int
    objects: int


class StoreCache:
    """The cache of one store. Thread-safe."""

    def __init__(self, path: Path, location: str, size_max: int) -> None:
        """Open nothing yet.

        Args:
            path: Its file; see `cache_path`.
            location: The store's location, as messages show it.
            size_max: How many bytes it may take on disk; 0 for no cache.
        """
        self.path = path
        self._location = location
        self._size_max = size_max
        self._lock = threading.RLock()
        self._is_usable = size_max > 0
        self._connection: sqlite3.Connection | None = None
        self._waiting_states: dict[str, tuple[bytes, Version] | None] = {}
        self._waiting: dict[bytes, bytes] = {}
        self._waiting_size = 0
        self._used: set[bytes] = set()
        self.warning = ""
        """Why it is not used, or what was thrown away; "" where nothing was."""

    # States of mutable objects

    def state(self, name: str) -> tuple[bytes, Version] | None:
        """See `tallac.backends.remembering.StateMemory`."""
        with self._lock:
            if name in self._waiting_states:
                return self._waiting_states[name]
            row = self._row("SELECT version, content, checksum FROM states WHERE name = ?", name)
        if row is None:
            return None
        version, content, checksum = row
        if not (isinstance(version, bytes) and isinstance(content, bytes)):
            return None
        return (content, version) if _checksum(name, content, version) == checksum else None

    def keep_state(self, name: str, state: tuple[bytes, Version] | None) -> None:
        """See `tallac.backends.remembering.StateMemory`."""
        with self._lock:
            if self._is_usable and (name not in self._waiting_states or self._waiting_states[name] != state):
                self._waiting_states[name] = state
                self._add_waiting(0 if state is None else len(state[0]))

    # Objects

    def get(self, stored_hash: bytes) -> tuple[bytes, bytes] | None:
        """Return an object as it is stored, content and links, which the caller verifies; None where it is not here."""
        with self._lock:
            whole: object = self._waiting.get(stored_hash)
            if whole is None:
                row = self._row("SELECT content FROM objects WHERE hash = ?", stored_hash)
                whole = None if row is None else row[0]
                if stored_hash not in self._used:
                    self._used.add(stored_hash)
                    self._add_waiting(0)
            if not isinstance(whole, bytes) or len(whole) < _LENGTH.size:
                return None
        length = _LENGTH.size + _LENGTH.unpack_from(whole)[0]
        return whole[_LENGTH.size : length], whole[length:]

    def put(self, stored_hash: bytes, content: bytes, links: bytes) -> None:
        """Keep an object that was verified."""
        with self._lock:
            if self._is_usable and stored_hash not in self._waiting:
                self._waiting[stored_hash] = _LENGTH.pack(len(content)) + content + links
                self._add_waiting(len(content) + len(links))

    def drop(self, stored_hash: bytes) -> None:
        """Throw away an object that was found to be damaged."""
        self.warning = "a damaged entry was thrown away and read anew"
        with self._lock:
            self._waiting.pop(stored_hash, None)
            self._write(lambda connection: connection.execute("DELETE FROM objects WHERE hash = ?", (stored_hash,)))

    # The file

    def report(self) -> CacheReport:
        """Return what is in it."""
        with self._lock:
            row = self._row("SELECT (SELECT location FROM about LIMIT 1), (SELECT count(*) FROM objects)")
        location, objects = (None, 0) if row is None else row
        return CacheReport(self.path, str(location or self._location), size_of(self.path), int(str(objects)))

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            states, objects, used = self._waiting_states, self._waiting, self._used
            size, self._waiting_size = self._waiting_size, 0
            self._waiting_states, self._waiting, self._used = {}, {}, set()
            if not (states or objects or used):
                return

            def change(connection: sqlite3.Connection) -> None:
                self._make_room(connection, size)
                now = connection.execute("SELECT coalesce(max(used), 0) + 1 FROM objects").fetchone()[0]
                connection.executemany("UPDATE objects SET used = ? WHERE hash = ?", [(now, key) for key in used])
                connection.executemany(
                    "INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", [(key, whole, now) for key, whole in objects.items()]
                )
                connection.executemany("DELETE FROM states WHERE name = ?", [(name,) for name in states])
                rows = [(name, state[1], state[0], _checksum(name, *state)) for name, state in states.items() if state is not None]
                connection.executemany("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)", rows)

            self._write(change)

    def close(self) -> None:
        """Write what waits, and close the file; it is opened again when it is needed."""
        with self._lock:
            self.flush()
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def _add_waiting(self, size: int) -> None:
        self._waiting_size += size + 200
        if self._waiting_size >= WAITING_SIZE_MAX:
            self.flush()

    def _make_room(self, connection: sqlite3.Connection, size: int) -> None:
        """Delete what was not used for the longest time where there would be too much."""
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        pages = connection.execute("PRAGMA page_count").fetchone()[0] - connection.execute("PRAGMA freelist_count").fetchone()[0]
        if pages * page + size <= self._size_max:
            return
        share, whole = KEPT_SHARE
        surplus = pages * page + size - self._size_max * share // whole
        rows = connection.execute("SELECT rowid, length(content) FROM objects ORDER BY used, rowid")
        removed: list[tuple[int]] = []
        for number, length in rows:
            if surplus <= 0:
                break
            removed.append((number,))
            surplus -= length + 100
        connection.executemany("DELETE FROM objects WHERE rowid = ?", removed)
        connection.execute("PRAGMA incremental_vacuum").fetchall()

    def _row(self, query: str, *values: object) -> tuple[object, ...] | None:
        try:
            connection = self._open(is_new=False)
            row: tuple[object, ...] | None = None if connection is None else connection.execute(query, values).fetchone()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return None
        return row

    def _write(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Make a change in one transaction; whatever goes wrong with it, the caller goes on."""
        try:
            connection = self._open(is_new=True)
            if connection is None:
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                change(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _open(self, *, is_new: bool) -> sqlite3.Connection | None:
        if not self._is_usable or (self._connection is None and not is_new and not self.path.exists()):
            return None
        if self._connection is None:
            make_private_folders(self.path.parent)
            # SQLite creates its side files with the mode of the main file, so that one must be right before SQLite opens it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=16
            )
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, SCHEMA_VERSION):
                    raise sqlite3.DatabaseError("it was written by another Tallac")
                if version == 0:
                    connection.executescript(_SCHEMA)
                    connection.execute("INSERT INTO about VALUES (?)", (self._location,))
                write_ahead(connection, BUSY_TIMEOUT_SECONDS)
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("PRAGMA mmap_size = 0")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _give_up(self, error: Exception) -> None:
        """Do without a cache from now on; one that is damaged is thrown away, so that the next process begins a new one."""
        self._is_usable = False
        self.warning = f"the cache {self.path} can't be used ({error})"
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            remove(self.path)


def cache_path(folder: Path, url: str) -> Path:
    """Return the file, in a folder of caches, for the store at a URL."""
    return folder / (sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ENDING)


def size_of(path: Path) -> int:
    """Return how many bytes a cache takes on disk."""
    size = 0
    for ending in _SIDE_FILES:
        with contextlib.suppress(OSError):
            size += path.with_name(path.name + ending).stat().st_size
    return size


def remove(path: Path) -> None:
    """Delete a cache. Processes that use it go on with what they have open."""
    for ending in _SIDE_FILES:
        with contextlib.suppress(OSError):
            path.with_name(path.name + ending).unlink()


def _checksum(name: str, content: bytes, version: Version) -> bytes:
    head = name.encode() + b"\0" + _LENGTH.pack(len(version))
    return hash_file_bytes(head + version + content)[:_CHECKSUM_SIZE]
