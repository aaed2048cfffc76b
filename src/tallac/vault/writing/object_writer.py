"""Store single objects: derive their keys, find out whether the vault has them, seal what is new."""

from __future__ import annotations

from typing import Protocol

from tallac.caps import storage_index_of
from tallac.crypto.hashing import hash_file_bytes
from tallac.interfaces import Backend, Buffer, Randomness
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, ObjectLocation
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.objects import (
    Kind,
    Stored,
    cap_hash_of,
    commitment_of,
    object_name_of,
    read_key_of,
    seal_content,
    seal_links,
)
from tallac.vault.packs.pack_writer import PackUploader, PackWriter, uploads_max
from tallac.vault.writing.claims import Claims


class Finder(Protocol):
    """Finds stored objects: the index, or its local copy alone."""

    def find(self, name: bytes) -> ObjectLocation | None:
        """Return where an object lies, or None."""
        ...


class ObjectWriter:
    """Store objects into packs of this process. Not thread-safe, but for its own committing thread."""

    def __init__(self, backend: Backend, writer_key: WriterKey, index: Finder, claims: Claims, randomness: Randomness) -> None:
        """Store under a writer key; index and claims say what need not be stored again."""
        self._convergence = writer_key.convergence
        self._naming = writer_key.locator_key.naming
        self._index = index
        self._claims = claims
        self._randomness = randomness
        self._codec = Codec()
        self._committer = PackUploader(uploads_max(backend))
        structure_key = writer_key.locator_key.structure_key
        self._files = PackWriter(backend, structure_key, self._codec, randomness, self._committer)
        self._nodes = PackWriter(backend, structure_key, self._codec, randomness, self._committer)

    @property
    def bytes_stored(self) -> int:
        """Bytes that went into packs so far."""
        return self._files.size + self._nodes.size

    def store(self, kind: Kind, content: Buffer, links: bytes = b"") -> Stored:
        """Store an object unless the vault has it; give what its cap holds.

        It is durable only after `finish`, or when `durable` has given its pack.

        Raises:
            StoreError: Writing failed; the batch is lost.
        """
        content_hash = hash_file_bytes(content)
        key = read_key_of(self._convergence, kind, content_hash)
        storage_index = storage_index_of(key)
        commitment = commitment_of(kind, key, content_hash)
        name = object_name_of(self._naming, storage_index)
        if self._index.find(name) is None and self._claims.claim(name):
            sealed, is_compressed = seal_content(kind, key, storage_index, content, self._codec, self._randomness)
            if kind is Kind.CHUNK:
                self._files.add(name, sealed, b"", is_compressed=is_compressed)
            else:
                sealed_links = seal_links(kind, storage_index, commitment, links, self._randomness)
                self._nodes.add(name, sealed, sealed_links, is_compressed=is_compressed)
        return Stored(key, cap_hash_of(commitment, links))

    def flush_nodes(self) -> None:
        """Finish the packs of lists and directories, whether they are full or not, so that they become durable soon."""
        self._nodes.finish()

    def durable(self) -> list[FinishedPack]:
        """Return the packs that have become durable since the last call."""
        return list(self._committer.durable())

    def finish(self) -> list[FinishedPack]:
        """Make everything durable; give the packs that `durable` has not given yet."""
        self._files.finish()
        self._nodes.finish()
        self._committer.finish()
        return self.durable()

    def abort(self) -> None:
        """Throw away what is not in a finished pack."""
        try:
            self._files.abort()
            self._nodes.abort()
        finally:
            self._committer.finish()
