"""The one-way steps from a stronger key to a weaker one: write key -> read key -> storage index.

Each is SHA-256 applied twice, over a tag of its own and the key, truncated to 128 bits, as in Tahoe-LAFS
(docs/specifications/uri.rst and file-encoding.rst there; pinned in tests/vectors/caps.json).
"""

from __future__ import annotations

from hashlib import sha256

_SIZE = 16


def _netstring(content: bytes) -> bytes:
    return b"%d:%s," % (len(content), content)


# These are called once for each stored object, so the tags are hashed once, at import.
_IMMUTABLE_STORAGE_INDEX = sha256(_netstring(b"allmydata_immutable_key_to_storage_index_v1"))
_MUTABLE_READ_KEY = sha256(_netstring(b"allmydata_mutable_writekey_to_readkey_v1"))
_MUTABLE_STORAGE_INDEX = sha256(_netstring(b"allmydata_mutable_readkey_to_storage_index_v1"))


def storage_index_of(key: bytes) -> bytes:
    """Derive the storage index (16 bytes) of an immutable file or directory from its key (16 bytes, unchecked)."""
    hasher = _IMMUTABLE_STORAGE_INDEX.copy()
    hasher.update(key)
    return sha256(hasher.digest()).digest()[:_SIZE]


def read_key_of(writekey: bytes) -> bytes:
    """Derive the read key (16 bytes) of a mutable file or directory from its write key (16 bytes, unchecked)."""
    hasher = _MUTABLE_READ_KEY.copy()
    hasher.update(writekey)
    return sha256(hasher.digest()).digest()[:_SIZE]


def storage_index_of_read_key(readkey: bytes) -> bytes:
    """Derive the storage index (16 bytes) of a mutable file or directory from its read key (16 bytes, unchecked)."""
    hasher = _MUTABLE_STORAGE_INDEX.copy()
    hasher.update(readkey)
    return sha256(hasher.digest()).digest()[:_SIZE]
