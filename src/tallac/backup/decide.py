"""Whether a file can be taken to be what is stored of it already. Pure: nothing is looked up here.

The size, mtime, inode and device must be the same, and so must ctime, which the kernel sets at every change of content or metadata
and which no program can set back. That holds only where the recorded ctime was safely in the past when the directory's reading
began: a second write within one tick of the file system's clock leaves ctime as it was (borg#3536).
"""

from __future__ import annotations

import msgspec
from blake3 import blake3

from tallac.dag import Entry, Metadata, is_time
from tallac.source import SourceEntry, metadata_of

FINE_GRANULARITY_NS = 20_000_000
"""The kernel's own clock for timestamps ticks every 1 to 10 ms."""

COARSE_GRANULARITY_NS = 2_000_000_000
"""FAT counts 2 s, HFS+, ext3 and old NFS servers whole seconds; FAT's creation time and some servers 1/100 s."""

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


def is_same_file(found: SourceEntry, recorded: Entry) -> bool:
    """Whether a file, special file or directory has the stat fields that were recorded.

    The size counts for regular files only: a cap tells that of nothing else.
    """
    return _has_same_fields(found, recorded.metadata) and (recorded.size == found.size or not found.is_regular)


def mark_beginning(found: SourceEntry, encoded: bytes) -> Entry:
    """Describe the stored beginning of a large file that is being read. Such an entry is only ever a provisional row."""
    return Entry(found.name, encoded, msgspec.structs.replace(metadata_of(found), other={_WHOLE_SIZE_KEY: found.size}))


def is_beginning(found: SourceEntry, recorded: Entry) -> bool:
    """Whether an entry is of the beginning of this very file, by the fields that tell whether a whole one is the same."""
    return _has_same_fields(found, recorded.metadata) and recorded.metadata.other == {_WHOLE_SIZE_KEY: found.size}


def _has_same_fields(found: SourceEntry, metadata: Metadata) -> bool:
    return (
        is_time(metadata.ctime, divmod(found.ctime_ns, 1_000_000_000))
        and is_time(metadata.mtime, divmod(found.mtime_ns, 1_000_000_000))
        and metadata.inode == found.inode
        and metadata.device == found.device
        and metadata.mode == found.mode
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
