"""Grids: reading, writing and editing by caps. Authority is a type: a function that only reads takes a `CapReader`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self, TypeVar, runtime_checkable

import msgspec

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, FileReadCap, FileWriteCap, MutableFormat, ReadCap
from tallac.dag import Entry
from tallac.interfaces.backend import Buffer
from tallac.interfaces.checking import CapChecker

T_co = TypeVar("T_co", covariant=True)


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

    def read_small(self, encoded: bytes) -> bytes | None:
        """Read the content of a small file, given its packed cap, with as little ado as can be; None leaves it to `open_file`."""
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


class FileContent(Protocol):
    """A stream of bytes to be stored: an open file, or anything with `readinto`."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class DirectoryBuilder(Protocol):
    """Collects the entries of an immutable directory, in bounded memory."""

    def add(self, entry: Entry) -> None:
        """Append an entry. Names must come in strictly ascending byte order."""
        ...

    def finish(self) -> DirectoryReadCap:
        """Store the remaining entries and return the cap of the directory."""
        ...


class Chunk(msgspec.Struct, frozen=True):
    """A range of a file, in bytes, that is stored as one object; a hole consists of zeros, and need not be read."""

    offset: int
    length: int
    is_hole: bool = False


class ChunkWriter(Protocol):
    """Stores contents of files in a worker process. Not thread-safe; each process has its own."""

    def put_small(self, data: Buffer) -> bytes:
        """Store a whole file of at most `small_size_max` bytes and give its packed cap (see `tallac.dag.pack_cap`)."""
        ...

    def put_chunk(self, data: Buffer) -> bytes:
        """Store one chunk of a larger file and return its token for `CapWriter.join`, of at most 64 bytes."""
        ...

    def collect(self) -> bytes | None:
        """Return an opaque receipt, for `CapWriter.adopt`, of what has become durable since the last call; None if nothing has."""
        ...

    def finish(self) -> bytes:
        """Make everything durable and return the last receipt. Nothing can be put afterwards."""
        ...


class WorkerRecipe(Protocol[T_co]):
    """Opens a reader or writer in another process of this machine. It can be pickled, and holds secrets."""

    def open(self) -> AbstractContextManager[T_co]: ...


class CapWriter(Protocol):
    """Stores immutable files and directories. Equal contents get equal caps. Caps are durable after the writing() block."""

    @property
    def small_size_max(self) -> int:
        """The size in bytes up to which files are stored with `put_small`; larger ones are cut into chunks."""
        ...

    def put_small(self, data: Buffer) -> bytes:
        """Store a whole file of at most `small_size_max` bytes and give its packed cap."""
        ...

    @property
    def takes_chunks(self) -> bool:
        """Whether larger files are stored with `cut`, `put_chunk` and `join`; if not, `put_file` takes them as streams."""
        ...

    @property
    def threads(self) -> int:
        """How many threads at once may call `put_small` and `put_file`; 0 if only one may."""
        ...

    def cut(self, descriptor: int, size: int, start: int = 0) -> Iterator[Chunk]:
        """Cut an open regular file into chunks, in order, reading it with `pread` and skipping its holes.

        The chunks depend on the content alone. If the file shrinks meanwhile, the chunks end early.

        Args:
            descriptor: The file.
            size: Its size in bytes.
            start: The offset at which to begin, which must be the beginning of a chunk; nothing before it is read.
        """
        ...

    def put_chunk(self, data: Buffer) -> bytes:
        """Store one chunk and return its token for `join`, of at most 64 bytes."""
        ...

    def join(self, chunks: Iterable[tuple[Chunk, bytes]]) -> bytes:
        """Store the list of a large file's chunks (with b"" as the token of a hole) and return the file's encoded cap."""
        ...

    def chunks_held(self, encoded: bytes) -> list[tuple[Chunk, bytes]]:
        """Return the chunks and tokens of a large file up to the first chunk that the grid lacks; only the list is read."""
        ...

    def put_file(self, content: FileContent) -> FileReadCap:
        """Store a stream of any length, read to its end, and return the cap that the calls above would return."""
        ...

    def worker_recipe(self) -> WorkerRecipe[ChunkWriter] | None:
        """Return a recipe for storing in worker processes for this batch; None if they can't."""
        ...

    def adopt(self, receipt: bytes) -> None:
        """Make what a worker process has stored part of this batch."""
        ...

    def build_directory(self, recorded: bytes | None = None) -> DirectoryBuilder:
        """Begin an immutable directory; `recorded` is the packed cap that it had the last time, which may do again."""
        ...

    def put_directory(self, entries: Iterable[Entry]) -> DirectoryReadCap:
        """Store an immutable directory; entries come in ascending byte order of their names."""
        ...

    def holds(self, encoded: bytes) -> bool:
        """Whether the grid still has the object of an encoded cap, as far as one cheap look-up tells."""
        ...

    def holds_all(self, encoded: bytes) -> bool:
        """Whether the grid has a file with all of its chunks."""
        ...

    @property
    def has_losses(self) -> bool:
        """Whether the grid is known to have lost objects, so that unchanged files must be looked up one by one."""
        ...

    @property
    def epoch(self) -> int:
        """A number that grows when a prune may delete something: objects in records of another epoch must be looked up."""
        ...

    @property
    def bytes_stored(self) -> int:
        """The bytes that this batch has added to the store so far, with all overhead."""
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
