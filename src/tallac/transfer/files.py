"""Store and fetch single files."""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Protocol

from tallac.caps import FileReadCap, FileWriteCap
from tallac.dag import Entry, Metadata, time_from_ns
from tallac.errors import EntryExistsError, FencedError, SourceError
from tallac.interfaces import Buffer, CapReader, FileContent, Grid
from tallac.transfer.directory_edits import entries_of, find_entry, make_directory, new_name, set_entry, strongest_cap
from tallac.transfer.place import Found, Place, file_of, find
from tallac.transfer.report import CopyReport

STEP_SIZE = 1 << 20


class Sink(Protocol):
    """A receiver of bytes; `write` takes all of them."""

    def write(self, data: Buffer, /) -> object: ...


class CountedContent:
    """A stream whose errors name it and whose bytes are counted; a file can be read again from its first position.

    The holes of a sparse file are not read; they are ascending (offset, length).
    """

    def __init__(self, content: FileContent, name: str, report: CopyReport, holes: Sequence[tuple[int, int]] = ()) -> None:
        self._content = content
        self._name = name
        self._report = report
        self._file = content if isinstance(content, io.IOBase) and content.seekable() else None
        self._start = self._file.tell() if self._file is not None else 0
        self._holes = holes

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            length = self._skip_hole(buffer) or self._content.readinto(buffer) or 0
        except OSError as error:
            raise SourceError(f"{self._name}: can't read it ({error.strerror})") from error
        self._report.advance(length)
        return length

    def _skip_hole(self, buffer: memoryview) -> int:
        """Write the zeros of a hole that the file is at, without reading them; return their number, 0 where there is data."""
        if self._file is None or not self._holes:
            return 0
        position = self._file.tell()
        before = bisect_right(self._holes, (position, 1 << 63)) - 1
        end = sum(self._holes[before]) if before >= 0 else 0
        length = min(len(buffer), end - position)
        if length <= 0:
            return 0
        buffer[:length] = bytes(length)
        self._file.seek(position + length)
        return length

    def rewind(self) -> bool:
        """Go back to the first position; return False if that is impossible, as for a pipe."""
        if self._file is not None:
            self._file.seek(self._start)
        return self._file is not None


def put_file(
    grid: Grid,
    place: Place | None,
    content: FileContent,
    metadata: Metadata,
    *,
    name: str = "the content",
    report: CopyReport | None = None,
) -> FileReadCap:
    """Store a stream, read to its end, and link it at a place, creating parents as needed; without a place, only store it.

    A file at the place is replaced; a mutable one gets the content instead, and keeps its cap and metadata. A file without a place
    is kept for 30 days. Durable when this returns. If a prune fences the session, a file is stored once more; a
    stream that can't be read again is not.

    Args:
        grid: The grid to store on.
        place: The place to link it at.
        content: The stream; a file is read from its present position.
        metadata: The metadata of the entry.
        name: The name of the stream in errors.
        report: Counts the bytes.

    Raises:
        EntryExistsError: A directory is in the way.
        AuthorityError: The place can't be changed.
        SourceError: The stream can't be read.
        FencedError: A prune fenced the session, and the stream can't be read again.
    """
    report = report or CopyReport()
    counted = CountedContent(content, name, report, metadata.holes)
    try:
        return _put_once(grid, place, counted, metadata)
    except FencedError:
        if not counted.rewind():
            raise
        report.begin_anew()
        return _put_once(grid, place, counted, metadata)


def _put_once(grid: Grid, place: Place | None, content: FileContent, metadata: Metadata) -> FileReadCap:
    if place is None:
        with grid.session() as session:
            with session.writing() as writer:
                cap = writer.put_file(content)
            session.keep([cap])
        return cap
    name = new_name(place)
    parent = make_directory(grid, place.parent)
    old = find_entry(entries_of(grid, parent), name)
    if old is not None and old.is_directory:
        # Checked first, before everything is read and stored in vain.
        raise EntryExistsError(f"{place}: a directory is in the way; give a name for the file, as in {place}/NAME")
    mutable = None if old is None else strongest_cap(old)
    if isinstance(mutable, FileWriteCap):
        # It keeps its cap, so that everyone who has that cap sees the new content.
        grid.write_file(mutable, content)
        return mutable.read_cap
    with grid.session() as session:
        with session.writing() as writer:
            cap = writer.put_file(content)
        session.commit([cap])
        grid.edit_directory(parent, set_entry(Entry.of(name, cap, metadata), place))
    return cap


def get_file(reader: CapReader, place: Place, sink: Sink, report: CopyReport | None = None) -> int:
    """Write a file's content to a sink and return its length in bytes. Bytes that were written are correct even if this raises.

    Raises:
        As `find`; EntryError: The place is a directory. DamageError: The store has lost or damaged a part.
    """
    found = find(reader, place)
    report = report or CopyReport()
    report.bytes_expected = size_of(found)
    return fetch(reader, file_of(found), sink, report.advance)


def size_of(found: Found) -> int:
    """Return the length of a file in bytes; 0 for a directory."""
    return Entry.of(b"-", found.cap, found.metadata).size


def fetch(reader: CapReader, cap: FileReadCap, sink: Sink, progress: Callable[[int], None] | None = None) -> int:
    """Write the content of a file cap to a sink and return its length in bytes."""
    length = 0
    with reader.open_file(cap) as file:
        while step := file.read(STEP_SIZE):
            sink.write(step)
            length += len(step)
            if progress is not None:
                progress(len(step))
    return length


def metadata_of_file(descriptor: int) -> Metadata:
    """Return mode, modification time and holes of an open file as metadata; those of a pipe or terminal mean nothing."""
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        return Metadata()
    holes: tuple[tuple[int, int], ...] = ()
    if facts.st_blocks * 512 < facts.st_size:
        from tallac.source import read_holes  # lazy import: a listing does without it

        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        holes = read_holes(descriptor, facts.st_size)
        os.lseek(descriptor, position, os.SEEK_SET)
    return Metadata(mode=facts.st_mode, mtime=time_from_ns(facts.st_mtime_ns), holes=holes)
