"""What earlier runs have stored of a directory: its own table in the grid, and the provisional rows of runs that were killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, decode_cap, decode_table
from tallac.errors import DamageError
from tallac.interfaces import CapReader
from tallac.sourcedb import SourceRecord


class Recorded(NamedTuple):
    """How a directory was stored the last time.

    Attributes:
        packed: Its packed cap.
        read_ns: When its reading had not yet begun: what changed before that moment was seen.
        is_current: Whether all of it is known to be in the grid; else each part is to be looked up.
    """

    encoded: bytes
    read_ns: int
    is_current: bool = False


class StoredBefore(NamedTuple):
    """What a run that did not end has stored of a file, and when the reading of its directory began."""

    entry: Entry
    read_ns: int


class RecordedEntries:
    """The entries of a recorded directory, asked for in ascending order of names. Little of it is in memory."""

    def __init__(
        self, grid: CapReader, recorded: Recorded | None, on_gone: Callable[[Entry], None], on_damage: Callable[[DamageError], None]
    ) -> None:
        """Begin at the first name.

        Args:
            grid: Where the directory is.
            recorded: What to read; None knows no entries.
            on_gone: Told each entry that was not asked for.
            on_damage: Told when the directory can't be read (further); what is left of it is then not known.
        """
        self._on_gone = on_gone
        self._on_damage = on_damage
        self._entries = iter(()) if recorded is None else _read(grid, recorded.encoded)
        self._next = self._advance()

    def find(self, name: bytes) -> Entry | None:
        """Find an entry whose name comes after all that were asked for before."""
        entry = self._next
        while entry is not None and entry.name < name:
            self._on_gone(entry)
            entry = self._next = self._advance()
        if entry is None or entry.name != name:
            return None
        self._next = self._advance()
        return entry

    def finish(self) -> None:
        """Say that nothing more is asked for."""
        while self._next is not None:
            self._on_gone(self._next)
            self._next = self._advance()

    def _advance(self) -> Entry | None:
        try:
            return next(self._entries, None)
        except DamageError as error:
            self._on_damage(error)
            self._entries = iter(())
            return None


class ProvisionalEntries:
    """Entries of one directory that runs which did not end have stored. A few hundred are in memory."""

    def __init__(self, record: SourceRecord, path: bytes) -> None:
        self._record = record
        self._path = path
        self._found: dict[bytes, list[StoredBefore]] = {}

    def find(self, name: bytes) -> list[StoredBefore]:
        """Find what is known of a name, newest first: whole files, and beginnings of a large one."""
        if not self._record.has_provisional:
            return []
        if name not in self._found:
            self._found = {}
            for rows in self._record.provisional(self._path, name):
                for entry in _decoded(rows.table):
                    self._found.setdefault(entry.name, []).insert(0, StoredBefore(entry, rows.read_ns))
        return self._found.get(name, [])


def _read(grid: CapReader, encoded: bytes) -> Iterator[Entry]:
    cap = decode_cap(encoded)
    if isinstance(cap, DirectoryReadCap):
        yield from grid.read_directory(cap)


def _decoded(table: bytes) -> list[Entry]:
    try:
        return decode_table(table)
    except DamageError:
        # The source database is only a record of what need not be read; a damaged row is as good as none.
        return []
