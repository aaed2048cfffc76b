"""Directories in the making.

The walk goes on while workers read files; so a directory's entries come out of order, and directories are finished out of order.
Each keeps a queue of runs: entries that are known, and places whose entries are still to come. What is known at the head of the
queue goes into the directory's builder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from functools import partial

import msgspec

from tallac.backup.decide import Subdirectories
from tallac.backup.summary import Change, Ledger
from tallac.dag import Components, EncodedEntries, Entry, Metadata, encode_cap
from tallac.interfaces import DirectoryBuilder, DirectoryWriter
from tallac.sourcedb import DirectoryRow, SourceRecord

MISSING_COUNT_MAX = 1000
"""Of so many names that are missing a directory names each; of more it says that nothing is known of what it has not."""


class EntryRun:
    """Some neighbouring entries of a directory; None while they are still to come.

    Attributes:
        count: How many there are, once they have come.
    """

    __slots__ = ("count", "entries")

    def __init__(self, entries: list[Entry] | None = None) -> None:
        self.entries: list[Entry] | EncodedEntries | None = entries
        self.count = 0 if entries is None else len(entries)


class EntrySlot(msgspec.Struct):
    """Where a directory's entry belongs in the directory above."""

    parent: PendingDirectory
    run: EntryRun
    name: bytes
    metadata: Metadata


class PendingDirectory(msgspec.Struct, eq=False):
    """One directory in the making.

    Attributes:
        path: Its absolute path.
        components: The names that lead to it from the source.
        read_ns: When its reading began.
        recorded: The encoded cap under which it was stored the last time, if any.
        signature: What it may be recognised by; None where that must not be relied on.
        is_traverse_only: Whether it only leads to sources, and nothing is to be recorded of it.
        files, directories, size: What is below it, as far as it is known.
        excluded: How many of its entries, and of those below it, are left out by the user's rules.
        missing: Names that are in it and are not stored, though no rule leaves them out.
        below: Its subdirectories with their caps.
        is_listed: Whether nothing more will be added.
        encoded: Its encoded cap, once it is finished.
    """

    path: bytes
    components: Components
    read_ns: int
    recorded: bytes | None
    signature: bytes | None
    is_traverse_only: bool = False
    runs: deque[EntryRun] = msgspec.field(default_factory=deque)
    builder: DirectoryBuilder | None = None
    files: int = 0
    directories: int = 0
    size: int = 0
    excluded: int = 0
    missing: set[bytes] = msgspec.field(default_factory=set)
    below: Subdirectories = msgspec.field(default_factory=Subdirectories)
    is_listed: bool = False
    encoded: bytes | None = None
    slot: EntrySlot | None = None

    def discard_signature(self) -> None:
        """Make the next backup go through the directory file by file."""
        self.signature = None


class DirectoryAssembler:
    """Builds the directories of one batch.

    Attributes:
        queued: How many known entries wait behind unknown ones, in all directories.
    """

    def __init__(
        self,
        writer: DirectoryWriter,
        record: SourceRecord,
        ledger: Ledger,
        others: Callable[[Components], bytes | None] = lambda _: None,
    ) -> None:
        """Begin.

        Args:
            writer: Stores the directories.
            record: Learns what was stored.
            ledger: Counts.
            others: Returns the encoded cap of a directory in a snapshot that another program has made since.
        """
        self._writer = writer
        self._others = others
        self._record = record
        self._ledger = ledger
        self.queued = 0

    def add(self, pending: PendingDirectory, entry: Entry) -> None:
        """Add the entry of a file that is known already."""
        pending.files += 1
        pending.size += entry.size
        self._append(pending, entry)

    def add_files(self, pending: PendingDirectory, entries: list[Entry], size: int) -> None:
        """Add the entries of neighbouring files that are known already; `size` is the sum of theirs."""
        pending.files += len(entries)
        pending.size += size
        if not entries:
            return
        if not pending.runs:
            self._builder(pending).extend(entries)
            return
        self._queue(pending, entries)

    def add_directory(self, pending: PendingDirectory, entry: Entry, row: DirectoryRow) -> None:
        """Add the entry of a directory that has not changed."""
        pending.files += row.files
        pending.directories += 1 + row.directories
        pending.size += row.size
        pending.excluded += row.excluded
        pending.below.add(entry.name, entry.encoded)
        self._append(pending, entry)

    def reserve(self, pending: PendingDirectory) -> EntryRun:
        """Keep a place, after all that was added, for entries that are still to come."""
        run = EntryRun()
        pending.runs.append(run)
        return run

    def resolve(self, pending: PendingDirectory, run: EntryRun, entries: list[Entry]) -> None:
        """Fill a place with files. It may finish the directory, and some above it."""
        pending.files += len(entries)
        pending.size += sum([entry.size for entry in entries])
        self._fill(run, entries, len(entries))
        self._settle(pending)

    def resolve_encoded(self, pending: PendingDirectory, run: EntryRun, entries: EncodedEntries, size: int) -> None:
        """Fill a place with files whose entries are encoded already; `size` is the sum of theirs. See `resolve`."""
        count = len(entries.names)
        pending.files += count
        pending.size += size
        self._fill(run, entries, count)
        self._settle(pending)

    def put(self, pending: PendingDirectory, slot: EntrySlot) -> None:
        """Set the slot that a directory's entry belongs into."""
        pending.slot = slot
        if pending.encoded is not None:
            self._deliver(pending, pending.encoded)
            self._settle(slot.parent)

    def close(self, pending: PendingDirectory) -> None:
        """Mark a directory as complete: nothing more will be added."""
        pending.is_listed = True
        self._settle(pending)

    def _append(self, pending: PendingDirectory, entry: Entry) -> None:
        runs = pending.runs
        if not runs:
            self._builder(pending).add(entry)
            return
        self._queue(pending, [entry])

    def _queue(self, pending: PendingDirectory, entries: list[Entry]) -> None:
        """Put entries that are known behind others that are still to come."""
        self.queued += len(entries)
        last = pending.runs[-1]
        if isinstance(last.entries, list):
            last.entries.extend(entries)
            last.count += len(entries)
        else:
            pending.runs.append(EntryRun(entries))

    def _fill(self, run: EntryRun, entries: list[Entry] | EncodedEntries, count: int) -> None:
        run.entries, run.count = entries, count
        self.queued += count

    def _settle(self, pending: PendingDirectory) -> None:
        """Build what is known of a directory; where that finishes it, go on with the one above. Trees are deep: no recursion."""
        above: PendingDirectory | None = pending
        while above is not None:
            pending = above
            self._build(pending)
            if pending.runs or not pending.is_listed or pending.encoded is not None:
                return
            pending.encoded = self._finish(pending)
            if pending.slot is None:
                return
            self._deliver(pending, pending.encoded)
            above = pending.slot.parent

    def _build(self, pending: PendingDirectory) -> None:
        runs = pending.runs
        while runs and (entries := runs[0].entries) is not None:
            self.queued -= runs.popleft().count
            if isinstance(entries, EncodedEntries):
                self._builder(pending).extend_encoded(entries)
            else:
                self._builder(pending).extend(entries)

    def _builder(self, pending: PendingDirectory) -> DirectoryBuilder:
        if pending.builder is None:
            other = None if pending.is_traverse_only else partial(self._others, pending.components)
            pending.builder = self._writer.build_directory(pending.recorded, other)
        return pending.builder

    def _finish(self, pending: PendingDirectory) -> bytes:
        encoded = encode_cap(self._builder(pending).finish())
        pending.builder = None
        # What the user's rules leave out, or can't be read, is there all the same.
        is_empty = not (pending.files or pending.missing or pending.excluded)
        if is_empty and self._ledger.files_before.get(pending.path):
            self._ledger.emptied.append(pending.path)
        if not pending.is_traverse_only:
            self._record.stage(pending.path, row_of(pending, encoded))
        return encoded

    def _deliver(self, pending: PendingDirectory, encoded: bytes) -> None:
        """Hand a finished directory to the one above."""
        slot = pending.slot
        assert slot is not None
        was_there = Change.UNCHANGED if pending.recorded == encoded else Change.CHANGED
        self._ledger.directories.add(Change.NEW if pending.recorded is None else was_there)
        slot.parent.files += pending.files
        slot.parent.directories += 1 + pending.directories
        slot.parent.size += pending.size
        slot.parent.excluded += pending.excluded
        slot.parent.below.add(slot.name, encoded)
        self._fill(slot.run, [Entry(slot.name, encoded, with_missing(slot.metadata, pending.missing))], 1)


def with_missing(metadata: Metadata, missing: Collection[bytes]) -> Metadata:
    """Return a directory's metadata with the names that are missing from it."""
    if not missing and not metadata.missing:
        return metadata
    if len(missing) > MISSING_COUNT_MAX:
        return msgspec.structs.replace(metadata, missing=(), partial=True)
    return msgspec.structs.replace(metadata, missing=tuple(sorted(missing)))


def row_of(pending: PendingDirectory, encoded: bytes) -> DirectoryRow:
    """Return the row that records how a directory was stored."""
    return DirectoryRow(
        pending.signature,
        encoded,
        pending.below.digest(),
        pending.read_ns,
        pending.files,
        pending.directories,
        pending.size,
        pending.excluded,
    )


def outcome(visited: DirectoryRow | PendingDirectory, ledger: Ledger) -> tuple[bytes, DirectoryRow]:
    """Count what a walk found unchanged at its root; return the root's encoded cap and row."""
    if isinstance(visited, DirectoryRow):
        ledger.files.add(Change.UNCHANGED, visited.files)
        ledger.directories.add(Change.UNCHANGED, visited.directories)
        return visited.encoded, visited
    assert visited.encoded is not None, "a file's result is missing"
    return visited.encoded, row_of(visited, visited.encoded)
