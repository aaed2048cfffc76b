"""A grid in memory that records events and fails on demand.

With a folder, the contents of files are stored in it, so that worker processes can store for the grid.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import takewhile
from pathlib import Path

from tallac.caps import (
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    FileWriteCap,
    ImmutableDirectory,
    LiteralDirectory,
    LiteralFile,
    MutableDirectoryRead,
    MutableDirectoryWrite,
    MutableFileRead,
    MutableFormat,
    ReadCap,
)
from tallac.dag import EncodedCap, EncodedEntries, Entry, EntryList, decode_cap, decode_table, encode_cap, encode_table
from tallac.dag.literal_table import decode_literal
from tallac.errors import FencedError, MissingObjectError, NotADirectoryCapError, StoreError
from tallac.interfaces import Buffer, CheckReport, Chunk, FileContent
from tallac.testing.memory_contents import CHUNK_TOKEN_SIZE, Contents, FolderRecipe, MemoryChunkWriter, encoded_file
from tallac.testing.mutable_contents import MutableContents, read_all


class MemoryDirectoryBuilder:
    """Collects entries and checks their order."""

    def __init__(self, grid: MemoryGrid) -> None:
        self._grid = grid
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        if self._entries and entry.name <= self._entries[-1].name:
            raise AssertionError(f"{entry.name!r} does not come after {self._entries[-1].name!r}")
        self._entries.append(entry)

    def extend(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.add(entry)

    def extend_encoded(self, entries: EncodedEntries) -> None:
        self.extend(entries.decode())

    def finish(self) -> DirectoryReadCap:
        table = encode_table(self._entries)
        digest = hashlib.sha256(b"directory:" + table).digest()
        cap = ImmutableDirectory(digest[:16], digest, 1, 1, len(table))
        self._grid.tables[encode_cap(cap)] = table
        self._grid.events.append("put_directory")
        return cap


class MemoryCapWriter:
    """One batch. `receipts` are the sizes in bytes that workers have stored."""

    takes_chunks = True
    threads = 0
    is_distant = False

    def __init__(self, grid: MemoryGrid) -> None:
        self._grid = grid
        self._chunks = MemoryChunkWriter(grid.contents, grid.puts_left, events=grid.events)
        self.receipts: list[int] = []

    @property
    def small_size_max(self) -> int:
        return self._grid.small_size_max

    @property
    def has_losses(self) -> bool:
        return self._grid.has_losses

    @property
    def epoch(self) -> int:
        return self._grid.epoch

    @property
    def keeps_below(self) -> bool:
        return self._grid.keeps_below

    @property
    def bytes_stored(self) -> int:
        return self._chunks.bytes_stored + sum(self.receipts)

    def put_small(self, data: Buffer) -> bytes:
        return self._chunks.put_small(data)

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        return self._chunks.put_several(contents)

    def put_chunk(self, data: Buffer) -> bytes:
        return self._chunks.put_chunk(data)

    def cut(self, descriptor: int, size: int, start: int = 0) -> Iterator[Chunk]:
        offset = start
        while offset < size:
            content = os.pread(descriptor, min(self._grid.chunk_size, size - offset), offset)
            if not content:
                return
            yield Chunk(offset, len(content), is_hole=not any(content))
            offset += len(content)

    def join(self, chunks: Iterable[tuple[Chunk, bytes]]) -> bytes:
        content = bytearray()
        joined = list(chunks)
        for chunk, token in joined:
            if chunk.offset != len(content) or (len(token) != CHUNK_TOKEN_SIZE) != chunk.is_hole:
                raise AssertionError(f"{chunk} is out of order, or its token is wrong")
            stored = bytes(chunk.length) if chunk.is_hole else self._grid.contents.get(token)
            if stored is None or len(stored) != chunk.length:
                raise AssertionError(f"{chunk} was not stored, or with another length")
            content += stored
        encoded = encoded_file(bytes(content))
        self._grid.contents.put(encoded, bytes(content))
        self._grid.joined[encoded] = joined
        self._grid.events.append("join")
        return encoded

    def chunks_held(self, encoded: bytes) -> list[tuple[Chunk, bytes]]:
        def is_held(joined: tuple[Chunk, bytes]) -> bool:
            chunk, token = joined
            return chunk.is_hole or self._grid.contents.get(token) is not None

        return list(takewhile(is_held, self._grid.joined.get(encoded, [])))

    def put_file(self, content: FileContent) -> FileReadCap:
        cap = decode_cap(self.put_small(read_all(content)))
        if not isinstance(cap, FileReadCap):
            raise TypeError("a file's cap is none of a file")
        return cap

    def worker_recipe(self) -> FolderRecipe | None:
        folder = self._grid.contents.folder
        return None if folder is None else FolderRecipe(folder, self._grid.puts_left)

    def send_rest(self) -> None:
        pass

    def adopt(self, receipt: bytes) -> None:
        self.receipts.append(int(receipt))

    def build_directory(
        self, recorded: bytes | None = None, other: Callable[[], bytes | None] | None = None
    ) -> MemoryDirectoryBuilder:
        return MemoryDirectoryBuilder(self._grid)

    def put_directory(self, entries: Iterable[Entry]) -> DirectoryReadCap:
        builder = self.build_directory()
        for entry in entries:
            builder.add(entry)
        return builder.finish()

    def holds(self, encoded: bytes) -> bool:
        self._grid.events.append("holds")
        return encoded not in self._grid.unheld and self._grid.has(encoded)

    def holds_all(self, encoded: bytes) -> bool:
        return self._grid.has(encoded)


class MemorySession:
    """One session; `commit` raises FencedError `fences` times."""

    def __init__(self, grid: MemoryGrid) -> None:
        self._grid = grid

    @contextmanager
    def writing(self) -> Iterator[MemoryCapWriter]:
        self._grid.events.append("writing")
        yield MemoryCapWriter(self._grid)
        self._grid.events.append("written")

    def commit(self, caps: Iterable[ReadCap], *, found: Iterable[ReadCap] = ()) -> None:
        if self._grid.fences:
            self._grid.fences -= 1
            raise FencedError("a prune took over; try again")
        for cap in (*caps, *found):
            if not self._grid.has(encode_cap(cap)):
                raise MissingObjectError("a cap that is to be linked was never stored")
        self._grid.events.append("commit")

    def keep(self, caps: Iterable[ReadCap]) -> None:
        self.commit(caps)


class MemoryGrid:
    """A whole grid in memory.

    Attributes:
        events: The events in order: writing, put_small, put_chunk, join, put_directory, written, commit, edit.
        tables: Encoded tables of immutable directories by encoded cap.
        joined: The chunks of large files, by encoded cap.
        puts_left: The number of files or chunks until the grid is full.
        fences: The number of commits that will fail.
        has_losses, epoch, keeps_below: The values that the writer reports.
        unheld: Encoded caps of what can be read, and is not held according to the writer.
        before_swap: Called between the read and the swap of an edit, to stage a race.
    """

    def __init__(self, folder: Path | None = None, *, small_size_max: int = 1 << 20, chunk_size: int = 1 << 20) -> None:
        self.contents = Contents(folder)
        self.tables: dict[bytes, bytes] = {}
        self.joined: dict[bytes, list[tuple[Chunk, bytes]]] = {}
        self.mutable: dict[bytes, tuple[int, list[Entry]]] = {}
        self.mutable_files = MutableContents()
        self.events: list[str] = []
        self.small_size_max = small_size_max
        self.chunk_size = chunk_size
        self.puts_left: int | None = None
        self.fences = 0
        self.has_losses = False
        self.epoch = 0
        self.keeps_below = True
        self.unheld: set[bytes] = set()
        self.before_swap: Callable[[], None] | None = None

    @property
    def identity(self) -> str:
        return "memory"

    @contextmanager
    def session(self) -> Iterator[MemorySession]:
        yield MemorySession(self)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def has(self, encoded: bytes) -> bool:
        """Whether the object of an encoded cap is there."""
        if EncodedCap(encoded).is_literal or encoded in self.tables or self.contents.get(encoded) is not None:
            return True
        return any(encode_cap(_read_cap(writekey)) == encoded for writekey in self.mutable)

    def open_file(self, cap: FileReadCap) -> BytesIO:
        if isinstance(cap, MutableFileRead):
            return BytesIO(self.mutable_files.get(cap))
        content = cap.data if isinstance(cap, LiteralFile) else self.contents.get(encode_cap(cap))
        if content is None:
            raise MissingObjectError(f"the memory grid has no file {cap!r}")
        return BytesIO(content)

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        return [cap.data if cap.is_literal_file else None for cap in map(EncodedCap, encoded)]

    def reader_recipe(self) -> None:
        """Return None: worker processes can't read this process's memory."""

    def read_directory(self, cap: DirectoryReadCap) -> EntryList:
        if isinstance(cap, MutableDirectoryRead):
            for writekey, (_, entries) in self.mutable.items():
                if _read_cap(writekey) == cap:
                    return EntryList(entries)
            raise MissingObjectError(f"the memory grid has no directory {cap!r}")
        if isinstance(cap, LiteralDirectory) and cap.data:
            return EntryList(decode_literal(cap.data))
        self.events.append("read_directory")
        table = self.tables.get(encode_cap(cap))
        if table is None:
            raise MissingObjectError(f"the memory grid has no directory {cap!r}")
        return EntryList(decode_table(table))

    def create_directory(self, mutable_format: MutableFormat = MutableFormat.SDMF) -> MutableDirectoryWrite:
        cap = MutableDirectoryWrite(len(self.mutable).to_bytes(16, "big"), bytes(32), mutable_format)
        self.mutable[cap.writekey] = (0, [])
        return cap

    def create_file(self, content: FileContent, mutable_format: MutableFormat = MutableFormat.SDMF) -> FileWriteCap:
        return self.mutable_files.create(content, mutable_format)

    def write_file(self, cap: FileWriteCap, content: FileContent, *, offset: int | None = None) -> None:
        self.mutable_files.write(cap, content, offset)

    def edit_directory(self, cap: DirectoryWriteCap, edit: Callable[[list[Entry]], list[Entry]]) -> list[Entry]:
        if not isinstance(cap, MutableDirectoryWrite):
            raise NotADirectoryCapError(f"{cap!r} is no directory of the memory grid")
        while True:
            version, entries = self.mutable[cap.writekey]
            edited = sorted(edit(list(entries)), key=lambda entry: entry.name)
            if edited == entries:
                return edited
            hook, self.before_swap = self.before_swap, None
            if hook is not None:
                hook()
            if self.mutable[cap.writekey][0] == version:
                self.mutable[cap.writekey] = (version + 1, edited)
                self.events.append("edit")
                return edited

    def check(self, cap: Cap, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Raise StoreError: this grid can't check."""
        raise StoreError("the memory grid has no check; use a vault")

    def check_structure(self, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Raise StoreError: this grid can't check."""
        raise StoreError("the memory grid has no check; use a vault")


def _read_cap(writekey: bytes) -> MutableDirectoryRead:
    return MutableDirectoryWrite(writekey, bytes(32)).read_cap
