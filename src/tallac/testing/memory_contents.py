"""Contents of files on the grid in memory, and their writer, which also works in worker processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tallac.caps import ImmutableFile, LiteralFile
from tallac.dag import EncodedCap, encode_cap
from tallac.errors import StoreFullError
from tallac.interfaces import Buffer

LITERAL_SIZE_MAX = 55
CHUNK_TOKEN_SIZE = 32


def encoded_file(content: bytes) -> bytes:
    """Return the encoded cap of a file on this grid."""
    if len(content) <= LITERAL_SIZE_MAX:
        return encode_cap(LiteralFile(content))
    digest = hashlib.sha256(b"file:" + content).digest()
    return encode_cap(ImmutableFile(digest[:16], digest, 1, 1, len(content)))


@dataclass
class Contents:
    """Named bytes: in memory, or in a folder that several processes share."""

    folder: Path | None = None
    in_memory: dict[bytes, bytes] = field(default_factory=dict)

    def put(self, name: bytes, content: bytes) -> bool:
        """Store a content; return whether it is new."""
        if self.get(name) is not None:
            return False
        if self.folder is None:
            self.in_memory[name] = content
        else:
            temporary = self.folder / f"{name.hex()[-64:]}.{os.getpid()}"
            temporary.write_bytes(content)
            temporary.replace(self.folder / name.hex()[-64:])
        return True

    def get(self, name: bytes) -> bytes | None:
        """Return a stored content; None if there is none."""
        if self.folder is None:
            return self.in_memory.get(name)
        try:
            return (self.folder / name.hex()[-64:]).read_bytes()
        except FileNotFoundError:
            return None

    def lose(self, name: bytes) -> None:
        """Delete a stored content, as a damaged store does."""
        self.in_memory.pop(name, None)
        if self.folder is not None:
            (self.folder / name.hex()[-64:]).unlink(missing_ok=True)


@dataclass
class MemoryChunkWriter:
    """Stores contents of files; raises StoreFullError after `puts_left` calls."""

    contents: Contents
    puts_left: int | None = None
    bytes_stored: int = 0
    events: list[str] = field(default_factory=list)
    uncollected: int = 0

    def put_small(self, data: Buffer) -> bytes:
        self._count_put()
        content = bytes(data)
        encoded = encoded_file(content)
        if EncodedCap(encoded).is_file:
            self._store(encoded, content)
        self.events.append("put_small")
        return encoded

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        return [self.put_small(data) for data in contents]

    def put_chunk(self, data: Buffer) -> bytes:
        self._count_put()
        content = bytes(data)
        token = hashlib.sha256(b"piece:" + content).digest()
        self._store(token, content)
        self.events.append("put_chunk")
        return token

    def collect(self) -> bytes | None:
        receipt = b"%d" % self.uncollected if self.uncollected else None
        self.uncollected = 0
        return receipt

    def finish(self) -> bytes:
        receipt = b"%d" % self.uncollected
        self.uncollected = 0
        return receipt

    def _count_put(self) -> None:
        if self.puts_left is not None:
            if self.puts_left == 0:
                raise StoreFullError("the memory grid is full; make it larger")
            self.puts_left -= 1

    def _store(self, name: bytes, content: bytes) -> None:
        if self.contents.put(name, content):
            self.bytes_stored += len(content)
            self.uncollected += len(content)


@dataclass(frozen=True)
class FolderRecipe:
    """Opens a writer for a MemoryGrid with a folder in a worker process."""

    folder: Path
    puts_left: int | None

    @contextmanager
    def open(self) -> Iterator[MemoryChunkWriter]:
        yield MemoryChunkWriter(Contents(self.folder), self.puts_left)
