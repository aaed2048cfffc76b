"""Opening things of the source, relative to descriptors and never through a symbolic link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from tallac.dag import display_path
from tallac.errors import SourceError
from tallac.source.entry import SourceEntry
from tallac.source.filesystem import REAL, FileSystem

# Windows has none of these; a file system of its own would go without.
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)

DIRECTORY_FLAGS = os.O_RDONLY | _DIRECTORY | _NO_FOLLOW | _CLOEXEC
_ROOT_FLAGS = os.O_RDONLY | _DIRECTORY | _CLOEXEC
# Passing through a directory needs no right to list it, and neither does looking at a name in it.
_PASSAGE_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | _DIRECTORY | _CLOEXEC
_REGULAR_FLAGS = os.O_RDONLY | _NO_FOLLOW | _NONBLOCK | _CLOEXEC
_PATH_SIZE_MAX = 4000


def open_root(path: str | bytes | os.PathLike[str], *, filesystem: FileSystem = REAL) -> int:
    """Open the directory that a user named; symbolic links in the path are followed, since they are the user's own words.

    The path may be of any length.

    Raises:
        SourceError: It is not there, is no directory, or can't be read.
    """
    place = os.fsencode(path)
    try:
        if len(place) <= _PATH_SIZE_MAX:
            return filesystem.open(place, _ROOT_FLAGS)
        return _open_long(place, filesystem)
    except OSError as error:
        shown = display_path(place)
        raise SourceError(f"{shown}: can't be opened as a directory: {error.strerror}") from error


def open_directory(parent: int, name: bytes, *, filesystem: FileSystem = REAL) -> int:
    """Open a directory in an open directory; the caller closes it.

    Raises:
        OSError: It can't be read, or is no directory (any more).
    """
    return filesystem.open(name, DIRECTORY_FLAGS, parent)


def open_passage(parent: int, name: bytes, *, filesystem: FileSystem = REAL) -> int:
    """Open a directory in an open directory, if only to pass through it where it must not be listed; the caller closes it.

    Raises:
        OSError: It is no directory (any more), or not there.
    """
    try:
        return filesystem.open(name, DIRECTORY_FLAGS, parent)
    except PermissionError:
        return filesystem.open(name, _PASSAGE_FLAGS | _NO_FOLLOW, parent)


def open_beneath(root: int, components: Sequence[bytes], *, to_pass: bool = False, filesystem: FileSystem = REAL) -> int:
    """Open a directory some levels below an open one, one component at a time; without components, the same once more.

    Args:
        root: The open directory.
        components: The names that lead there.
        to_pass: Whether none of them need be listed.
        filesystem: The calls to use.

    Raises:
        OSError: A component can't be read, or is no directory (any more).
    """
    open_next = open_passage if to_pass else open_directory
    descriptor = filesystem.open(b".", DIRECTORY_FLAGS, root)
    for component in components:
        try:
            below = open_next(descriptor, component, filesystem=filesystem)
        finally:
            filesystem.close(descriptor)
        descriptor = below
    return descriptor


def open_regular(parent: int, name: bytes, *, filesystem: FileSystem = REAL) -> tuple[int, SourceEntry]:
    """Open a regular file for reading and tell what it is now; the caller closes the descriptor.

    A FIFO that took the name meanwhile neither blocks nor is opened for longer than this call.

    Raises:
        OSError: It can't be read; ESTALE where it is no regular file (any more).
    """
    descriptor = filesystem.open(name, _REGULAR_FLAGS, parent)
    try:
        status = filesystem.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ESTALE, "it is no regular file any more")
    except BaseException:
        filesystem.close(descriptor)
        raise
    return descriptor, SourceEntry.of(name, status)


def _open_long(path: bytes, filesystem: FileSystem) -> int:
    components = path.split(b"/")
    descriptor = filesystem.open(b"/" if path.startswith(b"/") else b".", _PASSAGE_FLAGS)
    last = len(components) - 1
    for number, component in enumerate(components):
        flags = _ROOT_FLAGS if number == last else _PASSAGE_FLAGS
        try:
            below = filesystem.open(component or b".", flags, descriptor)
        finally:
            filesystem.close(descriptor)
        descriptor = below
    return descriptor
