"""Storing immutable things: one protocol for each authority, so that a function asks for what it uses and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import msgspec

from tallac.caps import DirectoryReadCap, FileReadCap
from tallac.dag import EncodedEntries, Entry
from tallac.interfaces.backend import Buffer

T_co = TypeVar("T_co", covariant=True)


class FileContent(Protocol):
    """A stream of bytes to be stored: an open file, or anything with `readinto`."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class DirectoryBuilder(Protocol):
    """Collects the entries of an immutable directory, in bounded memory."""

    def add(self, entry: Entry) -> None:
        """Append an entry. Names must come in strictly ascending byte order."""
        ...

    def extend(self, entries: Sequence[Entry]) -> None:
        """Append several entries, which takes less than one by one; see `add`."""
        ...

    def extend_encoded(self, entries: EncodedEntries) -> None:
        """Append several entries that are encoded already; see `add`."""
        ...

    def finish(self) -> DirectoryReadCap:
        """Store what is left and return the directory's cap."""
        ...


class Chunk(msgspec.Struct, frozen=True):
    """A range of a file, in bytes, that is stored as one object; a hole consists of zeros, and need not be read."""

    offset: int
    length: int
    is_hole: bool = False


class WorkerRecipe(Protocol[T_co]):
    """Opens a reader or writer in another process of this machine. It can be pickled, and holds secrets."""

    def open(self) -> AbstractContextManager[T_co]: ...


class ContentWriter(Protocol):
    """Stores what was read of files."""

    def put_small(self, data: Buffer) -> bytes:
        """Store a whole file of at most `small_size_max` bytes and return its encoded cap (see `tallac.dag.EncodedCap`)."""
        ...

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        """Store several small files, which takes less than one by one, and return their encoded caps; see `put_small`."""
        ...

    def put_chunk(self, data: Buffer) -> bytes:
        """Store one chunk of a larger file and return its token for `ChunkedFileWriter.join`, of at most 64 bytes."""
        ...


class ChunkWriter(ContentWriter, Protocol):
    """Stores contents of files in a worker process. Not thread-safe; one process, one ChunkWriter."""

    def collect(self) -> bytes | None:
        """Return an opaque receipt, for `WorkerHost.adopt`, of what has become durable since the last call; None if nothing has."""
        ...

    def finish(self) -> bytes:
        """Make all that was put durable and return the last receipt. Nothing can be put afterwards."""
        ...


class StreamWriter(Protocol):
    """Stores files from streams."""

    def put_file(self, content: FileContent) -> FileReadCap:
        """Store a stream of any length, read to its end, and return the cap that a `ChunkedFileWriter` would get for it."""
        ...


class ChunkedFileWriter(StreamWriter, Protocol):
    """Stores files, the large ones chunk by chunk."""

    @property
    def small_size_max(self) -> int:
        """The size in bytes up to which files are stored with `put_small`; larger ones are cut into chunks."""
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

    def join(self, chunks: Iterable[tuple[Chunk, bytes]]) -> bytes:
        """Store the list of a large file's chunks (with b"" as the token of a hole) and return the file's encoded cap."""
        ...

    def chunks_held(self, encoded: bytes) -> list[tuple[Chunk, bytes]]:
        """Return the chunks and tokens of a large file up to the first chunk that the grid lacks; only the list is read."""
        ...


class DirectoryWriter(Protocol):
    """Stores immutable directories."""

    def build_directory(self, recorded: bytes | None = None, other: Callable[[], bytes | None] | None = None) -> DirectoryBuilder:
        """Begin an immutable directory; `recorded` is the encoded cap that it had the last time, which may do again.

        Where it does not, `other` may be asked for the encoded cap of a directory that another program has stored of it, which
        may do as well. A grid in which equal directories are one needs neither.
        """
        ...


class Holdings(Protocol):
    """Knows what a grid still has of what was stored before."""

    @property
    def has_losses(self) -> bool:
        """Whether the grid is known to have lost objects, so that unchanged files must be looked up one by one."""
        ...

    @property
    def epoch(self) -> int:
        """A number that grows when a prune may delete something: objects in records of another epoch must be looked up."""
        ...

    @property
    def keeps_below(self) -> bool:
        """Whether what hangs from a directory goes only with it, with a change of the epoch, or as one of the known losses.

        Then what a directory of the present epoch refers to is there if the directory is; else files are looked up one by one.
        """
        ...

    def holds(self, encoded: bytes) -> bool:
        """Whether the grid still has the object of an encoded cap, as far as one cheap look-up tells."""
        ...

    def holds_all(self, encoded: bytes) -> bool:
        """Whether the grid has a file with all of its chunks."""
        ...


class WorkerHost(Protocol):
    """Takes part of a batch from worker processes."""

    @property
    def is_distant(self) -> bool:
        """Whether workers have to connect to the store, and had better begin with that before there is work."""
        ...

    def worker_recipe(self) -> WorkerRecipe[ChunkWriter] | None:
        """Return a recipe for storing in worker processes for this batch; None if they can't."""
        ...

    def send_rest(self) -> None:
        """Send what this process has stored and not sent yet, beside the workers' last packs. Little is to follow."""
        ...

    def adopt(self, receipt: bytes) -> None:
        """Make what a worker process has stored part of this batch."""
        ...


class CapWriter(ContentWriter, ChunkedFileWriter, DirectoryWriter, Holdings, WorkerHost, Protocol):
    """One batch. The same content gets the same cap. Caps are durable once the writing() block has been left."""

    def put_directory(self, entries: Iterable[Entry]) -> DirectoryReadCap:
        """Store an immutable directory; entries come in ascending byte order of their names."""
        ...

    @property
    def bytes_stored(self) -> int:
        """The bytes that this batch has added to the store so far, with all overhead."""
        ...
