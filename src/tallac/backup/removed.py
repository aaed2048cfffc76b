"""Counting what the previous snapshot has and this one has not."""

from __future__ import annotations

from tallac.backup.summary import Ledger
from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, join_path, mutable_identity
from tallac.errors import DamageError
from tallac.interfaces import CapReader
from tallac.sourcedb import SourceRecord


class RemovedCounter:
    """Counts files and directories that were removed, with all that was below them."""

    def __init__(self, grid: CapReader, record: SourceRecord, ledger: Ledger) -> None:
        self._grid = grid
        self._record = record
        self._ledger = ledger

    def add(self, path: bytes, entry: Entry) -> None:
        """Count an entry of the directory at an absolute path."""
        if not self._ledger.has_previous:
            return
        if not entry.is_directory:
            self._ledger.files.gone += 1
            return
        self._ledger.directories.gone += 1
        row = self._record.directory(join_path(path, entry.name))
        if row is not None and row.encoded == entry.encoded:
            self._ledger.files.gone += row.files
            self._ledger.directories.gone += row.directories
            return
        try:
            self._count_below(entry)
        except DamageError as error:
            self._ledger.observer.notice(join_path(path, entry.name), f"it was removed, with an unknown number of files: {error}")

    def _count_below(self, entry: Entry) -> None:
        waiting = [entry]
        seen: set[bytes | None] = set()
        while waiting:
            found = waiting.pop()
            cap, identity = found.cap, mutable_identity(found.encoded)
            if identity is not None and identity in seen:
                continue  # A mutable directory, which other tools may have put there, can lead back to itself.
            seen.add(identity)
            for below in self._grid.read_directory(cap) if isinstance(cap, DirectoryReadCap) else ():
                if below.is_directory:
                    self._ledger.directories.gone += 1
                    waiting.append(below)
                else:
                    self._ledger.files.gone += 1
