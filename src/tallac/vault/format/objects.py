"""Stored objects: their keys, names and seals. docs/format.md, "Objects", is the specification.

An object has *content* and *links*. The read key opens the content, the storage index (which a verify cap holds) the links, and
the store knows the object by a hash of the storage index alone.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from tallac.crypto.hashing import hash_file_bytes, keyed, tag_key
from tallac.crypto.sealing import NONCE_SIZE, open_sealed, seal, seal_checked
from tallac.errors import CorruptObjectError
from tallac.interfaces import Buffer, Randomness
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec

NAME_SIZE = 16
COMMITMENT_SIZE = 32

_CONTENT_KEY = tag_key("tallac vault 1 content key")
_LINKS_KEY = tag_key("tallac vault 1 links key")
_COMMITMENT = tag_key("tallac vault 1 content commitment")
_CAP_HASH = tag_key("tallac vault 1 cap hash")


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
    """Commit to content and read key without telling either."""
    return keyed(_COMMITMENT, _KIND_BYTES[kind] + key + content_hash)


def cap_hash_of(commitment: bytes, links: bytes) -> bytes:
    """Return the 256-bit hash of a cap, from which a verifier checks the links and a reader everything."""
    return keyed(_CAP_HASH, commitment + links)


def _content_secret(kind: Kind, key: bytes) -> bytes:
    return keyed(_CONTENT_KEY, _KIND_BYTES[kind] + key)


def seal_content(
    kind: Kind, key: bytes, storage_index: bytes, plain: Buffer, codec: Codec, randomness: Randomness
) -> tuple[bytes, bool]:
    """Compress and seal content; both are undone and compared before they are believed.

    Returns:
        The sealed bytes, and whether they are compressed.

    Raises:
        CorruptObjectError: One does not undo the other: this machine's memory or processor is failing.
    """
    compressed = codec.compress(plain)
    if compressed is not None and codec.decompress(compressed, len(plain)) != plain:
        raise CorruptObjectError(
            "compressed data did not decompress to the original: this machine's memory or processor is failing"
        )
    body = plain if compressed is None else compressed
    sealed = seal_checked(_content_secret(kind, key), randomness(NONCE_SIZE), body, _KIND_BYTES[kind] + storage_index)
    return sealed, compressed is not None


def open_content(
    kind: Kind,
    key: bytes,
    storage_index: bytes,
    sealed: Buffer,
    *,
    is_compressed: bool,
    size_max: int,
    codec: Codec,
) -> bytes:
    """Open sealed content of at most size_max bytes. The caller checks it against the cap's hash.

    Raises:
        CorruptObjectError: It does not open.
    """
    opened = open_sealed(_content_secret(kind, key), sealed, _KIND_BYTES[kind] + storage_index)
    return codec.decompress(opened, size_max) if is_compressed else opened


def seal_links(kind: Kind, storage_index: bytes, commitment: bytes, links: bytes, randomness: Randomness) -> bytes:
    """Seal an object's links for the holders of its storage index."""
    secret = keyed(_LINKS_KEY, _KIND_BYTES[kind] + storage_index)
    return seal(secret, randomness(NONCE_SIZE), commitment + links, _KIND_BYTES[kind] + storage_index)


def open_links(kind: Kind, storage_index: bytes, cap_hash: bytes, sealed: Buffer) -> bytes:
    """Open an object's links and check them against the hash of its verify cap.

    Raises:
        CorruptObjectError: They do not open, or are not those that the cap promises.
    """
    secret = keyed(_LINKS_KEY, _KIND_BYTES[kind] + storage_index)
    opened = open_sealed(secret, sealed, _KIND_BYTES[kind] + storage_index)
    commitment, links = opened[:COMMITMENT_SIZE], opened[COMMITMENT_SIZE:]
    if cap_hash_of(commitment, links) != cap_hash:
        raise CorruptObjectError("an object's links are not those that its cap promises")
    return links


def check_content(kind: Kind, key: bytes, cap_hash: bytes, plain: Buffer, links: bytes) -> None:
    """Check opened content, and the links that follow from it, against a read cap's hash.

    Raises:
        CorruptObjectError: The cap promises other bytes.
    """
    if cap_hash_of(commitment_of(kind, key, hash_file_bytes(plain)), links) != cap_hash:
        raise CorruptObjectError("stored bytes are not those that the cap promises")


class Stored(NamedTuple):
    """An object's read key and hash, as its cap holds them."""

    key: bytes
    hash: bytes
