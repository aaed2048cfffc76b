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
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

VERSION = 2
"""Of what `native.h` declares."""

LIBRARY = Path(__file__).with_name("libtallac.so.1")
"""Not with the ending of a module, since it is none."""

VARIABLE = "TALLAC_NATIVE"

COUNT_MAX = 10_000
"""A longer directory is listed in Python, which keeps it on disk."""

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


def list_directory(descriptor: int, count_max: int) -> Listing | None:
    """List an open directory from its beginning: one `lstat` a name.

    Returns:
        None where it has to be listed in Python: nothing is compiled, or it has more than `count_max` names, or something about it
        is not as usual.
    """
    library = loaded()
    return None if library is None else library.list_directory(descriptor, count_max)


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
    """Set memory aside; the system gives a page of it when it is used."""
    return mmap.mmap(-1, size)


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
        """See `tallac.native.list_directory`."""
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
