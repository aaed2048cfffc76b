"""The part of a batch that worker processes have: how they open it, store with it, and report what is durable."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tallac.interfaces import Backend, Buffer, ChunkWriter
from tallac.interfaces.compressing import Compression
from tallac.vault.format.footers import FinishedPack
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.pending_deletions import PendingDeletions
from tallac.vault.reading.worker_reader import RunsFinder
from tallac.vault.writing.claims import Claims
from tallac.vault.writing.object_writer import ObjectWriter


class Receipt(msgspec.Struct, array_like=True):
    """Whatever a worker has made durable since its last receipt.

    Attributes:
        bytes_stored: What went into packs.
        packs: Name, size and body of each durable pack.
    """

    bytes_stored: int
    packs: list[tuple[bytes, int, bytes]]


decode_receipt = msgspec.msgpack.Decoder(Receipt).decode


class VaultChunkWriter:
    """Stores contents in a worker process. See `tallac.interfaces.ChunkWriter`."""

    def __init__(self, objects: ObjectWriter) -> None:
        """Store through an object writer of this process."""
        self._objects = objects
        self._bytes_reported = 0

    def put_small(self, data: Buffer) -> bytes:
        """See `tallac.interfaces.ContentWriter`."""
        return self.put_several((data,))[0]

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        """See `tallac.interfaces.ContentWriter`."""
        return self._objects.put_several(contents)

    def put_chunk(self, data: Buffer) -> bytes:
        """See `tallac.interfaces.ContentWriter`."""
        return b"".join(self._objects.store_chunk(data))

    def collect(self) -> bytes | None:
        """See `tallac.interfaces.ChunkWriter`."""
        packs = self._objects.durable()
        return self._receipt(packs) if packs else None

    def finish(self) -> bytes:
        """See `tallac.interfaces.ChunkWriter`."""
        return self._receipt(self._objects.finish())

    def _receipt(self, packs: list[FinishedPack]) -> bytes:
        stored = self._objects.bytes_stored
        reported, self._bytes_reported = self._bytes_reported, stored
        return msgspec.msgpack.encode(Receipt(stored - reported, [(pack.name, pack.size, pack.body) for pack in packs]))


@dataclass(frozen=True)
class VaultRecipe:
    """How a worker process opens a `ChunkWriter` for a batch of this machine's. Holds the writer key.

    Attributes:
        backend: What reads and stores packs. What the batch's own backend can do besides does not reach the worker.
        uploads: How many packs that backend takes at the same time from each process.
    """

    backend: Backend
    secret: bytes = field(repr=False)
    run_paths: list[Path]
    absent_packs: frozenset[bytes]
    pending: PendingDeletions
    claims_path: str
    signers: Signers
    foreign_packs: frozenset[bytes]
    compression: Compression
    uploads: int

    @contextmanager
    def open(self) -> Iterator[ChunkWriter]:
        """See `tallac.interfaces.WorkerRecipe`."""
        with Claims(self.claims_path) as claims:
            finder = RunsFinder(self.run_paths, self.absent_packs, self.pending)
            key = WriterKey(self.secret)
            structure = Structure(key, self.signers)
            objects = ObjectWriter(
                self.backend,
                key,
                structure,
                finder,
                claims,
                os.urandom,
                is_foreign=self.foreign_packs.__contains__,
                compression=lambda: self.compression,
                uploads=self.uploads,
            )
            try:
                if self.uploads > 1:
                    objects.begin()
                yield VaultChunkWriter(objects)
            except BaseException:
                objects.abort()
                raise
