"""The three vault keys: writer key -> keeper key -> locator key. Each attenuates to the next and never back. And the envelope key.

A *locator key* finds objects and opens footers and index; a *keeper key* also opens the roots and the sessions; a *writer key* also
has what makes content convergent. An *envelope key* belongs to a user: it opens what their passphrases lead to.
docs/format.md has the derivations: "Keys" and "Passphrases".
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec

from tallac.crypto.hashing import hash_file_bytes, keyed, tag_key
from tallac.errors import AuthorityError, MalformedCapError
from tallac.interfaces import Randomness

if TYPE_CHECKING:
    from tallac.crypto.signing import SigningKey

KEY_SIZE = 32
CHECKSUM_SIZE = 3
VAULT_ID_SIZE = 16
WRITER_SIGNER, KEEPER_SIGNER = 1, 2
"""The byte that says in a stamp who signed."""

_VAULT_ID = tag_key("tallac vault 2 id")


def vault_id_of(writer_public: bytes, keeper_public: bytes) -> bytes:
    """Return the 16 bytes of a vault's id, which follows from the public keys of its two signers."""
    return keyed(_VAULT_ID, writer_public + keeper_public, VAULT_ID_SIZE)


class VaultKey(msgspec.Struct, frozen=True, dict=True):
    """Any of them. What is derived is kept."""

    kind: ClassVar[str]

    secret: bytes

    @property
    def vault(self) -> bytes:
        """The 16 bytes of the id of the vault that the key belongs to."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @cached_property
    def configuration(self) -> bytes:
        """Seals what a user's configuration holds of a vault, where the vault key itself is kept elsewhere."""
        return self._derive("configuration")

    @property
    def mark(self) -> str:
        """A hash that tells this key from others, and gives no authority."""
        return self._derive("mark", 8).hex()

    def danger_whole_text(self) -> str:
        """Write the key as text. Whoever reads it has the key's authority."""
        body = base64.b32encode(self.secret + self.vault + self._checksum()).decode("ascii").rstrip("=").lower()
        return f"tallac-{self.kind}-2:{body}"

    def sign(self, message: bytes) -> bytes:
        """Return the number of this key's signer and its signature of a message, 65 bytes.

        Raises:
            AuthorityError: It has no signer: what the vault's structure says is for writers and keepers to say.
        """
        raise AuthorityError(f"a {self.kind} key can't change a vault: this takes the writer key or the keeper key")

    def _checksum(self) -> bytes:
        return hash_file_bytes(self.kind.encode("ascii") + self.secret + self.vault)[:CHECKSUM_SIZE]

    def _derive(self, purpose: str, length: int = KEY_SIZE) -> bytes:
        return keyed(self.secret, b"tallac vault 2 " + purpose.encode("ascii"), length)


class LocatorKey(VaultKey, frozen=True):
    """Finds objects: what a read cap needs beside it."""

    kind = "locator"

    vault: bytes

    @cached_property
    def check(self) -> bytes:
        """The 16 bytes by which the header knows this key."""
        return self._derive("check", 16)

    @cached_property
    def naming(self) -> bytes:
        """Keys the hash that names objects and slots."""
        return self._derive("object names")

    @cached_property
    def structure_key(self) -> bytes:
        """Seals footers, index objects and the outside of slots."""
        return self._derive("structure")

    @property
    def locator_key(self) -> LocatorKey:
        """This key."""
        return self


class KeeperKey(VaultKey, frozen=True):
    """Knows the roots: checks, prunes, repairs and copies what it can't read."""

    kind = "keeper"

    vault: bytes

    @cached_property
    def signer(self) -> SigningKey:
        """The keeper's signer."""
        return _signer_of(self._derive("signer"))

    def sign(self, message: bytes) -> bytes:
        """See `VaultKey`."""
        return bytes((KEEPER_SIGNER,)) + self.signer.sign(message)

    @cached_property
    def roots(self) -> bytes:
        """Seals the roots, the pending deletions and the sessions."""
        return self._derive("roots")

    @cached_property
    def locator_key(self) -> LocatorKey:
        """The weaker key."""
        return LocatorKey(self._derive("locator key"), self.vault)

    @property
    def keeper_key(self) -> KeeperKey:
        """This key."""
        return self


class WriterKey(VaultKey, frozen=True):
    """Stores: the convergence secret and the seeds that decide where content is cut."""

    kind = "writer"

    @cached_property
    def vault(self) -> bytes:
        """See `VaultKey`; it follows from the key."""
        return self._keeper_key_and_vault[1]

    @cached_property
    def signer(self) -> SigningKey:
        """The writer's signer."""
        return _signer_of(self._derive("signer"))

    def sign(self, message: bytes) -> bytes:
        """See `VaultKey`."""
        return bytes((WRITER_SIGNER,)) + self.signer.sign(message)

    @cached_property
    def convergence(self) -> bytes:
        """Keys the hash that turns content into read keys."""
        return self._derive("convergence")

    @cached_property
    def chunker_seed(self) -> int:
        """Alters where files are cut; 63 bits (what the chunker takes), never 0."""
        return int.from_bytes(self._derive("chunker seed", 8), "big") >> 1 or 1

    @cached_property
    def table_cut(self) -> bytes:
        """Keys the hash that decides where directory tables are cut."""
        return self._derive("table cut")

    @cached_property
    def keeper_key(self) -> KeeperKey:
        """The weaker key."""
        return self._keeper_key_and_vault[0]

    @cached_property
    def _keeper_key_and_vault(self) -> tuple[KeeperKey, bytes]:
        secret = self._derive("keeper key")
        vault = vault_id_of(self.signer.public, KeeperKey(secret, b"").signer.public)
        return KeeperKey(secret, vault), vault

    @property
    def locator_key(self) -> LocatorKey:
        """The weakest key."""
        return self.keeper_key.locator_key


class EnvelopeKey(VaultKey, frozen=True):
    """Opens a user's envelope, in which a vault key and aliases lie. It follows from no other key."""

    kind = "envelope"

    vault: bytes

    @cached_property
    def name(self) -> str:
        """Names the envelope in the backend: 32 hexadecimal digits."""
        return self._derive("envelope name", 16).hex()

    @cached_property
    def content(self) -> bytes:
        """Seals the envelope."""
        return self._derive("envelope")

    @cached_property
    def labels(self) -> bytes:
        """Seals the labels of the passphrases that lead to the envelope."""
        return self._derive("passphrase label")


_KINDS: dict[str, type[WriterKey | KeeperKey | LocatorKey]] = {kind.kind: kind for kind in (WriterKey, KeeperKey, LocatorKey)}


def _signer_of(seed: bytes) -> SigningKey:
    from tallac.crypto.signing import SigningKey  # lazy import: a Tahoe-LAFS grid does without ciphers

    return SigningKey(seed)


def parse_vault_key(text: str) -> WriterKey | KeeperKey | LocatorKey:
    """Read a vault key's text.

    Raises:
        MalformedCapError: It is none, or has a typing error.
    """
    key = _parse(text)
    if not isinstance(key, WriterKey | KeeperKey | LocatorKey):
        raise MalformedCapError("not a vault key: it begins with tallac-writer-2:, tallac-keeper-2: or tallac-locator-2:")
    return key


def parse_envelope_key(text: str) -> EnvelopeKey:
    """Read an envelope key's text.

    Raises:
        MalformedCapError: It is none, or has a typing error.
    """
    key = _parse(text)
    if not isinstance(key, EnvelopeKey):
        raise MalformedCapError("not an envelope key: it begins with tallac-envelope-2:")
    return key


def _parse(text: str) -> VaultKey | None:
    """Return the key that a text is; None where it is no key at all."""
    head, _, body = text.strip().partition(":")
    prefix, _, rest = head.partition("-")
    kind, _, version = rest.partition("-")
    if prefix != "tallac" or version != "2" or kind not in (*_KINDS, EnvelopeKey.kind):
        return None
    try:
        raw = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    secret, vault = raw[:KEY_SIZE], raw[KEY_SIZE : KEY_SIZE + VAULT_ID_SIZE]
    key: VaultKey | None = None
    if len(raw) == KEY_SIZE + VAULT_ID_SIZE + CHECKSUM_SIZE:
        with_vault = {KeeperKey.kind: KeeperKey, LocatorKey.kind: LocatorKey, EnvelopeKey.kind: EnvelopeKey}
        key = WriterKey(secret) if kind == WriterKey.kind else with_vault[kind](secret, vault)
    if key is None or key.danger_whole_text() != f"{head}:{body}":
        raise MalformedCapError(f"the {kind} key has a typing error: copy it again as a whole")
    return key


def make_writer_key(randomness: Randomness = os.urandom) -> WriterKey:
    """Make the key for a new vault."""
    return WriterKey(randomness(KEY_SIZE))
