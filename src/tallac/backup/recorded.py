"""Entries stored before of a directory: in its table in the grid, in rows of killed runs, in another program's snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from tallac.backup.request import BackupRequest
from tallac.backup.summary import Ledger
from tallac.backup.target import Target, latest_snapshot
from tallac.caps import DirectoryReadCap
from tallac.dag import Components, Entry, decode_cap, decode_table, parse_snapshot_name, snapshots_by_time
from tallac.errors import DamageError
from tallac.interfaces import CapReader
from tallac.sourcedb import SourceRecord

FOREIGN_DURATION_NS = 24 * 3600 * 1_000_000_000
"""So long before its name's time a snapshot of another tool may have been begun."""


_DIRECTORIES_MAX = 256
"""Of so many directories the names below are remembered; directories are finished near those that they lie in."""


class Recorded(NamedTuple):
    """How a directory was stored the last time.

    Attributes:
        encoded: Its encoded cap.
        read_ns: Wall clock, taken before the directory was listed: any change earlier than this is included.
        is_current: Whether all of it is known to be in the grid; else each part is looked up.
    """

    encoded: bytes
    read_ns: int
    is_current: bool = False

    def below(self, entry: Entry) -> Recorded | None:
        """Return how a subdirectory was stored, by its entry in this one; None for what is no directory."""
        return Recorded(entry.encoded, self.read_ns, self.is_current) if entry.is_directory else None


class StoredBefore(NamedTuple):
    """An entry that a killed run has stored, and when the reading of its directory began."""

    entry: Entry
    read_ns: int


class RecordedEntries:
    """The entries of a recorded directory, asked for in ascending order of names. Little of it is in memory."""

    def __init__(
        self,
        grid: CapReader,
        recorded: Recorded | None,
        on_removed: Callable[[Entry], None],
        on_damage: Callable[[DamageError], None],
    ) -> None:
        """Begin at the first name.

        Args:
            grid: Where the directory is.
            recorded: What to read; None knows no entries.
            on_removed: Called with each entry that was not asked for.
            on_damage: Called when the directory can't be read (further); the rest of it is unknown then.
        """
        self._on_removed = on_removed
        self._on_damage = on_damage
        self._entries = iter(()) if recorded is None else _read(grid, recorded.encoded)
        self._next = self._advance()

    def find(self, name: bytes) -> Entry | None:
        """Find an entry whose name comes after all that were asked for before."""
        entry = self._next
        while entry is not None and entry.name < name:
            self._on_removed(entry)
            entry = self._next = self._advance()
        if entry is None or entry.name != name:
            return None
        self._next = self._advance()
        return entry

    def finish(self) -> None:
        """Report all entries that are left as removed."""
        while self._next is not None:
            self._on_removed(self._next)
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


class ForeignSnapshot:
    """The newest snapshot, if it is none of Tallac's: one of `tahoe backup`, which has its own directories.

    Nothing is read before a directory is asked for: an unchanged backup does without.
    """

    def __init__(self, grid: CapReader, target: Target | None) -> None:
        self._grid = grid
        self._target = target
        self._below: dict[Components, dict[bytes, bytes]] = {}

    def directory(self, components: Components) -> bytes | None:
        """Return the encoded cap of the directory that these names lead to from its root; None where there is none."""
        encoded = self._root
        for length in range(len(components)):
            if encoded is None:
                return None
            encoded = self._directories_in(components[:length], encoded).get(components[length])
        return encoded

    @cached_property
    def _root(self) -> bytes | None:
        if self._target is None:
            return None
        # `Latest` does not tell: where another program points it at its snapshot, a node keeps the metadata of the one before.
        snapshots = snapshots_by_time(self._grid.read_directory(self._target.archives.read_cap))
        newest = snapshots[-1][1] if snapshots else None
        return None if newest is None or newest.metadata.snapshot is not None else newest.encoded

    def _directories_in(self, components: Components, encoded: bytes) -> dict[bytes, bytes]:
        if components not in self._below:
            if len(self._below) >= _DIRECTORIES_MAX:
                self._below.clear()
            cap = Entry(b"", encoded).cap
            try:
                entries = list(self._grid.read_directory(cap)) if isinstance(cap, DirectoryReadCap) else []
            except DamageError:
                entries = []  # What can't be read is stored anew.
            self._below[components] = {entry.name: entry.encoded for entry in entries if entry.is_directory}
        return self._below[components]


def find_recorded(
    grid: CapReader, target: Target | None, request: BackupRequest, record: SourceRecord, ledger: Ledger
) -> Recorded | None:
    """Find what stands in for local records where there are none of a source.

    The ledger learns how much is to be expected, and whether there is a previous snapshot to compare with.
    """
    row = record.directory(request.source) if request.scope is None else None
    if row is not None:
        ledger.progress.files_expected, ledger.progress.bytes_expected = row.files, row.size
        return None
    latest = None if target is None else latest_snapshot(grid, target, request.facts.host, request.named_sources)
    facts = None if latest is None else latest.metadata.snapshot
    ledger.has_previous = facts is not None and facts.sources == request.named_sources
    if latest is None:
        return None
    if facts is None:
        # Another tool made it, which tells only when it was entered. What had changed shortly before is read again.
        entered_ns = parse_snapshot_name(latest.name) or 0
        return Recorded(latest.encoded, entered_ns - FOREIGN_DURATION_NS)
    ledger.progress.files_expected, ledger.progress.bytes_expected = facts.files, facts.size
    return Recorded(latest.encoded, facts.started_ns)


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
