"""AES-256-GCM with a nonce of its own before each ciphertext: nonce(12), ciphertext, tag(16).

Nonces are random, and a key seals either one object or, for a vault's frame, far fewer than 2**32 (NIST SP 800-38D, 8.3).
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
    """Encrypt and authenticate plain under a 32-byte key; the nonce must never have been used with it."""
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def open_sealed(key: bytes, sealed: _Buffer, associated: bytes) -> bytes:
    """Decrypt what `seal` gave.

    Raises:
        CorruptObjectError: The bytes, the key or the associated data are not those that were sealed.
    """
    if len(sealed) < SEAL_OVERHEAD:
        raise CorruptObjectError("sealed bytes are cut short")
    try:
        return AESGCM(key).decrypt(bytes(sealed[:NONCE_SIZE]), sealed[NONCE_SIZE:], associated)
    except InvalidTag:
        raise CorruptObjectError("sealed bytes do not open: they are damaged or belong elsewhere") from None


def seal_into(key: bytes, nonce: bytes, plain: _Buffer, associated: bytes, buffer: memoryview) -> int:
    """Seal into a buffer of the caller's that has room for it; give the length. Lets other threads run meanwhile."""
    length = SEAL_OVERHEAD + len(plain)
    buffer[:NONCE_SIZE] = nonce
    AESGCM(key).encrypt_into(nonce, plain, associated, buffer[NONCE_SIZE:length])
    return length


def open_sealed_into(key: bytes, sealed: memoryview, associated: bytes, buffer: memoryview) -> int:
    """Open into a buffer of the caller's that has room for it; give the length. Raises as `open_sealed` does."""
    length = len(sealed) - SEAL_OVERHEAD
    if length < 0:
        raise CorruptObjectError("sealed bytes are cut short")
    try:
        AESGCM(key).decrypt_into(bytes(sealed[:NONCE_SIZE]), sealed[NONCE_SIZE:], associated, buffer[:length])
    except InvalidTag:
        raise CorruptObjectError("sealed bytes do not open: they are damaged or belong elsewhere") from None
    return length
