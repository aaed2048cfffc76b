"""Bringing back what is stored, put in the words of `tallac.restore`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tallac.app.workspace import Connection
from tallac.dag import Entry
from tallac.interfaces import Grid
from tallac.transfer import find

if TYPE_CHECKING:
    from tallac.restore import ArchiveKind, RestoreObserver, RestoreOptions, RestoreSummary
    from tallac.restore.archive.archive import Sink


class Restoring:
    """The part of `tallac.Client` that restores. Imports are late, because most commands do without all this."""

    connection: Connection

    def restore(
        self,
        place: str,
        folder: str | Path,
        *,
        options: RestoreOptions | None = None,
        observer: RestoreObserver | None = None,
    ) -> RestoreSummary:
        """Bring back a directory, or a file, into a folder: a new or empty one, unless the options say otherwise."""
        from tallac.restore import RestoreOptions, restore  # late import: see above

        grid, entry = self._find_stored(place)
        options = replace(options or RestoreOptions(), protected=self._own_folders(grid))
        return restore(grid, entry, folder, options=options, observer=observer)

    def restore_archive(
        self,
        place: str,
        sink: Sink,
        kind: ArchiveKind,
        *,
        options: RestoreOptions | None = None,
        observer: RestoreObserver | None = None,
    ) -> RestoreSummary:
        """Write a directory, or a file, to a stream as an archive."""
        from tallac.restore import RestoreOptions, write_archive  # late import: see above

        grid, entry = self._find_stored(place)
        return write_archive(grid, entry, sink, kind, options=options or RestoreOptions(), observer=observer)

    def _find_stored(self, place: str) -> tuple[Grid, Entry]:
        grid, located = self.connection.resolve(place)
        found = find(grid, located)
        return grid, Entry.of(located.name or b"", found.cap, found.metadata)

    def _own_folders(self, grid: Grid) -> frozenset[tuple[int, int]]:
        """Tell by device and inode which folders a restore must never delete."""
        folders = self.connection.folders
        paths = (folders.configuration, folders.state, folders.vault, self.connection.folder_of(grid))
        found = [os.stat(path) for path in paths if path is not None and os.path.exists(path)]
        return frozenset((status.st_dev, status.st_ino) for status in found)
