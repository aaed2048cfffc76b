"""Compiled functions, in C, that make many system calls in one call of Python's.

They gain time and nothing else. Where they could not be compiled, or don't fit this Python code, everything is done in Python, with
the same result; so is whatever is not as usual. `scripts/compile.sh` compiles them; `TALLAC_NATIVE=0` in the environment does
without.

The library has none of Python's own interface, so that one serves every Python, and a compiler is all that it takes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

VERSION = 4
"""Of what `native.h` declares."""

LIBRARY = Path(__file__).with_name("libtallac.so.1")
"""Not with the ending of a module, since it is none."""

VARIABLE = "TALLAC_NATIVE"

COUNT_MAX = 10_000
"""A longer directory is listed in Python, which keeps it on disk."""

CONTENTS_SIZE = 1 << 18
"""So much memory is for contents; a larger file is read in Python."""

READ_COUNT_MAX = 512
"""So many files are read by one call."""

READ_FORMAT = struct.Struct("=QQqqqqQQQIIIxxxx")
"""The fields of `struct tallac_read_file`."""

NAMES_SIZE, ROWS_SIZE = 1 << 20, 2 << 20
"""So much memory is set aside for a listing; the system gives it once it is used."""


class Listing(NamedTuple):
    """The listing of a directory, all of whose names could be looked at.

    Attributes:
        names: How many there are.
        directories: How many of these are directories.
        changed_ns: The latest ctime of all names, in nanoseconds; 0 where there are none.
        entries: An array of `tallac.source.SourceEntry`, in MessagePack, sorted by name.
        covered: What the listing's signature is a hash of; see `tallac.source.listing`.
    """

    names: int
    directories: int
    changed_ns: int
    entries: bytes
    covered: bytes


@cache
def loaded() -> Library | None:
    """Return the compiled functions; None where there are none that fit, or the user does without."""
    if sys.platform != "linux" or os.environ.get(VARIABLE) == "0":
        return None
    return Library.load(LIBRARY, VERSION)


class Space(ctypes.Structure):
    """As `struct tallac_listing_space`."""

    _fields_ = [
        ("names", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("entries", ctypes.c_void_p),
        ("covered", ctypes.c_void_p),
        ("names_size", ctypes.c_uint64),
        ("entries_size", ctypes.c_uint64),
        ("covered_size", ctypes.c_uint64),
        ("count_max", ctypes.c_uint32),
    ]


class Made(ctypes.Structure):
    """As `struct tallac_listing`."""

    _fields_ = [
        ("entries_size", ctypes.c_uint64),
        ("covered_size", ctypes.c_uint64),
        ("changed_ns", ctypes.c_int64),
        ("count", ctypes.c_uint32),
        ("directories", ctypes.c_uint32),
    ]


class _Workspace:
    """The memory that one listing at a time is made in."""

    def __init__(self) -> None:
        order_size = ctypes.sizeof(ctypes.c_void_p) * COUNT_MAX
        names, order, self.entries, self.covered = map(_memory, (NAMES_SIZE, order_size, ROWS_SIZE, ROWS_SIZE))
        addresses = map(_address_of, (names, order, self.entries, self.covered))
        self.space = Space(*addresses, NAMES_SIZE, ROWS_SIZE, ROWS_SIZE, 0)
        self.made = Made()
        self.space_at, self.made_at = ctypes.byref(self.space), ctypes.byref(self.made)
        self._kept = names, order


def _memory(size: int) -> mmap.mmap:
    """Set memory aside; the system gives a page of it when it is used. A process that is forked has its own from then on."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _address_of(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


class Library:
    """The compiled functions. Thread-safe."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Take the loaded library, which has all of them."""
        self._list = library.tallac_list_directory
        self._list.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self._list.restype = ctypes.c_int
        self._spare: list[_Workspace] = []
        self.write_files = library.tallac_write_files
        """See `tallac.native.writing`."""
        self.write_files.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self.write_files.restype = ctypes.c_int
        self.read_files = library.tallac_read_files
        """See `ManyFiles`."""
        self.read_files.argtypes = [ctypes.c_int, ctypes.c_void_p]
        self.read_files.restype = ctypes.c_int

    @classmethod
    def load(cls, path: Path, version: int) -> Self | None:
        """Load a library; None where the system can't, or it is of another version."""
        try:
            library = ctypes.CDLL(str(path))
            version_of = library.tallac_native_version
            version_of.argtypes, version_of.restype = [], ctypes.c_uint32
            return cls(library) if version_of() == version else None
        except (OSError, AttributeError):
            return None

    def list_directory(self, descriptor: int, count_max: int) -> Listing | None:
        """List an open directory from its beginning: one `lstat` a name.

        Returns:
            None where it has to be listed in Python: it has more than `count_max` names, or something about it is not as usual.
        """
        try:
            workspace = self._spare.pop()
        except IndexError:
            workspace = _Workspace()
        workspace.space.count_max = min(count_max, COUNT_MAX)
        try:
            if self._list(descriptor, workspace.space_at, workspace.made_at):
                return None
            made = workspace.made
            return Listing(
                made.count,
                made.directories,
                made.changed_ns,
                workspace.entries[: made.entries_size],
                workspace.covered[: made.covered_size],
            )
        finally:
            self._spare.append(workspace)


class FileRead(NamedTuple):
    """A file that was read, with the stat fields that it had afterwards; times are seconds and nanoseconds."""

    content: bytes
    mtime: tuple[int, int]
    ctime: tuple[int, int]
    inode: int
    device: int
    links: int
    mode: int
    uid: int
    gid: int


class Reading(ctypes.Structure):
    """As `struct tallac_reading`."""

    _fields_ = [
        ("names", ctypes.c_void_p),
        ("contents", ctypes.c_void_p),
        ("files", ctypes.c_void_p),
        ("names_size", ctypes.c_uint64),
        ("contents_size", ctypes.c_uint64),
        ("size_max", ctypes.c_uint64),
        ("name_at", ctypes.c_uint64),
        ("count_max", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("flags_kept", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class ManyFiles:
    """Reads small regular files of one directory after the other, which have no attributes, flags and holes. Not thread-safe.

    Attributes:
        number: Of the next file; after `read` has returned False, of the one that something unusual was found at.
        found: What the last call has read.
    """

    def __init__(self, library: Library) -> None:
        """Set memory aside."""
        self._read = library.read_files
        self._contents = bytearray(CONTENTS_SIZE)
        self._rows = bytearray(READ_FORMAT.size * READ_COUNT_MAX)
        self._pinned = [(ctypes.c_char * len(each)).from_buffer(each) for each in (self._contents, self._rows)]
        self._names: Sequence[bytes] = ()
        self._encoded = b""
        self._reading = Reading()
        self.number = 0
        self.found: list[FileRead] = []

    def begin(self, names: Sequence[bytes], size_max: int, flags_kept: int) -> None:
        """Read other files from now on.

        Args:
            names: Single components, without a zero byte.
            size_max: A larger file is unusual.
            flags_kept: A file with one of these inode flags is unusual.
        """
        self._names, self._encoded = names, b"\0".join(names) + b"\0"
        if self._encoded.count(b"\0") != len(names):
            raise ValueError("a name has a zero byte")
        contents, rows = map(ctypes.addressof, self._pinned)
        names_at = ctypes.cast(ctypes.c_char_p(self._encoded), ctypes.c_void_p)
        sizes = len(self._encoded), CONTENTS_SIZE, size_max
        self._reading = Reading(names_at, contents, rows, *sizes, 0, READ_COUNT_MAX, 0, flags_kept, 0)
        self.number = 0

    def read(self, directory: int) -> bool:
        """Read files of an open directory into `found`, as room and time allow; whether nothing was unusual. If so, go on."""
        is_usual = self._read(directory, ctypes.byref(self._reading)) == 0
        count = self._reading.count
        contents, rows = memoryview(self._contents), memoryview(self._rows)[: READ_FORMAT.size * count]
        self.found = [
            FileRead(bytes(contents[at : at + size]), (mtime, mtime_ns), (ctime, ctime_ns), *others)
            for at, size, mtime, mtime_ns, ctime, ctime_ns, *others in READ_FORMAT.iter_unpack(rows)
        ]
        self.number += count
        return bool(is_usual)

    def pass_over(self) -> None:
        """Go on behind the file that something unusual was found at."""
        self._reading.name_at += len(self._names[self.number]) + 1
        self.number += 1
