"""One backup, in the order that keeps every snapshot whole: store, make durable, enter, point `Latest` at it, then remember."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import msgspec

from tallac.backup.context import WalkContext
from tallac.backup.decide import Comparison
from tallac.backup.executor import Pools
from tallac.backup.file_storer import FileStorer
from tallac.backup.files import INLINE_AGAIN, INLINE_AT_FIRST, Files
from tallac.backup.pending_directory import DirectoryAssembler, outcome, with_missing
from tallac.backup.recorded import ForeignSnapshot, find_recorded
from tallac.backup.request import BackupRequest, open_source
from tallac.backup.summary import BackupSummary, Ledger, Observer, OutwardLinks, Phase
from tallac.backup.target import (
    Naming,
    Target,
    enter_snapshot,
    is_latest,
    latest_snapshot,
    open_existing_target,
    open_target,
    prepare_snapshot,
)
from tallac.backup.walk import Walk
from tallac.caps import DirectoryReadCap
from tallac.dag import Metadata, SnapshotFacts, decode_cap, display_path
from tallac.errors import FencedError, SourceError
from tallac.interfaces import CapWriter, Clock, Grid, Session
from tallac.source import (
    REAL,
    DirectoryStack,
    FileSystem,
    SourceEntry,
    metadata_of,
    read_attributes,
)
from tallac.sourcedb import DirectoryRow, SourceDatabase, SourceRecord
from tallac.wording import pluralize

if TYPE_CHECKING:
    from tallac.backup.look_ahead import LookAhead


class _Stored(msgspec.Struct, frozen=True):
    """The result of a writing() block."""

    encoded: bytes
    metadata: Metadata
    row: DirectoryRow
    bytes_stored: int


def back_up(
    grid: Grid,
    request: BackupRequest,
    database: SourceDatabase,
    clock: Clock,
    *,
    observer: Observer | None = None,
    filesystem: FileSystem = REAL,
    ahead: LookAhead | None = None,
) -> BackupSummary:
    """Back up a source into a target, as one more snapshot.

    When this returns, the snapshot is durable and entered. Whatever it raises, every earlier snapshot is whole and none was
    entered, or one was entered and is whole.

    Args:
        grid: Where the target is.
        request: What to do.
        database: What is known of the source.
        clock: The time.
        observer: Called with what happens.
        filesystem: The calls through which the source is read.
        ahead: Another process that looks at the same source with the same rules; it stays the caller's.

    Raises:
        SourceError: The source can't be read as a whole.
        UsageError: The source is no directory.
        NotADirectoryCapError: The target can't be one.
        StoreError: The store failed.
        WorkerCrashedError: A worker process was killed.
    """
    run = _Run(grid, request, database, clock, observer or Observer(), filesystem, ahead)
    try:
        return run.once()
    except FencedError:
        # A second run looks up everything that it refers to again, and stores what is missing.
        run = _Run(grid, request, database, clock, observer or Observer(), filesystem, None)
        return run.once()


class _Run:
    """One backup; it can be run again."""

    def __init__(
        self,
        grid: Grid,
        request: BackupRequest,
        database: SourceDatabase,
        clock: Clock,
        observer: Observer,
        filesystem: FileSystem,
        ahead: LookAhead | None,
    ) -> None:
        self._ahead = ahead
        self._grid = grid
        self._request = request
        self._database = database
        self._clock = clock
        self._observer = observer
        self._filesystem = filesystem
        self._sources = request.named_sources

    def once(self) -> BackupSummary:
        """Back up."""
        started_ns = self._clock.now_ns() if self._ahead is None else self._ahead.started_ns
        record = self._database.record(self._grid.identity, *self._sources)
        with ExitStack() as stack:
            root = open_source(self._request.source, self._filesystem)
            stack.callback(self._filesystem.close, root)
            session = stack.enter_context(self._grid.session())
            before = open_existing_target(self._grid, self._request.root, self._request.path)
            with session.writing() as writer, closing(self._pools(root, writer)) as pools:
                epoch = writer.epoch
                target = before or self._make_target(root, writer, pools)
                outward = OutwardLinks(self._request.named_sources)
                ledger = Ledger(self._observer, self._clock, lambda: writer.bytes_stored, outward=outward)
                for path, reason in self._request.missing:
                    ledger.leave_out(path, reason)
                self._note_files_before(before, record, ledger)
                try:
                    encoded, row, missing = self._store(root, before, writer, pools, record, ledger)
                finally:
                    record.flush()
                metadata = with_missing(self._root_metadata(root, ledger), missing)
                ledger.finish(self._request.source)
                ledger.begin(Phase.INDEX)
            stored = _Stored(encoded, metadata, row, writer.bytes_stored)
            self._require_no_disaster(ledger)
            facts = self._facts(started_ns, stored, ledger)
            ledger.begin(Phase.SNAPSHOT)
            name = self._enter(session, target, stored, facts)
            record.commit(epoch)
        return _summarize(name, _directory_cap(encoded), facts, row, ledger)

    def _pools(self, root: int, writer: CapWriter) -> Pools:
        return Pools(root, writer, self._request, self._observer, self._filesystem)

    def _make_target(self, root: int, writer: CapWriter, pools: Pools) -> Target:
        """Make a new target. Over a line workers start and connect meanwhile, where the source will have work for them."""
        if writer.is_distant:
            # lazy import: a target is made once
            from tallac.backup.quick_look import LookTask, holds_more

            request = self._request
            task = LookTask(root, request.source, request.selection, request.scope, request.own)
            if holds_more(task, *INLINE_AT_FIRST, self._filesystem, self._clock):
                pools.start()
        return open_target(self._grid, self._request.root, self._request.path)

    def _note_files_before(self, target: Target | None, record: SourceRecord, ledger: Ledger) -> None:
        """Note how many files each source had; for a single source without a record the snapshot of before tells it."""
        if self._request.allows_empty:
            return
        rows = {source: record.directory(source) for source in self._sources}
        ledger.files_before = {source: row.files for source, row in rows.items() if row is not None and row.files}
        if target is not None and self._request.scope is None and rows.get(self._request.source) is None:
            before = latest_snapshot(self._grid, target, self._request.facts.host, self._sources)
            facts = None if before is None else before.metadata.snapshot
            if facts is not None and facts.sources == self._sources:
                ledger.files_before[self._request.source] = facts.files

    def _require_no_disaster(self, ledger: Ledger) -> None:
        """Refuse a snapshot of what was emptied, or of which too much was removed.

        Raises:
            SourceError: It is one.
        """
        for path in ledger.emptied:
            count = pluralize(ledger.files_before[path], "file")
            raise SourceError(
                f"{display_path(path)}: it is empty, and had {count} in the last backup; see that its disk is mounted, or add "
                "--allow-empty if it should be empty"
            )
        share_max, removed = self._request.removed_share_max, ledger.files.gone
        before = removed + ledger.files.changed + ledger.files.unchanged
        if share_max is not None and removed > share_max * before:
            counts = f"{removed:,} of {pluralize(before, 'file')}"
            raise SourceError(
                f"{display_path(self._request.source)}: {counts} were removed since the last backup, and --max-removed allows "
                f"{share_max:.0%}; no snapshot was created"
            )

    def _enter(self, session: Session, target: Target, stored: _Stored, facts: SnapshotFacts) -> bytes:
        """Enter the snapshot and give its name; b"" where it is not wanted beside the latest one."""
        if self._request.skips_unchanged and is_latest(self._grid, target, stored.encoded):
            return b""
        entered = msgspec.structs.replace(stored.metadata, snapshot=facts)
        naming = Naming(self._clock, self._request.time_ns)
        prepare_snapshot(self._grid, target, stored.encoded, entered, naming)
        session.commit([_directory_cap(stored.encoded)])
        return enter_snapshot(self._grid, session, target, stored.encoded, entered, naming, notice=self._observer.notice)

    def _store(
        self, root: int, target: Target | None, writer: CapWriter, pools: Pools, record: SourceRecord, ledger: Ledger
    ) -> tuple[bytes, DirectoryRow, Collection[bytes]]:
        """Store the source; return its encoded cap, what is below it, and the names that are missing from it.

        A target that was not there before has nothing to compare with, and need not be read.
        """
        recorded = find_recorded(self._grid, target, self._request, record, ledger)
        inline = INLINE_AGAIN if ledger.progress.files_expected else INLINE_AT_FIRST
        storer = FileStorer(root, writer, writer.small_size_max, self._filesystem)
        with ExitStack() as stack:
            stack.callback(storer.close)
            assembler = DirectoryAssembler(writer, record, ledger, ForeignSnapshot(self._grid, target).directory)
            files = Files(writer, storer, assembler, record, ledger, self._filesystem, pools.start, inline)
            stack.callback(files.close)
            walked = stack.enter_context(DirectoryStack(root, filesystem=self._filesystem))
            is_named = ledger.observer.file is not None  # Each file is, so that each has to be listed.
            context = WalkContext(
                grid=self._grid,
                writer=writer,
                record=record,
                files=files,
                assembler=assembler,
                ledger=ledger,
                clock=self._clock,
                filesystem=self._filesystem,
                stack=walked,
                own=self._request.own,
                trusts_timestamps=self._request.trusts_timestamps,
                ahead=None if is_named or self._ahead is None or not self._ahead.fits(root, self._request) else self._ahead,
                comparison=Comparison(self._filesystem.mounts().seen_from(self._request.source), self._request.unchanged_by),
            )
            ledger.remark(self._request.remarks)
            device = self._filesystem.fstat(root).st_dev
            selection = self._request.selection.at_root(
                self._request.source, device, self._request.scope, self._request.own.file_inodes
            )
            walk = Walk(context)
            self._count_ahead(root, ledger, stack)
            visited = walk.run(self._request.source, selection, recorded)
            if not walk.has_passed_over and (unmatched := selection.unmatched):
                ledger.report_unmatched(self._request.source, unmatched)
            files.drain()
            ledger.begin(Phase.LAST_PACKS)
            pools.finish()
            return *outcome(visited, ledger), walk.missing_from(visited, self._request.source)

    def _count_ahead(self, root: int, ledger: Ledger, stack: ExitStack) -> None:
        """Count the source meanwhile, where somebody waits and nothing tells how much it holds."""
        is_wanted = ledger.observer.progress is not None and self._request.counts_ahead and self._request.workers > 0
        if not is_wanted or ledger.progress.files_expected:
            return
        # lazy import: where there was a backup before, it tells how much to expect
        from tallac.backup.count import CountAhead, CountTask

        request = self._request
        task = CountTask(root, request.source, request.selection, request.scope, request.own)
        ahead = CountAhead(task, self._clock.now_ns())
        stack.callback(ahead.close)
        ledger.count_ahead = ahead.look

    def _root_metadata(self, root: int, ledger: Ledger) -> Metadata:
        xattrs, flags, problem = read_attributes(root, filesystem=self._filesystem)
        if problem is not None:
            ledger.miss_attributes(self._request.source, problem.strerror or str(problem))
        try:
            found = SourceEntry.of(b"", self._filesystem.fstat(root))
        except OSError as error:
            raise SourceError(f"{display_path(self._request.source)}: can't be read any more: {error.strerror}") from error
        metadata = metadata_of(found, xattrs=xattrs, flags=flags)
        return metadata if self._request.scope is None else msgspec.structs.replace(metadata, partial=True)

    def _facts(self, started_ns: int, stored: _Stored, ledger: Ledger) -> SnapshotFacts:
        return msgspec.structs.replace(
            self._request.facts,
            sources=self._sources,
            started_ns=started_ns,
            ended_ns=self._clock.now_ns(),
            files=stored.row.files,
            directories=stored.row.directories,
            size=stored.row.size,
            bytes_stored=stored.bytes_stored,
            unreadable=ledger.unreadable,
            rules=self._request.selection.rules,
        )


def _summarize(name: bytes, cap: DirectoryReadCap, facts: SnapshotFacts, row: DirectoryRow, ledger: Ledger) -> BackupSummary:
    """Return the summary of a backup."""
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


def _directory_cap(encoded: bytes) -> DirectoryReadCap:
    cap = decode_cap(encoded)
    assert isinstance(cap, DirectoryReadCap), "a source is stored as a directory"
    return cap
