"""Restoring what is stored, into a folder or as an archive."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from tallac.app.operations.own_snapshots import is_own_snapshot
from tallac.app.operations.read_once import ReadOnce
from tallac.app.operations.snapshot_origin import (
    FilledFolders,
    Origin,
    absence_at,
    is_free,
    require_own_source,
    require_snapshot,
    snapshot_of,
)
from tallac.app.workspace import Workspace
from tallac.caps import DirectoryReadCap
from tallac.dag import Entry
from tallac.errors import EntryNotFoundError
from tallac.interfaces import CapReader, Grid
from tallac.restore import ArchiveKind, Overwrite, RestoreObserver, RestoreOptions, RestoreSummary, restore, write_archive
from tallac.restore.archive.archive import Sink
from tallac.transfer.place import Place, find, find_or_none


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
        any_source: bool = False,
        trust_source: bool = False,
    ) -> RestoreSummary:
        """Restore a directory, or a file, into a folder: a new or empty one, unless the options say otherwise.

        What came from somebody else brings no devices, setuid programs or capabilities, unless `trust_source` is true.

        A folder is overwritten only by what was backed up from it, or restored into it before, unless `any_source` is true.

        Patterns may be written with the paths that things had in the source.

        A file is restored under its own name into a folder that is there, or whose name ends in a slash; anything else is the
        name that it gets.

        Raises:
            EntryNotFoundError: Nothing matches the patterns.
            UsageError: The place is a target, or the folder would be overwritten by what came from elsewhere.
        """
        grid, reader, located, entry = self._find_stored(place)
        is_foreign = not trust_source and not is_own_snapshot(self._workspace, place, grid, located)
        options = replace(options or RestoreOptions(), own=self._workspace.own_files(None), is_foreign=is_foreign)
        if options.delete:
            options = replace(options, absence=absence_at(reader, located))
        options = _by_paths_of_source(reader, located, entry, options)
        if not entry.is_directory and options.selection.is_everything:
            entry, folder = _named_by(folder, entry)
        else:
            require_snapshot(reader, located, entry)
            self._require_own(reader, located, os.fsencode(folder), options, place, any_source=any_source)
        summary = restore(grid, entry, folder, options=options, observer=observer)
        _require_match(place, options)
        return summary

    def archive(
        self,
        place: str,
        sink: Sink,
        kind: ArchiveKind,
        *,
        options: RestoreOptions | None = None,
        observer: RestoreObserver | None = None,
        trust_source: bool = False,
    ) -> RestoreSummary:
        """Write a directory, or a file, to a stream as an archive.

        Patterns are read, matches required, and privileges left out, as above.
        """
        grid, reader, located, entry = self._find_stored(place)
        options = _by_paths_of_source(reader, located, entry, options or RestoreOptions())
        is_foreign = not trust_source and not is_own_snapshot(self._workspace, place, grid, located)
        options = replace(options, is_foreign=is_foreign)
        require_snapshot(reader, located, entry)
        summary = write_archive(grid, entry, sink, kind, options=options, observer=observer)
        _require_match(place, options)
        return summary

    def _require_own(
        self, grid: CapReader, located: Place, folder: bytes, options: RestoreOptions, place: str, *, any_source: bool
    ) -> None:
        """Refuse to overwrite a folder by what came from elsewhere; note one that is filled now."""
        found = snapshot_of(grid, located)
        facts = None if found is None else found[0].metadata.snapshot
        if facts is None:
            return
        origin = Origin(facts.host, _path_in_source(grid, located) or b"")
        filled = FilledFolders(self._workspace.folders.state)
        if is_free(folder):
            if not options.dry_run:
                filled.add(folder, origin)
        elif not any_source and _overwrites(options) and not filled.holds(folder, origin):
            require_own_source(origin, folder, place)

    def _find_stored(self, place: str) -> tuple[Grid, ReadOnce, Place, Entry]:
        """Find what is to be restored; return the grid, and what answers further questions about the place."""
        grid, located = self._workspace.resolve(place)
        reader = ReadOnce(grid)
        found = find(reader, located)
        return grid, reader, located, Entry.of(located.name or b"", found.cap, found.metadata)


def _overwrites(options: RestoreOptions) -> bool:
    return options.delete or options.overwrite not in (None, Overwrite.NEVER)


def _named_by(path: str | Path, entry: Entry) -> tuple[Entry, str]:
    """Return a file under the name that a path gives it, and the folder that it is restored to."""
    text = os.fspath(path)
    folder, name = os.path.split(text)
    if not name or name in (os.curdir, os.pardir) or os.path.isdir(text):
        return entry, text
    return replace(entry, name=os.fsencode(name)), folder or os.curdir


def _require_match(place: str, options: RestoreOptions) -> None:
    if not options.selection.has_matched:
        raise EntryNotFoundError(
            f"{place}: nothing matches {', '.join(options.selection.texts)}; "
            f"patterns are as in a .gitignore file, and `tallac ls -R {place}` shows the paths"
        )


def _by_paths_of_source(grid: CapReader, place: Place, entry: Entry, options: RestoreOptions) -> RestoreOptions:
    """Read patterns that begin with the path of the source, as of `/home/ann/docs/*.txt`, as paths in the snapshot."""
    if not any(text.lstrip("!").startswith("/") for text in options.selection.texts):
        return options
    root = _path_in_source(grid, place)
    cap = entry.cap
    if root is None or root == b"/" or not isinstance(cap, DirectoryReadCap):
        return options
    if grid.read_directory(cap).get(root.split(b"/")[1]) is not None:
        return options  # The snapshot itself has what such a pattern may mean.
    prefix = os.fsdecode(root)

    def rewrite(text: str) -> str:
        negation = "!" if text.startswith("!") else ""
        path = text.removeprefix("!")
        if path.rstrip("/") == prefix:
            return f"{negation}/**"
        return f"{negation}{path.removeprefix(prefix)}" if path.startswith(f"{prefix}/") else text

    return replace(options, selection=options.selection.rewritten(rewrite))


def _path_in_source(grid: CapReader, place: Place) -> bytes | None:
    """Return the path that a directory in a snapshot had in the source; None where that is not known."""
    for length in range(len(place.path), -1, -1):
        snapshot = Place(place.cap, place.path[:length], place.label)
        metadata = find(grid, snapshot).metadata
        facts = metadata.snapshot
        if facts is not None:
            source = next((source for source in facts.sources if source.startswith(b"/")), None)
            if source is None:
                return None
            root = _root_of(grid, snapshot, source) if metadata.partial else source
            return os.path.join(root, *place.path[length:])
    return None


def _root_of(grid: CapReader, snapshot: Place, source: bytes) -> bytes:
    """Return what a snapshot's root was: a source is the root, or lies in the snapshot under its path from there."""
    names = source.split(b"/")[1:]
    for length in range(len(names)):
        if find_or_none(grid, snapshot.child(*names[length:])) is not None:
            return b"/" + b"/".join(names[:length])
    return source
