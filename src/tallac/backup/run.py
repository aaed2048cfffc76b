"""One backup, in the order that keeps every snapshot whole: store, make durable, enter, point `Latest` at it, then remember."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import msgspec

from tallac.backup.assembly import Assembler, PendingDirectory, row_of
from tallac.backup.context import WalkContext
from tallac.backup.executor import Executor, Pool
from tallac.backup.files import Files
from tallac.backup.reading import FileStorer
from tallac.backup.recorded import Recorded
from tallac.backup.summary import BackupSummary, Change, Ledger, Observer
from tallac.backup.target import Target, enter_snapshot, is_latest, latest_snapshot, open_target
from tallac.backup.walk import Walk
from tallac.caps import DirectoryReadCap, DirectoryWriteCap
from tallac.dag import Metadata, SnapshotFacts, decode_cap, display_path, parse_snapshot_name
from tallac.errors import FencedError, SourceError, UsageError
from tallac.interfaces import CapReader, CapWriter, Clock, Grid, Session
from tallac.source import (
    REAL,
    DirectoryStack,
    FileSystem,
    Scope,
    Selection,
    SourceEntry,
    metadata_of,
    open_root,
    read_flags,
    read_xattrs,
)
from tallac.sourcedb import DirectoryRow, SourceDatabase, SourceRecord

WORKERS = 2

FOREIGN_DURATION_NS = 24 * 3600 * 1_000_000_000
"""So long before its name's time a snapshot of another tool may have been begun."""


class BackupRequest(msgspec.Struct, frozen=True):
    """What is to be backed up, and how.

    Attributes:
        root: The mutable directory that the path to the target begins at.
        path: The names that lead to the target.
        source: The absolute path of what becomes the snapshot's root.
        scope: Leads from there to the sources; None where the root itself is the source.
        sources: What the snapshot's facts name as its sources; the root where nothing is given.
        missing: Paths that the user named and that can't be backed up, with the reason.
        facts: Host, user, tags and version for the snapshot; the rest is filled in.
        selection: What of the source is backed up.
        is_excluded: Tells of a directory's (device, inode) whether it is to be left out, as the vault itself is.
        workers: How many worker processes may be started; 0 reads everything in this one.
        time_ns: What the snapshot is named by, UTC; None for the time at which it is entered.
        trusts_timestamps: Whether files that look as they did are taken to be what they were, and not read.
        skips_unchanged: Whether no snapshot is entered where `Latest` has the very same files.
    """

    root: DirectoryWriteCap
    path: Sequence[bytes]
    source: bytes
    facts: SnapshotFacts = msgspec.field(default_factory=SnapshotFacts)
    selection: Selection = msgspec.field(default_factory=Selection)
    is_excluded: Callable[[int, int], bool] = lambda device, inode: False  # noqa: ARG005
    workers: int = WORKERS
    scope: Scope | None = None
    sources: tuple[bytes, ...] = ()
    missing: tuple[tuple[bytes, str], ...] = ()
    time_ns: int | None = None
    trusts_timestamps: bool = True
    skips_unchanged: bool = False

    @property
    def named_sources(self) -> tuple[bytes, ...]:
        """What the snapshot's facts name as its sources."""
        return self.sources or (self.source,)


class _Stored(msgspec.Struct, frozen=True):
    """What a writing() block came to."""

    encoded: bytes
    metadata: Metadata
    row: DirectoryRow
    bytes_stored: int


def back_up(
    grid: Grid,
    order: BackupRequest,
    database: SourceDatabase,
    clock: Clock,
    *,
    observer: Observer | None = None,
    filesystem: FileSystem = REAL,
) -> BackupSummary:
    """Back up a source into a target, as one more snapshot.

    When this returns, the snapshot is durable and entered. Whatever it raises, every earlier snapshot is whole and none was
    entered, or one was entered and is whole.

    Args:
        grid: Where the target is.
        order: What to do.
        database: What is known of the source.
        clock: The time.
        observer: Told what happens.
        filesystem: The calls through which the source is read.

    Raises:
        SourceError: The source can't be read as a whole.
        UsageError: The source is no directory.
        NotADirectoryCapError: The target can't be one.
        StoreError: The store failed.
        WorkerCrashedError: A worker process was killed.
    """
    run = _Run(grid, order, database, clock, observer or Observer(), filesystem)
    try:
        return run.once()
    except FencedError:
        # A second run looks up everything that it refers to again, and stores what is gone.
        return run.once()


class _Run:
    """One backup; it can be run again."""

    def __init__(
        self,
        grid: Grid,
        order: BackupRequest,
        database: SourceDatabase,
        clock: Clock,
        observer: Observer,
        filesystem: FileSystem,
    ) -> None:
        self._grid = grid
        self._order = order
        self._database = database
        self._clock = clock
        self._observer = observer
        self._filesystem = filesystem
        self._sources = order.named_sources

    def once(self) -> BackupSummary:
        """Back up."""
        started_ns = self._clock.now_ns()
        record = self._database.record(self._grid.identity, *self._sources)
        with ExitStack() as stack:
            root = open_source(self._order.source, self._filesystem)
            stack.callback(self._filesystem.close, root)
            session = stack.enter_context(self._grid.session())
            target = open_target(self._grid, self._order.root, self._order.path)
            with session.writing() as writer:
                epoch = writer.epoch
                ledger = Ledger(self._observer, self._clock, lambda: writer.bytes_stored)
                for path, reason in self._order.missing:
                    ledger.leave_out(path, reason)
                try:
                    encoded, row = self._store(root, target, writer, record, ledger)
                finally:
                    record.flush()
                metadata = self._root_metadata(root)
            stored = _Stored(encoded, metadata, row, writer.bytes_stored)
            facts = self._facts(started_ns, stored, ledger)
            name = self._enter(session, target, stored, facts)
            record.commit(epoch)
        return summarise(name, _directory_cap(encoded), facts, row, ledger)

    def _enter(self, session: Session, target: Target, stored: _Stored, facts: SnapshotFacts) -> bytes:
        """Enter the snapshot and give its name; b"" where it is not wanted beside the latest one."""
        if self._order.skips_unchanged and is_latest(self._grid, target, stored.encoded):
            return b""
        session.commit([_directory_cap(stored.encoded)])
        entered = msgspec.structs.replace(stored.metadata, snapshot=facts)
        notice = self._observer.notice
        return enter_snapshot(self._grid, session, target, stored.encoded, entered, self._clock, self._order.time_ns, notice=notice)

    def _store(
        self, root: int, target: Target, writer: CapWriter, record: SourceRecord, ledger: Ledger
    ) -> tuple[bytes, DirectoryRow]:
        """Store the source and give its packed cap and what is below it."""
        storer = FileStorer(root, writer, writer.small_size_max, self._filesystem)
        with ExitStack() as stack:
            stack.callback(storer.close)
            pools: list[Pool] = []
            assembler = Assembler(writer, record, ledger)
            files = Files(
                writer, storer, assembler, record, ledger, self._filesystem, partial(self._start_pool, root, writer, stack, pools)
            )
            stack.callback(files.close)
            walked = stack.enter_context(DirectoryStack(root, filesystem=self._filesystem))
            around = WalkContext(
                self._grid,
                writer,
                record,
                files,
                assembler,
                ledger,
                self._clock,
                self._filesystem,
                walked,
                self._order.is_excluded,
                self._order.trusts_timestamps,
            )
            recorded = find_recorded(self._grid, target, self._order, record, ledger)
            device = self._filesystem.fstat(root).st_dev
            selection = self._order.selection.at_root(self._order.source, device, self._order.scope)
            visited = Walk(around).run(self._order.source, selection, recorded)
            files.drain()
            for pool in pools:
                pool.finish()
            return outcome(visited, ledger)

    def _start_pool(self, root: int, writer: CapWriter, stack: ExitStack, pools: list[Pool]) -> Executor | None:
        pool = self._make_threads(root, writer) if writer.threads else self._make_workers(root, writer)
        if pool is not None:
            stack.callback(pool.stop)
            pools.append(pool)
        return pool

    def _make_threads(self, root: int, writer: CapWriter) -> Pool:
        # late import: a backup of what has hardly changed starts none
        from tallac.backup.threads import Threads

        return Threads(lambda: FileStorer(root, writer, writer.small_size_max, self._filesystem), writer.threads)

    def _make_workers(self, root: int, writer: CapWriter) -> Pool | None:
        # late import: a backup of what has hardly changed starts none
        from tallac.backup.processes import Workers
        from tallac.backup.worker import StoreTask
        from tallac.workers.pool import can_start_workers

        recipe = writer.worker_recipe()
        if recipe is None or self._order.workers == 0 or not can_start_workers():
            return None
        try:
            return Workers(StoreTask(recipe, root, writer.small_size_max), self._order.workers, writer.adopt)
        except OSError as error:
            self._observer.notice(
                self._order.source, f"no worker processes can be started ({error.strerror}); it is read without them"
            )
            return None

    def _root_metadata(self, root: int) -> Metadata:
        try:
            xattrs = read_xattrs(root, filesystem=self._filesystem)
            flags = read_flags(root, filesystem=self._filesystem)
            found = SourceEntry.of(b"", self._filesystem.fstat(root))
        except OSError as error:
            raise SourceError(f"{display_path(self._order.source)}: can't be read any more: {error.strerror}") from error
        return metadata_of(found, xattrs=xattrs, flags=flags)

    def _facts(self, started_ns: int, stored: _Stored, ledger: Ledger) -> SnapshotFacts:
        return msgspec.structs.replace(
            self._order.facts,
            sources=self._sources,
            started_ns=started_ns,
            ended_ns=self._clock.now_ns(),
            files=stored.row.files,
            directories=stored.row.directories,
            size=stored.row.size,
            bytes_stored=stored.bytes_stored,
            unreadable=ledger.unreadable,
        )


def open_source(source: bytes, filesystem: FileSystem) -> int:
    """Open the directory that becomes the snapshot's root.

    Raises:
        SourceError: It can't be opened.
        UsageError: It is no directory.
    """
    try:
        return open_root(source, filesystem=filesystem)
    except SourceError as error:
        if isinstance(error.__cause__, NotADirectoryError):
            raise UsageError(f"{display_path(source)} is a file; back up the folder that holds it") from error
        raise


def find_recorded(
    grid: CapReader, target: Target | None, order: BackupRequest, record: SourceRecord, ledger: Ledger
) -> Recorded | None:
    """Find what stands in for local records where these are lost, or tell nothing, and what is to be expected."""
    row = record.directory(order.source) if order.scope is None else None
    if row is not None:
        ledger.progress.files_expected, ledger.progress.bytes_expected = row.files, row.size
        return None
    latest = None if target is None else latest_snapshot(grid, target, order.facts.host, order.named_sources)
    facts = None if latest is None else latest.metadata.snapshot
    ledger.has_previous = facts is not None and facts.sources == order.named_sources
    if latest is None:
        return None
    if facts is None:
        # Another tool made it, which tells only when it was entered. What had changed shortly before is read again.
        entered_ns = parse_snapshot_name(latest.name) or 0
        return Recorded(latest.encoded, entered_ns - FOREIGN_DURATION_NS)
    ledger.progress.files_expected, ledger.progress.bytes_expected = facts.files, facts.size
    return Recorded(latest.encoded, facts.started_ns)


def summarise(name: bytes, cap: DirectoryReadCap, facts: SnapshotFacts, row: DirectoryRow, ledger: Ledger) -> BackupSummary:
    """Say what a backup came to."""
    return BackupSummary(
        name=name,
        cap=cap,
        files=ledger.files,
        directories=ledger.directories,
        size=facts.size,
        bytes_read=ledger.progress.bytes_read,
        bytes_stored=facts.bytes_stored,
        seconds=(facts.ended_ns - facts.started_ns) / 1e9,
        unreadable=ledger.unreadable,
        vanished=ledger.vanished,
        excluded=row.excluded,
    )


def outcome(visited: DirectoryRow | PendingDirectory, ledger: Ledger) -> tuple[bytes, DirectoryRow]:
    """Give the packed cap of what a walk came out as, and what is below it."""
    if isinstance(visited, DirectoryRow):
        ledger.files.add(Change.UNCHANGED, visited.files)
        ledger.directories.add(Change.UNCHANGED, visited.directories)
        return visited.encoded, visited
    assert visited.encoded is not None, "a file's result is missing"
    return visited.encoded, row_of(visited, visited.encoded)


def _directory_cap(encoded: bytes) -> DirectoryReadCap:
    cap = decode_cap(encoded)
    assert isinstance(cap, DirectoryReadCap), "a source is stored as a directory"
    return cap
