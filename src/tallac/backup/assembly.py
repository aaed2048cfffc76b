"""Directories in the making.

The walk goes on while workers read files; so a directory's entries come out of order, and directories are finished out of order.
Each keeps a queue of segments: entries that are known, and places whose entries are still to come. What is known at the head of the
queue goes into the directory's builder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from tallac.backup.decide import Subdirectories
from tallac.backup.summary import Change, Ledger
from tallac.dag import Entry, Metadata, encode_cap
from tallac.interfaces import DirectoryBuilder
from tallac.sourcedb import DirectoryRow, SourceRecord


class EntryRun:
    """Some neighbouring entries of a directory; None while they are still to come."""

    __slots__ = ("entries",)

    def __init__(self, entries: list[Entry] | None = None) -> None:
        self.entries = entries


class EntrySlot(msgspec.Struct):
    """Where a directory's entry belongs in the directory above."""

    parent: PendingDirectory
    segment: EntryRun
    name: bytes
    metadata: Metadata


class PendingDirectory(msgspec.Struct, eq=False):
    """One directory in the making.

    Attributes:
        path: Its absolute path.
        components: The names that lead to it from the source.
        read_ns: When its reading began.
        recorded: The packed cap under which it was stored the last time, if any.
        signature: What it may be recognised by; None where that must not be relied on.
        is_traverse_only: Whether it only leads to sources, and nothing is to be recorded of it.
        files, directories, size: What is below it, as far as it is known.
        excluded: How many of its entries, and of those below it, are left out by the user's rules.
        below: Its subdirectories with their caps.
        is_listed: Whether nothing more will be added.
        packed: Its packed cap, once it is finished.
    """

    path: bytes
    components: tuple[bytes, ...]
    read_ns: int
    recorded: bytes | None
    signature: bytes | None
    is_traverse_only: bool = False
    segments: deque[EntryRun] = msgspec.field(default_factory=deque)
    builder: DirectoryBuilder | None = None
    files: int = 0
    directories: int = 0
    size: int = 0
    excluded: int = 0
    below: Subdirectories = msgspec.field(default_factory=Subdirectories)
    is_listed: bool = False
    encoded: bytes | None = None
    place: EntrySlot | None = None

    def discard_signature(self) -> None:
        """Have the directory looked through file by file the next time."""
        self.signature = None


class DirectoryMaker(Protocol):
    """What building directories takes; see `CapWriter`."""

    def build_directory(self, recorded: bytes | None = None) -> DirectoryBuilder: ...


class Assembler:
    """Builds the directories of one batch.

    Attributes:
        queued: How many known entries wait behind unknown ones, in all directories.
    """

    def __init__(self, writer: DirectoryMaker, record: SourceRecord, ledger: Ledger) -> None:
        self._writer = writer
        self._record = record
        self._ledger = ledger
        self.queued = 0

    def add(self, assembly: PendingDirectory, entry: Entry) -> None:
        """Add the entry of a file that is known already."""
        assembly.files += 1
        assembly.size += entry.size
        self._append(assembly, entry)

    def add_directory(self, assembly: PendingDirectory, entry: Entry, row: DirectoryRow) -> None:
        """Add the entry of a directory that has not changed."""
        assembly.files += row.files
        assembly.directories += 1 + row.directories
        assembly.size += row.size
        assembly.excluded += row.excluded
        assembly.below.add(entry.name, entry.encoded)
        self._append(assembly, entry)

    def reserve(self, assembly: PendingDirectory) -> EntryRun:
        """Keep a place, after all that was added, for entries that are still to come."""
        segment = EntryRun()
        assembly.segments.append(segment)
        return segment

    def resolve(self, assembly: PendingDirectory, segment: EntryRun, entries: list[Entry]) -> None:
        """Fill a place with files. It may finish the directory, and some above it."""
        assembly.files += len(entries)
        assembly.size += sum(entry.size for entry in entries)
        self._fill(segment, entries)
        self._settle(assembly)

    def put(self, assembly: PendingDirectory, place: EntrySlot) -> None:
        """Say where a directory belongs."""
        assembly.place = place
        if assembly.encoded is not None:
            self._deliver(assembly, assembly.encoded)
            self._settle(place.parent)

    def close(self, assembly: PendingDirectory) -> None:
        """Say that nothing more will be added."""
        assembly.is_listed = True
        self._settle(assembly)

    def _append(self, assembly: PendingDirectory, entry: Entry) -> None:
        segments = assembly.segments
        if not segments:
            self._builder(assembly).add(entry)
            return
        self.queued += 1
        if (entries := segments[-1].entries) is not None:
            entries.append(entry)
        else:
            segments.append(EntryRun([entry]))

    def _fill(self, segment: EntryRun, entries: list[Entry]) -> None:
        segment.entries = entries
        self.queued += len(entries)

    def _settle(self, assembly: PendingDirectory) -> None:
        """Build what is known of a directory; where that finishes it, go on with the one above. Trees are deep: no recursion."""
        above: PendingDirectory | None = assembly
        while above is not None:
            assembly = above
            self._build(assembly)
            if assembly.segments or not assembly.is_listed or assembly.encoded is not None:
                return
            assembly.encoded = self._finish(assembly)
            if assembly.place is None:
                return
            self._deliver(assembly, assembly.encoded)
            above = assembly.place.parent

    def _build(self, assembly: PendingDirectory) -> None:
        segments = assembly.segments
        while segments and (entries := segments[0].entries) is not None:
            segments.popleft()
            self.queued -= len(entries)
            add: Callable[[Entry], None] = self._builder(assembly).add
            for entry in entries:
                add(entry)

    def _builder(self, assembly: PendingDirectory) -> DirectoryBuilder:
        if assembly.builder is None:
            assembly.builder = self._writer.build_directory(assembly.recorded)
        return assembly.builder

    def _finish(self, assembly: PendingDirectory) -> bytes:
        encoded = encode_cap(self._builder(assembly).finish())
        assembly.builder = None
        if not assembly.is_traverse_only:
            self._record.stage(assembly.path, row_of(assembly, encoded))
        return encoded

    def _deliver(self, assembly: PendingDirectory, encoded: bytes) -> None:
        """Hand a finished directory to the one above."""
        place = assembly.place
        assert place is not None
        was_there = Change.UNCHANGED if assembly.recorded == encoded else Change.CHANGED
        self._ledger.directories.add(Change.NEW if assembly.recorded is None else was_there)
        place.parent.files += assembly.files
        place.parent.directories += 1 + assembly.directories
        place.parent.size += assembly.size
        place.parent.excluded += assembly.excluded
        place.parent.below.add(place.name, encoded)
        self._fill(place.segment, [Entry(place.name, encoded, place.metadata)])


def row_of(assembly: PendingDirectory, encoded: bytes) -> DirectoryRow:
    """Say how a directory that came out under a cap was stored."""
    return DirectoryRow(
        assembly.signature,
        encoded,
        assembly.below.digest(),
        assembly.read_ns,
        assembly.files,
        assembly.directories,
        assembly.size,
        assembly.excluded,
    )
