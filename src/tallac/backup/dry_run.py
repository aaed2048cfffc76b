"""A backup that stores nothing: what a real one would read and enter, as far as names and stat fields tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count

import msgspec
from blake3 import blake3

from tallac.backup.context import WalkContext
from tallac.backup.decide import Comparison
from tallac.backup.pending_directory import DirectoryAssembler, PendingDirectory, outcome
from tallac.backup.recorded import StoredBefore, find_recorded
from tallac.backup.request import BackupRequest, open_source
from tallac.backup.summary import Change, Counts, Ledger, Observer
from tallac.backup.target import find_target
from tallac.backup.walk import Walk
from tallac.caps import DirectoryReadCap, FileReadCap, ImmutableDirectory, ImmutableFile
from tallac.dag import EncodedEntries, Entry, decode_cap, encode_cap, encode_entries, encode_entry
from tallac.errors import DamageError, MissingObjectError
from tallac.interfaces import BinaryReader, CapReader, Clock, Directory, FileReader, WorkerRecipe
from tallac.source import REAL, DirectoryStack, FileSystem, SourceEntry, metadata_of
from tallac.sourcedb import DirectoryRow, ProvisionalRows, SourceRecord


class DryRunSummary(msgspec.Struct, frozen=True):
    """The outcome that a backup would have.

    Attributes:
        files: Everything that is no directory; what would have to be read counts as new or changed.
        directories: All below the source, itself not counted.
        size: Sum of the sizes of the snapshot's regular files.
        size_to_read: What of it would be read.
        unreadable: How many directories, or paths that the user named, can't be looked at.
        excluded: How many files and directories the user's rules leave out.
    """

    files: Counts
    directories: Counts
    size: int
    size_to_read: int
    unreadable: int
    excluded: int


def dry_run(
    grid: CapReader | None,
    request: BackupRequest,
    record: SourceRecord,
    clock: Clock,
    *,
    observer: Observer | None = None,
    filesystem: FileSystem = REAL,
) -> DryRunSummary:
    """Walk through a source as a backup would, and change nothing anywhere.

    No file is opened, so an unreadable one does not show.

    Args:
        grid: Where the target is, or would be; None where there is no grid yet.
        request: What would be done.
        record: What is known of the source.
        clock: The time.
        observer: Called with what would happen.
        filesystem: The calls through which the source is looked at.

    Raises:
        SourceError: The source can't be read as a whole.
        UsageError: The source is no directory.
        StoreError: The store failed.
    """
    ledger = Ledger(observer or Observer(), clock, lambda: 0)
    for path, reason in request.missing:
        ledger.leave_out(path, reason)
    reader = grid or _NoGrid()
    kept = _KeptRecord(record)
    assembler = DirectoryAssembler(_Builders(reader), kept, ledger)
    with ExitStack() as stack:
        root = open_source(request.source, filesystem)
        stack.callback(filesystem.close, root)
        context = WalkContext(
            grid=reader,
            writer=_Everything(),
            record=kept,
            files=_Unread(assembler, ledger),
            assembler=assembler,
            ledger=ledger,
            clock=clock,
            filesystem=filesystem,
            stack=stack.enter_context(DirectoryStack(root, filesystem=filesystem)),
            own=request.own,
            trusts_timestamps=request.trusts_timestamps,
            comparison=Comparison(filesystem.mounts().seen_from(request.source), request.unchanged_by),
        )
        target = None if grid is None else find_target(grid, request.root, request.path)
        selection = request.selection.at_root(request.source, filesystem.fstat(root).st_dev, request.scope, request.own.file_inodes)
        recorded = find_recorded(reader, target, request, kept, ledger)
        ledger.remark(request.remarks)
        walk = Walk(context)
        visited = walk.run(request.source, selection, recorded)
        if not walk.has_passed_over and (unmatched := selection.unmatched):
            ledger.report_unmatched(request.source, unmatched)
    _, row = outcome(visited, ledger)
    return DryRunSummary(ledger.files, ledger.directories, row.size, ledger.progress.bytes_read, ledger.unreadable, row.excluded)


class _NoGrid:
    """A grid that holds nothing, because it is not there yet."""

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        raise MissingObjectError("there is no grid yet")

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        raise MissingObjectError("there is no grid yet")

    def read_directory(self, cap: DirectoryReadCap) -> Directory:
        raise MissingObjectError("there is no grid yet")

    def reader_recipe(self) -> WorkerRecipe[FileReader] | None:
        return None


class _Everything:
    """Takes for granted that the grid has what is recorded: looking that up is what a backup's session is for."""

    has_losses = False
    epoch = 0
    keeps_below = True

    def holds(self, encoded: bytes) -> bool:
        return True

    def holds_all(self, encoded: bytes) -> bool:
        return True


class _KeptRecord(SourceRecord):
    """A record of a source that can be read and never changes."""

    def __init__(self, record: SourceRecord) -> None:
        self._record = record

    def directory(self, path: bytes) -> DirectoryRow | None:
        row = self._record.directory(path)
        return None if row is None else row._replace(epoch=_Everything.epoch)

    @property
    def has_provisional(self) -> bool:
        return self._record.has_provisional

    def provisional(self, path: bytes, name: bytes) -> list[ProvisionalRows]:
        return self._record.provisional(path, name)

    def stage(self, path: bytes, row: DirectoryRow) -> None:
        """Change nothing."""

    def drop_below(self, path: bytes) -> None:
        """Change nothing."""


class _Unread:
    """Takes the files that would be read, and gives each an entry unlike any that was stored."""

    small_size_max = 0

    def __init__(self, assembler: DirectoryAssembler, ledger: Ledger) -> None:
        self._assembler = assembler
        self._ledger = ledger

    def read(self, pending: PendingDirectory, found: SourceEntry, recorded: Entry | None, stored: Sequence[StoredBefore]) -> None:
        change = Change.NEW if recorded is None else Change.CHANGED
        self._ledger.finish_file(change, pending.path, found.name, found.size)
        self._ledger.progress.bytes_read += found.size
        made_up = ImmutableFile(bytes(16), bytes(32), 1, 1, found.size)
        self._assembler.add(pending, Entry(found.name, encode_cap(made_up), metadata_of(found)))

    def read_new(self, pending: PendingDirectory, found: Sequence[SourceEntry]) -> None:
        for each in found:
            self.read(pending, each, None, ())

    def drain(self) -> None:
        """Do nothing: nothing waits."""


class _Builders:
    """Makes directories that are stored nowhere."""

    def __init__(self, grid: CapReader) -> None:
        self._grid = grid
        self._numbers = count()

    def build_directory(self, recorded: bytes | None = None, other: object = None) -> _Builder:
        return _Builder(self._grid, recorded, lambda: next(self._numbers))


class _Builder:
    """Compares a directory with the one that is recorded, and gives its cap where they are the same; else one of its own."""

    def __init__(self, grid: CapReader, recorded: bytes | None, number: Callable[[], int]) -> None:
        self._grid = grid
        self._recorded = recorded
        self._number = number
        self._hasher = blake3()

    def add(self, entry: Entry) -> None:
        self._hasher.update(encode_entry(entry))

    def extend(self, entries: Sequence[Entry]) -> None:
        self._hasher.update(encode_entries(entries))

    def extend_encoded(self, entries: EncodedEntries) -> None:
        self.extend(entries.decode())

    def finish(self) -> DirectoryReadCap:
        cap = None if self._recorded is None else decode_cap(self._recorded)
        if isinstance(cap, DirectoryReadCap) and self._hash_of(cap) == self._hasher.digest():
            return cap
        return ImmutableDirectory(bytes(16), self._number().to_bytes(32, "big"), 1, 1, 0)

    def _hash_of(self, cap: DirectoryReadCap) -> bytes | None:
        hasher = blake3()
        try:
            for entry in self._grid.read_directory(cap):
                hasher.update(encode_entry(entry))
        except DamageError:
            return None  # It would be stored anew.
        return hasher.digest()
