"""The user's own envelopes, one in each vault that a passphrase of theirs opens, kept in step with the configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tallac.app.configuration.configuration import Configuration
from tallac.app.workspace import Workspace
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConfigurationError, MalformedCapError, TallacError
from tallac.vault.format.keys import KEY_SIZE, EnvelopeKey, parse_envelope_key

if TYPE_CHECKING:
    from tallac.vault.access.envelopes import Envelope, EnvelopeFile


class UserEnvelopes:
    """Seals what the configuration has of a vault into the vault itself. A vault is named by its identity.

    Attributes:
        warn: Told what did not work and can wait.
    """

    # A backup asks whether there is an envelope, and seldom has to write one: only then are the ciphers loaded.

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self.warn = warn

    def is_used(self, identity: str) -> bool:
        """Whether the user has an envelope in this vault."""
        known = self._workspace.file.read().grids.get(identity)
        return known is not None and bool(known.envelope_key)

    def refresh(self, identity: str) -> None:
        """Bring the envelope in a vault, if there is one, up to date; a failure is a warning, since the next time will do."""
        if self.is_used(identity):
            try:
                self._update(identity, is_forced=False)
            except TallacError as error:
                self.warn(f"a new alias could not be added to the vault's passphrases; the next backup tries again: {error}")

    def write(self, identity: str) -> None:
        """Bring the envelope in a vault, if there is one, up to date, whatever this machine has put there before."""
        if self.is_used(identity):
            self._update(identity, is_forced=True)

    def begin(self, identity: str) -> None:
        """Make a key for one, where there is none; it is in the configuration before anything is sealed under it."""
        with self._workspace.file.updating() as configuration:
            self._workspace.vaults.remember(configuration, identity)
            if not configuration.grids[identity].envelope_key:
                key = EnvelopeKey(os.urandom(KEY_SIZE), bytes.fromhex(identity)).danger_whole_text()
                self._workspace.sealed.set_envelope_key(configuration, identity, key)

    def key(self, configuration: Configuration, identity: str) -> EnvelopeKey:
        """Return the key of the one in this vault, which there is.

        Raises:
            ConfigurationError: It is damaged.
        """
        try:
            return parse_envelope_key(self._workspace.sealed.envelope_key(configuration, identity))
        except MalformedCapError as error:
            raise ConfigurationError(f"{self._workspace.file.path}: the envelope key of a vault is damaged: {error}") from error

    def content(self, configuration: Configuration, identity: str) -> Envelope:
        """Return what the configuration has of a vault, as an envelope holds it."""
        from tallac.vault.access.envelopes import Envelope  # lazy import: loads the ciphers

        key = self._workspace.vaults.key_of(configuration, identity)
        return Envelope(key, frozenset(self._workspace.sealed.aliases_on(configuration, identity).items()))

    def remove(self, configuration: Configuration, name: str) -> None:
        """Take an alias out of the one in its vault, under whatever name another machine had put its cap there."""
        identity = configuration.aliases[name].grid
        here = self._workspace.sealed.aliases_on(configuration, identity)
        others = {other for other, cap in here.items() if other != name and cap == here[name]}
        self._file(configuration, identity).remove(lambda named: named[1] == here[name] and named[0] not in others)

    def _update(self, identity: str, *, is_forced: bool) -> None:
        """Add what the configuration has.

        Without force, the vault is not even looked at where this machine has put the very same there before.
        """
        with self._workspace.file.updating() as configuration:
            content = self.content(configuration, identity)
            digest = _digest(content)
            known = configuration.grids[identity]
            if digest != known.enveloped or is_forced:
                self._file(configuration, identity).add(content)
                configuration.grids[identity] = msgspec.structs.replace(known, enveloped=digest)

    def _file(self, configuration: Configuration, identity: str) -> EnvelopeFile:
        from tallac.vault.access.envelopes import EnvelopeFile  # lazy import: loads the ciphers

        backend = self._workspace.vaults.backend_of(configuration, identity)
        return EnvelopeFile(backend, identity, self.key(configuration, identity), os.urandom)


def _digest(envelope: Envelope) -> str:
    """Return a hash that tells whether two envelopes hold the same."""
    held = [envelope.key.danger_whole_text(), *(word for named in sorted(envelope.aliases) for word in named)]
    return hash_file_bytes(msgspec.json.encode(held)).hex()[:32]
