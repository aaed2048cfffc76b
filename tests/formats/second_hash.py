"""BLAKE3, written from its paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2021) in plain Python.

Every binding for Python wraps the same Rust crate, so this is the one that shares nothing with Tallac. It hashes a third of a
megabyte in a second: what is longer than `PLAIN_BYTES_MAX` goes to the binding, and a test compares the two at the edges of a tree.
"""

from __future__ import annotations

import struct

from blake3 import blake3 as binding

PLAIN_BYTES_MAX = 1024
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED = 1, 2, 4, 8, 16
MASK = 0xFFFFFFFF
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip
Words = tuple[int, ...]
# What is compressed last: chaining value, block, counter, length of the block, flags.
Node = tuple[Words, bytes, int, int, int]


def hashed(data: bytes, key: bytes | None = None, length: int = 32) -> bytes:
    """Give BLAKE3 of data, keyed where a 32-byte key is given; up to 64 bytes of it."""
    if len(data) > PLAIN_BYTES_MAX:
        return (binding(data) if key is None else binding(data, key=key)).digest(length=length)
    return hashed_plainly(data, key, length)


def hashed_plainly(data: bytes, key: bytes | None = None, length: int = 32) -> bytes:
    """Give the same without any library, whatever the data's length."""
    words, flags = (IV, 0) if key is None else (struct.unpack("<8I", key), KEYED)
    value, block, counter, size, last_flags = _subtree(data, words, flags, 0)
    return struct.pack("<16I", *_compress(value, block, counter, size, last_flags | ROOT))[:length]


def _subtree(data: bytes, key: Words, flags: int, counter: int) -> Node:
    """Give the node on top of these bytes, which begin with the chunk of that number."""
    if len(data) <= 1024:
        value, blocks = key, [data[start : start + 64] for start in range(0, len(data), 64)] or [b""]
        for number, block in enumerate(blocks[:-1]):
            start = 0 if number else CHUNK_START
            value = _compress(value, block, counter, 64, flags | start)[:8]
        start = CHUNK_START if len(blocks) == 1 else 0
        return value, blocks[-1], counter, len(blocks[-1]), flags | start | CHUNK_END
    # The left side is the longest power of two of whole chunks that leaves something for the right.
    chunks = 1 << ((len(data) - 1) // 1024).bit_length() - 1
    left = _compress(*_subtree(data[: chunks * 1024], key, flags, counter))[:8]
    right = _compress(*_subtree(data[chunks * 1024 :], key, flags, counter + chunks))[:8]
    return key, struct.pack("<16I", *left, *right), 0, 64, flags | PARENT


def _compress(value: Words, block: bytes, counter: int, size: int, flags: int) -> Words:
    m: Words = struct.unpack("<16I", block.ljust(64, b"\0"))
    v = [*value, *IV[:4], counter & MASK, counter >> 32, size, flags]
    for _ in range(7):
        for number, (a, b, c, d) in enumerate(COLUMNS_AND_DIAGONALS):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + m[2 * number]) & MASK
            vd ^= va
            vd = (vd >> 16 | vd << 16) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & MASK
            va = (va + vb + m[2 * number + 1]) & MASK
            vd ^= va
            vd = (vd >> 8 | vd << 24) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 7 | vb << 25) & MASK
            v[a], v[b], v[c], v[d] = va, vb, vc, vd
        m = tuple(m[place] for place in PERMUTATION)
    return (*(v[n] ^ v[n + 8] for n in range(8)), *(v[n + 8] ^ value[n] for n in range(8)))
