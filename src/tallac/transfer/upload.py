"""Copies into mutable directories, from local paths or from the same grid."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, MutableDirectoryRead, ReadCap
from tallac.dag import ARCHIVES, LEADS_BACK, Ancestors, Entry, Metadata, encode_cap, parse_snapshot_name, require_not_held
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

if TYPE_CHECKING:
    from tallac.source import DirectoryStack

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
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
        waiting = [self]
        while waiting:
            for child in waiting.pop().children.values():
                if isinstance(child, PlannedDirectory):
                    waiting.append(child)
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
            plan.add(name, self._store(self._open(path, name), path, name), path)
            return
        self._add_local_directory(plan.directory(name, path), path)

    def _add_local_directory(self, plan: PlannedDirectory, path: Path) -> None:
        """Plan a local directory and all below it, of any depth: neither Python's stack nor the length of a path limits it."""
        from tallac.source import DirectoryStack  # lazy import: a listing does without it

        try:
            root = os.open(path, _FOLDER_FLAGS)
        except OSError as error:
            self._skip_directory(path, error)
            return
        try:
            with DirectoryStack(root) as stack:
                levels = [(plan, path, self._list(path, root))]
                while levels:
                    above, folder, entries = levels[-1]
                    entry = next(entries, None)
                    if entry is not None:
                        below = self._add_local_entry(above, folder, entry, stack)
                        levels += [] if below is None else [below]
                        continue
                    levels.pop()
                    if levels:
                        stack.leave()
        finally:
            os.close(root)

    def _add_local_entry(
        self, plan: PlannedDirectory, folder: Path, entry: os.DirEntry[str], stack: DirectoryStack
    ) -> tuple[PlannedDirectory, Path, Iterator[os.DirEntry[str]]] | None:
        """Plan what is in the present directory of the stack; enter and return it, if it is a directory itself."""
        path, name = folder / entry.name, os.fsencode(entry.name)
        # A link may lead out of the tree, or back into it; a device or pipe may never end.
        if entry.is_dir(follow_symlinks=False):
            below = plan.directory(name, path)
            try:
                return below, path, self._list(path, stack.enter(name))
            except OSError as error:
                self._skip_directory(path, error)
        elif entry.is_file(follow_symlinks=False):
            self._store_or_skip(plan, path, name, stack)
        else:
            self.report.skip(str(path), "neither a file nor a directory; backup keeps such things, cp does not")
        return None

    def _list(self, path: Path, descriptor: int) -> Iterator[os.DirEntry[str]]:
        self.report.notice(str(path))
        self.report.directories += 1
        try:
            with os.scandir(descriptor) as found:
                return iter(sorted(found, key=lambda entry: os.fsencode(entry.name)))
        except OSError as error:
            self.report.skip(str(path), f"can't read this directory ({error.strerror})")
            return iter(())

    def _skip_directory(self, path: Path, error: OSError) -> None:
        self.report.notice(str(path))
        self.report.directories += 1
        self.report.skip(str(path), f"can't read this directory ({error.strerror})")

    def _store_or_skip(self, plan: PlannedDirectory, path: Path, name: bytes, stack: DirectoryStack) -> None:
        try:
            # A file may have become a symbolic link since it was listed.
            descriptor = self._open(path, name, getattr(os, "O_NOFOLLOW", 0), stack)
            plan.add(name, self._store(descriptor, path, name), path)
        except SourceError as error:
            self.report.skip(str(path), str(error).removeprefix(f"{path}: "))

    def _open(self, path: Path, name: bytes, extra_flags: int = 0, stack: DirectoryStack | None = None) -> int:
        """Open a file by its path or, with a stack, by its name in the present directory."""
        self.report.notice(str(path))
        try:
            if stack is None:
                return os.open(path, _READ_FLAGS)
            return os.open(name, _READ_FLAGS | extra_flags, dir_fd=stack.descriptor)
        except OSError as error:
            raise SourceError(f"{path}: can't read it ({error.strerror})") from error

    def _store(self, descriptor: int, path: Path, name: bytes) -> Entry:
        with FileIO(descriptor) as file:
            metadata = metadata_of_file(descriptor)
            cap = self.writer.put_file(CountedContent(file, str(path), self.report, metadata.holes))
            self.report.files += 1
            return Entry.of(name, cap, metadata)

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
        """Plan what is in a directory, and in the mutable ones below it, without recursion: they may lie deep, or in a circle."""
        levels = [(plan, place, iter(self.reader.read_directory(cap)))]
        ancestors = Ancestors()
        ancestors.enter(encode_cap(cap))
        self.report.directories += 1
        while levels:
            above, where, entries = levels[-1]
            entry = next(entries, None)
            if entry is None:
                levels.pop()
                ancestors.leave()
                continue
            child = where.child(entry.name)
            try:
                child_cap = readable(entry.cap, child)
            except AuthorityError as error:
                self.report.skip(str(child), str(error))
                continue
            if not isinstance(child_cap, MutableDirectoryRead):
                self._link(above, entry, child)
            elif entry.encoded in ancestors:
                self.report.skip(str(child), LEADS_BACK)
            else:
                self.report.directories += 1
                levels.append((above.directory(entry.name, child), child, iter(self.reader.read_directory(child_cap))))
                ancestors.enter(entry.encoded)

    def _link(self, plan: PlannedDirectory, entry: Entry, place: Place) -> None:
        self.report.notice(str(place))
        self.report.files += not entry.is_directory
        self.report.directories += entry.is_directory
        plan.add(entry.name, Entry(entry.name, entry.encoded, entry.metadata), place)


class _Filling(msgspec.Struct):
    """A directory of the plan whose entries are being set: where, what is there, what is new, and which are left.

    Attributes:
        is_new: Whether the directory above gets an entry for it.
    """

    directory: DirectoryWriteCap
    place: Place
    is_new: bool
    present: dict[bytes, Entry]
    left: Iterator[tuple[bytes, Entry | PlannedDirectory]]
    new: list[Entry]


def _enter(grid: Grid, directory: DirectoryWriteCap, place: Place, plan: PlannedDirectory) -> None:
    """Set the planned entries. A new directory is complete before it is linked itself. Without recursion, as it may be deep."""
    levels = [_filling(grid, directory, place, plan, is_new=False)]
    while levels:
        level = levels[-1]
        name, child = next(level.left, (b"", None))
        if child is None:
            levels.pop()
            if level.new:
                grid.edit_directory(level.directory, _set_entries(level.new, level.place))
            if level.is_new and level.place.name is not None:
                levels[-1].new.append(Entry.of(level.place.name, level.directory, Metadata()))
        elif isinstance(child, Entry):
            level.new.append(child)
        else:
            below = level.place.child(name)
            found = level.present.get(name)
            cap = grid.create_directory() if found is None else writable(strongest_cap(found), below)
            levels.append(_filling(grid, cap, below, child, is_new=found is None))


def _filling(grid: Grid, directory: DirectoryWriteCap, place: Place, plan: PlannedDirectory, *, is_new: bool) -> _Filling:
    present = {} if is_new else {entry.name: entry for entry in entries_of(grid, directory)}
    return _Filling(directory, place, is_new, present, iter(plan.children.items()), [])


def _set_entries(new: list[Entry], place: Place) -> Edit:
    def edit(entries: list[Entry]) -> list[Entry]:
        by_name = {entry.name: entry for entry in entries}
        for entry in new:
            old = by_name.get(entry.name)
            if old is not None and old.encoded != entry.encoded:
                require_not_held(old)
                if place.name == ARCHIVES and parse_snapshot_name(old.name) is not None:
                    raise EntryExistsError(f"{place.child(entry.name)}: another snapshot has this name; forget that one first")
            if old is not None and old.is_directory and not _replaces(old, entry):
                raise EntryExistsError(f"{place.child(entry.name)}: a directory is in the way; unlink it first")
            by_name[entry.name] = entry
        return list(by_name.values())

    return edit


def _replaces(old: Entry, new: Entry) -> bool:
    """Whether an entry may replace a directory: another immutable directory may, so that a copy can be repeated."""
    return new.is_directory and not isinstance(strongest_cap(old), DirectoryWriteCap)
