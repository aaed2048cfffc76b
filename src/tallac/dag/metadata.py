"""What is kept of a file beside its content."""

from __future__ import annotations

import stat
from enum import Enum
from typing import TypeAlias

import msgspec

Time: TypeAlias = tuple[int, int]
"""Seconds since 1970 (negative before) and nanoseconds (0 to 999,999,999). A single 64-bit count of nanoseconds ends in 2262."""


def time_from_ns(ns: int) -> Time:
    """Split a count of nanoseconds, of any size and sign."""
    return divmod(ns, 1_000_000_000)


def time_to_ns(time: Time) -> int:
    """Join seconds and nanoseconds."""
    return time[0] * 1_000_000_000 + time[1]


def time_to_float(time: Time) -> float:
    """Write a time as seconds in floating point, as `os.stat` and Tahoe-LAFS do; a quarter of a microsecond is lost."""
    return time[0] + 1e-9 * time[1]


def time_from_float(seconds: float) -> Time:
    """Read seconds in floating point; `time_to_float` gives the same number back where it came from a time.

    Raises:
        ValueError, OverflowError: It is infinite, or no number.
    """
    numerator, denominator = seconds.as_integer_ratio()
    whole, rest = divmod(numerator * 1_000_000_000, denominator)
    # Halves go to the even side, as `round` has it.
    is_rounded_up = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
    return time_from_ns(whole + is_rounded_up)


def is_time(recorded: Time | None, found: Time) -> bool:
    """Whether a file still has the time that was recorded, or the record may have gone through floating point."""
    if recorded is None or recorded == found:
        return recorded is not None
    seconds = time_to_float(recorded)
    return seconds == time_to_float(found) and time_from_float(seconds) == recorded


class FileType(Enum):
    """The kinds of file that a Unix system knows, by the format bits of `st_mode`."""

    REGULAR = stat.S_IFREG
    DIRECTORY = stat.S_IFDIR
    SYMLINK = stat.S_IFLNK
    FIFO = stat.S_IFIFO
    SOCKET = stat.S_IFSOCK
    BLOCK_DEVICE = stat.S_IFBLK
    CHARACTER_DEVICE = stat.S_IFCHR


class SnapshotFacts(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    rename={
        "host": "h",
        "user": "u",
        "sources": "s",
        "started_ns": "b",
        "ended_ns": "e",
        "files": "f",
        "directories": "d",
        "size": "n",
        "bytes_stored": "a",
        "unreadable": "x",
        "tags": "t",
        "version": "v",
    },
):
    """A snapshot's own facts; they stand at its entry in `Archives/`.

    Attributes:
        host, user: Who made it, as the machine says.
        sources: Absolute paths that were backed up, or `stdin:` and a name for a stream, as bytes.
        started_ns, ended_ns: UTC, nanoseconds since 1970, by the client's clock.
        files, directories: How many it holds; everything that is no directory counts as a file.
        size: Sum of the sizes of its regular files, in bytes.
        bytes_stored: What this backup added to the store.
        unreadable: How many files could not be read and are missing; above 0 the snapshot is incomplete.
        tags: The user's own words.
        version: The Tallac that made it.
    """

    host: str = ""
    user: str = ""
    sources: tuple[bytes, ...] = ()
    started_ns: int = 0
    ended_ns: int = 0
    files: int = 0
    directories: int = 0
    size: int = 0
    bytes_stored: int = 0
    unreadable: int = 0
    tags: tuple[str, ...] = ()
    version: str = ""


class Metadata(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    rename={
        "mode": "m",
        "uid": "u",
        "gid": "g",
        "user": "U",
        "group": "G",
        "mtime": "t",
        "ctime": "c",
        "inode": "i",
        "device": "d",
        "links": "l",
        "target": "k",
        "rdev": "r",
        "xattrs": "x",
        "flags": "f",
        "holes": "h",
        "changed": "w",
        "snapshot": "S",
        "other": "o",
    },
):
    """A file's metadata. None, or an empty tuple, where a thing has none or the system that made it did not tell.

    Attributes:
        mode: `st_mode`, the file type's bits included.
        uid, gid, user, group: The owner, by number and by name.
        mtime, ctime: See `Time`.
        inode, device: Tell which entries of one snapshot are hard links of one file.
        links: `st_nlink` of what is no directory; 1 is left out.
        target: A symbolic link's text.
        rdev: Major and minor number of a device node.
        xattrs: Extended attributes, POSIX ACLs among them, sorted by name.
        flags: Linux inode flags (`FS_IOC_GETFLAGS`) that can be set again.
        holes: (offset, length) of the holes of a sparse file, ascending.
        changed: The file changed while it was read; its content is as read.
        snapshot: On an entry of `Archives/`: the snapshot's own facts.
        other: Other tools' keys, JSON values, kept verbatim.
    """

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    user: str | None = None
    group: str | None = None
    mtime: Time | None = None
    ctime: Time | None = None
    inode: int | None = None
    device: int | None = None
    links: int = 1
    target: bytes | None = None
    rdev: tuple[int, int] | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    flags: int = 0
    holes: tuple[tuple[int, int], ...] = ()
    changed: bool = False
    snapshot: SnapshotFacts | None = None
    other: dict[str, object] | None = None

    @property
    def file_type(self) -> FileType | None:
        """The kind of file, or None where no mode is known."""
        return None if self.mode is None else FileType(stat.S_IFMT(self.mode))

    @property
    def mtime_ns(self) -> int | None:
        """The time of the last change, in nanoseconds."""
        return None if self.mtime is None else time_to_ns(self.mtime)

    @property
    def ctime_ns(self) -> int | None:
        """The time of the last change of file or metadata, in nanoseconds."""
        return None if self.ctime is None else time_to_ns(self.ctime)
