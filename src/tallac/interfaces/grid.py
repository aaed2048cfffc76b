"""Grids: reading, writing and editing by caps. Authority is a type: a function that only reads takes a `CapReader`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self, TypeAlias, runtime_checkable

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, FileReadCap, FileWriteCap, MutableFormat, ReadCap
from tallac.dag import Entry
from tallac.interfaces.checking import CapChecker
from tallac.interfaces.writing import CapWriter, FileContent, WorkerRecipe


class BinaryReader(Protocol):
    """A seekable reader of the content of one file. Every byte that it returns has been verified against the cap."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


class Directory(Protocol):
    """The entries of a directory, in the byte order of their names, read as they are needed."""

    def __iter__(self) -> Iterator[Entry]: ...

    def get(self, name: bytes) -> Entry | None:
        """Return the entry of a name without reading all of them; None if there is none."""
        ...


class FileReader(Protocol):
    """Reads files by their caps. Raises as `CapReader` does."""

    def open_file(self, cap: FileReadCap) -> BinaryReader: ...

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        """Return the contents of small files, given their encoded caps, each step for all of them before the next one.

        None leaves a file to `open_file`, which reads it in whatever way it can be read, or says what is wrong. The caller sees to
        it that their contents can be in memory together; of files that are not small nothing is read.
        """
        ...


class CapReader(FileReader, Protocol):
    """Reads files and directories by their caps.

    Raises (all methods):
        MissingObjectError, CorruptObjectError: The store has lost or damaged an object.
        AuthorityError: The cap was issued by another grid, or does not allow reading.
    """

    def read_directory(self, cap: DirectoryReadCap) -> Directory: ...

    def reader_recipe(self) -> WorkerRecipe[FileReader] | None:
        """Return a recipe for reading in worker processes; None if they can't. Read again here what they report as damaged."""
        ...


Announce: TypeAlias = Callable[[Sequence[bytes]], Callable[[], None]]
"""Takes encoded caps of files that are read soon, and begins to fetch small ones; what it returns waits until these are here."""


@runtime_checkable
class AnnouncingReader(Protocol):
    """A `CapReader` that can be told what its workers will read."""

    def announcer(self) -> Announce | None:
        """Return what takes announcements; None where they are of no use. What was announced need not be read, and the reverse."""
        ...


@runtime_checkable
class ForkableReader(Protocol):
    """A `CapReader` that a forked process may be able to use."""

    def prepare_fork(self) -> bool:
        """Load what all reading takes, so that a child has it; return whether a child may read directories beside this process.

        That is so where nothing that it reads by has a position or a connection, which both would use.
        """
        ...


class Session(Protocol):
    """The session of one writer: no prune deletes what it stores or reuses until the session ends."""

    def writing(self) -> AbstractContextManager[CapWriter]:
        """Open a batch; all of its caps are durable once the block has exited without an exception."""
        ...

    def commit(self, caps: Iterable[ReadCap], *, found: Iterable[ReadCap] = ()) -> None:
        """Announce the caps that are about to be linked. Call it after the writing() block and before the edit; may be repeated.

        `found` are caps that no batch of this session has stored; they are looked up if a prune may have deleted them.

        Raises:
            FencedError: An object that this session relied on may be deleted; store it again in another session.
        """
        ...

    def keep(self, caps: Iterable[ReadCap]) -> None:
        """Protect caps from prunes for 30 days although nothing links to them, in place of `commit`. Raises as `commit` does."""


class CapEditor(Protocol):
    """Changes mutable directories and files, by their write caps."""

    def create_directory(self, mutable_format: MutableFormat = MutableFormat.SDMF) -> DirectoryWriteCap:
        """Create an empty mutable directory whose cap is of the kind of this format; durable when this returns."""
        ...

    def create_file(self, content: FileContent, mutable_format: MutableFormat = MutableFormat.SDMF) -> FileWriteCap:
        """Create a mutable file from a stream, which is read to its end; durable when this returns."""
        ...

    def write_file(self, cap: FileWriteCap, content: FileContent, *, offset: int | None = None) -> None:
        """Replace the content of a mutable file, or overwrite it from an offset in bytes on; durable when this returns.

        If the offset is past the end, the gap is filled with zeros. Concurrent writes take effect one after the other.

        Raises:
            MissingObjectError, CorruptObjectError: The store has lost or damaged the file.
        """
        ...

    def edit_directory(self, cap: DirectoryWriteCap, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry]:
        """Read a directory, edit it, and swap the result in; start again if another client was faster.

        `edit` gets the entries sorted by name and returns the new ones, in any order; it must have no side effects, since
        it may be called again. If it raises, the directory is unchanged. Durable when this returns. An edit that
        changes nothing stores nothing: that is how a directory is read together with its children's write caps.
        """
        ...


@runtime_checkable
class PreparesEdits(Protocol):
    """A `CapEditor` that can begin to store what an edit is going to come to, before that may be linked."""

    def prepare_edit(self, cap: DirectoryWriteCap, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry] | None:
        """Begin to store, and return, the entries that an edit comes to in the last state that is known; None where that is no use.

        Nothing is changed by it, and nobody sees it. `edit_directory` uses what was stored where it comes to the same entries in
        the same state, and stores them itself where it does not, or anything has failed.

        Raises:
            MissingObjectError, CorruptObjectError: The directory was lost or damaged.
            What `edit` raises.
        """
        ...


@runtime_checkable
class Grid(CapReader, CapEditor, CapChecker, Protocol):
    """A capability store."""

    @property
    def identity(self) -> str:
        """A stable name of this grid, without secrets; local state is stored under it."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """Register a writer for the duration of the block.

        If the block raises, the session ends, and a later prune may delete what was stored.

        Raises:
            FencedError: At the end: a prune that did not see this session has deleted a linked object. Store it again.
        """
        ...

    def close(self) -> None:
        """Close files and connections. The grid can't be used afterwards."""
        ...
