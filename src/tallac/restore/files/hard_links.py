"""Which files of a snapshot are hard links of one another, and where the first of them is."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from tallac.dag import Components, Entry
from tallac.errors import LocalStateError

if TYPE_CHECKING:
    import sqlite3

IN_MEMORY_MAX = 100_000
"""So many names are remembered in memory, which takes some 40 MB; further ones are on disk."""

_KEY_SIZE = 16

LinkPlace = tuple[Components, bytes]
"""The directory (components) and the name of a link."""


class _First(msgspec.Struct):
    components: Components
    name: bytes
    missing: int
    is_new: bool = False
    others: list[LinkPlace] = []

    @property
    def place(self) -> LinkPlace:
        return self.components, self.name


class LinkTable:
    """Remembers files with several links until the last one is there, in bounded memory.

    A snapshot says how many links a file has, and where they are; a false one can say that of any number of files, and have none.

    Raises (all methods):
        LocalStateError: The folder for temporary files is full or fails.
    """

    def __init__(self, in_memory_max: int = IN_MEMORY_MAX) -> None:
        """Begin with none."""
        self._firsts: dict[bytes, _First] = {}
        self._in_memory_max = in_memory_max
        self._in_memory = 0
        self._on_disk: _LinksOnDisk | None = None

    @property
    def in_memory(self) -> int:
        """How many names are remembered in memory."""
        return self._in_memory

    def first_of(self, entry: Entry) -> LinkPlace | None:
        """Return the place of the file that an entry is another link of; None where it is the first."""
        first = self._find(_key(entry))
        return None if first is None else first.place

    def is_new(self, entry: Entry) -> bool:
        """Whether the first one of an entry's links has been made, so that no other name can be a link of it yet."""
        first = self._find(_key(entry))
        return first is not None and first.is_new

    def add_first(self, entry: Entry, components: Components, *, is_new: bool = False) -> None:
        """Remember that a file with several links is there, or has been made."""
        key = _key(entry)
        if key is None:
            return
        first = _First(components, entry.name, entry.metadata.links - 1, is_new)
        if self._has_room():
            self._firsts[key] = first
        else:
            self._disk().put(key, first)

    def earlier(self, entry: Entry) -> Iterator[LinkPlace]:
        """Iterate over the places of those of an entry's links that are there, the first one at the beginning."""
        key = _key(entry)
        first = self._find(key)
        if first is not None and key is not None:
            yield first.place
            yield from first.others
            if self._on_disk is not None:
                yield from self._on_disk.others(key)

    def replace_first(self, entry: Entry, components: Components) -> None:
        """Take an entry, which has been made anew, for the first one, and the others for links of it."""
        key = _key(entry)
        first = self._find(key)
        if first is not None and key is not None:
            self._add_other(key, first, first.place)
            first.components, first.name = components, entry.name
            self._keep(key, first)

    def count_link(self, entry: Entry, components: Components = ()) -> None:
        """Count another link that has been made; after the last one the file is forgotten."""
        key = _key(entry)
        first = self._find(key)
        if first is None or key is None:
            return
        if (components, entry.name) != first.place:
            self._add_other(key, first, (components, entry.name))
        first.missing -= 1
        if first.missing > 0:
            self._keep(key, first)
            return
        if self._firsts.pop(key, None) is not None:
            self._in_memory -= 1 + len(first.others)
        if self._on_disk is not None:
            self._on_disk.forget(key)

    def _find(self, key: bytes | None) -> _First | None:
        if key is None:
            return None
        first = self._firsts.get(key)
        return first if first is not None or self._on_disk is None else self._on_disk.get(key)

    def _keep(self, key: bytes, first: _First) -> None:
        if key not in self._firsts:
            self._disk().put(key, first)

    def _add_other(self, key: bytes, first: _First, place: LinkPlace) -> None:
        if key in self._firsts and self._has_room():
            first.others.append(place)
        else:
            self._disk().add_other(key, place)

    def _has_room(self) -> bool:
        """Whether one more name fits in memory; it is counted."""
        if self._in_memory >= self._in_memory_max:
            return False
        self._in_memory += 1
        return True

    def _disk(self) -> _LinksOnDisk:
        if self._on_disk is None:
            self._on_disk = _LinksOnDisk()
        return self._on_disk


class _LinksOnDisk:
    """The names that do not fit in memory, in a temporary database that goes with this object. Memory: its cache, 2 MB."""

    def __init__(self) -> None:
        # lazy import: hardly any snapshot has so many links
        import sqlite3

        self._error = sqlite3.Error
        self._first = msgspec.msgpack.Decoder(_First)
        self._place = msgspec.msgpack.Decoder(LinkPlace)
        self._database = sqlite3.connect("", isolation_level=None)
        self._run("PRAGMA journal_mode = OFF")
        self._run("CREATE TABLE firsts (key BLOB PRIMARY KEY, first BLOB) WITHOUT ROWID")
        self._run("CREATE TABLE others (key BLOB, number INTEGER, place BLOB, PRIMARY KEY (key, number)) WITHOUT ROWID")
        self._number = 0

    def __del__(self) -> None:
        self._database.close()

    def get(self, key: bytes) -> _First | None:
        row = self._run("SELECT first FROM firsts WHERE key = ?", key).fetchone()
        return None if row is None else self._first.decode(row[0])

    def put(self, key: bytes, first: _First) -> None:
        self._run("INSERT OR REPLACE INTO firsts VALUES (?, ?)", key, msgspec.msgpack.encode(first))

    def add_other(self, key: bytes, place: LinkPlace) -> None:
        self._number += 1
        self._run("INSERT INTO others VALUES (?, ?, ?)", key, self._number, msgspec.msgpack.encode(place))

    def others(self, key: bytes) -> Iterator[LinkPlace]:
        for (place,) in self._run("SELECT place FROM others WHERE key = ? ORDER BY number", key):
            yield self._place.decode(place)

    def forget(self, key: bytes) -> None:
        self._run("DELETE FROM firsts WHERE key = ?", key)
        self._run("DELETE FROM others WHERE key = ?", key)

    def _run(self, statement: str, *values: bytes | int) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except self._error as error:
            where = f"{tempfile.gettempdir()}: can't keep temporary data ({error})"
            raise LocalStateError(f"{where}; make room, or set TMPDIR to another folder") from error


def _key(entry: Entry) -> bytes | None:
    """Return a hash that all links of one file share.

    Kind and content belong to it: a file that changed between two looks at it has two contents, and neither must be lost.
    """
    metadata = entry.metadata
    if metadata.links < 2 or metadata.inode is None or metadata.device is None:
        return None
    known = msgspec.msgpack.encode((metadata.device, metadata.inode, metadata.mode, metadata.target or entry.encoded))
    return hashlib.blake2b(known, digest_size=_KEY_SIZE).digest()
