"""The three vault keys: writer key -> keeper key -> locator key. Each attenuates to the next and never back.

A *locator key* finds objects and opens footers and index; a *keeper key* also opens the roots and the sessions; a *writer key* also
has what makes content convergent. docs/format.md, "Keys", has the derivations.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from functools import cached_property

from tallac.crypto import hash_file_bytes, keyed
from tallac.errors import MalformedCapError

KEY_SIZE = 32
CHECKSUM_SIZE = 3


class VaultKey:
    """Any of the three."""

    kind: str
    secret: bytes

    def danger_whole_text(self) -> str:
        """Write the key as text. Whoever reads it has the key's authority."""
        body = base64.b32encode(self.secret + self._checksum()).decode("ascii").rstrip("=").lower()
        return f"tallac-{self.kind}-1:{body}"

    def _checksum(self) -> bytes:
        return hash_file_bytes(self.kind.encode("ascii") + self.secret)[:CHECKSUM_SIZE]

    def _derive(self, purpose: str, length: int = KEY_SIZE) -> bytes:
        return keyed(self.secret, b"tallac vault 1 " + purpose.encode("ascii"), length)


@dataclass(frozen=True)
class LocatorKey(VaultKey):
    """Finds objects: what a read cap needs beside it."""

    secret: bytes = field(repr=False)
    kind = "locator"

    @cached_property
    def naming(self) -> bytes:
        """Keys the hash that names objects and slots."""
        return self._derive("object names")

    @cached_property
    def frame(self) -> bytes:
        """Seals footers, index objects and the outside of slots."""
        return self._derive("frame")

    @property
    def locator_key(self) -> LocatorKey:
        """This key."""
        return self


@dataclass(frozen=True)
class KeeperKey(VaultKey):
    """Knows the roots: checks, prunes, repairs and copies what it can't read."""

    secret: bytes = field(repr=False)
    kind = "keeper"

    @cached_property
    def roots(self) -> bytes:
        """Seals the roots, the quarantine and the sessions."""
        return self._derive("roots")

    @cached_property
    def locator_key(self) -> LocatorKey:
        """The weaker key."""
        return LocatorKey(self._derive("locator key"))

    @property
    def keeper_key(self) -> KeeperKey:
        """This key."""
        return self


@dataclass(frozen=True)
class WriterKey(VaultKey):
    """Stores: the convergence secret and the seeds that decide where content is cut."""

    secret: bytes = field(repr=False)
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


_KINDS: dict[str, type[WriterKey | KeeperKey | LocatorKey]] = {kind.kind: kind for kind in (WriterKey, KeeperKey, LocatorKey)}


def parse_vault_key(text: str) -> WriterKey | KeeperKey | LocatorKey:
    """Read a vault key's text.

    Raises:
        MalformedCapError: It is none, or has a typing error.
    """
    head, _, body = text.strip().partition(":")
    prefix, _, rest = head.partition("-")
    kind, _, version = rest.partition("-")
    if prefix != "tallac" or kind not in _KINDS or version != "1":
        raise MalformedCapError("not a vault key: it begins with tallac-writer-1:, tallac-keeper-1: or tallac-locator-1:")
    try:
        raw = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    key = _KINDS[kind](raw[:KEY_SIZE])
    if len(raw) != KEY_SIZE + CHECKSUM_SIZE or key.danger_whole_text() != f"{head}:{body}":
        raise MalformedCapError(f"the {kind} key has a typing error: copy it again as a whole")
    return key
