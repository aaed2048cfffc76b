"""AES-256-GCM in two forms. docs/format.md, "Sealing, signing and padding" and "Objects", has both.

*Sealed with a salt*: salt(24), ciphertext, tag(16). The key of each sealing follows from the salt, so that no nonce is ever used
twice with a key, however many things one secret seals.

*Sealed with a nonce*: nonce(12), ciphertext, tag(16). For objects, whose key seals one content and whose nonce follows from it.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tallac.crypto.hashing import keyed
from tallac.errors import CorruptObjectError

SALT_SIZE = 24
NONCE_SIZE = 12
TAG_SIZE = 16
SEAL_OVERHEAD = SALT_SIZE + TAG_SIZE
OBJECT_OVERHEAD = NONCE_SIZE + TAG_SIZE

_PURPOSE = b"tallac vault 2 seal"
_NO_NONCE = bytes(NONCE_SIZE)
_Buffer = bytes | bytearray | memoryview


def seal(key: bytes, salt: bytes, plain: _Buffer, associated: bytes) -> bytes:
    """Encrypt and authenticate under a 32-byte key; the salt is 24 random bytes."""
    return salt + AESGCM(keyed(key, _PURPOSE + salt)).encrypt(_NO_NONCE, plain, associated)


def seal_checked(key: bytes, salt: bytes, plain: _Buffer, associated: bytes) -> bytes:
    """Seal as `seal` does, and open the result again to verify it.

    Raises:
        CorruptObjectError: The result does not open to the given bytes: the memory or the processor is failing.
    """
    sealed = seal(key, salt, plain, associated)
    try:
        if open_sealed(key, sealed, associated) == plain:
            return sealed
    except CorruptObjectError:
        pass
    raise _failing()


def open_sealed(key: bytes, sealed: _Buffer, associated: bytes) -> bytes:
    """Decrypt and authenticate a result of `seal`.

    Raises:
        CorruptObjectError: The bytes, the key or the associated data differ from those of the sealing.
    """
    if len(sealed) < SEAL_OVERHEAD:
        raise CorruptObjectError("sealed bytes are cut short")
    # What is sealed has megabytes now and then: no copy of it.
    return _open(keyed(key, _PURPOSE + bytes(sealed[:SALT_SIZE])), _NO_NONCE, memoryview(sealed)[SALT_SIZE:], associated)


def seal_object(key: bytes, nonce: bytes, plain: _Buffer, associated: bytes) -> bytes:
    """Encrypt and authenticate under a 32-byte key, and open the result again to verify it.

    The 12-byte nonce must follow from what is sealed by a keyed hash.

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
    raise _failing()


def open_object(key: bytes, sealed: _Buffer, associated: bytes) -> bytes:
    """Decrypt and authenticate a result of `seal_object`.

    Raises:
        CorruptObjectError: The bytes, the key or the associated data differ from those of the sealing.
    """
    if len(sealed) < OBJECT_OVERHEAD:
        raise CorruptObjectError("sealed bytes are cut short")
    return _open(key, bytes(sealed[:NONCE_SIZE]), sealed[NONCE_SIZE:], associated)


def _open(key: bytes, nonce: bytes, sealed: _Buffer, associated: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise CorruptObjectError("encrypted data can't be opened: it is damaged or belongs elsewhere") from None


def _failing() -> CorruptObjectError:
    return CorruptObjectError("sealed bytes did not open to what was sealed: this machine's memory or processor is failing")
