"""The walk through the source: what has not changed keeps its cap, the rest is read and stored, bottom up."""

from __future__ import annotations

import errno
import stat
from collections.abc import Collection, Generator, Mapping
from functools import partial

import msgspec

from tallac.backup.context import Before, Visit, Visited, VisitRequest, WalkContext
from tallac.backup.decide import Subdirectories
from tallac.backup.files import QUEUED_MAX
from tallac.backup.left_out import OwnLeftOut
from tallac.backup.neighbours import Neighbours
from tallac.backup.pending_directory import EntrySlot, PendingDirectory, with_missing
from tallac.backup.recorded import ProvisionalEntries, Recorded, RecordedEntries
from tallac.backup.removed import RemovedCounter
from tallac.backup.reuse import DirectoryReuse, LeafRecognition, Reuse
from tallac.backup.summary import Change, compare
from tallac.caps import LiteralFile
from tallac.dag import Entry, Metadata, display_path, encode_cap, join_path
from tallac.errors import SourceError
from tallac.source import (
    ChosenScan,
    DirectorySelection,
    MountPoint,
    Scan,
    SourceEntry,
    describe_special,
    is_configuration_name,
    metadata_of,
    read_attributes,
    scan_nothing,
)
from tallac.sourcedb import DirectoryRow

_EMPTY_FILE = encode_cap(LiteralFile(b""))
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


class Walk:
    """One walk through one source.

    Attributes:
        has_passed_over: Whether the names in some directory were not looked at one by one, because nothing in it had changed.
    """

    def __init__(self, context: WalkContext) -> None:
        self._context = context
        self._stack = context.stack
        self._ledger = context.ledger
        self._assembler = context.assembler
        self._record = context.record
        self._trusts_timestamps = context.trusts_timestamps
        self._comparison = context.comparison
        self._reuse = Reuse(context.writer, context.comparison, trusts_timestamps=context.trusts_timestamps)
        self._leaves = LeafRecognition(context.ahead, context.record, self._reuse)
        self._is_as_recorded = context.comparison.is_as_recorded
        self._removed = RemovedCounter(context.grid, context.record, context.ledger)
        self._own = OwnLeftOut(context.own, context.filesystem, context.ledger.observer)
        self._unreadable: set[bytes] = set()
        self.has_passed_over = False

    def run(self, source: bytes, selection: DirectorySelection, recorded: Recorded | None) -> DirectoryRow | PendingDirectory:
        """Visit the source and all below it. Directories that come out as pending directories are finished once all files are read.

        Trees may be deeper than Python's stack; so visits are generators on a stack of our own.

        Raises:
            SourceError: The source itself can't be listed.
            StoreError: The store failed.
        """
        visits = [self._visit(VisitRequest(b"", source, recorded, selection))]
        answer: Visited = None
        try:
            while True:
                try:
                    request = visits[-1].send(answer)
                except StopIteration as end:
                    visits.pop()
                    answer = end.value
                    if not visits:
                        break
                else:
                    visits.append(self._visit(request))
                    answer = None
        finally:
            while visits:
                visits.pop().close()
        assert answer is not None
        return answer

    def missing_from(self, visited: DirectoryRow | PendingDirectory, path: bytes) -> Collection[bytes]:
        """Return the names of a visited directory that are not stored, though no rule leaves them out."""
        return visited.missing if isinstance(visited, PendingDirectory) else self._own.names(path)

    def _visit(self, request: VisitRequest) -> Visit:
        leaf = self._leaves.find(request.path, request.selection)
        if isinstance(leaf, tuple):
            row, count = leaf
            self._report_progress(request, count)
            self._count_passed_over(row, Before())
            return row
        read_ns = self._context.clock.now_ns()
        if request.selection.is_hollow:
            # Nothing is asked of what is mounted there, whose server may have gone.
            with scan_nothing() as nothing:
                return (yield from self._look(request, ChosenScan(nothing, request.selection), read_ns))
        mounted = self._context.comparison.mounts.names.get(request.path, {})
        try:
            if request.name:
                self._stack.enter(request.name, to_pass=request.selection.scope is not None)
        except OSError as error:
            self._leave_out(request.path, error)
            return None
        try:
            try:
                listing = None if leaf is None else leaf.scan(self._stack.status, mounted)
                read_ns = read_ns if leaf is None or listing is None else leaf.read_ns
                if listing is None:
                    listing = request.selection.scan(self._stack.descriptor, self._context.filesystem, mounted)
            except OSError as error:
                if not request.name:
                    raise SourceError(f"{display_path(request.path)}: can't be listed: {error.strerror}") from error
                self._leave_out(request.path, error)
                return None
            with listing:
                self._report_progress(request, len(listing))
                if self._is_recognised_own(request, listing):
                    return None
                chosen = ChosenScan(listing, self._select(request, listing, mounted))
                return (yield from self._look(request, chosen, read_ns))
        finally:
            if request.name:
                self._stack.leave()

    def _select(self, request: VisitRequest, listing: Scan, mounted: Mapping[bytes, MountPoint]) -> DirectorySelection:
        def notice(name: bytes, message: str) -> None:
            self._ledger.observer.notice(join_path(request.path, name), message)

        return request.selection.reading(listing, self._stack.descriptor, request.path, notice, self._context.filesystem, mounted)

    def _is_recognised_own(self, request: VisitRequest, listing: Scan) -> bool:
        # What the user has named is wanted, and in a directory that leads to sources only their names are looked at.
        if not request.name or request.selection.scope is not None:
            return False
        return self._own.recognises(request.path, request.name, self._stack.descriptor, listing)

    def _report_progress(self, request: VisitRequest, count: int) -> None:
        self._ledger.progress.files_found += count
        self._ledger.progress.path = request.path
        self._ledger.tick()

    def _look(self, request: VisitRequest, listing: ChosenScan, read_ns: int) -> Visit:
        """Recognise a directory by its signature, or go through its entries."""
        signature = listing.signature()
        # Which sources a directory leads to is no property of the directory: of such a one the record tells nothing.
        is_traverse_only = request.selection.scope is not None
        row = None if is_traverse_only else self._record.directory(request.path)
        recorded = request.recorded if row is None else self._reuse.recorded(row)
        components = (*self._stack.components, request.name) if request.selection.is_hollow else self._stack.components
        pending = PendingDirectory(request.path, components, read_ns, None if recorded is None else recorded.encoded, signature)
        pending.is_traverse_only = is_traverse_only
        before = Before()
        if row is not None and signature is not None and self._reuse.is_recognised(row, signature):
            before = yield from self._visit_below(request.path, listing, row)
            if before.is_unchanged:
                self._pass_over(request.path, listing, row, before)
                return row
        yield from self._go_through(pending, listing, recorded, before)
        return pending

    def _visit_below(self, path: bytes, listing: ChosenScan, row: DirectoryRow) -> Generator[VisitRequest, Visited, Before]:
        """Visit the subdirectories up to the first that has changed, and see whether they are those that were recorded."""
        last, visited, below, files, size = b"", None, Subdirectories(), 0, 0
        for found in listing.directories():
            if self._is_own(path, found):
                continue
            result = yield VisitRequest(found.name, join_path(path, found.name), None, listing.selection.beneath(found))
            if result is None and found.name in self._own.names(path):
                continue
            last, visited = found.name, result
            if not isinstance(visited, DirectoryRow):
                return Before(last, visited)
            below.add(last, visited.encoded)
            files, size = files + visited.files, size + visited.size
        return Before(last, visited, below.digest() == row.below, files, size)

    def _go_through(
        self, pending: PendingDirectory, listing: ChosenScan, recorded: Recorded | None, before: Before
    ) -> Generator[VisitRequest, Visited, None]:
        """Go through a directory's entries one by one."""
        for name, error in listing.failures:
            self._leave_out_of(pending, name, error)
        old_entries = RecordedEntries(
            self._context.grid,
            recorded,
            on_removed=lambda entry: self._forget(pending.path, entry),
            on_damage=lambda error: self._ledger.observer.notice(pending.path, f"it is read again: {error}"),
        )
        provisional = ProvisionalEntries(self._record, pending.path)
        reuse = self._reuse.in_directory(recorded)
        neighbours = Neighbours(self._context, pending, reuse)
        for found in listing.entries(partial(self._exclude, pending)):
            old = old_entries.find(found.name)
            if neighbours.take(found, old):
                continue
            if self._comparison.mounts.is_deleted(found.name, found.device):
                pending.excluded += 1
                self._ledger.pass_by_deleted(join_path(pending.path, found.name))
                if old is not None:
                    self._forget(pending.path, old)
                continue
            if not self._comparison.is_safe(found, pending.read_ns):
                pending.discard_signature()
            if stat.S_ISDIR(found.mode):
                below = None if old is None or recorded is None else recorded.below(old)
                request = VisitRequest(found.name, join_path(pending.path, found.name), below, listing.selection.beneath(found))
                yield from self._add_directory(pending, found, old, request, before)
            else:
                self._add_file(pending, found, old, reuse, provisional)
            if self._assembler.queued > QUEUED_MAX:
                self._context.files.drain()
        neighbours.flush()
        old_entries.finish()
        pending.missing.update(self._own.names(pending.path))
        self._assembler.close(pending)

    def _add_directory(
        self,
        pending: PendingDirectory,
        found: SourceEntry,
        old: Entry | None,
        request: VisitRequest,
        before: Before,
    ) -> Generator[VisitRequest, Visited, None]:
        if self._is_own(pending.path, found):
            return
        if old is not None and not old.is_directory:
            self._removed.add(pending.path, old)
        visited = yield from self._visit_once(request, before)
        if visited is None:
            if request.path in self._unreadable:
                pending.missing.add(found.name)
            if found.name not in self._own.names(pending.path):
                pending.discard_signature()
            return
        if found.device < 0:
            # Nobody has looked at it. What was known of it while its server answered stays.
            metadata = old.metadata if old is not None and old.is_directory else Metadata()
        else:
            read_ns = None if request.recorded is None else request.recorded.read_ns
            is_same = old is not None and read_ns is not None and self._is_as_recorded(found, old, read_ns)
            metadata = old.metadata if old is not None and is_same else self._directory_metadata(pending, found, request)
        metadata = _with_extent(metadata, request.selection)
        if isinstance(visited, DirectoryRow):
            self._ledger.directories.add(Change.UNCHANGED, 1 + visited.directories)
            self._ledger.files.add(Change.UNCHANGED, visited.files)
            metadata = with_missing(metadata, self._own.names(request.path))
            self._assembler.add_directory(pending, Entry(found.name, visited.encoded, metadata), visited)
        else:
            slot = EntrySlot(pending, self._assembler.reserve(pending), found.name, metadata)
            self._assembler.put(visited, slot)

    def _visit_once(self, request: VisitRequest, before: Before) -> Visit:
        """Visit a subdirectory, unless it was while the directory above still looked unchanged."""
        if request.name == before.last:
            return before.visited
        if request.name < before.last and (row := self._record.directory(request.path)) is not None:
            return row
        return (yield request)

    def _directory_metadata(self, pending: PendingDirectory, found: SourceEntry, request: VisitRequest) -> Metadata:
        if request.selection.is_hollow:
            return metadata_of(found)
        filesystem = self._context.filesystem
        is_traverse_only = request.selection.scope is not None
        try:
            descriptor = self._stack.enter(found.name)
            try:
                xattrs, flags, problem = read_attributes(descriptor, filesystem=filesystem)
            finally:
                self._stack.leave()
        except OSError as error:
            if is_traverse_only and isinstance(error, PermissionError):
                return metadata_of(found)
            pending.discard_signature()
            self._ledger.miss_attributes(request.path, error.strerror or str(error))
            return metadata_of(found)
        self._check_attributes(request.path, problem)
        return metadata_of(found, xattrs=xattrs, flags=flags)

    def _check_attributes(self, path: bytes, problem: OSError | None) -> None:
        if problem is not None:
            self._ledger.miss_attributes(path, problem.strerror or str(problem))

    def _add_file(
        self,
        pending: PendingDirectory,
        found: SourceEntry,
        old: Entry | None,
        reuse: DirectoryReuse | None,
        provisional: ProvisionalEntries,
    ) -> None:
        if self._is_own(pending.path, found):
            if is_configuration_name(found.name):
                # No inode tells of it, so that another choice of the user would not be seen.
                pending.discard_signature()
            if old is not None:
                self._forget(pending.path, old)
        elif old is not None and reuse is not None and reuse.is_unchanged(found, old):
            self._add(pending, old, Change.UNCHANGED)
        else:
            self._store(pending, found, old, provisional)

    def _add(self, pending: PendingDirectory, entry: Entry, change: Change) -> None:
        self._ledger.finish_file(change, pending.path, entry.name, entry.size)
        self._assembler.add(pending, entry)

    def _store(self, pending: PendingDirectory, found: SourceEntry, old: Entry | None, provisional: ProvisionalEntries) -> None:
        """Store what is no directory, and new or changed."""
        if old is not None and old.is_directory:
            self._forget(pending.path, old)
            old = None
        if not found.is_regular:
            self._store_special(pending, found, old)
            return
        stored = provisional.find(found.name) if self._trusts_timestamps else []
        if stored and self._is_as_recorded(found, *stored[0]) and self._context.writer.holds_all(stored[0].entry.encoded):
            self._add(pending, stored[0].entry, compare(stored[0].entry, old))
        else:
            self._context.files.read(pending, found, old, stored)

    def _store_special(self, pending: PendingDirectory, found: SourceEntry, old: Entry | None) -> None:
        """Store a symbolic link, FIFO, socket or device: its metadata is all there is."""
        try:
            metadata, problem = describe_special(self._stack.descriptor, found, filesystem=self._context.filesystem)
        except OSError as error:
            pending.discard_signature()
            self._leave_out_of(pending, found.name, error)
            return
        path = join_path(pending.path, found.name)
        self._check_attributes(path, problem)
        target = metadata.target
        if target is not None and (old is None or old.metadata.target != target):
            self._ledger.outward.add(path, target)
        entry = Entry(found.name, _EMPTY_FILE, metadata)
        self._add(pending, entry, compare(entry, old))

    def _is_own(self, path: bytes, found: SourceEntry) -> bool:
        return self._own.holds(path, found, self._stack.descriptor)

    def _exclude(self, pending: PendingDirectory, found: SourceEntry) -> None:
        pending.excluded += 1
        self._ledger.exclude(join_path(pending.path, found.name))

    def _pass_over(self, path: bytes, listing: ChosenScan, row: DirectoryRow, before: Before) -> None:
        """Go on from an unchanged directory; name its files where anybody wants that. They are counted with the directory."""
        self._count_passed_over(row, before)
        if self._ledger.observer.file is None:
            return
        for found in listing.entries(lambda found: self._ledger.exclude(join_path(path, found.name))):
            if not stat.S_ISDIR(found.mode):
                self._ledger.name_file(Change.UNCHANGED, path, found.name)

    def _count_passed_over(self, row: DirectoryRow, before: Before) -> None:
        self.has_passed_over = True
        self._ledger.progress.files_done += row.files - before.files
        self._ledger.progress.bytes_done += row.size - before.size

    def _forget(self, path: bytes, gone: Entry) -> None:
        self._removed.add(path, gone)
        if gone.is_directory:
            self._record.drop_below(join_path(path, gone.name))

    def _leave_out(self, path: bytes, error: OSError) -> bool:
        """Count what can't be read; return whether it is there all the same."""
        if error.errno in _VANISHED:
            self._ledger.vanish()
            return False
        self._unreadable.add(path)
        self._ledger.leave_out(path, error.strerror or str(error))
        return True

    def _leave_out_of(self, pending: PendingDirectory, name: bytes, error: OSError) -> None:
        if self._leave_out(join_path(pending.path, name), error):
            pending.missing.add(name)


def _with_extent(metadata: Metadata, selection: DirectorySelection) -> Metadata:
    """Return a directory's metadata with how much of it is looked at."""
    is_partial, is_mounted = selection.scope is not None, selection.is_hollow
    if (metadata.partial, metadata.mounted) == (is_partial, is_mounted):
        return metadata
    return msgspec.structs.replace(metadata, partial=is_partial, mounted=is_mounted)
