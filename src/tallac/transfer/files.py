"""Store and fetch single files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Protocol

from tallac.caps import FileReadCap
from tallac.dag import Entry, Metadata, time_from_ns
from tallac.errors import EntryExistsError
from tallac.interfaces import Buffer, CapReader, FileContent, Grid
from tallac.transfer.changing import entries_of, find_entry, make_directory, new_name, set_entry
from tallac.transfer.place import Place, file_of, find

STEP_SIZE = 1 << 20


class Sink(Protocol):
    """What takes a file's bytes; it takes all of what it is given."""

    def write(self, data: Buffer, /) -> object: ...


def put_file(grid: Grid, place: Place | None, content: FileContent, metadata: Metadata) -> FileReadCap:
    """Store a stream, read to its end, and enter it at a place, with new parents as needed; at no place, only store it.

    A file at the place is replaced. What is at no place stays for 30 days. Durable when this returns.

    Raises:
        EntryExistsError: A directory is in the way.
        AuthorityError: The place can't be changed.
    """
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
        # Said before everything has been read and stored for nothing.
        raise EntryExistsError(f"{place}: a directory is in the way; give a name for the file, as in {place}/NAME")
    with grid.session() as session:
        with session.writing() as writer:
            cap = writer.put_file(content)
        session.commit([cap])
        grid.edit_directory(parent, set_entry(Entry.of(name, cap, metadata), place))
    return cap


def get_file(reader: CapReader, place: Place, sink: Sink) -> int:
    """Write a file's content to a sink and give its length in bytes. What has been written is right, whatever is raised later.

    Raises:
        As `find`; EntryError: It is a directory. DamageError: The store lost or changed a part.
    """
    return fetch(reader, file_of(find(reader, place)), sink)


def fetch(reader: CapReader, cap: FileReadCap, sink: Sink, progress: Callable[[int], None] | None = None) -> int:
    """Write what a cap leads to to a sink and give its length in bytes."""
    length = 0
    with reader.open_file(cap) as file:
        while step := file.read(STEP_SIZE):
            sink.write(step)
            length += len(step)
            if progress is not None:
                progress(len(step))
    return length


def metadata_of_file(descriptor: int) -> Metadata:
    """Give what a put keeps of an open file: its mode and time. A pipe or terminal has none that would mean anything."""
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        return Metadata()
    return Metadata(mode=facts.st_mode, mtime=time_from_ns(facts.st_mtime_ns))
