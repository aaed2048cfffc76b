"""The few calls through which the source is read, so that a test can count them and make each of them fail."""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

from tallac.source.mounts import Mounts

if sys.platform != "win32":
    import fcntl

# _IOR('f', 1, long) as Linux lays it out: the size of the argument lies in bits 16 and up. Despite its type the kernel
# writes an int (linux/fs.h).
_GET_FLAGS_REQUEST = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
_FLAGS_SIZE = struct.calcsize("l")


class FileSystem:
    """The real file system. Every method raises OSError as the system call does.

    Names are single components, relative to a directory's descriptor. A subclass overrides what it wants to bend.
    """

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        """Open a file; the caller closes the descriptor."""
        return os.open(name, flags, dir_fd=directory)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        """List an open directory, in any order. Its entries' `stat` is relative to the descriptor, too."""
        return os.scandir(descriptor)

    def fstat(self, descriptor: int) -> os.stat_result:
        """Return the stat fields of an open file."""
        return os.fstat(descriptor)

    def lstat(self, name: bytes, directory: int) -> os.stat_result:
        """Return the stat fields of a name in an open directory, without following a symbolic link."""
        return os.stat(name, dir_fd=directory, follow_symlinks=False)

    def readlink(self, name: bytes, directory: int) -> bytes:
        """Read a symbolic link's text."""
        return os.readlink(name, dir_fd=directory)

    def seek(self, descriptor: int, offset: int, whence: int) -> int:
        """Move in an open file; used to find holes."""
        return os.lseek(descriptor, offset, whence)

    def list_xattrs(self, place: int | bytes) -> list[bytes]:
        """List the names of extended attributes of a descriptor, or of a path without following a last symbolic link."""
        if sys.platform != "linux":
            return []
        names = os.listxattr(place, follow_symlinks=isinstance(place, int))
        return [os.fsencode(name) for name in names]

    def get_xattr(self, place: int | bytes, name: bytes) -> bytes:
        """Read one extended attribute; `place` as for `list_xattrs`."""
        if sys.platform != "linux":
            raise OSError(errno.ENOTSUP, "this system has other extended attributes")
        return os.getxattr(place, name, follow_symlinks=isinstance(place, int))

    def get_flags(self, descriptor: int) -> int:
        """Read Linux inode flags (FS_IOC_GETFLAGS)."""
        if sys.platform != "linux":
            return 0
        answer = fcntl.ioctl(descriptor, _GET_FLAGS_REQUEST, bytes(_FLAGS_SIZE))
        return int(struct.unpack_from("I", answer)[0])

    def mounts(self) -> Mounts:
        """Return what is mounted now."""
        return Mounts.read()


REAL = FileSystem()
