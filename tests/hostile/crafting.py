"""A writer who holds the vault's key and means harm: stores what no honest program would, sealed as it should be."""

from __future__ import annotations

import os
from collections.abc import Iterable
from io import BytesIO
from typing import NamedTuple

import msgspec
import zstandard

from tallac.caps import MutableDirectoryWrite, storage_index_of
from tallac.crypto.hashing import hash_file_bytes, keyed
from tallac.crypto.padding import rounded
from tallac.crypto.sealing import NONCE_SIZE, OBJECT_OVERHEAD, seal_object
from tallac.dag import Entry, Metadata, encode_cap, encode_table
from tallac.errors import MalformedObjectError
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.links import links_of_entries
from tallac.vault.format.nodes import NodeRef, encode_node, links_of_children
from tallac.vault.format.objects import (
    _CONTENT_KEY,
    _KIND_BYTES,
    Kind,
    Stored,
    commitment_of,
    object_name_of,
    read_key_of,
    stored_hash_of,
)
from tallac.vault.vault import Vault
from tallac.vault.writing.batch import VaultWriter

FILE = Metadata(mode=0o100644, mtime=(1_000_000_000, 5))
DIRECTORY = Metadata(mode=0o40755, mtime=(1_000_000_000, 5))


def size_of(size: int) -> bytes:
    """Write a size as packed caps do."""
    return size.to_bytes((size.bit_length() + 7) // 8, "big")


class Sealed(NamedTuple):
    """An object as a co-writer seals it.

    Attributes:
        key, name: Those of the content that it claims to be.
        hash: The stored hash of its bytes.
        commitment: The content hash of what it claims to be.
        sealed: Its bytes.
    """

    key: bytes
    name: bytes
    hash: bytes
    commitment: bytes
    sealed: bytes


def sealed_as(writer_key: WriterKey, kind: Kind, claimed: bytes, plain: bytes, sealed_links: bytes = b"") -> Sealed:
    """Seal anything as if it were a content: the plain text has the byte of its method at its end, and is filled up here."""
    content_hash = hash_file_bytes(claimed)
    key = read_key_of(writer_key.convergence, kind, content_hash)
    index = storage_index_of(key)
    secret = keyed(_CONTENT_KEY, _KIND_BYTES[kind] + key, 64)
    size = len(plain) + OBJECT_OVERHEAD
    padded = plain + bytes(rounded(size) - size)
    sealed = seal_object(secret[:32], os.urandom(NONCE_SIZE), padded, _KIND_BYTES[kind] + index)
    name = object_name_of(writer_key.locator_key.naming, index)
    return Sealed(key, name, stored_hash_of(kind, sealed, sealed_links), commitment_of(kind, key, content_hash), sealed)


class Crafter:
    """Stores anything.

    Attributes:
        vault: Where it goes.
        outside: A folder that nothing may touch.
    """

    def __init__(self, vault: Vault, writer: VaultWriter, outside: bytes) -> None:
        self.vault = vault
        self.outside = outside
        self._writer = writer

    def file(self, content: bytes) -> bytes:
        """Store an honest file; give its encoded cap."""
        return encode_cap(self._writer.put_file(BytesIO(content)))

    def directory(self, entries: Iterable[Entry]) -> bytes:
        """Store a directory whose names may be any, in order; give its encoded cap."""
        return self.table(encode_table(sorted(entries, key=lambda entry: entry.name)), list(entries))

    def table(self, table: bytes, entries: list[Entry] | None = None, *, level: int = 0, size: int | None = None) -> bytes:
        """Store any bytes as a directory's table, with a cap that may lie about the size."""
        content = bytes((level,)) + table
        try:
            links = b"" if entries is None else links_of_entries(entries)
        except MalformedObjectError:
            links = b""  # No caps, no links.
        stored = self.store(Kind.DIRECTORY, content, links)
        return b"D" + stored.key + stored.hash + size_of(len(content) if size is None else size)

    def node(self, level: int, children: list[NodeRef], *, kind: Kind = Kind.DIRECTORY, size: int | None = None) -> bytes:
        """Store a node with any children."""
        stored = self.store(kind, encode_node(kind, level, children), links_of_children(kind, level, children))
        total = sum(child.size for child in children) if size is None else size
        return (b"D" if kind is Kind.DIRECTORY else b"C") + stored.key + stored.hash + size_of(total)

    def store(self, kind: Kind, content: bytes, links: bytes = b"") -> Stored:
        """Store an object."""
        return self._writer._objects.store_node(kind, content, links)

    def chunk_of(self, body: bytes, claimed: bytes, *, is_compressed: bool) -> bytes:
        """Store a chunk that holds something else than its cap is made for; give the encoded cap."""
        made = sealed_as(self._writer._key, Kind.CHUNK, claimed, body + (b"\2" if is_compressed else b"\1"))
        self._writer._objects._files.add(made.name, made.hash, made.sealed, b"")
        return b"C" + made.key + made.hash + made.commitment + size_of(len(claimed))

    def mutable(self) -> MutableDirectoryWrite:
        """Make a mutable directory."""
        cap = self.vault.create_directory()
        assert isinstance(cap, MutableDirectoryWrite)
        return cap


def child_of(encoded: bytes, first: bytes = b"") -> NodeRef:
    """Give a stored table or file as a node's child."""
    return NodeRef(first, encoded[1:49], int.from_bytes(encoded[49:], "big"))


def bomb(size: int, *, declares: bool = True) -> bytes:
    """Compress that many zeros, with or without saying how many they are."""
    return zstandard.ZstdCompressor(level=3, write_content_size=declares).compress(bytes(size))


def packed_text(value: object) -> bytes:
    """Encode any value."""
    return msgspec.msgpack.encode(value)
