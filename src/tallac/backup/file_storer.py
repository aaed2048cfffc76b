"""Reading regular files consistently, and storing what was read: in a worker process, or in the backup's own.

Only reads of the source are taken for trouble with the source. What the writer raises passes through untouched.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tallac.backup.messages import BatchJob, ChunksJob, Part, PartResult, Problem
from tallac.dag import Components, Entry, Metadata, encode_table
from tallac.interfaces import ContentWriter
from tallac.source import (
    FLAGS_KEPT,
    REAL,
    FileSystem,
    SourceEntry,
    metadata_of,
    metadata_of_read,
    open_beneath,
    open_regular,
    read_attributes,
    read_holes,
)

if TYPE_CHECKING:
    from tallac.native import ManyFiles

READ_TRIES = 3
"""A file that changes while it is read is read so many times."""

UNUSUAL_MAX = 4
"""After so many files of a part with which something was unusual, the rest is read one by one."""

UNUSUAL_IN_TURN_MAX = 40
"""After so many unusual files in turn all are read one by one: where each has a label of SELinux, say, that is faster."""

STORED_TOGETHER_SIZE = 1 << 20
"""After so many bytes of small files were read, they are stored: what is read and not yet stored is in memory."""


class SmallFile(NamedTuple):
    """A small file as it was read.

    Attributes:
        problem: Why some of its attributes could not be read; None where they were.
    """

    content: bytes
    metadata: Metadata
    problem: OSError | None


class Description(NamedTuple):
    """The state of an open file after it has been read; `problem` as for `SmallFile`."""

    found: SourceEntry
    metadata: Metadata
    problem: OSError | None


class _Outcome(NamedTuple):
    """The result of a part so far; see `PartResult`."""

    entries: list[Entry]
    problems: list[Problem]
    unread: list[Problem]


class _Read(NamedTuple):
    """A file that was read and is not stored yet, with where its entry belongs."""

    outcome: _Outcome
    name: bytes
    small: SmallFile


class FileStorer:
    """Stores files of one source. Keeps the directory open that it was in last. Not thread-safe."""

    def __init__(self, root: int, writer: ContentWriter, small_size_max: int, filesystem: FileSystem = REAL) -> None:
        """Read below an open directory, which stays the caller's."""
        self._root = root
        self._writer = writer
        self._small_size_max = small_size_max
        self._filesystem = filesystem
        self._components: Components | None = None
        self._descriptor = -1
        self._buffer = bytearray()
        self._many = filesystem.reader_of_many()
        self._unusual_in_turn = 0

    def store_batch(self, job: BatchJob) -> list[PartResult]:
        """Store small files; what can't be read is in the result.

        They are read first and then stored together: a processor that does one of the two for a while is a tenth faster.
        """
        outcomes = [_Outcome([], [], []) for _ in job.parts]
        read: list[_Read] = []
        size = 0
        for part, outcome in zip(job.parts, outcomes, strict=True):
            for name, small in self._read_part(part, outcome):
                read.append(_Read(outcome, name, small))
                size += len(small.content)
                if size >= STORED_TOGETHER_SIZE:
                    self._store(read)
                    read, size = [], 0
        self._store(read)
        return [_result(each) for each in outcomes]

    def store_chunks(self, job: ChunksJob) -> tuple[list[bytes], Problem | None]:
        """Store chunks of a large file and give their tokens, or what was wrong with the file."""
        try:
            descriptor, found = open_regular(self.open_directory(job.directory), job.name, filesystem=self._filesystem)
        except OSError as error:
            return [], problem_of(job.name, error)
        try:
            if (found.device, found.inode) != (job.device, job.inode):
                return [], Problem(job.name, errno.ESTALE, "it was replaced by another file")
            return self._store_ranges(descriptor, job)
        finally:
            self._filesystem.close(descriptor)

    def open_directory(self, components: Components) -> int:
        """Open a directory of the source; the descriptor stays the storer's and is good until the next call.

        Raises:
            OSError: It can't be read, or is no directory any more.
        """
        if components != self._components:
            descriptor = open_beneath(self._root, components, to_pass=True, filesystem=self._filesystem)
            self.close()
            self._components, self._descriptor = components, descriptor
        return self._descriptor

    def close(self) -> None:
        """Close the directory that is open still."""
        if self._components is not None:
            self._components = None
            self._filesystem.close(self._descriptor)

    def _read_part(self, part: Part, outcome: _Outcome) -> Iterator[tuple[bytes, SmallFile]]:
        """Read the files of a part; what can't be read goes into the outcome."""
        try:
            directory = self.open_directory(part.directory)
        except OSError as error:
            outcome.problems.extend(problem_of(name, error) for name in part.names)
            return
        names: Sequence[bytes] = part.names
        if self._many is not None:
            names = yield from self._read_many(self._many, directory, names, outcome)
        for name in names:
            yield from self._read_one(directory, name, outcome)

    def _read_many(
        self, many: ManyFiles, directory: int, names: Sequence[bytes], outcome: _Outcome
    ) -> Generator[tuple[bytes, SmallFile], None, Sequence[bytes]]:
        """Read files, many in one call; what something is unusual about, one by one. Return those that are left: many were so."""
        many.begin(names, self._small_size_max, FLAGS_KEPT)
        unusual = 0
        while many.number < len(names) and unusual <= UNUSUAL_MAX:
            first = many.number
            is_usual = many.read(directory)
            if many.found:
                self._unusual_in_turn = 0
            for name, found in zip(names[first:], many.found, strict=False):
                yield name, SmallFile(found.content, metadata_of_read(found), None)
            if not is_usual:
                self._unusual_in_turn += 1
                yield from self._read_one(directory, names[many.number], outcome)
                many.pass_over()
                unusual += 1
        if self._unusual_in_turn > UNUSUAL_IN_TURN_MAX:
            self._many = None
        return names[many.number :]

    def _read_one(self, directory: int, name: bytes, outcome: _Outcome) -> Iterator[tuple[bytes, SmallFile]]:
        try:
            small = read_small(directory, name, self._small_size_max, self._filesystem)
        except OSError as error:
            outcome.problems.append(problem_of(name, error))
            return
        if small is None:
            outcome.problems.append(Problem(name, None, "it has grown"))
        else:
            yield name, small

    def _store(self, read: list[_Read]) -> None:
        """Store files that were read, which come in the order of their names in each part."""
        caps = self._writer.put_several([small.content for _, _, small in read])
        for (outcome, name, small), encoded in zip(read, caps, strict=True):
            outcome.entries.append(Entry(name, encoded, small.metadata))
            if small.problem is not None:
                outcome.unread.append(problem_of(name, small.problem))

    def _store_ranges(self, descriptor: int, job: ChunksJob) -> tuple[list[bytes], Problem | None]:
        tokens: list[bytes] = []
        for offset, length in job.ranges:
            try:
                content = self._read_range(descriptor, offset, length)
            except OSError as error:
                return [], problem_of(job.name, error)
            if len(content) < length:
                return [], Problem(job.name, errno.ESTALE, "it has shrunk")
            tokens.append(self._writer.put_chunk(content))
        return tokens, None

    def _read_range(self, descriptor: int, offset: int, length: int) -> memoryview:
        """Read a range of an open file into a buffer that the next call uses again; shorter where the file ends before."""
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        view = memoryview(self._buffer)[:length]
        done = 0
        while done < length:
            count = os.preadv(descriptor, [view[done:]], offset + done)
            if count == 0:
                break
            done += count
        return view[:done]


def read_small(directory: int, name: bytes, size_max: int, filesystem: FileSystem = REAL) -> SmallFile | None:
    """Read a regular file whole, with the metadata that it had afterwards.

    A file that changes meanwhile is read again; the last time it is taken as read and marked. One that grows all the time is cut
    at the size it had before the read. One that holds more than its size says, or less, and does not change, is read to its end.

    Returns:
        None where the file is larger than `size_max`.

    Raises:
        OSError: It can't be read; ESTALE where it is no regular file any more.
    """
    descriptor, before = open_regular(directory, name, filesystem=filesystem)
    tries = 0
    previous: bytes | None = None
    try:
        while before.size <= size_max:
            tries += 1
            # One byte more shows whether the size is true. That of /proc and of some FUSE file systems is not.
            content = _read(descriptor, before.size + 1, enough=before.size)
            if len(content) > before.size:
                if _has_size(descriptor, before.size, filesystem):
                    content += _read(descriptor, size_max + 1 - len(content), len(content))
                    if len(content) > size_max:
                        return None
                else:
                    content = content[: before.size]
            is_whole = len(content) >= before.size or content == previous
            after, metadata, problem = describe(descriptor, before, is_whole=is_whole, filesystem=filesystem)
            if not metadata.changed or tries == READ_TRIES:
                return SmallFile(content, metadata, problem)
            before, previous = after, content
        return None
    finally:
        filesystem.close(descriptor)


def describe(descriptor: int, before: SourceEntry, *, is_whole: bool, filesystem: FileSystem) -> Description:
    """Return the stat fields and metadata of an open file that has been read, marked where it changed meanwhile.

    Attributes and flags are read first: whatever changes them later shows in the ctime that is looked at last.

    Args:
        descriptor: The file.
        before: What it was before.
        is_whole: Whether as much could be read as was expected.
        filesystem: The calls to use.

    Raises:
        OSError: It can't be looked at.
    """
    xattrs, flags, problem = read_attributes(descriptor, filesystem=filesystem)
    holes = read_holes(descriptor, before.size, filesystem=filesystem) if before.may_have_holes else ()
    after = SourceEntry.of(before.name, filesystem.fstat(descriptor))
    changed = not (is_whole and is_unchanged(before, after))
    return Description(after, metadata_of(after, xattrs=xattrs, flags=flags, holes=holes, changed=changed), problem)


def holds_more(descriptor: int, size: int, filesystem: FileSystem) -> bool:
    """Whether an open file holds more than its size says, and says so still: it is no file that grows.

    Raises:
        OSError: It can't be read.
    """
    return bool(os.pread(descriptor, 1, size)) and _has_size(descriptor, size, filesystem)


def is_unchanged(before: SourceEntry, after: SourceEntry) -> bool:
    """Whether nothing was written to a file between two calls of stat."""
    return before.ctime_ns == after.ctime_ns and before.size == after.size and before.mtime_ns == after.mtime_ns


def _has_size(descriptor: int, size: int, filesystem: FileSystem) -> bool:
    return filesystem.fstat(descriptor).st_size == size


def _read(descriptor: int, size: int, offset: int = 0, *, enough: int | None = None) -> bytes:
    """Read so much from an offset on; less where the file ends before, or where a read ends behind what is enough."""
    enough = size if enough is None else enough
    content = os.pread(descriptor, size, offset)
    while len(content) < enough and (more := os.pread(descriptor, size - len(content), offset + len(content))):
        content += more
    return content


def _result(outcome: _Outcome) -> PartResult:
    entries, problems, unread = outcome
    is_plain = not problems and not any(entry.metadata.changed for entry in entries)
    return PartResult(encode_table(entries), problems, unread, [entry.encoded for entry in entries] if is_plain else None)


def problem_of(name: bytes, error: OSError) -> Problem:
    """Return the problem to report for a file that can't be read."""
    return Problem(name, error.errno or errno.EIO, error.strerror or str(error))
