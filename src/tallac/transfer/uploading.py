"""Copy into mutable directories: from local paths, or from elsewhere on the same grid."""

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
from tallac.interfaces import CapReader, CapWriter, Grid
from tallac.transfer.changing import (
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
    """A mutable directory that is to be, or to be filled: what it gets, by name."""

    children: dict[bytes, Entry | PlannedDirectory] = msgspec.field(default_factory=dict)

    def add(self, name: bytes, entry: Entry, source: Path | Place) -> None:
        """Plan an entry.

        Raises:
            EntryExistsError: Something else that is copied at the same time gets the same name.
        """
        if name in self.children:
            raise EntryExistsError(f"{source}: something else that is to be copied has the same name; copy it by itself")
        self.children[name] = entry

    def directory(self, name: bytes, source: Path | Place) -> PlannedDirectory:
        """Plan a directory, or give the one that is planned under this name.

        Raises:
            EntryExistsError: Something else that is copied at the same time gets the same name.
        """
        child = self.children.setdefault(name, PlannedDirectory())
        if not isinstance(child, PlannedDirectory):
            raise EntryExistsError(f"{source}: something else that is to be copied has the same name; copy it by itself")
        return child

    def caps(self) -> Iterator[ReadCap]:
        """Give all caps that will be linked."""
        for child in self.children.values():
            if isinstance(child, PlannedDirectory):
                yield from child.caps()
            elif isinstance(cap := child.cap, ReadCap):
                yield cap


def copy_to_grid(
    grid: Grid, sources: Sequence[Path | Place], target: Place, *, recursive: bool, into: bool, report: CopyReport
) -> None:
    """Copy files and, with `recursive`, directories to a place on a grid.

    A file goes to the target's name, or into it where it is a directory. A directory goes into the target under its own name, as
    in Tahoe-LAFS, whether or not the target exists; one without a name, an alias's root or a bare cap, is poured out into it.
    What is on the grid already is linked, not copied, except for mutable directories: the copy is one of its own. All is stored
    before the first entry is made.

    With `into`, the target is a directory whether it exists or not. Where a prune took over meanwhile, all is stored once more.

    Raises:
        EntryError: A directory, and not `recursive`; a directory in the way of a file, or the reverse.
        SourceError: A local path can't be read. What lies below it and can't be read is reported instead.
        FencedError: Prunes took over twice in a row.
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
    """Add up the lengths of local files; 0 where there is a directory, whose files nobody has counted."""
    length = 0
    for source in sources:
        if isinstance(source, Path):
            try:
                status = source.stat()
            except OSError:
                return 0  # Whoever opens it says what is wrong.
            if not stat.S_ISREG(status.st_mode):
                return 0
            length += status.st_size
    return length


def _is_directory(reader: CapReader, source: Path | Place) -> bool:
    if isinstance(source, Path):
        return source.is_dir()
    return find(reader, source).is_directory


class _Planner(msgspec.Struct):
    """Stores what is to be copied and notes where it goes."""

    reader: CapReader
    writer: CapWriter
    recursive: bool
    report: CopyReport

    def add(self, plan: PlannedDirectory, source: Path | Place, name: bytes | None) -> None:
        """Plan one source; it gets the name that is given, or its own."""
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
            # What was a file when it was listed may be a link by now.
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
                raise EntryError(f"{found.place}: this file has no name of its own; give one as the target")
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
    """Enter what was planned. A new directory is complete before it is entered itself."""
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
    """Whether an entry may take a directory's place: another immutable one may, so that a copy can be repeated."""
    return new.is_directory and not isinstance(strongest_cap(old), DirectoryWriteCap)
