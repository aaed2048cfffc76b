"""Ed25519 signatures from a seed."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_SIZE = 64


class SigningKey:
    """A private signing key."""

    def __init__(self, seed: bytes) -> None:
        """Derive the key pair from 32 secret bytes (RFC 8032, 5.1.5)."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""
        return self._private.sign(message)


def is_signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature of exactly this message was made with the private key of a public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
