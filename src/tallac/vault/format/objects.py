"""Stored objects: their keys, names, hashes and seals. docs/format.md, "Objects", is the specification.

An object has *content* and *links*. The read key opens the content, the storage index (which a verify cap holds) the links, and
the store knows the object by a hash of the storage index alone.

A cap's hash has two halves: the *stored hash*, of the bytes as they are stored, which needs no key to be compared and which links
hold; and the *content hash*, which a writer computes from its own data, and by which a reader knows that it got them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from tallac.crypto.hashing import hash_file_bytes, keyed, tag_key
from tallac.crypto.padding import rounded
from tallac.crypto.sealing import NONCE_SIZE, OBJECT_OVERHEAD, open_object, seal_object
from tallac.errors import CorruptObjectError, MalformedObjectError
from tallac.interfaces import Buffer
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec

NAME_SIZE = 16
HASH_SIZE = 16
"""Bytes of each half of a cap's hash."""

CHUNK_SIZE_MAX = 4 << 20

_CONTENT_KEY = tag_key("tallac vault 2 content key")
_LINKS_KEY = tag_key("tallac vault 2 links key")
_CONTENT_HASH = tag_key("tallac vault 2 content commitment")
_STORED_CHUNK = tag_key("tallac vault 2 stored chunk")
_STORED_NODE = tag_key("tallac vault 2 stored node")
_PLAIN, _COMPRESSED = b"\1", b"\2"
_NO_LINK = b"\xff"


class Kind(IntEnum):
    """The kind of an object. It enters the key derivation and the associated data, so that no kind passes for another."""

    CHUNK = 1
    LIST = 2
    DIRECTORY = 3


_KIND_BYTES = {kind: bytes((kind, FORMAT_VERSION)) for kind in Kind}


def read_key_of(convergence: bytes, kind: Kind, content_hash: bytes) -> bytes:
    """Derive the 16-byte read key: the same content gives the same key, under one convergence secret."""
    return keyed(convergence, _KIND_BYTES[kind] + content_hash, 16)


def object_name_of(naming: bytes, storage_index: bytes) -> bytes:
    """Return the 16 bytes by which the store, footers and index know an object."""
    return keyed(naming, storage_index, NAME_SIZE)


def commitment_of(kind: Kind, key: bytes, content_hash: bytes) -> bytes:
    """Return the second half of a cap's hash, which commits to content and read key."""
    return keyed(_CONTENT_HASH, _KIND_BYTES[kind] + key + content_hash, HASH_SIZE)


def stored_hash_of(kind: Kind, sealed: Buffer, sealed_links: Buffer = b"") -> bytes:
    """Return the first half of a cap's hash, which commits to the bytes as they are stored."""
    if kind is Kind.CHUNK:
        return chunk_hash_of(sealed)
    head = _KIND_BYTES[kind] + len(sealed).to_bytes(4, "big")
    return keyed(_STORED_NODE, b"".join((head, sealed, sealed_links)), HASH_SIZE)


def chunk_hash_of(sealed: Buffer) -> bytes:
    """Return the stored hash of a chunk, which has no links."""
    return keyed(_STORED_CHUNK, sealed, HASH_SIZE)


def seal_content(kind: Kind, key: bytes, storage_index: bytes, plain: Buffer, content_hash: bytes, codec: Codec) -> bytes:
    """Compress, pad and seal content; all is undone and compared before it is believed. The same content gives the same bytes.

    Raises:
        CorruptObjectError: One does not undo the other: this machine's memory or processor is failing.
    """
    return seal_compressed(kind, key, storage_index, plain, content_hash, compress_checked(plain, codec))


def compress_checked(plain: Buffer, codec: Codec) -> bytes | None:
    """Compress content, or return None where that does not pay; the result is decompressed and compared before it is believed.

    Raises:
        CorruptObjectError: It is not the same: this machine's memory or processor is failing.
    """
    compressed = codec.compress(plain)
    if compressed is not None and codec.decompress(compressed, len(plain)) != plain:
        raise CorruptObjectError(
            "compressed data did not decompress to the original: this machine's memory or processor is failing"
        )
    return compressed


def seal_compressed(
    kind: Kind, key: bytes, storage_index: bytes, plain: Buffer, content_hash: bytes, compressed: bytes | None
) -> bytes:
    """Pad and seal content, of which `compress_checked` has made `compressed`; opened and compared before it is believed.

    Raises:
        CorruptObjectError: One does not undo the other: this machine's memory or processor is failing.
    """
    secret = keyed(_CONTENT_KEY, _KIND_BYTES[kind] + key, 64)
    if compressed is None:
        body, method, nonce = plain, _PLAIN, keyed(secret[32:], content_hash + _PLAIN, NONCE_SIZE)
    else:
        body, method, nonce = compressed, _COMPRESSED, keyed(secret[32:], compressed + _COMPRESSED, NONCE_SIZE)
    size = len(body) + 1 + OBJECT_OVERHEAD
    padded = b"".join((body, method, bytes(rounded(size) - size)))
    return seal_object(secret[:32], nonce, padded, _KIND_BYTES[kind] + storage_index)


def open_content(kind: Kind, key: bytes, storage_index: bytes, sealed: Buffer, *, size_max: int, codec: Codec) -> bytes:
    """Open sealed content of at most size_max bytes. The caller checks it against the cap's hash.

    Raises:
        CorruptObjectError: It does not open, or not to what this Tallac knows.
    """
    secret = keyed(_CONTENT_KEY, _KIND_BYTES[kind] + key, 64)
    padded = open_object(secret[:32], sealed, _KIND_BYTES[kind] + storage_index)
    end = len(padded.rstrip(b"\0")) - 1
    size = end + 1 + OBJECT_OVERHEAD
    if end < 0 or rounded(size) != len(sealed):
        raise MalformedObjectError("a stored object is padded otherwise than the format says")
    method = padded[end]
    if method == _COMPRESSED[0]:
        return codec.decompress(memoryview(padded)[:end], size_max)
    if method != _PLAIN[0]:
        # It concerns this object alone: a co-writer, too, may have put it there.
        raise MalformedObjectError(f"a stored object has method {method}, which takes a newer Tallac: update it")
    if end > size_max:
        raise MalformedObjectError("a stored object is larger than its cap allows")
    return padded[:end]


def seal_links(kind: Kind, storage_index: bytes, links: bytes) -> bytes:
    """Pad and seal an object's links for the holders of its storage index. The same links give the same bytes."""
    secret = keyed(_LINKS_KEY, _KIND_BYTES[kind] + storage_index, 64)
    size = len(links) + OBJECT_OVERHEAD
    padded = links + _NO_LINK * (rounded(size) - size)
    return seal_object(secret[:32], keyed(secret[32:], links, NONCE_SIZE), padded, _KIND_BYTES[kind] + storage_index)


def open_links(kind: Kind, storage_index: bytes, sealed: Buffer) -> bytes:
    """Open an object's links, with the bytes FF that fill them up. The caller has compared the stored hash.

    Raises:
        CorruptObjectError: They do not open.
    """
    secret = keyed(_LINKS_KEY, _KIND_BYTES[kind] + storage_index, 64)
    return open_object(secret[:32], sealed, _KIND_BYTES[kind] + storage_index)


def check_content(kind: Kind, key: bytes, cap_hash: bytes, plain: Buffer) -> None:
    """Check opened content against the second half of a read cap's hash.

    Raises:
        CorruptObjectError: The cap promises another content.
    """
    if commitment_of(kind, key, hash_file_bytes(plain)) != cap_hash[HASH_SIZE:]:
        raise CorruptObjectError("stored bytes are not those that the cap promises: somebody stored something else under its name")


def check_stored(kind: Kind, cap_hash: bytes, sealed: Buffer, sealed_links: Buffer) -> None:
    """Check stored bytes against the first half of a cap's hash, or against a link's.

    Raises:
        CorruptObjectError: It promises other bytes.
    """
    if stored_hash_of(kind, sealed, sealed_links) != cap_hash[:HASH_SIZE]:
        raise CorruptObjectError("stored bytes are not those that the cap promises")


class Stored(NamedTuple):
    """An object's read key and hash, as its cap holds them."""

    key: bytes
    hash: bytes
