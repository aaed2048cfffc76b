"""Argon2id: passphrase -> key, slowly. RFC 9106."""

from __future__ import annotations

import unicodedata

import msgspec

from tallac.errors import LocalStateError

SALT_SIZE = 16


class PassphraseCost(msgspec.Struct, frozen=True):
    """What one guess at a passphrase costs.

    Attributes:
        memory_kib: Memory, in units of 1,024 bytes.
        passes: How often it is gone over.
        lanes: How many threads may share the work.
    """

    memory_kib: int
    passes: int
    lanes: int


def stretch(passphrase: str, salt: bytes, cost: PassphraseCost) -> bytes:
    """Derive 32 bytes from a passphrase. However its accents are composed, the same passphrase gives the same bytes.

    Raises:
        LocalStateError: This machine has not enough memory for it.
    """
    # Late, because nothing but passphrases needs it.
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    derivation = Argon2id(salt=salt, length=32, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib)
    try:
        return derivation.derive(text)
    except MemoryError:
        raise LocalStateError(f"trying a passphrase takes {cost.memory_kib >> 10} MiB of memory, and less is free") from None
