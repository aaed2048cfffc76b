"""Single files and directories, into and out of grids, and within one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from tallac.app.locations.grid_path import is_remote
from tallac.app.workspace import Workspace
from tallac.caps import FileReadCap, ReadCap, WriteCap
from tallac.dag import ARCHIVES, Entry, Metadata
from tallac.errors import AuthorityError, SourceError, UsageError
from tallac.interfaces import FileContent, Grid
from tallac.transfer.directory_edits import find_strongest, link, make_directory, move, strongest_cap
from tallac.transfer.download import copy_to_local, download
from tallac.transfer.files import Sink, get_file, metadata_of_file, put_file
from tallac.transfer.place import Place, find, find_or_none
from tallac.transfer.report import CopyReport
from tallac.transfer.upload import copy_to_grid

if TYPE_CHECKING:
    from tallac.app.operations.freeing import GivenUp
    from tallac.app.operations.removing import Removal
    from tallac.app.operations.snapshots import Snapshots


class Files:
    """Moves single files and directories. A report counts what is done while it goes on."""

    def __init__(self, workspace: Workspace, snapshots: Callable[[], Snapshots]) -> None:
        self._workspace = workspace
        self._snapshots = snapshots

    @cached_property
    def _removal(self) -> Removal:
        from tallac.app.operations.removing import Removal  # lazy import: only what removes entries needs it

        return Removal(self._workspace, partial(self._snapshots().record, is_noting=True))

    def cap(self, place: str) -> ReadCap:
        """Return the read cap of what is at a path."""
        grid, located = self._workspace.resolve(place)
        return find(grid, located).cap

    def write_cap(self, place: str) -> WriteCap:
        """Return the write cap of what is at a path.

        Raises:
            AuthorityError: It can't be changed.
        """
        grid, located = self._workspace.resolve(place)
        cap, _ = find_strongest(grid, located)
        if not isinstance(cap, WriteCap):
            raise AuthorityError(f"{located}: it has no write cap, because it can't be changed")
        return cap

    def get(self, place: str, sink: Sink, report: CopyReport | None = None) -> int:
        """Write a file's content to a sink and return its length. What was written is right, even where an error follows."""
        grid, located = self._workspace.resolve(place)
        return get_file(grid, located, sink, report)

    def download(self, place: str, path: str | Path, report: CopyReport | None = None, *, replaces_existing: bool = True) -> int:
        """Write a file's content to a local path, or into a folder under its own name, complete or not at all."""
        grid, located = self._workspace.resolve(place)
        return download(grid, located, Path(path), self._workspace.own_files(None), report, replaces_existing=replaces_existing)

    def put(
        self,
        content: FileContent,
        place: str | None = None,
        metadata: Metadata | None = None,
        *,
        name: str = "the content",
        report: CopyReport | None = None,
    ) -> FileReadCap:
        """Store a stream, at a path if one is given, and return its read cap. `name` is what errors call the stream."""
        if place is None:
            return put_file(self._workspace.default_grid(), None, content, Metadata(), name=name, report=report)
        grid, located = self._workspace.resolve(place)
        return put_file(grid, located, content, metadata or Metadata(), name=name, report=report)

    def put_path(self, path: str | Path, place: str | None = None, report: CopyReport | None = None) -> FileReadCap:
        """Store a local file."""
        report = report or CopyReport()
        try:
            file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - only the opening's errors are the user's.
        except OSError as error:
            if isinstance(error, IsADirectoryError):
                raise SourceError(f"{path}: a directory; use cp -r to copy it") from error
            raise SourceError(f"{path}: can't read it ({error.strerror})") from error
        with file:
            report.bytes_expected = os.fstat(file.fileno()).st_size
            return self.put(file, place, metadata_of_file(file.fileno()), name=str(path), report=report)

    def mkdir(self, place: str) -> None:
        """Make a directory, with its parents; one that is there is left as it is."""
        grid, located = self._workspace.resolve(place)
        make_directory(grid, located)

    def cp(self, sources: Sequence[str], target: str, *, recursive: bool = False, report: CopyReport | None = None) -> CopyReport:
        """Copy between local paths and a grid, or within one grid."""
        report = report or CopyReport()
        into = target.endswith("/")
        if is_remote(target):
            grid, located = self._workspace.resolve(target)
            copy_to_grid(
                grid, [self._source(grid, source) for source in sources], located, recursive=recursive, into=into, report=report
            )
        else:
            grid, places = self._places(sources)
            own = self._workspace.own_files(None)
            copy_to_local(grid, places, Path(target), own, recursive=recursive, into=into, report=report)
        return report

    def mv(self, source: str, target: str, *, force: bool = False) -> Place:
        """Move an entry to another name or directory on the same grid, and return where it is now.

        Raises:
            SnapshotsLostError: A snapshot would leave its target, and it is not forced.
        """
        grid, old, new = self._pair(source, target)
        if old.path and old.parent.name == ARCHIVES and not (new.path and new.parent == old.parent):
            # It stays in the vault under another name; its target forgets it.
            entry = self._removal.require(grid, old, is_moved=True, force=force)
            if new.name is None or ((found := find_or_none(grid, new)) is not None and found.is_directory):
                new = new.child(entry.name)
            link(grid, strongest_cap(entry), entry.metadata, new)
            self._removal.drop_snapshot(grid, old)
            return new
        if old.name == ARCHIVES:
            # Its target would have no snapshots any more.
            self._removal.require(grid, old, force=force)
        return move(grid, old, new)

    def ln(self, source: str, target: str) -> None:
        """Add what is at one path at another as well."""
        grid, old, new = self._pair(source, target)
        cap, metadata = find_strongest(grid, old)
        link(grid, cap, metadata, new)

    def unlink(self, place: str, *, force: bool = False) -> Entry:
        """Take an entry out of its directory and return it.

        Raises:
            EntryError: A held snapshot would go.
            SnapshotsLostError: Other snapshots would go, and it is not forced; `undo_forget` brings back what was forced.
        """
        grid, located = self._workspace.resolve(place)
        return self._removal.remove(grid, located, force=force)

    def free(self, place: str, *, force: bool = False) -> GivenUp:
        """Take an entry out of its directory, and give up what hung from it alone, so that a prune frees its space.

        What was taken out before, on this machine, can be given up by the same path.

        Raises:
            EntryError: A held snapshot would go.
            SnapshotsLostError: Something would be emptied, and it is not forced; `undo_forget` brings it back until a prune.
        """
        grid, located = self._workspace.resolve(place)
        return self._removal.free(grid, located, force=force)

    def _source(self, grid: Grid, text: str) -> Path | Place:
        if not is_remote(text):
            return Path(text)
        other, place = self._workspace.resolve(text)
        _require_same(grid, other, text)
        return place

    def _places(self, sources: Sequence[str]) -> tuple[Grid, list[Place]]:
        local = [source for source in sources if not is_remote(source)]
        if local:
            raise UsageError(f"{local[0]}: neither this nor the target is in a vault; write ALIAS:PATH for a path in a vault")
        resolved = [self._workspace.resolve(source) for source in sources]
        for (other, _), text in zip(resolved, sources, strict=True):
            _require_same(resolved[0][0], other, text)
        return resolved[0][0], [place for _, place in resolved]

    def _pair(self, source: str, target: str) -> tuple[Grid, Place, Place]:
        grid, old = self._workspace.resolve(source)
        other, new = self._workspace.resolve(target)
        _require_same(grid, other, source)
        return grid, old, new


def _require_same(grid: Grid, other: Grid, text: str) -> None:
    if grid is not other:
        raise UsageError(f"{text}: this is on another grid; copy it to a local path first")
