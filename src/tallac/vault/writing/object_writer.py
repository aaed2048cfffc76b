"""Store single objects: derive their keys, find out whether the vault has them, seal what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from tallac.caps import storage_index_of
from tallac.crypto.hashing import hash_file_bytes
from tallac.dag import encode_file_cap, encode_literal_file
from tallac.errors import DamageError
from tallac.interfaces import Backend, Buffer, ObjectCache, Randomness
from tallac.interfaces.compressing import Compression
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, ObjectLocation
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.objects import (
    Kind,
    Stored,
    chunk_hash_of,
    commitment_of,
    compress_checked,
    object_name_of,
    open_content,
    read_key_of,
    seal_compressed,
    seal_content,
    seal_links,
    stored_hash_of,
)
from tallac.vault.format.structure import Structure
from tallac.vault.packs.pack_writer import PackUploader, PackWriter
from tallac.vault.packs.read_cache import PackReadCache
from tallac.vault.writing.claims import Claims

LITERAL_SIZE_MAX = 55


class Finder(Protocol):
    """Finds stored objects: the index, or its local copy alone."""

    def present(self, name: bytes) -> Iterator[ObjectLocation]:
        """Iterate over the places where an object lies that count as there, whatever its stored hash is."""
        ...

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """Return where an object with this stored hash lies, or None."""
        ...


class ObjectWriter:
    """Store objects into packs of this process. Not thread-safe, but for its own committing thread."""

    def __init__(
        self,
        backend: Backend,
        writer_key: WriterKey,
        structure: Structure,
        index: Finder,
        claims: Claims,
        randomness: Randomness,
        *,
        is_foreign: Callable[[bytes], bool] = lambda _: False,
        cache: ObjectCache | None = None,
        compression: Callable[[], Compression] = lambda: Compression.AUTO,
        uploads: int = 1,
    ) -> None:
        """Store under a writer key; index and claims say what need not be stored again.

        What lies in foreign packs is opened before it is used again: a co-writer may have stored something else under its name.
        Lists and directories enter the cache as well: they are what is read next. How much to compress is asked once. So many
        packs are uploaded at the same time.
        """
        self._cache = cache
        self._convergence = writer_key.convergence
        self._naming = writer_key.locator_key.naming
        self._index = index
        self._claims = claims
        self._is_foreign = is_foreign
        self._windows = PackReadCache(backend)
        self._codec = Codec()
        self._compression = compression
        self._chosen: Codec | None = None
        self._committer = PackUploader(uploads)
        self._files = PackWriter(backend, structure, self._codec, randomness, self._committer)
        self._nodes = PackWriter(backend, structure, self._codec, randomness, self._committer)

    @property
    def bytes_stored(self) -> int:
        """Bytes that went into packs so far."""
        return self._files.size + self._nodes.size

    def _compressing(self) -> Codec:
        """Return the codec of contents; all else is compressed as ever.

        No cached property: in Python 3.11 all instances of all threads share one lock for these, and this one may ask a store.
        """
        if self._chosen is None:
            self._chosen = Codec(self._compression())
        return self._chosen

    def begin(self) -> None:
        """Connect to a distant store before there is anything to store."""
        self._files.begin()

    def store_chunk(self, content: Buffer) -> Stored:
        """Store one chunk; see `store_chunks`."""
        return self.store_chunks((content,))[0]

    def store_chunks(self, contents: Sequence[Buffer]) -> list[Stored]:
        """Store chunks of files unless the vault has them; give what their caps hold.

        Each step is done for all of them before the next one begins: a processor that repeats one step is a fifth faster.
        They are durable only after `finish`, or when `durable` has given their packs.

        Raises:
            StoreError: Writing failed; the batch is lost.
        """
        hashes = [hash_file_bytes(content) for content in contents]
        keys = [read_key_of(self._convergence, Kind.CHUNK, content_hash) for content_hash in hashes]
        indexes = [storage_index_of(key) for key in keys]
        names = [object_name_of(self._naming, storage_index) for storage_index in indexes]
        stored: dict[bytes, bytes] = {}
        new: dict[bytes, int] = {}
        for number, name in enumerate(names):
            if name in new or name in stored:
                continue
            held = self._reusable(name, contents[number], keys[number], indexes[number]) or self._claims.find(name)
            if held is None:
                new[name] = number
            else:
                stored[name] = held
        codec = self._compressing() if new else self._codec
        compressed = [compress_checked(contents[number], codec) for number in new.values()]
        sealed = [
            seal_compressed(Kind.CHUNK, keys[number], indexes[number], contents[number], hashes[number], text)
            for number, text in zip(new.values(), compressed, strict=True)
        ]
        own_hashes = [chunk_hash_of(each) for each in sealed]
        for name, own_hash, each in zip(new, own_hashes, sealed, strict=True):
            stored[name] = own_hash
            if self._claims.claim(name, own_hash):
                self._files.add(name, own_hash, each, b"")
        return [
            Stored(key, stored[name] + commitment_of(Kind.CHUNK, key, content_hash))
            for key, name, content_hash in zip(keys, names, hashes, strict=True)
        ]

    def put_several(self, contents: Sequence[Buffer]) -> list[bytes]:
        """Store small files as `store_chunks` does, or keep them in their caps; return the encoded caps."""
        stored = iter(self.store_chunks([data for data in contents if len(data) > LITERAL_SIZE_MAX]))
        return [
            encode_file_cap(b"".join(next(stored)), len(data)) if len(data) > LITERAL_SIZE_MAX else encode_literal_file(bytes(data))
            for data in contents
        ]

    def store_node(self, kind: Kind, content: Buffer, links: bytes) -> Stored:
        """Store a list or directory unless the vault has it, as `store_chunks` does with chunks."""
        content_hash = hash_file_bytes(content)
        key = read_key_of(self._convergence, kind, content_hash)
        storage_index = storage_index_of(key)
        name = object_name_of(self._naming, storage_index)
        sealed = seal_content(kind, key, storage_index, content, content_hash, self._compressing())
        sealed_links = seal_links(kind, storage_index, links)
        own_hash = stored_hash_of(kind, sealed, sealed_links)
        stored_hash = self._same_node(kind, name, own_hash, content, key, storage_index, sealed_links)
        if stored_hash is None:
            stored_hash = own_hash
            if self._claims.claim(name, stored_hash):
                self._nodes.add(name, stored_hash, sealed, sealed_links)
                if self._cache is not None:
                    self._cache.put(stored_hash, sealed, sealed_links)
        return Stored(key, stored_hash + commitment_of(kind, key, content_hash))

    def flush_nodes(self) -> None:
        """Finish the packs of lists and directories, whether they are full or not, so that they become durable soon."""
        self._nodes.finish()

    def send_open(self) -> None:
        """Finish all packs, full or not, without waiting until they are durable."""
        self._files.finish()
        self._nodes.finish()

    def durable(self) -> list[FinishedPack]:
        """Return the packs that have become durable since the last call."""
        return list(self._committer.durable())

    def finish(self) -> list[FinishedPack]:
        """Make everything durable; give the packs that `durable` has not given yet."""
        self.send_open()
        self._committer.finish()
        return self.durable()

    def abort(self) -> None:
        """Throw away what is not in a finished pack."""
        try:
            self._files.abort()
            self._nodes.abort()
        finally:
            self._committer.finish()

    def _same_node(
        self, kind: Kind, name: bytes, own_hash: bytes, content: Buffer, key: bytes, storage_index: bytes, sealed_links: bytes
    ) -> bytes | None:
        """Return the stored hash of a list or directory that the vault has and that is this one, links included.

        Its links are for keepers, so it is used again only where all of its bytes are the right ones: those that come out here, or
        those of another version of the compressor, which are read and opened.
        """
        if self._index.find(name, own_hash) is not None:
            return own_hash
        for location in self._index.present(name):
            if self._opens_to(kind, location, content, key, storage_index, sealed_links):
                return location.hash
        return None

    def _reusable(self, name: bytes, content: Buffer, key: bytes, storage_index: bytes) -> bytes | None:
        """Return the stored hash of a chunk that the vault has, if that may be believed."""
        for location in self._index.present(name):
            if not self._is_foreign(location.pack) or self._opens_to(Kind.CHUNK, location, content, key, storage_index, b""):
                return location.hash
        return None

    def _opens_to(
        self, kind: Kind, location: ObjectLocation, content: Buffer, key: bytes, storage_index: bytes, sealed_links: bytes
    ) -> bool:
        """Whether a stored copy has the bytes of its hash, opens to a content, and has these links."""
        try:
            whole = self._windows.read(location.pack, location.offset, location.offset + location.size)
            sealed, links = whole[: location.length], whole[location.length :]
            if links != sealed_links or stored_hash_of(kind, sealed, links) != location.hash:
                return False
            return open_content(kind, key, storage_index, sealed, size_max=len(content), codec=self._codec) == content
        except DamageError:
            return False
