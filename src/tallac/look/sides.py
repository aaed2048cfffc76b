"""The sides of a comparison: a directory on a grid, or a local folder, both read by one protocol."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from tallac.caps import DirectoryReadCap, FileReadCap
from tallac.dag import Entry, FileType, Metadata, decode_cap, file_type_of
from tallac.errors import AuthorityError, SourceError
from tallac.interfaces import BinaryReader, CapReader
from tallac.look.metadata import kind_of, size_of
from tallac.source import (
    DirectoryStack,
    Scan,
    SourceEntry,
    metadata_of,
    open_directory,
    open_regular,
    open_root,
    read_flags,
    read_link,
    read_xattrs,
    read_xattrs_beneath,
    scan,
)
from tallac.source.absence import Absence


class Thing(msgspec.Struct, frozen=True):
    """A file or directory on one side.

    Attributes:
        name: One path component.
        kind: Its file type.
        size: The size of a regular file in bytes; 0 for everything else.
        metadata: The metadata that the listing has; `Side.complete` returns all of it.
        encoded: Its encoded cap; None for what is local.
        source: The result of `stat`; None on a grid.
    """

    name: bytes
    kind: FileType
    size: int
    metadata: Metadata
    encoded: bytes | None = None
    source: SourceEntry | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it can have entries."""
        return self.kind is FileType.DIRECTORY


class Side(Protocol):
    """One side of a comparison. It has a current directory: `enter` goes down from it, `leave` back up.

    Raises (all methods that read):
        DamageError, AuthorityError: A part of the directory on the grid can't be read.
        OSError: A part of the local folder can't be read.
    """

    @property
    def reader(self) -> CapReader | None:
        """The grid that reads the caps; None for a local folder."""
        ...

    @property
    def root(self) -> Thing:
        """The file or directory that is compared."""
        ...

    def enter(self, thing: Thing) -> Iterator[Thing]:
        """Enter a directory of the current one and return its entries, sorted by name. If this raises, it was not entered."""
        ...

    def leave(self) -> None:
        """Go up again."""
        ...

    def complete(self, thing: Thing) -> Metadata:
        """Return all metadata of an entry of the current directory."""
        ...

    def open(self, thing: Thing) -> BinaryReader:
        """Open a regular file in the current directory; the caller closes it."""
        ...

    def close(self) -> None:
        """Close all open files."""
        ...


class StoredSide:
    """A file or directory on a grid."""

    def __init__(self, reader: CapReader, entry: Entry, absence: Absence | None = None) -> None:
        """Use the file or directory of an entry; its name is ignored. `absence` is known where a local folder is compared."""
        self._absences = [] if absence is None else [absence]
        self._depth = 0
        self.reader = reader
        self.root = thing_of(entry)

    def enter(self, thing: Thing) -> Iterator[Thing]:
        """See `Side`."""
        return map(thing_of, self.enter_stored(thing))

    def enter_stored(self, thing: Thing) -> Iterator[Entry]:
        """Do as `enter` does, and return the entries as they are stored."""
        assert thing.encoded is not None
        cap = decode_cap(thing.encoded)
        if not isinstance(cap, DirectoryReadCap):
            raise AuthorityError(f"its cap ({cap.kind}) does not allow reading it")
        stored = self.reader.read_directory(cap)
        if self._absences:
            self._depth += 1
            if self._depth == 1:
                self._absences[0].take_in(self.reader, stored)
            else:
                self._absences.append(
                    self._absences[-1].entered(Entry(thing.name, thing.encoded, thing.metadata), self.reader, stored)
                )
        return iter(stored)

    def pass_by(self, thing: Thing) -> None:
        """Go down beside a local directory that the current one has not, so that its rules are known; `leave` goes up again."""
        if self._absences:
            self._depth += 1
            self._absences.append(self._absences[-1].below(Entry(thing.name, b"")))

    def leave(self) -> None:
        """See `Side`."""
        if self._absences:
            self._depth -= 1
            del self._absences[max(1, self._depth) :]

    def may_have_had(self, thing: Thing) -> bool:
        """Whether a local file, which the current directory has not, may have been left out of it."""
        return bool(self._absences) and thing.source is not None and not self._absences[-1].proves_removed(thing.source)

    def complete(self, thing: Thing) -> Metadata:
        """See `Side`."""
        return thing.metadata

    def open(self, thing: Thing) -> BinaryReader:
        """See `Side`."""
        assert thing.encoded is not None
        cap = decode_cap(thing.encoded)
        if not isinstance(cap, FileReadCap):
            raise AuthorityError(f"its cap ({cap.kind}) does not allow reading it")
        return self.reader.open_file(cap)

    def close(self) -> None:
        """See `Side`."""


class LocalSide:
    """A local file or folder. Symbolic links in the path that the user wrote are followed, those below are not."""

    reader: CapReader | None = None

    def __init__(self, path: str | Path) -> None:
        """Open a path.

        Raises:
            SourceError: The path does not exist, or can't be read.
        """
        try:
            real = Path(path).resolve(strict=True)
            self.root = _thing_of_source(SourceEntry.of(os.fsencode(real.name), real.stat()))
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is a loop of symbolic links"
            raise SourceError(f"{path}: can't read it ({why})") from error
        self._descriptor = open_root(real if self.root.is_directory else real.parent)
        self._stack = DirectoryStack(self._descriptor)
        self._scans: list[Scan] = []

    def enter(self, thing: Thing) -> Iterator[Thing]:
        """See `Side`."""
        if thing is not self.root:
            self._stack.enter(thing.name)
        try:
            self._scans.append(self._scan())
        except BaseException:
            self._go_up()
            raise
        return map(_thing_of_source, self._scans[-1])

    def leave(self) -> None:
        """See `Side`."""
        self._scans.pop().__exit__()
        self._go_up()

    def complete(self, thing: Thing) -> Metadata:
        """See `Side`."""
        source = _source_of(thing)
        parent = self._stack.descriptor
        if thing.kind not in (FileType.REGULAR, FileType.DIRECTORY):
            target = read_link(parent, thing.name) if thing.kind is FileType.SYMLINK else None
            return metadata_of(source, xattrs=read_xattrs_beneath(parent, thing.name), target=target)
        if thing is self.root and thing.is_directory:
            return _complete_open(source, parent)
        descriptor = open_directory(parent, thing.name) if thing.is_directory else open_regular(parent, thing.name)[0]
        try:
            return _complete_open(source, descriptor)
        finally:
            os.close(descriptor)

    def open(self, thing: Thing) -> BinaryReader:
        """See `Side`."""
        return os.fdopen(open_regular(self._stack.descriptor, thing.name)[0], "rb")

    def close(self) -> None:
        """See `Side`."""
        while self._scans:
            self._scans.pop().__exit__()
        self._stack.close()
        os.close(self._descriptor)

    def _scan(self) -> Scan:
        listing = scan(self._stack.descriptor)
        if listing.failures:
            # To leave it out would report it as removed.
            listing.__exit__()
            raise listing.failures[0][1]
        return listing

    def _go_up(self) -> None:
        if self._stack.depth:
            self._stack.leave()


def thing_of(entry: Entry) -> Thing:
    """Return an entry on a grid as a comparison sees it."""
    return Thing(entry.name, kind_of(entry), size_of(entry), entry.metadata, entry.encoded)


def _thing_of_source(source: SourceEntry) -> Thing:
    kind = file_type_of(source.mode)
    return Thing(source.name, kind, source.size if source.is_regular else 0, metadata_of(source), source=source)


def _source_of(thing: Thing) -> SourceEntry:
    assert thing.source is not None
    return thing.source


def _complete_open(source: SourceEntry, descriptor: int) -> Metadata:
    return metadata_of(source, xattrs=read_xattrs(descriptor), flags=read_flags(descriptor))
