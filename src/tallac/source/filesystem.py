"""The few calls through which the source is read, so that a test can count them and make each of them fail; and what is mounted."""

from __future__ import annotations

import errno
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tallac.native import Library, Listing, ManyFiles

if sys.platform != "win32":
    import fcntl

# _IOR('f', 1, long) as Linux lays it out: the size of the argument lies in bits 16 and up. Despite its type the kernel
# writes an int (linux/fs.h).
_GET_FLAGS_REQUEST = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
_FLAGS_SIZE = struct.calcsize("l")


_TABLE = Path("/proc/self/mountinfo")
# fs/nfs/unlink.c: the file's number and a counter.
_NFS_DELETED = re.compile(rb"\.nfs[0-9a-f]{24}")
_ESCAPE = re.compile(rb"\\([0-7]{3})")

# FAT has no inode numbers, and FUSE servers hand out theirs in the order in which they are asked: another mount, or pressure on
# the memory, brings others for the same files. Of SMB and the shared folders of virtual machines, some do.
_MOVING_NUMBERS = frozenset({"vfat", "msdos", "exfat", "fuse", "fuseblk", "cifs", "smb3", "vboxsf", "davfs"})

# Their timestamps come from another machine's clock; or they have no time of change that a program could not set.
_FAR_CLOCKS = frozenset({"nfs", "nfs4", "9p", "ceph", "afs"})


# Whoever asks these for anything waits for a server, which may never answer; or has something mounted by asking (autofs).
_SERVED = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "fuse", "autofs", "vboxsf", "lustre", "glusterfs"})


class MountPoint(NamedTuple):
    """A file system that is mounted on a name.

    Attributes:
        device: The file system's device number.
        kind: Its kind, as the kernel names it.
    """

    device: int
    kind: str

    @property
    def is_served(self) -> bool:
        """Whether a server or another process answers for it, so that looking at it may take for ever."""
        return _base(self.kind) in _SERVED


class Mounts:
    """The mounted file systems.

    Attributes:
        kinds: By device, the file system's kind as the kernel names it.
        names: By folder, the names in it that something is mounted on, and what.
        unusual: The devices of which one of the questions below is answered with yes.
    """

    def __init__(
        self, kinds: Mapping[int, str] | None = None, names: Mapping[bytes, Mapping[bytes, MountPoint]] | None = None
    ) -> None:
        self.kinds = dict(kinds or {})
        self.names = dict(names or {})
        self._moving = frozenset(device for device, kind in self.kinds.items() if _base(kind) in _MOVING_NUMBERS)
        self._far = self._moving | {device for device, kind in self.kinds.items() if kind in _FAR_CLOCKS}
        self._nfs = frozenset(device for device, kind in self.kinds.items() if kind in ("nfs", "nfs4"))
        self.unusual = self._far | self._nfs

    @staticmethod
    def read() -> Mounts:
        """Read the table of this process; empty where the system has none."""
        try:
            table = _TABLE.read_bytes()
        except OSError:
            return Mounts()
        return Mounts.of_table(table)

    @staticmethod
    def of_table(table: bytes) -> Mounts:
        """Read a table in the form of `/proc/PID/mountinfo` (proc(5))."""
        kinds: dict[int, str] = {}
        names: dict[bytes, dict[bytes, MountPoint]] = {}
        for line in table.splitlines():
            fields, _, source = line.partition(b" - ")
            parts = fields.split(b" ")
            if len(parts) < 5 or not source:
                continue
            major, _, minor = parts[2].partition(b":")
            device, kind = os.makedev(int(major), int(minor)), os.fsdecode(source.split(b" ")[0])
            kinds[device] = kind
            folder, name = os.path.split(_ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), parts[4]))
            # Of what is mounted over each other the last one is seen.
            names.setdefault(folder, {})[name] = MountPoint(device, kind)
        return Mounts(kinds, names)

    def seen_from(self, path: bytes) -> Mounts:
        """Return the same with folders as they are called below a path that may lead through links."""
        real = os.path.realpath(path)
        if real == path:
            return self
        beginning = real.rstrip(b"/") + b"/"
        names = {
            os.path.join(path, folder[len(beginning) :]).rstrip(b"/"): found
            for folder, found in self.names.items()
            if (folder + b"/").startswith(beginning)
        }
        return Mounts(self.kinds, names)

    def has_moving_numbers(self, device: int) -> bool:
        """Whether the same file may have another inode number at another time."""
        return device in self._moving

    def has_far_clock(self, device: int) -> bool:
        """Whether timestamps come from another clock than this machine's, or can be set by programs."""
        return device in self._far

    def is_deleted(self, name: bytes, device: int) -> bool:
        """Whether this is how an NFS client shows a file that was deleted while some program still has it open."""
        return name.startswith(b".nfs") and device in self._nfs and _NFS_DELETED.fullmatch(name) is not None


def _base(kind: str) -> str:
    return kind.partition(".")[0]


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

    def list_at_once(self, descriptor: int, count_max: int) -> Listing | None:
        """List an open directory with the stat fields of all its names; None where that is to be done name by name."""
        return None

    def reader_of_many(self) -> ManyFiles | None:
        """Return what reads many files in one call; None where that can't be done."""
        return None

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


@cache
def compiled() -> Library | None:
    """Return the compiled functions; None where there are none that fit, or this Python was built without ctypes."""
    try:
        from tallac.native import loaded  # lazy import: ctypes takes two milliseconds, and few commands list directories
    except ImportError:
        return None
    return loaded()


class FastFileSystem(FileSystem):
    """The real file system, with those calls together that can be made together."""

    def list_at_once(self, descriptor: int, count_max: int) -> Listing | None:
        """See `tallac.native.Library`."""
        library = compiled()
        return None if library is None else library.list_directory(descriptor, count_max)

    def reader_of_many(self) -> ManyFiles | None:
        """See `tallac.native.ManyFiles`."""
        library = compiled()
        if library is None:
            return None
        from tallac.native import ManyFiles  # lazy import: likewise

        return ManyFiles(library)


REAL: FileSystem = FastFileSystem()
