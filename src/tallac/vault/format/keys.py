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
from typing import ClassVar

import msgspec

from tallac.crypto.hashing import hash_file_bytes, keyed
from tallac.errors import MalformedCapError
from tallac.interfaces import Randomness

KEY_SIZE = 32
CHECKSUM_SIZE = 3


class VaultKey(msgspec.Struct, frozen=True, dict=True):
    """Any of them. What is derived is kept."""

    kind: ClassVar[str]

    secret: bytes

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
        body = base64.b32encode(self.secret + self._checksum()).decode("ascii").rstrip("=").lower()
        return f"tallac-{self.kind}-1:{body}"

    def _checksum(self) -> bytes:
        return hash_file_bytes(self.kind.encode("ascii") + self.secret)[:CHECKSUM_SIZE]

    def _derive(self, purpose: str, length: int = KEY_SIZE) -> bytes:
        return keyed(self.secret, b"tallac vault 1 " + purpose.encode("ascii"), length)


class LocatorKey(VaultKey, frozen=True):
    """Finds objects: what a read cap needs beside it."""

    kind = "locator"

    @cached_property
    def naming(self) -> bytes:
        """Keys the hash that names objects and slots."""
        return self._derive("object names")

    @cached_property
    def structure_key(self) -> bytes:
        """Seals footers, index objects and the outside of slots."""
        return self._derive("frame")

    @property
    def locator_key(self) -> LocatorKey:
        """This key."""
        return self


class KeeperKey(VaultKey, frozen=True):
    """Knows the roots: checks, prunes, repairs and copies what it can't read."""

    kind = "keeper"

    @cached_property
    def roots(self) -> bytes:
        """Seals the roots, the pending deletions and the sessions."""
        return self._derive("roots")

    @cached_property
    def locator_key(self) -> LocatorKey:
        """The weaker key."""
        return LocatorKey(self._derive("locator key"))

    @property
    def keeper_key(self) -> KeeperKey:
        """This key."""
        return self


class WriterKey(VaultKey, frozen=True):
    """Stores: the convergence secret and the seeds that decide where content is cut."""

    kind = "writer"

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
        return KeeperKey(self._derive("keeper key"))

    @property
    def locator_key(self) -> LocatorKey:
        """The weakest key."""
        return self.keeper_key.locator_key


class EnvelopeKey(VaultKey, frozen=True):
    """Opens a user's envelope, in which a vault key and aliases lie. It follows from no other key."""

    kind = "envelope"

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


def parse_vault_key(text: str) -> WriterKey | KeeperKey | LocatorKey:
    """Read a vault key's text.

    Raises:
        MalformedCapError: It is none, or has a typing error.
    """
    kind, secret = _parse(text)
    if kind not in _KINDS:
        raise MalformedCapError("not a vault key: it begins with tallac-writer-1:, tallac-keeper-1: or tallac-locator-1:")
    return _KINDS[kind](secret)


def parse_envelope_key(text: str) -> EnvelopeKey:
    """Read an envelope key's text.

    Raises:
        MalformedCapError: It is none, or has a typing error.
    """
    kind, secret = _parse(text)
    if kind != EnvelopeKey.kind:
        raise MalformedCapError("not an envelope key: it begins with tallac-envelope-1:")
    return EnvelopeKey(secret)


def _parse(text: str) -> tuple[str, bytes]:
    """Return kind and secret; the kind is "" where the text is no key at all."""
    head, _, body = text.strip().partition(":")
    prefix, _, rest = head.partition("-")
    kind, _, version = rest.partition("-")
    keys = {**_KINDS, EnvelopeKey.kind: EnvelopeKey}
    if prefix != "tallac" or kind not in keys or version != "1":
        return "", b""
    try:
        raw = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    secret = raw[:KEY_SIZE]
    if len(raw) != KEY_SIZE + CHECKSUM_SIZE or keys[kind](secret).danger_whole_text() != f"{head}:{body}":
        raise MalformedCapError(f"the {kind} key has a typing error: copy it again as a whole")
    return kind, secret


def make_writer_key(randomness: Randomness = os.urandom) -> WriterKey:
    """Make the key for a new vault."""
    return WriterKey(randomness(KEY_SIZE))
