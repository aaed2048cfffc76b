"""Slow derivation of keys from passphrases: Argon2id (RFC 9106)."""

from __future__ import annotations

import unicodedata

import msgspec

from tallac.errors import LocalStateError

SALT_SIZE = 16


class PassphraseCost(msgspec.Struct, frozen=True):
    """The cost of one guess at a passphrase.

    Attributes:
        memory_kib: Memory, in units of 1,024 bytes.
        passes: The number of passes over the memory.
        lanes: How many threads may share the work.
    """

    memory_kib: int
    passes: int
    lanes: int


def stretch(passphrase: str, salt: bytes, cost: PassphraseCost) -> bytes:
    """Derive 32 bytes from a passphrase, which is normalised first, so that composed and decomposed accents are the same.

    Raises:
        LocalStateError: This machine has not enough memory for it.
    """
    # lazy import: nothing but passphrases needs it.
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    derivation = Argon2id(salt=salt, length=32, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib)
    try:
        return derivation.derive(text)
    except MemoryError:
        raise LocalStateError(f"trying a passphrase requires {cost.memory_kib >> 10} MiB of memory, and less is free") from None
