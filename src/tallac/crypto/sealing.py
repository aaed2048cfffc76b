"""AES-256-GCM, each ciphertext with its nonce before it: nonce(12), ciphertext, tag(16).

Nonces are random, and a key seals either one object or, for a vault's structure, far fewer than 2**32 (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tallac.errors import CorruptObjectError

NONCE_SIZE = 12
TAG_SIZE = 16
SEAL_OVERHEAD = NONCE_SIZE + TAG_SIZE

_Buffer = bytes | bytearray | memoryview


def seal(key: bytes, nonce: bytes, plain: _Buffer, associated: bytes) -> bytes:
    """Encrypt and authenticate under a 32-byte key; the 12-byte nonce must never have been used with it."""
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def seal_checked(key: bytes, nonce: bytes, plain: _Buffer, associated: bytes) -> bytes:
    """Seal as `seal` does, and open the result again to verify it.

    Raises:
        CorruptObjectError: The result does not open to the given bytes: the memory or the processor is failing.
    """
    cipher = AESGCM(key)
    sealed = cipher.encrypt(nonce, plain, associated)
    try:
        if cipher.decrypt(nonce, sealed, associated) == plain:
            return nonce + sealed
    except InvalidTag:
        pass
    raise CorruptObjectError("sealed bytes did not open to what was sealed: this machine's memory or processor is failing")


def open_sealed(key: bytes, sealed: _Buffer, associated: bytes) -> bytes:
    """Decrypt and authenticate a result of `seal`.

    Raises:
        CorruptObjectError: The bytes, the key or the associated data differ from those of the sealing.
    """
    if len(sealed) < SEAL_OVERHEAD:
        raise CorruptObjectError("sealed bytes are cut short")
    try:
        return AESGCM(key).decrypt(bytes(sealed[:NONCE_SIZE]), sealed[NONCE_SIZE:], associated)
    except InvalidTag:
        raise CorruptObjectError("encrypted data can't be opened: it is damaged or belongs elsewhere") from None
