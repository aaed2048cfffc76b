"""Batches of immutable things: the vault's `CapWriter`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from tallac.caps import DirectoryReadCap, FileReadCap, storage_index_of
from tallac.dag import EncodedCap, Entry, decode_cap, encode_file_cap
from tallac.errors import DamageError
from tallac.interfaces import (
    Backend,
    Buffer,
    Chunk,
    ChunkWriter,
    DirectoryBuilder,
    DistantBackend,
    FileContent,
    HighLatencyBackend,
    ObjectCache,
    Randomness,
    WorkerRecipe,
)
from tallac.interfaces.compressing import Compression
from tallac.vault.format.footers import FinishedPack
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.links import SMALL_SIZE_MAX
from tallac.vault.format.nodes import NodeRef, TreeBuilder
from tallac.vault.format.objects import HASH_SIZE, Kind, object_name_of
from tallac.vault.format.structure import Structure
from tallac.vault.format.tables import TableDirectoryBuilder
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.own_packs import OwnPacks
from tallac.vault.packs.pack_writer import uploads_max, worker_uploads_max
from tallac.vault.reading.files import chunks_from
from tallac.vault.reading.object_reader import ObjectReader
from tallac.vault.writing.chunker import Cutter
from tallac.vault.writing.claims import Claims
from tallac.vault.writing.object_writer import ObjectWriter

PUBLISH_BODY_SIZE = 4 << 20
FLUSH_SIZE = 64 << 20
"""After so many bytes of large files their lists are made durable: only by these are the chunks of a killed run found again."""


class VaultWriter:
    """See `tallac.interfaces.CapWriter`."""

    def __init__(
        self,
        backend: Backend,
        key: WriterKey,
        structure: Structure,
        index: VaultIndex,
        own_packs: OwnPacks,
        claims: Claims,
        randomness: Randomness,
        cache: ObjectCache | None = None,
        compression: Callable[[], Compression] = lambda: Compression.AUTO,
    ) -> None:
        """Begin a batch; `publish` makes its caps durable. What tells how much to compress is asked when it is needed."""
        self._backend = backend
        self._key = key
        self._structure = structure
        self._index = index
        self._own_packs = own_packs
        self._claims = claims
        # To open what others have stored costs little where the store is near; elsewhere `check --read-data` finds it.
        self._opens_foreign = not isinstance(backend, HighLatencyBackend)
        self._objects = ObjectWriter(
            backend,
            key,
            structure,
            index,
            claims,
            randomness,
            is_foreign=self._is_foreign,
            cache=cache,
            compression=compression,
            uploads=uploads_max(backend),
        )
        self._compression = compression
        self._reader = ObjectReader(backend, key.locator_key, index)
        self._cutter: Cutter | None = None
        self._unpublished: list[FinishedPack] = []
        self._workers_stored = 0
        self._joined_size = 0
        self.takes_chunks = True
        self.threads = 0
        self.is_distant = isinstance(backend, DistantBackend)
        # What a prune has taken is no loss.
        self.has_losses = any(not index.pending.is_deleted(pack) for pack in index.absent_packs)
        self.epoch = index.pending.number
        self.keeps_below = True

    @property
    def small_size_max(self) -> int:
        """See `tallac.interfaces.ChunkedFileWriter`."""
        return SMALL_SIZE_MAX

    @property
    def bytes_stored(self) -> int:
        """See `tallac.interfaces.CapWriter`."""
        return self._objects.bytes_stored + self._workers_stored

    def put_small(self, data: Buffer) -> bytes:
        """See `tallac.interfaces.ContentWriter`."""
        return self.put_several((data,))[0]

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        """See `tallac.interfaces.ContentWriter`."""
        return self._objects.put_several(contents)

    def cut(self, descriptor: int, size: int, start: int = 0) -> Iterator[Chunk]:
        """See `tallac.interfaces.ChunkedFileWriter`."""
        if self._cutter is None:
            self._cutter = Cutter(self._key.chunker_seed)
        return self._cutter.cut(descriptor, size, start)

    def put_chunk(self, data: Buffer) -> bytes:
        """See `tallac.interfaces.ContentWriter`."""
        return b"".join(self._objects.store_chunk(data))

    def join(self, chunks: Iterable[tuple[Chunk, bytes]]) -> bytes:
        """See `tallac.interfaces.ChunkedFileWriter`."""
        tree = TreeBuilder(Kind.LIST, self._objects.store_node)
        size = 0
        for chunk, token in chunks:
            tree.add(NodeRef(b"", token, chunk.length))
            size += chunk.length
        if size <= SMALL_SIZE_MAX:
            # Its cap would promise a chunk.
            raise ValueError(f"a file of {size} bytes is stored with put_small")
        root = tree.finish()
        self._joined_size += root.size
        if self._joined_size >= FLUSH_SIZE:
            self._joined_size = 0
            self._objects.flush_nodes()
        return encode_file_cap(root.key_and_hash, root.size)

    def chunks_held(self, encoded: bytes) -> list[tuple[Chunk, bytes]]:
        """See `tallac.interfaces.ChunkedFileWriter`."""
        cap = EncodedCap(encoded)
        held: list[tuple[Chunk, bytes]] = []
        if not cap.is_file or cap.size <= SMALL_SIZE_MAX:
            return held
        with contextlib.suppress(DamageError):  # What lies behind a node that is not there is not held.
            for start, child in chunks_from(self._reader, NodeRef.root(cap), 0):
                if not child.is_hole and not self._has(child.key, child.hash):
                    break
                held.append((Chunk(start, child.size, child.is_hole), child.key_and_hash))
        return held

    def put_file(self, content: FileContent) -> FileReadCap:
        """See `tallac.interfaces.StreamWriter`.

        What is longer than a small file goes through a temporary file without a name, so that it can be cut as others are.
        """
        buffer = memoryview(bytearray(SMALL_SIZE_MAX + 1))
        filled = _fill(content, buffer)
        if filled <= SMALL_SIZE_MAX:
            return _file_cap(self.put_small(buffer[:filled]))
        with tempfile.TemporaryFile() as spool:
            while filled:
                spool.write(buffer[:filled])
                filled = _fill(content, buffer)
            spool.flush()
            return _file_cap(self._put_large(spool.fileno(), spool.tell()))

    def worker_recipe(self) -> WorkerRecipe[ChunkWriter] | None:
        """See `tallac.interfaces.WorkerHost`."""
        if isinstance(self._backend, HighLatencyBackend):
            return None
        # lazy import: a small backup starts no worker
        from tallac.vault.writing.worker_batch import VaultRecipe
        from tallac.workers.task import can_be_sent

        index = self._index
        recipe = VaultRecipe(
            self._backend,
            self._key.secret,
            index.run_paths(),
            index.absent_packs,
            index.pending,
            self._claims.path,
            self._structure.signers,
            frozenset(filter(self._is_foreign, index.packs())),
            self._compression(),
            worker_uploads_max(self._backend),
        )
        return recipe if can_be_sent(recipe) and os.path.exists(self._claims.path) else None

    def send_rest(self) -> None:
        """See `tallac.interfaces.WorkerHost`."""
        self._objects.send_open()

    def adopt(self, receipt: bytes) -> None:
        """See `tallac.interfaces.WorkerHost`."""
        from tallac.vault.writing.worker_batch import decode_receipt  # lazy import: as above

        received = decode_receipt(receipt)
        self._workers_stored += received.bytes_stored
        self._take([FinishedPack(*pack) for pack in received.packs])
        self._publish_some()

    def build_directory(self, recorded: bytes | None = None, other: object = None) -> DirectoryBuilder:
        """See `tallac.interfaces.DirectoryWriter`."""
        return TableDirectoryBuilder(self._key.table_cut, self._objects.store_node)

    def put_directory(self, entries: Iterable[Entry]) -> DirectoryReadCap:
        """See `tallac.interfaces.CapWriter`."""
        builder = self.build_directory()
        for entry in entries:
            builder.add(entry)
        return builder.finish()

    def holds(self, encoded: bytes) -> bool:
        """See `tallac.interfaces.Holdings`."""
        cap = EncodedCap(encoded)
        return not cap.is_hashed or self._has(cap.key, cap.hash)

    def holds_all(self, encoded: bytes) -> bool:
        """See `tallac.interfaces.Holdings`."""
        cap = EncodedCap(encoded)
        if cap.is_file and cap.size > SMALL_SIZE_MAX:
            return self._has_below(NodeRef.root(cap))
        return self.holds(encoded)

    def publish(self) -> None:
        """Make all caps of this batch durable: packs first, then the index.

        Raises:
            StoreError: The store failed; nothing of this batch may be linked.
        """
        self._take(self._objects.finish())
        if self._unpublished or self._index.damage:
            self._index.publish(self._unpublished)
            self._unpublished = []

    def abort(self) -> None:
        """End the batch early. What is durable already enters the index where possible, so that the next run finds it."""
        self._objects.abort()
        self._take(self._objects.durable())
        if self._unpublished:
            self._index.publish(self._unpublished)
            self._unpublished = []

    def _publish_some(self) -> None:
        """Publish early what would fill memory."""
        self._take(self._objects.durable())
        if sum(len(pack.body) for pack in self._unpublished) >= PUBLISH_BODY_SIZE:
            self._index.publish(self._unpublished)
            self._unpublished = []

    def _put_large(self, descriptor: int, size: int) -> bytes:
        def stored() -> Iterator[tuple[Chunk, bytes]]:
            for chunk in self.cut(descriptor, size):
                if chunk.is_hole:
                    yield chunk, b""
                else:
                    yield chunk, self.put_chunk(os.pread(descriptor, chunk.length, chunk.offset))

        return self.join(stored())

    def _take(self, packs: list[FinishedPack]) -> None:
        """Take over packs that have become durable."""
        self._own_packs.add(pack.name for pack in packs)
        self._unpublished += packs

    def _is_foreign(self, pack: bytes) -> bool:
        """Whether what is used again of a pack is opened first. Each time the index is published, others' new packs enter it."""
        return self._opens_foreign and pack not in self._own_packs.names()

    def _has(self, key: bytes, cap_hash: bytes) -> bool:
        name, stored_hash = object_name_of(self._key.locator_key.naming, storage_index_of(key)), cap_hash[:HASH_SIZE]
        return self._index.find(name, stored_hash) is not None or self._claims.find(name) == stored_hash

    def _has_below(self, node: NodeRef) -> bool:
        if not self._has(node.key, node.hash):
            return False
        try:
            level, children = self._reader.read_list(node)
        except DamageError:
            return False
        if level > 1:
            return all(self._has_below(child) for child in children)
        return all(child.is_hole or self._has(child.key, child.hash) for child in children)


def _fill(content: FileContent, buffer: memoryview) -> int:
    filled = 0
    while filled < len(buffer):
        count = content.readinto(buffer[filled:])
        if not count:
            break
        filled += count
    return filled


def _file_cap(encoded: bytes) -> FileReadCap:
    cap = decode_cap(encoded)
    assert isinstance(cap, FileReadCap)
    return cap
