"""BLAKE3, plain and keyed.

A *tagged* hash is BLAKE3 keyed with the plain BLAKE3 of its tag, so that no output for one purpose is one for another. A key
derivation is BLAKE3 keyed with the parent key, over the purpose's tag.
"""

from __future__ import annotations

from blake3 import blake3

Hasher = blake3


def hash_file_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """Return the plain BLAKE3 hash, 32 bytes, as it names packs and contents."""
    return blake3(data).digest()


def tag_key(tag: str) -> bytes:
    """Return the key, 32 bytes, of a tagged hash. Call once per tag, at import."""
    return blake3(tag.encode("ascii")).digest()


def keyed(key: bytes, data: bytes | bytearray | memoryview, length: int = 32) -> bytes:
    """Return the keyed BLAKE3 hash of data, of `length` bytes. The key has 32 bytes."""
    return blake3(data, key=key).digest(length=length)
