"""Storing immutable files and directories on a Tahoe-LAFS grid."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from tallac.caps import Cap, DirectoryReadCap, FileReadCap, LiteralDirectory, LiteralFile, parse
from tallac.dag import EncodedEntries, Entry, decode_cap, encode_cap
from tallac.errors import DamageError, MalformedCapError, StoreError
from tallac.interfaces import Buffer, Chunk, FileContent
from tallac.tahoe.children import child_of, is_said_by
from tallac.tahoe.copies import Copies
from tallac.tahoe.holding import Holding
from tallac.tahoe.reading import TahoeReader
from tallac.webapi import LITERAL_SIZE_MAX, WebClient

SMALL_SIZE_MAX = 1 << 20
STREAM_STEP_SIZE = 1 << 18
THREADS = 10
"""Uploads at a time. A gateway is limited by its CPU; several uploads hide the latency of far servers. With more than 10 a node
opens new connections to its storage servers all the time, and spends half its CPU time on that."""


class TahoeDirectoryBuilder:
    """Collects the entries of an immutable directory."""

    def __init__(self, writer: TahoeWriter, recorded: bytes | None, other: Callable[[], bytes | None] | None) -> None:
        self._writer = writer
        self._recorded = recorded
        self._other = other
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def extend(self, entries: Sequence[Entry]) -> None:
        self._entries += entries

    def extend_encoded(self, entries: EncodedEntries) -> None:
        self.extend(entries.decode())

    def finish(self) -> DirectoryReadCap:
        return self._writer.store_directory(self._entries, self._recorded, self._other)


class TahoeWriter:
    """One batch. The object is on the grid's servers when a call returns. Thread-safe."""

    def __init__(self, client: WebClient, reader: TahoeReader, holding: Holding) -> None:
        self._client = client
        self._reader = reader
        self._holding = holding
        self._health = holding.health
        self._lock = threading.Lock()
        self._bytes_stored = 0
        self._copies = Copies()

    @property
    def small_size_max(self) -> int:
        return SMALL_SIZE_MAX

    @property
    def takes_chunks(self) -> bool:
        return False

    @property
    def threads(self) -> int:
        return THREADS

    @property
    def is_distant(self) -> bool:
        return False

    @property
    def has_losses(self) -> bool:
        return False

    @property
    def epoch(self) -> int:
        return 0

    @property
    def keeps_below(self) -> bool:
        return False

    @property
    def bytes_stored(self) -> int:
        with self._lock:
            return self._bytes_stored

    def put_small(self, data: Buffer) -> bytes:
        content = bytes(data)
        if len(content) <= LITERAL_SIZE_MAX:
            return encode_cap(LiteralFile(content))
        return self._copies.store(content, self._upload)

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        return [self.put_small(data) for data in contents]

    def cut(self, descriptor: int, size: int, start: int = 0) -> Iterator[Chunk]:
        raise StoreError("a Tahoe-LAFS grid takes no pieces of files; this is a mistake in Tallac")

    def put_chunk(self, data: Buffer) -> bytes:
        raise StoreError("a Tahoe-LAFS grid takes no pieces of files; this is a mistake in Tallac")

    def join(self, chunks: Iterable[tuple[Chunk, bytes]]) -> bytes:
        raise StoreError("a Tahoe-LAFS grid takes no pieces of files; this is a mistake in Tallac")

    def chunks_held(self, encoded: bytes) -> list[tuple[Chunk, bytes]]:
        raise StoreError("a Tahoe-LAFS grid takes no pieces of files; this is a mistake in Tallac")

    def put_file(self, content: FileContent) -> FileReadCap:
        chunks = chunks_of(content)
        head = bytearray()
        for chunk in chunks:
            head += chunk
            if len(head) > LITERAL_SIZE_MAX:
                break
        if len(head) <= LITERAL_SIZE_MAX:
            return LiteralFile(bytes(head))
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            size = len(head)
            yield bytes(head)
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        cap = _file_cap(self._client.put_stream(counted()))
        self._note(cap, size)
        return cap

    def worker_recipe(self) -> None:
        """Return None: a gateway is used from threads, not from worker processes."""

    def send_rest(self) -> None:
        """Do nothing: nothing waits here."""

    def adopt(self, receipt: bytes) -> None:
        raise StoreError("a Tahoe-LAFS grid has no worker processes; this is a mistake in Tallac")

    def build_directory(
        self, recorded: bytes | None = None, other: Callable[[], bytes | None] | None = None
    ) -> TahoeDirectoryBuilder:
        return TahoeDirectoryBuilder(self, recorded, other)

    def put_directory(self, entries: Iterable[Entry]) -> DirectoryReadCap:
        return self.store_directory(list(entries), None)

    def store_directory(
        self, entries: list[Entry], recorded: bytes | None, other: Callable[[], bytes | None] | None = None
    ) -> DirectoryReadCap:
        """Store a directory, or return the recorded one or the other if it holds the same."""
        for entry in entries:
            self._health.saw_first(entry.encoded)
        if not entries:
            return LiteralDirectory(b"")
        if recorded is not None and (cap := self._recorded_cap(entries, recorded)) is not None:
            return cap
        another = None if other is None else other()
        if another not in (None, recorded) and (cap := self._recorded_cap(entries, another)) is not None:
            return cap
        children = dict(child_of(entry) for entry in entries)
        text = self._client.make_immutable_directory(children)
        cap = _directory_cap(text)
        self._note(cap, getattr(cap, "size", 0))
        return cap

    def holds(self, encoded: bytes) -> bool:
        return self._holding.still_holds(encoded)

    def holds_all(self, encoded: bytes) -> bool:
        return self._holding.still_holds(encoded)

    def _upload(self, content: bytes) -> bytes:
        return self._note(_file_cap(self._client.put_file(content)), len(content))

    def _recorded_cap(self, entries: list[Entry], recorded: bytes) -> DirectoryReadCap | None:
        cap = decode_cap(recorded)
        if not isinstance(cap, DirectoryReadCap):
            return None
        try:
            is_said = is_said_by(self._reader.read_directory(cap), entries)
        except DamageError:
            return None
        return cap if is_said and self._holding.still_holds(recorded) else None

    def _note(self, cap: Cap, size: int) -> bytes:
        encoded = encode_cap(cap)
        self._health.saw(encoded)
        with self._lock:
            self._bytes_stored += size
        return encoded


def chunks_of(content: FileContent) -> Iterator[bytes]:
    """Iterate over the bytes of a stream in steps."""
    buffer = memoryview(bytearray(STREAM_STEP_SIZE))
    while count := content.readinto(buffer):
        yield bytes(buffer[:count])


def _file_cap(text: str) -> FileReadCap:
    cap = _parse(text)
    if not isinstance(cap, FileReadCap):
        raise StoreError("the Tahoe-LAFS node answered an upload with something that is no file's cap")
    return cap


def _directory_cap(text: str) -> DirectoryReadCap:
    cap = _parse(text)
    if not isinstance(cap, DirectoryReadCap):
        raise StoreError("the Tahoe-LAFS node answered with something that is no directory's cap")
    return cap


def _parse(text: str) -> Cap:
    try:
        return parse(text)
    except MalformedCapError as error:
        raise StoreError("the Tahoe-LAFS node answered with something that is no cap") from error
