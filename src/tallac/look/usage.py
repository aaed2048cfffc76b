"""The size of everything below each directory, as in du(1)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tallac.caps import DirectoryReadCap
from tallac.dag import LEADS_BACK, Ancestors, Entry, join_path
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CapReader
from tallac.look.metadata import size_of
from tallac.look.read_errors import OnReadError, ReadError


class Usage(msgspec.Struct):
    """The usage of a path and everything below it.

    Attributes:
        path: The path below the one that was asked for.
        size: Bytes of the regular files, counting every hard link: what restoring them would write.
        files, directories: Their numbers, this one included.
        is_whole: Whether all of it could be read.
    """

    path: bytes
    size: int = 0
    files: int = 0
    directories: int = 0
    is_whole: bool = True

    def add(self, other: Usage) -> None:
        """Add the usage of an entry below."""
        self.size += other.size
        self.files += other.files
        self.directories += other.directories
        self.is_whole &= other.is_whole


class _Level(msgspec.Struct):
    """A directory in progress: its remaining entries, and its usage so far."""

    encoded: bytes
    entries: Iterator[Entry]
    usage: Usage


def measure(reader: CapReader, entry: Entry, report: OnReadError, *, depth_max: int | None = None) -> Iterator[Usage]:
    """Iterate over the usage of each directory below an entry, after those in it, and of the entry itself last.

    A directory that is shared is read once, if it lies deeper than depth_max.

    Args:
        reader: The grid of the entry.
        entry: The file or directory to measure.
        report: Called with each path that can't be read; the sums lack it.
        depth_max: The number of levels below the entry that are yielded; None for all.
    """
    known: dict[bytes, Usage] = {}
    levels = [_Level(b"", iter([entry]), Usage(b""))]
    ancestors = Ancestors()
    ancestors.enter(None)
    while levels:
        level = levels[-1]
        child = next(level.entries, None)
        if child is None:
            levels.pop()
            ancestors.leave()
            if not levels:
                return
            if level.usage.is_whole and depth_max is not None and len(levels) - 1 > depth_max:
                known[level.encoded] = level.usage
            levels[-1].usage.add(level.usage)
            if depth_max is None or len(levels) - 1 <= depth_max:
                yield level.usage
            continue
        path = join_path(level.usage.path, child.name) if len(levels) > 1 else b""
        if not child.is_directory:
            level.usage.add(Usage(path, size_of(child), files=1))
            if len(levels) == 1:
                yield Usage(path, size_of(child), files=1)
        elif depth_max is not None and len(levels) - 1 > depth_max and child.encoded in known:
            level.usage.add(known[child.encoded])
        elif child.encoded in ancestors:
            report(ReadError(path, LEADS_BACK, is_missing=False))
        else:
            ancestors.enter(child.encoded)
            usage = Usage(path, directories=1)
            levels.append(_Level(child.encoded, _listed(reader, child, usage, report), usage))


def _listed(reader: CapReader, entry: Entry, usage: Usage, report: OnReadError) -> Iterator[Entry]:
    try:
        cap = entry.cap
        if isinstance(cap, DirectoryReadCap):
            yield from reader.read_directory(cap)
    except (DamageError, AuthorityError) as error:
        usage.is_whole = False
        report(ReadError(usage.path, f"can't be read: {error}"))
