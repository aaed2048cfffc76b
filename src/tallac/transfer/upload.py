"""Copies into mutable directories, from local paths or from the same grid."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path

import msgspec

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, MutableDirectoryRead, ReadCap
from tallac.dag import Entry, Metadata
from tallac.errors import AuthorityError, EntryError, EntryExistsError, FencedError, SourceError
from tallac.interfaces import CapReader, Grid, StreamWriter
from tallac.transfer.directory_edits import (
    Edit,
    entries_of,
    find_writable,
    make_directory,
    new_name,
    strongest_cap,
    writable,
)
from tallac.transfer.files import CountedContent, metadata_of_file
from tallac.transfer.place import Found, Place, find, find_or_none, readable
from tallac.transfer.report import CopyReport

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class PlannedDirectory(msgspec.Struct):
    """The planned entries, by name, of a mutable directory that will be created or filled."""

    children: dict[bytes, Entry | PlannedDirectory] = msgspec.field(default_factory=dict)

    def add(self, name: bytes, entry: Entry, source: Path | Place) -> None:
        """Plan an entry.

        Raises:
            EntryExistsError: Another source of the same copy gets the same name.
        """
        if name in self.children:
            raise EntryExistsError(f"{source}: another source has the same name; copy it separately")
        self.children[name] = entry

    def directory(self, name: bytes, source: Path | Place) -> PlannedDirectory:
        """Plan a directory, or return the one that is planned under this name.

        Raises:
            EntryExistsError: Another source of the same copy gets the same name.
        """
        child = self.children.setdefault(name, PlannedDirectory())
        if not isinstance(child, PlannedDirectory):
            raise EntryExistsError(f"{source}: another source has the same name; copy it separately")
        return child

    def caps(self) -> Iterator[ReadCap]:
        """Iterate over all caps that will be linked."""
        for child in self.children.values():
            if isinstance(child, PlannedDirectory):
                yield from child.caps()
            elif isinstance(cap := child.cap, ReadCap):
                yield cap


def copy_to_grid(
    grid: Grid, sources: Sequence[Path | Place], target: Place, *, recursive: bool, into: bool, report: CopyReport
) -> None:
    """Copy files and, with `recursive`, directories to a place on a grid.

    A file is copied to the target, or into it if it is a directory. A directory is copied into the target under its own name, as
    in Tahoe-LAFS, whether or not the target exists; the contents of one without a name, an alias's root or a bare cap, go into
    it. Files and directories on the same grid are linked, not copied, except for mutable directories, of which a new one is made.
    All is stored before the first entry is set.

    With `into`, the target is a directory, which is created if needed. If a prune fences the session, all is stored once more.

    Raises:
        EntryError: A directory without `recursive`; a directory in the way of a file, or the reverse.
        SourceError: A local path can't be read. Unreadable files below it are reported instead.
        FencedError: Prunes fenced the session twice in a row.
    """
    try:
        _copy_once(grid, sources, target, recursive, into, report)
    except FencedError:
        report.begin_anew()
        _copy_once(grid, sources, target, recursive, into, report)


def _copy_once(grid: Grid, sources: Sequence[Path | Place], target: Place, recursive: bool, into: bool, report: CopyReport) -> None:
    found = find_or_none(grid, target)
    into = into or len(sources) > 1 or (found is not None and found.is_directory) or any(_is_directory(grid, s) for s in sources)
    container = target if into else target.parent
    directory = make_directory(grid, container) if container.path else find_writable(grid, container)
    report.bytes_expected = _length_of(sources)
    plan = PlannedDirectory()
    with grid.session() as session:
        with session.writing() as writer:
            planner = _Planner(grid, writer, recursive, report)
            for source in sources:
                planner.add(plan, source, None if into else new_name(target))
        session.commit([], found=list(plan.caps()))
        _enter(grid, directory, container, plan)


def _length_of(sources: Sequence[Path | Place]) -> int:
    """Return the total length of local files in bytes; 0 if there is a directory, whose files have not been counted."""
    length = 0
    for source in sources:
        if isinstance(source, Path):
            try:
                status = source.stat()
            except OSError:
                return 0  # The error is reported when it is opened.
            if not stat.S_ISREG(status.st_mode):
                return 0
            length += status.st_size
    return length


def _is_directory(reader: CapReader, source: Path | Place) -> bool:
    if isinstance(source, Path):
        return source.is_dir()
    return find(reader, source).is_directory


class _Planner(msgspec.Struct):
    """Stores the files of a copy and plans their entries."""

    reader: CapReader
    writer: StreamWriter
    recursive: bool
    report: CopyReport

    def add(self, plan: PlannedDirectory, source: Path | Place, name: bytes | None) -> None:
        """Plan one source under the given name, or its own."""
        if isinstance(source, Path):
            self._add_local(plan, source, name or os.fsencode(Path(os.path.abspath(source)).name))
        else:
            self._add_found(plan, find(self.reader, source), name or source.name)

    def _add_local(self, plan: PlannedDirectory, path: Path, name: bytes) -> None:
        try:
            is_directory = stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            raise SourceError(f"{path}: can't read it ({error.strerror})") from error
        if is_directory and not self.recursive:
            raise EntryError(f"{path}: a directory; use cp -r to copy it")
        if not is_directory:
            plan.add(name, self._store(path, name), path)
            return
        self._add_local_directory(plan.directory(name, path), path)

    def _add_local_directory(self, plan: PlannedDirectory, path: Path) -> None:
        self.report.notice(str(path))
        self.report.directories += 1
        try:
            with os.scandir(os.fsencode(path)) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.report.skip(str(path), f"can't read this directory ({error.strerror})")
            return
        for entry in entries:
            below = path / os.fsdecode(entry.name)
            # A link may lead out of the tree, or back into it; a device or pipe may never end.
            if entry.is_dir(follow_symlinks=False):
                self._add_local_directory(plan.directory(entry.name, below), below)
            elif entry.is_file(follow_symlinks=False):
                self._store_or_skip(plan, below, entry.name)
            else:
                self.report.skip(str(below), "neither a file nor a directory; backup keeps such things, cp does not")

    def _store_or_skip(self, plan: PlannedDirectory, path: Path, name: bytes) -> None:
        try:
            # A file may have become a symbolic link since it was listed.
            plan.add(name, self._store(path, name, getattr(os, "O_NOFOLLOW", 0)), path)
        except SourceError as error:
            self.report.skip(str(path), str(error).removeprefix(f"{path}: "))

    def _store(self, path: Path, name: bytes, extra_flags: int = 0) -> Entry:
        self.report.notice(str(path))
        try:
            descriptor = os.open(path, _READ_FLAGS | extra_flags)
        except OSError as error:
            raise SourceError(f"{path}: can't read it ({error.strerror})") from error
        with FileIO(descriptor) as file:
            cap = self.writer.put_file(CountedContent(file, str(path), self.report))
            self.report.files += 1
            return Entry.of(name, cap, metadata_of_file(descriptor))

    def _add_found(self, plan: PlannedDirectory, found: Found, name: bytes | None) -> None:
        cap = found.cap
        if not isinstance(cap, DirectoryReadCap):
            if name is None:
                raise EntryError(f"{found.place}: this file has no name; give one in the target")
            self._link(plan, Entry.of(name, cap, found.metadata), found.place)
        elif not self.recursive:
            raise EntryError(f"{found.place}: a directory; use cp -r to copy it")
        elif name is None:
            self._pour(plan, cap, found.place)
        else:
            self._add_directory(plan, Entry.of(name, cap, found.metadata), cap, found.place)

    def _add_directory(self, plan: PlannedDirectory, entry: Entry, cap: DirectoryReadCap, place: Place) -> None:
        if isinstance(cap, MutableDirectoryRead):
            self._pour(plan.directory(entry.name, place), cap, place)
        else:
            self._link(plan, entry, place)

    def _pour(self, plan: PlannedDirectory, cap: DirectoryReadCap, place: Place) -> None:
        self.report.directories += 1
        for entry in self.reader.read_directory(cap):
            child = place.child(entry.name)
            try:
                child_cap = readable(entry.cap, child)
            except AuthorityError as error:
                self.report.skip(str(child), str(error))
                continue
            if isinstance(child_cap, DirectoryReadCap):
                self._add_directory(plan, entry, child_cap, child)
            else:
                self._link(plan, entry, child)

    def _link(self, plan: PlannedDirectory, entry: Entry, place: Place) -> None:
        self.report.notice(str(place))
        self.report.files += not entry.is_directory
        self.report.directories += entry.is_directory
        plan.add(entry.name, Entry(entry.name, entry.encoded, entry.metadata), place)


def _enter(grid: Grid, directory: DirectoryWriteCap, place: Place, plan: PlannedDirectory) -> None:
    """Set the planned entries. A new directory is complete before it is linked itself."""
    present = {entry.name: entry for entry in entries_of(grid, directory)}
    new: list[Entry] = []
    for name, child in plan.children.items():
        if isinstance(child, Entry):
            new.append(child)
            continue
        below = place.child(name)
        if name in present:
            _enter(grid, writable(strongest_cap(present[name]), below), below, child)
        else:
            made = grid.create_directory()
            _enter(grid, made, below, child)
            new.append(Entry.of(name, made, Metadata()))
    if new:
        grid.edit_directory(directory, _set_entries(new, place))


def _set_entries(new: list[Entry], place: Place) -> Edit:
    def edit(entries: list[Entry]) -> list[Entry]:
        by_name = {entry.name: entry for entry in entries}
        for entry in new:
            old = by_name.get(entry.name)
            if old is not None and old.is_directory and not _replaces(old, entry):
                raise EntryExistsError(f"{place.child(entry.name)}: a directory is in the way; unlink it first")
            by_name[entry.name] = entry
        return list(by_name.values())

    return edit


def _replaces(old: Entry, new: Entry) -> bool:
    """Whether an entry may replace a directory: another immutable directory may, so that a copy can be repeated."""
    return new.is_directory and not isinstance(strongest_cap(old), DirectoryWriteCap)
