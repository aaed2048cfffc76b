"""Whether a file can be taken to be what is stored of it already. Pure: nothing is looked up here.

The size, mtime and inode must be the same, and so must ctime, which the kernel sets at every change of content or metadata and
which no program can set back. That holds only where the recorded ctime was safely in the past when the directory's reading began: a
second write within one tick of the file system's clock leaves ctime as it was (borg#3536).

The device never counts: most file systems get whatever number is free when they are mounted, and each snapshot of a btrfs subvolume
has one of its own. The inode does not count on file systems where the same file gets another one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from stat import S_ISREG

import msgspec
from blake3 import blake3

from tallac.dag import FILE_SIZE_FORMS, Entry, Metadata, is_time
from tallac.source import Mounts, SourceEntry, is_configuration_name, metadata_of

FINE_GRANULARITY_NS = 20_000_000
"""The kernel's own clock for timestamps ticks every 1 to 10 ms."""

COARSE_GRANULARITY_NS = 2_000_000_000
"""FAT counts 2 s, HFS+, ext3 and old NFS servers whole seconds; FAT's creation time and some servers 1/100 s."""

FAR_CLOCK_NS = 60_000_000_000
"""So far behind this machine's clock a server's may be."""

UNCHANGED_BY = ("size", "mtime", "ctime", "inode")
"""The fields that may be compared; the first two always are."""

_WHOLE_SIZE_KEY = "whole size"
_COARSE_TICK_NS = 10_000_000
_SUM_SIZE = 16


def granularity_ns(ctime_ns: int) -> int:
    """Guess within which time two changes may leave the same timestamp; the timestamp itself shows how fine they are."""
    return COARSE_GRANULARITY_NS if ctime_ns % _COARSE_TICK_NS == 0 else FINE_GRANULARITY_NS


def is_recorded_safely(ctime_ns: int, read_ns: int) -> bool:
    """Whether any later change shows in ctime.

    Args:
        ctime_ns: The file's ctime, as recorded.
        read_ns: When the reading of its directory began. A ctime in the future is never safe.
    """
    return ctime_ns < read_ns - granularity_ns(ctime_ns)


class Comparison(msgspec.Struct, frozen=True):
    """How files of one source are recognised.

    Attributes:
        mounts: Tell of what kind the file system of a device is.
        fields: Those of `UNCHANGED_BY` that count.
    """

    mounts: Mounts = msgspec.field(default_factory=Mounts)
    fields: frozenset[str] = frozenset(UNCHANGED_BY)

    def is_safe(self, found: SourceEntry, read_ns: int) -> bool:
        """Whether any later change of a file shows in its times, whose directory was read at a certain time."""
        is_far = self.mounts.has_far_clock(found.device)
        # Where there is no ctime, or one that follows mtime, it is mtime that a later change shows in.
        if found.ctime_ns <= 0 or is_far or "ctime" not in self.fields:
            stamp_ns = max(found.ctime_ns, found.mtime_ns)
        else:
            stamp_ns = found.ctime_ns
        return is_recorded_safely(stamp_ns, read_ns - FAR_CLOCK_NS if is_far else read_ns)

    def plain_files(self, read_ns: int, own_inodes: Collection[int]) -> Callable[[SourceEntry], bool]:
        """Return what recognises in little time a regular file of which nothing special is to be asked.

        The file system keeps inode numbers, has this machine's clock and no names of deleted files; the last change is long past,
        so that `is_safe` says so of any time from `read_ns` on; the file has one name, and no number or name of Tallac's own.
        """
        if self.fields != frozenset(UNCHANGED_BY):
            return lambda _: False
        unusual, changed_before_ns = self.mounts.unusual, read_ns - COARSE_GRANULARITY_NS

        def is_plain(found: SourceEntry) -> bool:
            return (
                0 < found.ctime_ns < changed_before_ns
                and S_ISREG(found.mode)
                and found.links == 1
                and found.device not in unusual
                and found.inode not in own_inodes
                and not is_configuration_name(found.name)
            )

        return is_plain

    def is_as_recorded(self, found: SourceEntry, recorded: Entry, read_ns: int) -> bool:
        """Whether a file, special file or directory is what was recorded of it when its directory was read at a certain time."""
        fields = self.fields - {"inode"} if self.mounts.has_moving_numbers(found.device) else self.fields
        return self.is_safe(found, read_ns) and is_same_file(found, recorded, fields)


def is_same_file(found: SourceEntry, recorded: Entry, fields: Collection[str] = UNCHANGED_BY) -> bool:
    """Whether a file, special file or directory has the stat fields that were recorded.

    The size counts for regular files only: a cap tells that of nothing else.
    """
    return _has_same_fields(found, recorded.metadata, fields) and (recorded.size == found.size or not found.is_regular)


def mark_beginning(found: SourceEntry, encoded: bytes) -> Entry:
    """Describe the stored beginning of a large file that is being read. Such an entry is only ever a provisional row."""
    return Entry(found.name, encoded, msgspec.structs.replace(metadata_of(found), other={_WHOLE_SIZE_KEY: found.size}))


def is_beginning(found: SourceEntry, recorded: Entry) -> bool:
    """Whether an entry is of the beginning of this very file, by the fields that tell whether a whole one is the same."""
    return _has_same_fields(found, recorded.metadata) and recorded.metadata.other == {_WHOLE_SIZE_KEY: found.size}


def _has_same_fields(found: SourceEntry, metadata: Metadata, fields: Collection[str] = UNCHANGED_BY) -> bool:
    return (
        ("ctime" not in fields or is_time(metadata.ctime, divmod(found.ctime_ns, 1_000_000_000)))
        and is_time(metadata.mtime, divmod(found.mtime_ns, 1_000_000_000))
        and ("inode" not in fields or metadata.inode == found.inode)
        and metadata.mode == found.mode
        and not metadata.changed
    )


def is_same_plain_file(found: SourceEntry, recorded: Entry) -> bool:
    """Whether a plain file has all stat fields that were recorded, to the nanosecond; see `is_same_file`."""
    metadata = recorded.metadata
    return (
        metadata.ctime == divmod(found.ctime_ns, 1_000_000_000)
        and metadata.mtime == divmod(found.mtime_ns, 1_000_000_000)
        and metadata.inode == found.inode
        and metadata.mode == found.mode
        and recorded.encoded[:1] in FILE_SIZE_FORMS
        and recorded.size == found.size
        and not metadata.changed
    )


class Subdirectories:
    """A digest of the subdirectories of one directory, with their caps; they may come in any order, each once.

    It guards against accidents, and not against somebody who writes into the source database: he could as well write a cap there.
    """

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum = 0

    def add(self, name: bytes, encoded: bytes) -> None:
        """Take one in."""
        # A name has no zero byte, so no two pairs are hashed alike.
        self._sum += int.from_bytes(blake3(name + b"\0" + encoded).digest(_SUM_SIZE), "big")

    def digest(self) -> bytes:
        """Return the digest of those that were added."""
        return (self._sum % (1 << 8 * _SUM_SIZE)).to_bytes(_SUM_SIZE, "big")
