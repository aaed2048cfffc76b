"""Restoring what is stored, into a folder or as an archive."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from tallac.app.workspace import Workspace
from tallac.dag import Entry
from tallac.interfaces import Grid
from tallac.restore import ArchiveKind, RestoreObserver, RestoreOptions, RestoreSummary, restore, write_archive
from tallac.restore.archive.archive import Sink
from tallac.transfer import find


class Restores:
    """Restores directories and files, into folders or as archives."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def restore(
        self,
        place: str,
        folder: str | Path,
        *,
        options: RestoreOptions | None = None,
        observer: RestoreObserver | None = None,
    ) -> RestoreSummary:
        """Restore a directory, or a file, into a folder: a new or empty one, unless the options say otherwise."""
        grid, entry = self._find_stored(place)
        options = replace(options or RestoreOptions(), protected=self._own_folders(grid))
        return restore(grid, entry, folder, options=options, observer=observer)

    def archive(
        self,
        place: str,
        sink: Sink,
        kind: ArchiveKind,
        *,
        options: RestoreOptions | None = None,
        observer: RestoreObserver | None = None,
    ) -> RestoreSummary:
        """Write a directory, or a file, to a stream as an archive."""
        grid, entry = self._find_stored(place)
        return write_archive(grid, entry, sink, kind, options=options or RestoreOptions(), observer=observer)

    def _find_stored(self, place: str) -> tuple[Grid, Entry]:
        grid, located = self._workspace.resolve(place)
        found = find(grid, located)
        return grid, Entry.of(located.name or b"", found.cap, found.metadata)

    def _own_folders(self, grid: Grid) -> frozenset[tuple[int, int]]:
        """Return device and inode of the folders that a restore must never delete."""
        folders = self._workspace.folders
        paths = (folders.configuration, folders.state, folders.vault, self._workspace.folder_of(grid))
        found = [os.stat(path) for path in paths if path is not None and os.path.exists(path)]
        return frozenset((status.st_dev, status.st_ino) for status in found)
