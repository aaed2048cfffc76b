"""Copies from a grid to local paths. Files are complete or not there, and no name on the grid leads outside the target."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tallac.caps import DirectoryReadCap, FileReadCap
from tallac.dag import LEADS_BACK, Ancestors, Entry, FileType, Metadata, encode_cap
from tallac.errors import AuthorityError, DamageError, DestinationError, EntryError
from tallac.interfaces import Buffer, CapReader
from tallac.transfer.files import fetch, size_of
from tallac.transfer.place import Found, Place, file_of, find, readable
from tallac.transfer.report import CopyReport

if TYPE_CHECKING:
    from tallac.source import DirectoryStack, OwnFiles

# One entry's fault, and no reason to leave out the others.
_IMPOSSIBLE = frozenset({errno.ENAMETOOLONG, errno.EILSEQ})

FILE_MODE = 0o666
FOLDER_MODE = 0o777
_PAGE_SIZE = 4096
_ZEROS = bytes(_PAGE_SIZE)

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def download(
    reader: CapReader, place: Place, path: Path, own: OwnFiles, report: CopyReport | None = None, *, replaces_existing: bool = True
) -> int:
    """Write a file's content to a local path, completely or not at all, and return its length in bytes.

    A folder gets it under its own name. An existing file is replaced unless that is ruled out; a device or pipe is written to.
    A symbolic link in the path is the user's own and is followed. What is Tallac's own, or in it, is not written to.

    Raises:
        EntryError: The place is no regular file.
        DestinationError: The path can't be written, or exists.
        As `find` and `CapReader.open_file`.
    """
    report = report or CopyReport()
    found = find(reader, place)
    report.bytes_expected = size_of(found)
    file_of(found)
    with _named_errors(path):
        if place.name is not None and path.is_dir():
            path /= os.fsdecode(place.name)
        is_in_the_way = not replaces_existing and path.is_file()
    if is_in_the_way:
        raise DestinationError(f"{path}: exists already; choose another name, or replace it with --force")
    length = _download_to(reader, found, path, own, report)
    report.files += 1
    return length


def _require_not_own(path: Path, own: OwnFiles) -> None:
    place = own.find_above(os.fsencode(path))
    if place is not None:
        raise DestinationError(f"{path}: nothing is written here: it is {place.kind.value}, or is inside it")


def _download_to(reader: CapReader, found: Found, path: Path, own: OwnFiles, report: CopyReport) -> int:
    cap = file_of(found)
    path = Path(os.path.realpath(path))
    _require_not_own(path, own)
    with _named_errors(path):
        if path.is_dir():
            raise DestinationError(f"{path}: a folder is in the way; give a file's name")
        if path.exists() and not path.is_file():
            with path.open("wb", buffering=0) as device:
                return fetch(reader, cap, _DescriptorSink(device.fileno()), report.advance)
        folder = os.open(path.parent, _FOLDER_FLAGS)
        try:
            return _write_file(reader, cap, found.metadata, folder, os.fsencode(path.name), report)
        finally:
            os.close(folder)


def copy_to_local(
    reader: CapReader, sources: Sequence[Place], target: Path, own: OwnFiles, *, recursive: bool, into: bool, report: CopyReport
) -> None:
    """Copy files and, with `recursive`, directories to a local path.

    A file is copied to the target, or into it if it is a folder. A directory is copied into the target under its own name, as in
    Tahoe-LAFS, whether or not the target exists; the contents of one without a name, an alias's root or a bare cap, go into it.
    What is damaged, can't be created without privileges, or would be written into what is Tallac's own is reported and left out.

    With `into`, the target is a folder, which is created if needed.

    Raises:
        EntryError: A directory without `recursive`; a nameless file into a folder. DestinationError: The target can't be written.
    """
    found = [find(reader, source) for source in sources]
    for one in found:
        if one.is_directory and not recursive:
            raise EntryError(f"{one.place}: a directory; use cp -r to copy it")
    if not any(one.is_directory for one in found):
        report.bytes_expected = sum(map(size_of, found))
    into = into or len(found) > 1 or found[0].is_directory or target.is_dir()
    if not into:
        report.notice(str(target))
        _download_to(reader, found[0], target, own, report)
        report.files += 1
        return
    from tallac.source import DirectoryStack  # lazy import: a listing does without it

    _require_not_own(target, own)
    with _named_errors(target):
        target.mkdir(exist_ok=True)
        folder = os.open(target, _FOLDER_FLAGS)
        try:
            with DirectoryStack(folder) as stack:
                copier = _Copier(reader, stack, own, report)
                for one in found:
                    copier.copy(target, one)
        finally:
            os.close(folder)


class _Level(msgspec.Struct):
    """A directory that is being copied: where it goes, where it is, which of its entries are left, and what was listed there."""

    path: Path
    place: Place
    entries: Iterator[Entry]
    listed: set[bytes] = msgspec.field(default_factory=set)

    def has_another(self, name: bytes, folder: int) -> bool:
        """Whether something of another name answers to this one in the open folder, as `A` does to `a` on FAT."""
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if name not in self.listed:
            self.listed = set(map(os.fsencode, os.listdir(folder)))
        return name not in self.listed and sys.platform != "darwin"


class _Copier:
    """Copies entries into an open folder, by descriptor, so that no symbolic link that appears below is followed."""

    def __init__(self, reader: CapReader, stack: DirectoryStack, own: OwnFiles, report: CopyReport) -> None:
        self._reader = reader
        self._own = own
        self._stack = stack
        self._report = report
        # A list in place of recursion, as directories may be deeper than Python's stack.
        self._levels: list[_Level] = []
        self._ancestors = Ancestors()

    def copy(self, path: Path, found: Found) -> None:
        """Copy a file or directory into the folder, which has this path."""
        name = found.place.name
        if name is not None:
            top = Entry.of(name, found.cap, found.metadata)
            self._levels.append(_Level(path, found.place.parent, iter((top,))))
            self._ancestors.enter(None)
        elif isinstance(found.cap, DirectoryReadCap):
            self._report.directories += 1
            self._levels.append(_Level(path, found.place, iter(self._reader.read_directory(found.cap))))
            self._ancestors.enter(encode_cap(found.cap))
        else:
            raise EntryError(f"{found.place}: this file has no name; give one in the target")
        try:
            while self._levels:
                entry = self._next_entry(self._levels[-1])
                if entry is None:
                    self._leave()
                else:
                    self._copy_entry(self._levels[-1], entry)
        finally:
            while self._levels:
                self._leave()

    def _next_entry(self, level: _Level) -> Entry | None:
        try:
            return next(level.entries, None)
        except DamageError as error:
            self._report.skip(str(level.place), str(error))
            return None

    def _leave(self) -> None:
        self._levels.pop()
        self._ancestors.leave()
        if self._levels:
            self._stack.leave()

    def _copy_entry(self, level: _Level, entry: Entry) -> None:
        place = level.place.child(entry.name)
        if entry.name in (b"", b".", b"..") or b"/" in entry.name or b"\0" in entry.name:
            self._report.skip(str(place), "its name can't be the name of a file")
            return
        path = level.path / os.fsdecode(entry.name)
        self._report.notice(str(path))
        try:
            with _named_errors(path):
                self._make_if_possible(path, entry, place)
        except (DamageError, AuthorityError) as error:
            self._report.skip(str(place), str(error))

    def _make_if_possible(self, path: Path, entry: Entry, place: Place) -> None:
        """Make an entry; report one whose name or link no file system, or not this one, can have."""
        try:
            self._make(path, entry, place)
        except ValueError:
            if not entry.is_symlink:
                raise
            self._report.skip(str(place), "the symbolic link's text is none that a link can have")
        except OSError as error:
            if error.errno not in _IMPOSSIBLE and not (entry.is_symlink and error.errno == errno.ENOENT):
                raise
            self._report.skip(str(place), f"this file system can't hold it ({error.strerror})")

    def _make(self, path: Path, entry: Entry, place: Place) -> None:
        folder = self._stack.descriptor
        cap = readable(entry.cap, place)
        kind = entry.metadata.file_type
        if self._levels[-1].has_another(entry.name, folder):
            self._report.skip(str(place), "something of another name is there already, and this file system takes the two for one")
            return
        kept = self._own.find_at(entry.name, folder)
        if kept is not None:
            self._report.skip(str(place), f"{path} is {kept.kind.value}, and stays as it is")
            return
        if isinstance(cap, DirectoryReadCap):
            if entry.encoded in self._ancestors:
                self._report.skip(str(place), LEADS_BACK)
                return
            _make_folder(folder, entry.name, path)
            self._report.directories += 1
            entries = iter(self._reader.read_directory(cap))
            self._stack.enter(entry.name)
            self._levels.append(_Level(path, place, entries))
            self._ancestors.enter(entry.encoded)
        elif kind is FileType.SYMLINK and entry.metadata.target is not None:
            _make_link(folder, entry.name, entry.metadata.target)
            self._report.files += 1
        elif kind in (None, FileType.REGULAR) and isinstance(cap, FileReadCap):
            _write_file(self._reader, cap, entry.metadata, folder, entry.name, self._report)
            self._report.files += 1
        elif kind is FileType.UNKNOWN:
            self._report.skip(str(place), "its mode belongs to no kind of file; `tallac get` writes its content")
        else:
            self._report.skip(str(place), "neither a file, a directory nor a link; restore brings such things back")


class _DescriptorSink:
    """A sink that writes to an open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: Buffer, /) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


class _SparseSink(_DescriptorSink):
    """A sink that leaves pages of zeros out of a new, empty regular file; `finish` gives the file its length."""

    def write(self, data: Buffer, /) -> None:
        rest = memoryview(data)
        start = 0
        for offset in range(0, len(rest), _PAGE_SIZE):
            page = rest[offset : offset + _PAGE_SIZE]
            if page == _ZEROS[: len(page)]:
                super().write(rest[start:offset])
                os.lseek(self._descriptor, len(page), os.SEEK_CUR)
                start = offset + len(page)
        super().write(rest[start:])

    def finish(self) -> None:
        """Make the file end where it would if all had been written."""
        os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR))


def _make_folder(parent: int, name: bytes, path: Path) -> None:
    """Make a folder, unless there is one."""
    try:
        os.mkdir(name, FOLDER_MODE, dir_fd=parent)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise DestinationError(f"{path}: something other than a folder is in the way; move it away") from None


def _write_file(reader: CapReader, cap: FileReadCap, metadata: Metadata, folder: int, name: bytes, report: CopyReport) -> int:
    mode = FILE_MODE if metadata.mode is None else metadata.mode & 0o777

    def write(new: bytes) -> int:
        descriptor = os.open(new, _NEW_FILE_FLAGS, mode, dir_fd=folder)
        try:
            if not metadata.holes:
                return fetch(reader, cap, _DescriptorSink(descriptor), report.advance)
            sink = _SparseSink(descriptor)
            length = fetch(reader, cap, sink, report.advance)
            sink.finish()
            return length
        finally:
            os.close(descriptor)

    return _make_then_rename(folder, name, write)


def _make_link(folder: int, name: bytes, text: bytes) -> None:
    def make(new: bytes) -> int:
        os.symlink(text, new, dir_fd=folder)
        return 0

    _make_then_rename(folder, name, make)


def _make_then_rename(folder: int, name: bytes, make: Callable[[bytes], int]) -> int:
    """Create a file under a temporary name, then rename it, so that it is never seen incomplete."""
    new = b".tallac-" + secrets.token_hex(8).encode("ascii") + b".part"
    try:
        length = make(new)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _unlink_if_there(new, folder)
        raise
    return length


def _unlink_if_there(name: bytes, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DestinationError(f"{path}: can't write there ({error.strerror})") from error
