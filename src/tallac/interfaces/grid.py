"""Caps: who reads, writes and edits what lies behind them. Authority is a type: a function that only reads takes a `CapReader`."""

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
    """A seekable reader over one file's content. Every byte it gives has been verified against the cap."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


class Directory(Protocol):
    """What a directory cap leads to: entries in the order of their names' bytes, read as they are needed."""

    def __iter__(self) -> Iterator[Entry]: ...

    def get(self, name: bytes) -> Entry | None:
        """Find one entry without reading all of them."""
        ...


class FileReader(Protocol):
    """Read files by their caps. Raises as `CapReader` does."""

    def open_file(self, cap: FileReadCap) -> BinaryReader: ...

    def read_small(self, encoded: bytes) -> bytes | None:
        """Read the content of a small file, given its packed cap, with as little ado as can be; None leaves it to `open_file`."""
        ...


class CapReader(FileReader, Protocol):
    """Read what caps lead to.

    Raises (all methods):
        MissingObjectError, CorruptObjectError: The store lost it, or changed it.
        AuthorityError: The cap was issued by another grid, or gives no right to read.
    """

    def read_directory(self, cap: DirectoryReadCap) -> Directory: ...

    def reader_recipe(self) -> WorkerRecipe[FileReader] | None:
        """Say how worker processes can read; None where there can't be any. What they find damaged is to be read again here."""
        ...


class FileContent(Protocol):
    """A stream of bytes to be stored: an open file, or anything with `readinto`."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class DirectoryBuilder(Protocol):
    """An immutable directory in the making, in bounded memory."""

    def add(self, entry: Entry) -> None:
        """Append an entry. Names come in strictly ascending order of their bytes."""
        ...

    def finish(self) -> DirectoryReadCap:
        """Store what is left and give the directory's cap."""
        ...


class Chunk(msgspec.Struct, frozen=True):
    """A stretch of a file, in bytes, that is stored by itself; a hole is all zeros, and is not to be read."""

    offset: int
    length: int
    is_hole: bool = False


class ChunkWriter(Protocol):
    """Store contents of files: what a worker process does. Not thread-safe; one process, one ChunkWriter."""

    def put_small(self, data: Buffer) -> bytes:
        """Store a whole file of at most `small_size_max` bytes and give its packed cap (see `tallac.dag.pack_cap`)."""
        ...

    def put_chunk(self, data: Buffer) -> bytes:
        """Store one piece of a larger file and give a token for `CapWriter.join`, of at most 64 bytes."""
        ...

    def collect(self) -> bytes | None:
        """Give the receipt of what has become durable since the last call, for `CapWriter.adopt`; None where nothing has."""
        ...

    def finish(self) -> bytes:
        """Make all that was put durable and give the last receipt. Nothing can be put afterwards."""
        ...


class WorkerRecipe(Protocol[T_co]):
    """Says how to open something in another process of this machine. It can be pickled; it holds secrets."""

    def open(self) -> AbstractContextManager[T_co]: ...


class CapWriter(Protocol):
    """Store immutable things. The same content gives the same cap. Caps are durable once the writing() block has been left."""

    @property
    def small_size_max(self) -> int:
        """Files of up to so many bytes are stored with `put_small`; larger ones are cut in pieces."""
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
        """From how many threads at once `put_small` and `put_file` may be called; 0 where only one may call them."""
        ...

    def cut(self, descriptor: int, size: int, start: int = 0) -> Iterator[Chunk]:
        """Find the pieces of an open regular file, in order, reading it with `pread` and skipping its holes.

        The pieces depend on the content alone. Where the file shrinks meanwhile, the pieces end early.

        Args:
            descriptor: The file.
            size: Where it ends.
            start: Where one of its pieces begins; what lies before is not read.
        """
        ...

    def put_chunk(self, data: Buffer) -> bytes:
        """Store one piece and give its token for `join`."""
        ...

    def join(self, chunks: Iterable[tuple[Chunk, bytes]]) -> bytes:
        """Store the list of a large file's pieces (with b"" as a hole's token) and give the file's packed cap."""
        ...

    def chunks_held(self, encoded: bytes) -> list[tuple[Chunk, bytes]]:
        """Give what `join` was given, up to the first piece that the grid does not hold; no more of it is read than the list."""
        ...

    def put_file(self, content: FileContent) -> FileReadCap:
        """Store a stream of bytes of any length, read to its end: the cap that the calls above would give."""
        ...

    def worker_recipe(self) -> WorkerRecipe[ChunkWriter] | None:
        """Say how worker processes can store for this batch; None where this grid can't have any."""
        ...

    def adopt(self, receipt: bytes) -> None:
        """Make what a worker process stored part of this batch."""
        ...

    def build_directory(self, recorded: bytes | None = None) -> DirectoryBuilder:
        """Begin an immutable directory; `recorded` is the packed cap that it had the last time, which may do again."""
        ...

    def put_directory(self, entries: Iterable[Entry]) -> DirectoryReadCap:
        """Store an immutable directory; entries come in ascending order of their names."""
        ...

    def holds(self, encoded: bytes) -> bool:
        """Say whether the grid still has what a packed cap refers to, as far as one cheap look-up tells."""
        ...

    def holds_all(self, encoded: bytes) -> bool:
        """Say whether the grid has a file with all of its pieces."""
        ...

    @property
    def has_losses(self) -> bool:
        """Whether the grid is known to have lost objects, so that what looks unchanged must be looked up piece by piece."""
        ...

    @property
    def epoch(self) -> int:
        """Grows when a prune may drop something: what local records of another epoch name is to be looked up piece by piece."""
        ...

    @property
    def bytes_stored(self) -> int:
        """Bytes that this batch has added to the store so far, all included."""
        ...


class Session(Protocol):
    """One writer's stay: what it stores and what it re-uses is kept until the session ends."""

    def writing(self) -> AbstractContextManager[CapWriter]:
        """Open a batch; when the block is left without an exception, all of its caps are durable."""
        ...

    def commit(self, caps: Iterable[ReadCap], *, found: Iterable[ReadCap] = ()) -> None:
        """Say what is about to be linked; may be called again. Call it after the writing() block and before the edit.

        `found` are caps that no batch of this session has stored; they are looked up where a prune may have been.

        Raises:
            FencedError: Something this session relied on may be gone; store it again in another session.
        """
        ...

    def keep(self, caps: Iterable[ReadCap]) -> None:
        """Say, in place of `commit`, what stays for 30 days although nothing links to it. Raises as `commit` does."""


class CapEditor(Protocol):
    """Change the only mutable things there are: directories and files with a write cap."""

    def create_directory(self, mutable_format: MutableFormat = MutableFormat.SDMF) -> DirectoryWriteCap:
        """Make a new, empty mutable directory, whose cap is of the kind of this format; durable when this returns."""
        ...

    def create_file(self, content: FileContent, mutable_format: MutableFormat = MutableFormat.SDMF) -> FileWriteCap:
        """Make a new mutable file of a stream, which is read to its end; durable when this returns."""
        ...

    def write_file(self, cap: FileWriteCap, content: FileContent, *, offset: int | None = None) -> None:
        """Give a mutable file another content, or write over a part of it from an offset in bytes on; durable when this returns.

        Where the offset lies past the end, zeros come between. Two who write at the same time get one content after the other's.

        Raises:
            MissingObjectError, CorruptObjectError: The store lost the file, or changed it.
        """
        ...

    def edit_directory(self, cap: DirectoryWriteCap, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry]:
        """Read a directory, edit it, and swap the result in; again from the start where somebody else was faster.

        `edit` gets the entries sorted by name and returns the new ones, in any order; it must be free of side effects, since
        it may be called again. What it raises leaves the directory as it was. Durable when this returns. An edit that
        changes nothing stores nothing: that is how a directory is read together with its children's write caps.
        """
        ...


@runtime_checkable
class Grid(CapReader, CapEditor, CapChecker, Protocol):
    """A capability store."""

    @property
    def identity(self) -> str:
        """A stable name for this grid, without secrets; local state is kept under it."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """Register a writer for the length of the block.

        Left by an exception, the session ends and what was stored may be reclaimed by a later prune.

        Raises:
            FencedError: At the end: a prune that had not seen this session took something that was linked. Store it again.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. The grid can't be used afterwards."""
        ...
