"""A file's metadata beyond what `stat` tells, and the form in which a snapshot keeps it."""

from __future__ import annotations

import errno
import heapq
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from stat import S_IFMT
from typing import TYPE_CHECKING, NamedTuple

from tallac.dag import Metadata, time_from_ns
from tallac.source.entry import SourceEntry
from tallac.source.filesystem import REAL, FileSystem

if TYPE_CHECKING:
    from tallac.native import FileRead

if sys.platform != "win32":
    import grp
    import pwd

HOLE_COUNT_MAX = 65_536

# Inode flags that chattr(1) can set again (linux/fs.h): s u c S i a d A, nocomp, j t D T C, and P. Case folding is left out:
# it can only be set where the file system was made for it, and changes what names mean.
FLAGS_KEPT = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x400 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x800000 | 0x20000000

# The file system, or this kind of file, has no such thing; or (EPERM, EACCES) shows a name and keeps its value to others.
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.ENOSYS})
_NO_FLAGS = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS, errno.EPERM})
_NO_SUCH_ATTRIBUTE = frozenset({errno.ENODATA, getattr(errno, "ENOATTR", errno.ENODATA)})

# ntfs3 shows owner, group, mode and device number, which `stat` tells already, among the attributes, and lets nobody set them so.
_SHADOWS = frozenset({b"$LXUID", b"$LXGID", b"$LXMOD", b"$LXDEV"})

Xattrs = tuple[tuple[bytes, bytes], ...]
Holes = tuple[tuple[int, int], ...]


class Attributes(NamedTuple):
    """A file's attributes, as far as they could be read.

    Attributes:
        problem: Why some of them are missing; None where none are.
    """

    xattrs: Xattrs
    flags: int
    problem: OSError | None


def metadata_of(
    entry: SourceEntry,
    *,
    xattrs: Xattrs = (),
    flags: int = 0,
    holes: Holes = (),
    target: bytes | None = None,
    changed: bool = False,
) -> Metadata:
    """Put together what a snapshot keeps of one file beside its content.

    Owners' names are looked up once a process; None where the system knows none.
    """
    return Metadata(
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        user=_user_name(entry.uid),
        group=_group_name(entry.gid),
        mtime=time_from_ns(entry.mtime_ns),
        ctime=time_from_ns(entry.ctime_ns),
        inode=entry.inode,
        device=entry.device,
        links=1 if entry.is_directory else entry.links,
        target=target,
        rdev=(os.major(entry.rdev), os.minor(entry.rdev)) if entry.is_device else None,
        xattrs=xattrs,
        flags=flags,
        holes=holes,
        changed=changed,
    )


def metadata_of_read(found: FileRead) -> Metadata:
    """Do as `metadata_of` for a regular file of which nothing but the stat fields is kept."""
    return Metadata(
        mode=found.mode,
        uid=found.uid,
        gid=found.gid,
        user=_user_name(found.uid),
        group=_group_name(found.gid),
        mtime=found.mtime,
        ctime=found.ctime,
        inode=found.inode,
        device=found.device,
        links=found.links,
    )


def read_attributes(descriptor: int, *, filesystem: FileSystem = REAL) -> Attributes:
    """Read extended attributes and inode flags of an open file or directory as far as that goes: a file is more than these."""
    problems: list[OSError] = []
    xattrs = _read_xattrs(descriptor, filesystem, problems.append)
    try:
        flags = read_flags(descriptor, filesystem=filesystem)
    except OSError as error:
        problems.append(error)
        flags = 0
    return Attributes(xattrs, flags, problems[0] if problems else None)


class Special(NamedTuple):
    """The metadata of a symbolic link, FIFO, socket or device; `problem` as for `Attributes`."""

    metadata: Metadata
    problem: OSError | None


def describe_special(parent: int, listed: SourceEntry, *, filesystem: FileSystem = REAL) -> Special:
    """Describe a symbolic link, FIFO, socket or device as it is now; it may have been listed a while ago.

    The stat fields are read first: whatever replaces it later has others.

    Raises:
        OSError: It can't be read; ESTALE where something of another kind has taken its place.
    """
    found = SourceEntry.of(listed.name, filesystem.lstat(listed.name, parent))
    if S_IFMT(found.mode) != S_IFMT(listed.mode):
        raise OSError(errno.ESTALE, "something else has taken its place")
    target = read_link(parent, found.name, filesystem=filesystem) if found.is_symlink else None
    problems: list[OSError] = []
    xattrs = _read_xattrs_beneath(parent, found.name, filesystem, problems.append)
    return Special(metadata_of(found, xattrs=xattrs, target=target), problems[0] if problems else None)


def read_xattrs(descriptor: int, *, filesystem: FileSystem = REAL) -> Xattrs:
    """Read all extended attributes of an open file or directory, sorted by name; POSIX ACLs are among them.

    Where there can be none, or none that this user may see, the result is empty.

    Raises:
        OSError: They are there and can't be read.
    """
    return _read_xattrs(descriptor, filesystem, _refuse)


def read_xattrs_beneath(parent: int, name: bytes, *, filesystem: FileSystem = REAL) -> Xattrs:
    """Read all extended attributes of what must not be opened: a symbolic link, FIFO, socket or device.

    Linux has no such call relative to a descriptor; the way goes through /proc. Where that is not mounted, the result is empty.

    Raises:
        OSError: They are there and can't be read.
    """
    return _read_xattrs_beneath(parent, name, filesystem, _refuse)


def read_flags(descriptor: int, *, filesystem: FileSystem = REAL) -> int:
    """Read those inode flags of an open file or directory that can be set again; 0 where the file system has none.

    Raises:
        OSError: The file system failed.
    """
    try:
        return filesystem.get_flags(descriptor) & FLAGS_KEPT
    except OSError as error:
        if error.errno in _NO_FLAGS:
            return 0
        raise


def read_holes(descriptor: int, size: int, *, filesystem: FileSystem = REAL) -> Holes:
    """Find the holes of an open file as (offset, length), ascending; of more than 65,536 the largest.

    The file's position changes. A file system that knows no holes has none.

    Raises:
        OSError: The file system failed.
    """
    holes: list[tuple[int, int]] = []
    offset = 0
    while offset < size:
        start = _seek(descriptor, offset, os.SEEK_HOLE, size, filesystem)
        end = _seek(descriptor, start, os.SEEK_DATA, size, filesystem)
        if end > start:
            # The smallest leaves first, so that the memory is bounded whatever the file.
            (heapq.heappush if len(holes) < HOLE_COUNT_MAX else heapq.heappushpop)(holes, (end - start, start))
        offset = max(end, offset + 1)
    return tuple(sorted((start, length) for length, start in holes))


def read_link(parent: int, name: bytes, *, filesystem: FileSystem = REAL) -> bytes:
    """Read a symbolic link's text.

    Raises:
        OSError: It can't be read, or is no symbolic link (any more).
    """
    return filesystem.readlink(name, parent)


def _refuse(error: OSError) -> None:
    raise error


def _read_xattrs_beneath(parent: int, name: bytes, filesystem: FileSystem, on_problem: Callable[[OSError], None]) -> Xattrs:
    if not _has_descriptor_paths():
        return ()
    return _read_xattrs(b"/proc/self/fd/%d/%b" % (parent, name), filesystem, on_problem)


def _read_xattrs(place: int | bytes, filesystem: FileSystem, on_problem: Callable[[OSError], None]) -> Xattrs:
    try:
        names = filesystem.list_xattrs(place)
    except OSError as error:
        if error.errno not in _NO_XATTRS:
            on_problem(error)
        return ()
    if not names:
        return ()
    found = []
    for name in sorted(names):
        if name in _SHADOWS:
            continue
        try:
            found.append((name, filesystem.get_xattr(place, name)))
        except OSError as error:
            if error.errno not in _NO_XATTRS and error.errno not in _NO_SUCH_ATTRIBUTE:
                on_problem(error)
    return tuple(found)


def _seek(descriptor: int, offset: int, whence: int, size: int, filesystem: FileSystem) -> int:
    """Find the next hole or the next data from offset on; `size` where there is none."""
    if offset >= size:
        return size
    try:
        return min(filesystem.seek(descriptor, offset, whence), size)
    except OSError as error:
        # ENXIO: nothing but a hole is left, or the file has shrunk. EINVAL: no holes are known here, so all is data.
        if error.errno == errno.ENXIO or (error.errno == errno.EINVAL and whence == os.SEEK_HOLE):
            return size
        raise


@lru_cache(maxsize=4096)
def _user_name(uid: int) -> str | None:
    if sys.platform == "win32":
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def _group_name(gid: int) -> str | None:
    if sys.platform == "win32":
        return None
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return None


@lru_cache(maxsize=1)
def _has_descriptor_paths() -> bool:
    return os.path.isdir("/proc/self/fd")
