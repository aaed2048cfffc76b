"""The metadata of files and snapshots."""

from __future__ import annotations

import stat
from enum import Enum
from typing import TypeAlias

import msgspec

Time: TypeAlias = tuple[int, int]
"""Seconds since 1970 (negative before) and nanoseconds (0 to 999,999,999). A single 64-bit count of nanoseconds ends in 2262."""


def time_from_ns(ns: int) -> Time:
    """Split nanoseconds, of any size and sign, into seconds and nanoseconds."""
    return divmod(ns, 1_000_000_000)


def time_to_ns(time: Time) -> int:
    """Join seconds and nanoseconds."""
    return time[0] * 1_000_000_000 + time[1]


def time_to_float(time: Time) -> float:
    """Return a time as seconds in floating point, as `os.stat` and Tahoe-LAFS do; a quarter of a microsecond is lost."""
    return time[0] + 1e-9 * time[1]


def time_from_float(seconds: float) -> Time:
    """Convert seconds in floating point; `time_to_float` returns the same number again if it came from a time.

    Raises:
        ValueError, OverflowError: The number is infinite or NaN.
    """
    numerator, denominator = seconds.as_integer_ratio()
    whole, rest = divmod(numerator * 1_000_000_000, denominator)
    # Halves are rounded to even, as by `round`.
    is_rounded_up = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
    return time_from_ns(whole + is_rounded_up)


def is_time(recorded: Time | None, found: Time) -> bool:
    """Whether a file still has the recorded time, exactly or as far as a record in floating point can tell."""
    if recorded is None or recorded == found:
        return recorded is not None
    seconds = time_to_float(recorded)
    return seconds == time_to_float(found) and time_from_float(seconds) == recorded


class FileType(Enum):
    """The Unix file types, by the format bits of `st_mode`. UNKNOWN stands for a mode that no file has."""

    UNKNOWN = 0
    REGULAR = stat.S_IFREG
    DIRECTORY = stat.S_IFDIR
    SYMLINK = stat.S_IFLNK
    FIFO = stat.S_IFIFO
    SOCKET = stat.S_IFSOCK
    BLOCK_DEVICE = stat.S_IFBLK
    CHARACTER_DEVICE = stat.S_IFCHR


# What a mode_t holds; Python's own functions raise errors beyond.
_MODES = range(1 << 32)
_FILE_TYPES = {kind.value: kind for kind in FileType}


def file_type_of(mode: int) -> FileType:
    """Return the file type of any number that stands for a mode."""
    return _FILE_TYPES.get(stat.S_IFMT(mode), FileType.UNKNOWN) if mode in _MODES else FileType.UNKNOWN


class SnapshotRules(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    rename={
        "patterns": "p",
        "ignore_file": "i",
        "markers": "m",
        "size_max": "z",
        "one_file_system": "x",
        "is_cut": "c",
    },
):
    """The rules by which a backup left files out. By default those that any backup has: `.tallacignore` files are obeyed.

    Attributes:
        patterns: In their order, each with whether it ignores case; as in a `.gitignore` file, in bytes.
        ignore_file: The name of files whose patterns hold for their directory and what is below it; None for no such files.
        markers: Files that have their directory left out, each a name and what the file begins with.
        size_max: Larger regular files are left out, in bytes.
        one_file_system: What is mounted below a source is left out.
        is_cut: There were more patterns than are kept in a snapshot; these are not all of them.
    """

    patterns: tuple[tuple[bytes, bool], ...] = ()
    ignore_file: bytes | None = b".tallacignore"
    markers: tuple[tuple[bytes, bytes], ...] = ()
    size_max: int | None = None
    one_file_system: bool = False
    is_cut: bool = False


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
        "rules": "r",
    },
):
    """The facts about a snapshot itself, stored at its entry in `Archives/`.

    Attributes:
        host, user: The host and user that made it, as reported by the machine.
        sources: Absolute paths that were backed up, or `stdin:` and a name for a stream, as bytes.
        started_ns, ended_ns: UTC, nanoseconds since 1970, by the client's clock.
        files, directories: Their numbers; everything that is not a directory counts as a file.
        size: The sum of the sizes of its regular files, in bytes.
        bytes_stored: The bytes that this backup added to the store.
        unreadable: The number of files that could not be read and are missing; above 0 the snapshot is incomplete.
        tags: The user's tags.
        version: The version of Tallac that made it.
        rules: What was left out on purpose; None for the rules that any backup has.
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
    rules: SnapshotRules | None = None


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
        "missing": "M",
        "partial": "P",
        "mounted": "N",
        "snapshot": "S",
        "other": "o",
    },
):
    """The metadata of a file. A value is None, or an empty tuple, if the file has none or it is unknown.

    Attributes:
        mode: `st_mode`, the file type's bits included.
        uid, gid, user, group: The owner, by number and by name.
        mtime, ctime: See `Time`.
        inode, device: Equal for entries of one snapshot that are hard links of one file.
        links: `st_nlink` of everything but directories; 1 is left out.
        target: The text of a symbolic link.
        rdev: Major and minor number of a device node.
        xattrs: Extended attributes, POSIX ACLs among them, sorted by name.
        flags: Linux inode flags (`FS_IOC_GETFLAGS`) that can be set again.
        holes: (offset, length) of the holes of a sparse file, ascending.
        changed: The file changed while it was read; its content is as read.
        missing: Of a directory: names that were in it and are not in the snapshot, because they could not be read or are Tallac's
            own; ascending. That the snapshot has nothing of such a name does not mean that there was nothing.
        partial: Of a directory: only some of its names were looked at, as where it merely leads to sources; nothing is known of
            the others.
        mounted: Of a directory: another file system was mounted here, and what is in it was left out.
        snapshot: On an entry of `Archives/`: the facts about the snapshot.
        other: The keys of other tools with their JSON values, kept verbatim.
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
    missing: tuple[bytes, ...] = ()
    partial: bool = False
    mounted: bool = False
    snapshot: SnapshotFacts | None = None
    other: dict[str, object] | None = None

    @property
    def file_type(self) -> FileType | None:
        """The file type; None if there is no mode."""
        return None if self.mode is None else file_type_of(self.mode)

    @property
    def mtime_ns(self) -> int | None:
        """The time of the last change, in nanoseconds."""
        return None if self.mtime is None else time_to_ns(self.mtime)

    @property
    def ctime_ns(self) -> int | None:
        """The time of the last change of file or metadata, in nanoseconds."""
        return None if self.ctime is None else time_to_ns(self.ctime)
