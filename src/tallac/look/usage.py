"""How much is below each directory, as du(1) tells it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, join_path
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CapReader
from tallac.look.metadata import size_of
from tallac.look.read_errors import ReadError, Report


class Usage(msgspec.Struct):
    """What is at a path and below it.

    Attributes:
        path: Below what was asked for.
        size: Bytes of the regular files, each name by itself, hard links too: what restoring them would write.
        files, directories: How many there are, this one included.
        is_whole: Whether all of it could be looked at.
    """

    path: bytes
    size: int = 0
    files: int = 0
    directories: int = 0
    is_whole: bool = True

    def add(self, other: Usage) -> None:
        """Add what is below."""
        self.size += other.size
        self.files += other.files
        self.directories += other.directories
        self.is_whole &= other.is_whole


class _Level(msgspec.Struct):
    """A directory on the way down: what is left of it, and what there was so far."""

    encoded: bytes
    entries: Iterator[Entry]
    usage: Usage


def measure(reader: CapReader, entry: Entry, report: Report, *, depth_max: int | None = None) -> Iterator[Usage]:
    """Give the usage of each directory below an entry, after those in it, and of the entry itself last.

    What several directories share is looked through once, where it lies deeper than what is given.

    Args:
        reader: Where to read.
        entry: Where to begin.
        report: Told of what can't be looked through; the sums lack it.
        depth_max: Give no more than so many levels below the entry; None for all.
    """
    known: dict[bytes, Usage] = {}
    levels = [_Level(b"", iter([entry]), Usage(b""))]
    while levels:
        level = levels[-1]
        child = next(level.entries, None)
        if child is None:
            levels.pop()
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
        else:
            usage = Usage(path, directories=1)
            levels.append(_Level(child.encoded, _listed(reader, child, usage, report), usage))


def _listed(reader: CapReader, entry: Entry, usage: Usage, report: Report) -> Iterator[Entry]:
    try:
        cap = entry.cap
        if isinstance(cap, DirectoryReadCap):
            yield from reader.read_directory(cap)
    except (DamageError, AuthorityError) as error:
        usage.is_whole = False
        report(ReadError(usage.path, f"can't be looked through: {error}"))
