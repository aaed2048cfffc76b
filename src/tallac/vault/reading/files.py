"""Files in a vault, as seekable readers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence

from tallac.caps import FileReadCap, ImmutableFile, LiteralFile, MutableFileRead
from tallac.dag import HASHED_SIZE_MIN
from tallac.errors import AuthorityError, MissingObjectError
from tallac.interfaces import BinaryReader
from tallac.vault.format.links import SMALL_SIZE_MAX, require_issued
from tallac.vault.format.nodes import NodeRef
from tallac.vault.mutable.slot_contents import content_of
from tallac.vault.mutable.slots import Slots
from tallac.vault.reading.object_reader import ObjectReader

ZEROS_SIZE_MAX = 1 << 20


class VaultFiles:
    """Opens files: what the vault and its worker processes have in common."""

    def __init__(self, reader: Callable[[], ObjectReader], slots: Slots | None = None) -> None:
        """Read with what `reader` gives, which is called once something has to be read.

        Without slots, as in a worker process, which would not notice that one was rolled back, mutable files count as missing.
        """
        self._reader = reader
        self._slots = slots

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        """See `tallac.interfaces.FileReader`. A small file is read at once."""
        if isinstance(cap, LiteralFile):
            return io.BytesIO(cap.data)
        if isinstance(cap, MutableFileRead):
            if self._slots is None:
                raise MissingObjectError(f"the mutable file {cap} is not read here")
            return self.open_file(content_of(self._slots, cap))
        if not isinstance(cap, ImmutableFile):
            raise AuthorityError(f"{cap} can't be read from a vault: it belongs to another grid")
        require_issued(cap)
        reader = self._reader()
        if 0 < cap.size <= SMALL_SIZE_MAX:
            return io.BytesIO(reader.read_chunk(cap.key, cap.hash, cap.size))
        return VaultFile(reader, NodeRef.root(cap))

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        """See `tallac.interfaces.FileReader`."""
        contents: list[bytes | None] = [None] * len(encoded)
        numbers, wanted = [], []
        for number, cap in enumerate(encoded):
            if cap[:1] == b"L":
                contents[number] = cap[1:]
            elif (parts := small_file_of(cap)) is not None:
                numbers.append(number)
                wanted.append(parts)
        if wanted:
            for number, content in zip(numbers, self._reader().read_chunks(wanted), strict=True):
                contents[number] = content
        return contents


def small_file_of(encoded: bytes) -> tuple[bytes, bytes, int] | None:
    """Return key, hash and size of a file that is one chunk; None for any other cap, and for what is no cap."""
    # A size that begins with a zero byte is no size.
    if encoded[:1] != b"C" or encoded[HASHED_SIZE_MIN : HASHED_SIZE_MIN + 1] <= b"\0":
        return None
    size = int.from_bytes(encoded[HASHED_SIZE_MIN:], "big")
    return (encoded[1:17], encoded[17:HASHED_SIZE_MIN], size) if size <= SMALL_SIZE_MAX else None


def chunks_from(reader: ObjectReader, root: NodeRef, offset: int) -> Iterator[tuple[int, NodeRef]]:
    """Iterate over (start, chunk) of a file, from the chunk that holds the offset on, reading only the nodes on the way."""
    if root.size <= SMALL_SIZE_MAX:
        yield 0, root
        return
    yield from _below(reader, root, 0, offset)


def _below(reader: ObjectReader, node: NodeRef, start: int, offset: int) -> Iterator[tuple[int, NodeRef]]:
    level, children = reader.read_list(node)
    for child in children:
        if start + child.size > offset:
            if level > 1:
                yield from _below(reader, child, start, offset)
            else:
                yield start, child
        start += child.size


class VaultFile(io.RawIOBase):
    """One file's content. Holds one chunk at a time; every byte that it returns is verified."""

    def __init__(self, reader: ObjectReader, root: NodeRef) -> None:
        """Open the file whose chunk or list is root; nothing is read yet."""
        super().__init__()
        self._reader = reader
        self._root = root
        self._position = 0
        self._chunks: Iterator[tuple[int, NodeRef]] = iter(())
        self._start, self._end = 0, 0
        self._data: bytes | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the position; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._root.size}[whence]
        if base + offset < 0:
            raise ValueError("a position can't be negative")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed wants a WriteableBuffer here.
        """Read what is left of the current chunk.

        Raises:
            MissingObjectError, CorruptObjectError: The chunk is lost or damaged.
        """
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most size bytes, what is left of the current chunk at most; everything where size is negative."""
        if size < 0:
            return self.readall()
        if self._position >= self._root.size or not size:
            return b""
        if not self._start <= self._position < self._end:
            self._load()
        if self._data is None:
            part = bytes(min(size, self._end - self._position, ZEROS_SIZE_MAX))
        else:
            within = self._position - self._start
            part = self._data[within : within + size]
        self._position += len(part)
        return part

    def _load(self) -> None:
        """Make the chunk at the position the current one: the next in turn, or found from the root after a seek."""
        start, chunk = next(self._chunks, (0, None))
        if chunk is None or not start <= self._position < start + chunk.size:
            self._chunks = chunks_from(self._reader, self._root, self._position)
            start, chunk = next(self._chunks)
        # A hole can be larger than the memory.
        data = None if chunk.is_hole else self._reader.read_chunk(chunk.key, chunk.hash, chunk.size)
        self._start, self._end, self._data = start, start + chunk.size, data
