"""Who may make what is no object: footers, index objects, registers, sessions. docs/format.md, "Sealing, signing and padding".

A *stamp* is the signature of the vault's writers or of its keepers; what lacks a right one was made by nobody who may, and is
passed over, whatever key it is sealed with.
"""

from __future__ import annotations

import msgspec

from tallac.crypto.signing import SIGNATURE_SIZE, is_signed_by
from tallac.errors import CorruptObjectError
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.keys import KEEPER_SIGNER, WRITER_SIGNER, KeeperKey, LocatorKey, WriterKey

STAMP_SIZE = 1 + SIGNATURE_SIZE


class Signers(msgspec.Struct, frozen=True):
    """The public keys of a vault, as its header has them.

    Attributes:
        vault: The 16 bytes of the vault's id, which follows from the others.
        writer, keeper: Ed25519 public keys.
    """

    vault: bytes
    writer: bytes
    keeper: bytes

    @classmethod
    def of(cls, key: WriterKey) -> Signers:
        """Return those of the vault that a writer key is for."""
        return cls(key.vault, key.signer.public, key.keeper_key.signer.public)

    def have_stamped(self, context: bytes, message: bytes, stamp: bytes) -> bool:
        """Whether a stamp is one of this message, by a writer or keeper of the vault; this takes no key."""
        public = {WRITER_SIGNER: self.writer, KEEPER_SIGNER: self.keeper}.get(stamp[0] if stamp else 0)
        return public is not None and is_signed_by(public, stamp[1:], self.stamped(context, message))

    def stamped(self, context: bytes, message: bytes) -> bytes:
        """Return the bytes that a stamp signs."""
        return context + bytes((FORMAT_VERSION,)) + self.vault + message


class Structure:
    """Stamps what this vault's structure says, and checks the stamps of others. Immutable."""

    def __init__(self, key: WriterKey | KeeperKey | LocatorKey, signers: Signers) -> None:
        """Stamp with whatever signer the key has; check against the header's."""
        self._key = key
        self.signers = signers
        self.secret = key.locator_key.structure_key
        """Seals footers, trailers, index objects, the register of the index, and the outside of slots."""

    def stamp(self, context: bytes, message: bytes) -> bytes:
        """Return the stamp of a message, 65 bytes; the context says what it is about.

        Raises:
            AuthorityError: The key is a locator key, which can't change a vault.
        """
        return self._key.sign(self.signers.stamped(context, message))

    def check(self, context: bytes, message: bytes, stamp: bytes) -> None:
        """Require that a stamp is one of this message.

        Raises:
            CorruptObjectError: It is not: the message is damaged, or somebody made it who may not.
        """
        if not self.signers.have_stamped(context, message, stamp):
            raise CorruptObjectError("it does not have the signature of a writer or keeper of this vault")
