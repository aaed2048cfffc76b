"""Large files: cut in chunks here, read and stored by whoever carries out jobs, and joined when all chunks are there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from tallac.backup.decide import is_beginning, is_recorded_safely, mark_beginning
from tallac.backup.executor import Executor, InlineExecutor
from tallac.backup.file_storer import READ_TRIES, FileStorer, describe, holds_more, is_unchanged, problem_of
from tallac.backup.messages import BatchJob, BatchResult, ChunksJob, ChunksResult, Part, PartResult, Problem
from tallac.backup.recorded import StoredBefore
from tallac.dag import Components, Entry, encode_cap, encode_table
from tallac.errors import StoreBusyError, UnreadableError
from tallac.interfaces import Chunk, ChunkedFileWriter
from tallac.source import FileSystem, SourceEntry, open_regular

JOB_SIZE = 8 << 20
"""So many bytes of a large file are one job."""

BEGINNING_SIZE = 128 << 20
"""After so many bytes more, and a 16th of what there is, the list of a large file's chunks is stored for a run that is killed."""

_BEGINNING_GROWTH = 16


class LargeFile(msgspec.Struct, eq=False):
    """One large file under way.

    Attributes:
        done: Called with the result: that of a part with this file alone.
        keep: Given an entry of each beginning of the file that is stored while it is read.
        stored: What runs that did not end have stored of it, newest first.
        tries: How often its reading has begun.
        chunks, tokens: Its contents; a token is b"" while it is still to come, and for a hole.
        count_stored: How many chunks, from the first on, have been stored.
        size_kept: How much of it was given to `keep`.
        open_jobs: How many jobs are under way.
        is_cut: Whether all its chunks are known.
        problem: Why this reading of it is worth nothing.
        is_open_ended: Whether its size is known to be untrue, so that it is read to its end, wherever that is.
        bytes_read: How much was read of it, in all tries.
    """

    directory: Components
    name: bytes
    done: Callable[[PartResult], None]
    keep: Callable[[Entry], None]
    stored: Sequence[StoredBefore] = ()
    tries: int = 0
    descriptor: int = -1
    before: SourceEntry | None = None
    chunks: list[Chunk] = msgspec.field(default_factory=list)
    tokens: list[bytes] = msgspec.field(default_factory=list)
    count_stored: int = 0
    size_kept: int = 0
    open_jobs: int = 0
    is_cut: bool = False
    problem: Problem | None = None
    is_open_ended: bool = False
    bytes_read: int = 0


class LargeFiles:
    """Reads the large files of one batch. Close it: files under way are open."""

    def __init__(
        self,
        writer: ChunkedFileWriter,
        storer: FileStorer,
        inline: InlineExecutor,
        filesystem: FileSystem,
        add_bytes_read: Callable[[int], None],
    ) -> None:
        """Store with a writer.

        Args:
            writer: The batch.
            storer: Knows the source's directories.
            inline: Carries out what must not wait.
            filesystem: The calls to use.
            add_bytes_read: Called with how many bytes were read.
        """
        self._writer = writer
        self._storer = storer
        self._inline = inline
        self._filesystem = filesystem
        self._add_bytes_read = add_bytes_read
        self._open: set[int] = set()

    def read(self, file: LargeFile, executor: Executor) -> None:
        """Begin to read a file; `file.done` is called when that has ended, now or when the last answer comes."""
        file.tries += 1
        try:
            directory = self._storer.open_directory(file.directory)
            file.descriptor, file.before = open_regular(directory, file.name, filesystem=self._filesystem)
        except OSError as error:
            file.done(_failure(problem_of(file.name, error)))
            return
        self._open.add(file.descriptor)
        if file.before.size <= self._writer.small_size_max and not file.is_open_ended:
            try:
                file.is_open_ended = holds_more(file.descriptor, file.before.size, self._filesystem)
            except OSError as error:
                self._close(file)
                file.done(_failure(problem_of(file.name, error)))
                return
            if not file.is_open_ended:
                self._close(file)
                self._read_as_small(file)
                return
        if file.is_open_ended or not self._writer.takes_chunks:
            self._stream(file, file.before)
            return
        self._hand_out(file, executor)
        if file.open_jobs == 0:
            self._complete(file)

    def close(self) -> None:
        """Close the files that are under way."""
        while self._open:
            self._filesystem.close(self._open.pop())

    def _stream(self, file: LargeFile, before: SourceEntry) -> None:
        """Store a file as one stream. It is cut where it ended when it was opened, lest it grow for ever.

        One whose size is untrue ends where reading does.
        """
        stream = _Stream(file.descriptor, None if file.is_open_ended else before.size, partial(self._count, file))
        try:
            encoded = encode_cap(self._writer.put_file(stream))
            is_untrue = not file.is_open_ended and self._is_untrue(file, before, stream.position)
            is_whole = file.is_open_ended or stream.position == before.size
            _, metadata, unread = describe(file.descriptor, before, is_whole=is_whole, filesystem=self._filesystem)
        except StoreBusyError:
            # Somebody else may be storing the very same. To be refused takes about as long as they do.
            if file.tries == READ_TRIES:
                raise
            self._close(file)
            self.read(file, self._inline)
            return
        except UnreadableError as error:
            self._close(file)
            file.done(_failure(Problem(file.name, error.error_number, str(error))))
            return
        except OSError as error:
            self._close(file)
            file.done(_failure(problem_of(file.name, error)))
            return
        self._close(file)
        if is_untrue or (metadata.changed and file.tries < READ_TRIES):
            file.is_open_ended = is_untrue
            self.read(file, self._inline)
        else:
            file.done(_success(Entry(file.name, encoded, metadata), unread))

    def _is_untrue(self, file: LargeFile, before: SourceEntry, size: int) -> bool:
        """Whether a file that is read up to here ends elsewhere than its size says, though nothing changes it."""
        if size == before.size:
            return holds_more(file.descriptor, size, self._filesystem)
        return is_unchanged(before, SourceEntry.of(before.name, self._filesystem.fstat(file.descriptor)))

    def _hand_out(self, file: LargeFile, executor: Executor) -> None:
        self._take_up(file)
        file.problem, file.is_cut = None, False
        first, size = len(file.chunks), 0
        try:
            for chunk in self._cut(file):
                file.chunks.append(chunk)
                file.tokens.append(b"")
                size += 0 if chunk.is_hole else chunk.length
                if size >= JOB_SIZE:
                    self._submit(file, first, executor)
                    first, size = len(file.chunks), 0
            self._submit(file, first, executor)
        except UnreadableError as error:
            file.problem = Problem(file.name, error.error_number, str(error))
        file.is_cut = True

    def _take_up(self, file: LargeFile) -> None:
        """Begin where a run that was killed has stored everything up to, if it was this very file then, or else at the front."""
        assert file.before is not None
        held: list[tuple[Chunk, bytes]] = []
        for entry, read_ns in file.stored:
            if is_recorded_safely(file.before.ctime_ns, read_ns) and is_beginning(file.before, entry):
                held = self._writer.chunks_held(entry.encoded)
                if held:
                    break
        file.chunks, file.tokens = [chunk for chunk, _ in held], [token for _, token in held]
        file.count_stored, file.size_kept = len(held), _end(file.chunks)

    def _keep_beginning(self, file: LargeFile) -> None:
        """Store the list of the chunks that are there, each time that these have become many more."""
        assert file.before is not None
        count = file.count_stored
        while count < len(file.chunks) and (file.tokens[count] or file.chunks[count].is_hole):
            count += 1
        file.count_stored = count
        size = _end(file.chunks, count)
        if size - file.size_kept >= max(BEGINNING_SIZE, size // _BEGINNING_GROWTH):
            file.size_kept = size
            encoded = self._writer.join(zip(file.chunks[:count], file.tokens[:count], strict=True))
            file.keep(mark_beginning(file.before, encoded))

    def _cut(self, file: LargeFile) -> Iterator[Chunk]:
        assert file.before is not None
        try:
            yield from self._writer.cut(file.descriptor, file.before.size, _end(file.chunks))
        except OSError as error:
            # Cutting reads the source and writes nothing.
            raise UnreadableError(error.strerror or str(error), error.errno or errno.EIO) from error

    def _submit(self, file: LargeFile, first: int, executor: Executor) -> None:
        assert file.before is not None
        numbers = [number for number in range(first, len(file.chunks)) if not file.chunks[number].is_hole]
        if not numbers or file.problem is not None:
            return
        ranges = [(file.chunks[number].offset, file.chunks[number].length) for number in numbers]
        file.open_jobs += 1
        job = ChunksJob(file.directory, file.name, file.before.device, file.before.inode, ranges)
        executor.submit(job, partial(self._take, file, numbers))

    def _take(self, file: LargeFile, numbers: list[int], result: BatchResult | ChunksResult) -> None:
        assert isinstance(result, ChunksResult)
        file.open_jobs -= 1
        if result.problem is not None:
            file.problem = file.problem or result.problem
        else:
            for number, token in zip(numbers, result.tokens, strict=True):
                file.tokens[number] = token
            self._count(file, sum(file.chunks[number].length for number in numbers))
            self._keep_beginning(file)
        if file.is_cut and file.open_jobs == 0:
            self._complete(file)

    def _complete(self, file: LargeFile) -> None:
        """Check that the file is what it was before, and join its chunks."""
        assert file.before is not None
        size = _end(file.chunks)
        metadata = unread = None
        is_untrue = False
        if file.problem is None or _is_stale(file.problem):
            try:
                is_untrue = self._is_untrue(file, file.before, size if file.problem is None else 0)
                is_whole = size == file.before.size
                if file.problem is None:
                    _, metadata, unread = describe(file.descriptor, file.before, is_whole=is_whole, filesystem=self._filesystem)
            except OSError as error:
                file.problem = problem_of(file.name, error)
        self._close(file)
        is_stale = metadata.changed if metadata is not None else _is_stale(file.problem)
        if is_untrue:
            file.is_open_ended = True
            self.read(file, self._inline)
        elif is_stale and file.tries < READ_TRIES:
            # An answer may have brought us here, in the middle of handing out another job: this one must not wait.
            self.read(file, self._inline)
        elif metadata is None or size <= self._writer.small_size_max:
            file.done(_failure(file.problem or Problem(file.name, errno.ESTALE, "it shrank while it was read")))
        else:
            encoded = self._writer.join(zip(file.chunks, file.tokens, strict=True))
            file.done(_success(Entry(file.name, encoded, metadata), unread))

    def _read_as_small(self, file: LargeFile) -> None:
        def on_result(result: BatchResult | ChunksResult) -> None:
            assert isinstance(result, BatchResult)
            part = result.parts[0]
            if part.problems and part.problems[0].error_number is None and file.tries < READ_TRIES:
                self.read(file, self._inline)
            else:
                file.done(part)

        self._inline.submit(BatchJob([Part(file.directory, [file.name])]), on_result)

    def _count(self, file: LargeFile, size: int) -> None:
        file.bytes_read += size
        self._add_bytes_read(size)

    def _close(self, file: LargeFile) -> None:
        self._open.discard(file.descriptor)
        self._filesystem.close(file.descriptor)


class _Stream:
    """The first bytes of an open file, in order; all of them where no size is given."""

    def __init__(self, descriptor: int, size: int | None, add_bytes_read: Callable[[int], None]) -> None:
        self.position = 0
        self._descriptor = descriptor
        self._size = size
        self._add_bytes_read = add_bytes_read

    def readinto(self, buffer: memoryview, /) -> int:
        wanted = len(buffer) if self._size is None else min(len(buffer), self._size - self.position)
        try:
            block = os.pread(self._descriptor, wanted, self.position) if wanted else b""
        except OSError as error:
            # The store's trouble may be an OSError as well; this is the source's.
            raise UnreadableError(error.strerror or str(error), error.errno or errno.EIO) from error
        buffer[: len(block)] = block
        self.position += len(block)
        self._add_bytes_read(len(block))
        return len(block)


def _end(chunks: list[Chunk], count: int | None = None) -> int:
    """Return where the last of some chunks ends, or the last of the first `count` ones."""
    last = chunks[-1 if count is None else count - 1] if chunks and count != 0 else None
    return 0 if last is None else last.offset + last.length


def _is_stale(problem: Problem | None) -> bool:
    """Whether the file is another one now, so that reading it again may help."""
    return problem is not None and problem.error_number == errno.ESTALE


def _failure(problem: Problem) -> PartResult:
    return PartResult(encode_table(()), [problem], [])


def _success(entry: Entry, unread: OSError | None) -> PartResult:
    return PartResult(encode_table([entry]), [], [] if unread is None else [problem_of(entry.name, unread)])
