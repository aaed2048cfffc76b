"""Handing out the files that have to be read: small ones in batches, large ones in chunks, to workers or to this process."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from tallac.backup.executor import Executor, InlineExecutor
from tallac.backup.file_storer import FileStorer
from tallac.backup.large_files import LargeFile, LargeFiles
from tallac.backup.messages import BatchJob, BatchResult, ChunksResult, Part, PartResult, Problem
from tallac.backup.pending_directory import DirectoryAssembler, EntryRun, PendingDirectory
from tallac.backup.recorded import StoredBefore
from tallac.backup.summary import Change, Ledger, compare
from tallac.dag import EncodedEntries, Entry, encode_table, is_time, join_path
from tallac.interfaces import ChunkedFileWriter
from tallac.source import FileSystem, SourceEntry
from tallac.sourcedb import ProvisionalRows, SourceRecord

BATCH_FILES_MAX = 200
BATCH_SIZE_MAX = 2 << 20

THREAD_BATCH_FILES_MAX = 8
"""Threads wait for a far grid file by file, and share memory: small batches keep all of them busy."""


class InlineLimit(NamedTuple):
    """How many files, and bytes of them, are read in this process before workers are started."""

    files: int
    size: int


INLINE_AT_FIRST = InlineLimit(64, 4 << 20)
"""Of a source that was not backed up before, which has to be read whole."""

INLINE_AGAIN = InlineLimit(2000, 16 << 20)
"""Of one that was: to start two workers takes the processor time of so many small files, and as a rule fewer have changed."""

QUEUED_MAX = 10_000
"""So many entries may wait in memory for others to be read."""

# ELOOP: a symbolic link has taken its place.
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP})

# The table comes from a worker of this program and need not be proved canonical, as one from a store must be.
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


LINKS_MAX = 100_000
"""So many files with further names are remembered in a run (about 30 MB); a further name of any other is read once more."""


class _Linked(msgspec.Struct, eq=False):
    """A file with several names, under the first of which it is read.

    Attributes:
        names_left: How many of its names are still to come.
        inode, ctime_ns: What it was listed with.
        entry: The entry of the first name, once it is stored, and if that is still the file that was listed.
        is_read: Whether reading has ended, with or without an entry.
        waiting: Further names, each a part of its own.
    """

    names_left: int
    inode: int
    ctime_ns: int
    entry: Entry | None = None
    is_read: bool = False
    waiting: list[_Part] = msgspec.field(default_factory=list)

    def is_in(self, entry: Entry) -> bool:
        """Whether an entry is of the file as it was listed. Since a change of it, its other names may lead to other files."""
        metadata = entry.metadata
        is_same = metadata.inode == self.inode and is_time(metadata.ctime, divmod(self.ctime_ns, 1_000_000_000))
        return is_same and not metadata.changed


class _Part(NamedTuple):
    """Neighbouring files of one directory that are read together.

    Attributes:
        run: Where their entries belong.
        recorded: By name, the entries that they had before.
        linked: By name, those that have other names, too.
    """

    pending: PendingDirectory
    run: EntryRun
    names: list[bytes]
    recorded: dict[bytes, Entry]
    linked: dict[bytes, _Linked]


class Files:
    """Reads the files of one run. Close it at the end.

    Memory is bounded: a batch, three jobs a worker, and the entries that wait for them.
    """

    def __init__(
        self,
        writer: ChunkedFileWriter,
        storer: FileStorer,
        assembler: DirectoryAssembler,
        record: SourceRecord,
        ledger: Ledger,
        filesystem: FileSystem,
        start_pool: Callable[[], Executor | None],
        inline: InlineLimit = INLINE_AT_FIRST,
    ) -> None:
        """Store with a writer.

        Args:
            writer: The batch.
            storer: Reads in this process; stays the caller's.
            assembler: Gets the entries.
            record: Gets provisional rows.
            ledger: Keeps count.
            filesystem: The calls to use.
            start_pool: Starts workers, once there is enough to read; None where there can't be any.
            inline: How much is read before that.
        """
        self._assembler = assembler
        self._record = record
        self._ledger = ledger
        self._start_pool = start_pool
        self.small_size_max = writer.small_size_max
        self._inline = InlineExecutor(storer)
        self._executor: Executor = self._inline
        self._is_inline = True
        self._batch_files_max = THREAD_BATCH_FILES_MAX if writer.threads else BATCH_FILES_MAX
        # Threads cost nothing to start.
        self._inline_limit = InlineLimit(0, 0) if writer.threads else inline
        self._large = LargeFiles(writer, storer, self._inline, filesystem, self._add_bytes_read)
        self._linked: dict[tuple[int, int, int, int], _Linked] = {}
        self._parts: list[_Part] = []
        self._count = self._size = 0
        self._count_total = self._size_total = 0

    def read(self, pending: PendingDirectory, found: SourceEntry, recorded: Entry | None, stored: Sequence[StoredBefore]) -> None:
        """Queue a regular file to be read; its entry goes into the next slot of its directory.

        Args:
            pending: The directory.
            found: The file, as it was listed.
            recorded: The entry that it had before, if any.
            stored: What runs that did not end have stored of it, newest first.
        """
        linked = None
        if found.links > 1:
            key = (found.device, found.inode, found.ctime_ns, found.size)
            linked = self._linked.get(key)
            if linked is not None:
                linked.names_left -= 1
                if not linked.names_left:
                    del self._linked[key]
                self._link(self._begin_part(pending, found.name, recorded), linked)
                return
            if len(self._linked) < LINKS_MAX:
                linked = self._linked[key] = _Linked(found.links - 1, found.inode, found.ctime_ns)
        self._count_total += 1
        self._size_total += found.size
        if found.size > self.small_size_max:
            part = self._begin_part(pending, found.name, recorded)
            if linked is not None:
                part.linked[found.name] = linked
            keep = partial(self._keep_beginning, pending)
            file = LargeFile(pending.components, found.name, lambda result: self._take_large(part, file, result), keep, stored)
            self._ledger.progress.path = join_path(pending.path, found.name)
            self._large.read(file, self._choose_executor())
            return
        part = self._present_part(pending)
        part.names.append(found.name)
        if recorded is not None:
            part.recorded[found.name] = recorded
        if linked is not None:
            part.linked[found.name] = linked
        self._count += 1
        self._size += found.size
        if self._count >= self._batch_files_max or self._size >= BATCH_SIZE_MAX:
            self._flush()

    def read_new(self, pending: PendingDirectory, found: Sequence[SourceEntry]) -> None:
        """Queue neighbouring small files with one name each, of which nothing is recorded; see `read`."""
        part: _Part | None = None
        for each in found:
            part = part or self._present_part(pending)
            part.names.append(each.name)
            self._count += 1
            self._size += each.size
            self._count_total += 1
            self._size_total += each.size
            if self._count >= self._batch_files_max or self._size >= BATCH_SIZE_MAX:
                self._flush()
                part = None

    def _present_part(self, pending: PendingDirectory) -> _Part:
        """Return the part that the next file of a directory belongs to."""
        last = self._parts[-1] if self._parts else None
        if last is None or last.pending is not pending or pending.runs[-1] is not last.run:
            last = _Part(pending, self._assembler.reserve(pending), [], {}, {})
            self._parts.append(last)
        return last

    def drain(self) -> None:
        """Wait until all files that were handed over are read."""
        self._flush()
        self._executor.drain()

    def close(self) -> None:
        """Close files that are under way."""
        self._large.close()

    def _begin_part(self, pending: PendingDirectory, name: bytes, recorded: Entry | None) -> _Part:
        return _Part(pending, self._assembler.reserve(pending), [name], {} if recorded is None else {name: recorded}, {})

    def _link(self, part: _Part, linked: _Linked) -> None:
        """Resolve a further name of a file with the entry of the first one; where that does not tell of it, read this name."""
        if not linked.is_read:
            linked.waiting.append(part)
            return
        (name,) = part.names
        entries = self._read_grown(part, name) if linked.entry is None else [msgspec.structs.replace(linked.entry, name=name)]
        self._count_entries(part, entries, is_read=linked.entry is None)
        self._assembler.resolve(part.pending, part.run, entries)

    def _settle_linked(self, part: _Part, entries: list[Entry]) -> None:
        for name, linked in part.linked.items():
            linked.entry = next((entry for entry in entries if entry.name == name and linked.is_in(entry)), None)
            linked.is_read = True
            waiting, linked.waiting = linked.waiting, []
            for other in waiting:
                self._link(other, linked)

    def _flush(self) -> None:
        if not self._parts:
            return
        parts, self._parts, self._count, self._size = self._parts, [], 0, 0
        job = BatchJob([Part(part.pending.components, part.names) for part in parts])
        self._choose_executor().submit(job, partial(self._take, parts))

    def _choose_executor(self) -> Executor:
        limit = self._inline_limit
        if self._is_inline and (self._count_total > limit.files or self._size_total > limit.size):
            self._is_inline = False
            self._executor = self._start_pool() or self._inline
        return self._executor

    def _take(self, parts: list[_Part], result: BatchResult | ChunksResult) -> None:
        assert isinstance(result, BatchResult)
        for part, part_result in zip(parts, result.parts, strict=True):
            self._take_part(part, part_result)

    def _take_large(self, part: _Part, file: LargeFile, result: PartResult) -> None:
        # From here on its size counts.
        self._ledger.progress.bytes_begun -= file.bytes_read
        self._take_part(part, result)

    def _take_part(self, part: _Part, result: PartResult) -> None:
        if result.caps is not None and not part.recorded and not part.linked:
            self._take_new(part, EncodedEntries(part.names, result.caps, result.table))
            self._miss_attributes(part, result)
            self._ledger.tick()
            return
        entries = _decode(result.table)
        self._keep(part.pending, [entry.name for entry in entries], result.table)
        for problem in result.problems:
            if problem.error_number is None:
                entries.extend(self._read_grown(part, problem.name))
            else:
                self._leave_out(part.pending, problem)
        if result.problems:
            entries.sort(key=lambda entry: entry.name)
        self._miss_attributes(part, result)
        self._count_entries(part, entries)
        self._assembler.resolve(part.pending, part.run, entries)
        self._settle_linked(part, entries)
        self._ledger.tick()

    def _take_new(self, part: _Part, entries: EncodedEntries) -> None:
        """Take files that are there for the first time, and of which nothing is to be said."""
        size = entries.size
        self._keep(part.pending, entries.names, entries.table)
        self._ledger.finish_files(Change.NEW, part.pending.path, entries.names, size)
        self._ledger.progress.bytes_read += size
        self._assembler.resolve_encoded(part.pending, part.run, entries, size)

    def _miss_attributes(self, part: _Part, result: PartResult) -> None:
        for problem in result.unread_attributes:
            self._ledger.miss_attributes(join_path(part.pending.path, problem.name), problem.reason)

    def _keep(self, pending: PendingDirectory, names: list[bytes], table: bytes) -> None:
        if names:
            self._record.keep_provisional(pending.path, names[0], names[-1], ProvisionalRows(pending.read_ns, table))

    def _keep_beginning(self, pending: PendingDirectory, entry: Entry) -> None:
        self._keep(pending, [entry.name], encode_table([entry]))
        # The next one comes after much more has been read.
        self._record.flush()

    def _read_grown(self, part: _Part, name: bytes) -> list[Entry]:
        """Read a file that was small when it was listed, and is not now. It is read here and at once, so as to keep the order."""
        results: list[PartResult] = []
        keep = partial(self._keep_beginning, part.pending)
        file = LargeFile(part.pending.components, name, results.append, keep)
        self._large.read(file, self._inline)
        self._ledger.progress.bytes_begun -= file.bytes_read
        for problem in results[0].problems:
            self._leave_out(part.pending, problem)
        self._miss_attributes(part, results[0])
        return _decode(results[0].table)

    def _leave_out(self, pending: PendingDirectory, problem: Problem) -> None:
        pending.discard_signature()
        if problem.error_number in _VANISHED:
            self._ledger.vanish()
        else:
            pending.missing.add(problem.name)
            self._ledger.leave_out(join_path(pending.path, problem.name), problem.reason)

    def _count_entries(self, part: _Part, entries: list[Entry], *, is_read: bool = True) -> None:
        directory = part.pending.path
        for entry in entries:
            size = entry.size
            change = compare(entry, part.recorded.get(entry.name))
            self._ledger.finish_file(change, directory, entry.name, size)
            if entry.metadata.changed:
                part.pending.discard_signature()
                path = join_path(directory, entry.name)
                self._ledger.observer.notice(path, "it changed while it was read; stored as read")
            if is_read and size <= self.small_size_max:
                self._ledger.progress.bytes_read += size

    def _add_bytes_read(self, size: int) -> None:
        self._ledger.progress.bytes_begun += size
        self._ledger.progress.bytes_read += size
        self._ledger.tick()
