"""The user's own envelopes, one in each vault that a passphrase of theirs leads to, kept as the configuration is."""

from __future__ import annotations

import os

import msgspec

from tallac.app.configuration.configuration import Configuration
from tallac.app.workspace import Connection
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConfigurationError, MalformedCapError
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.format.keys import KEY_SIZE, EnvelopeKey, parse_envelope_key


class OwnEnvelopes:
    """Seals what the configuration has of a vault into the vault itself. A vault is named by its identity."""

    def __init__(self, connection: Connection) -> None:
        """Use this configuration and its vaults."""
        self._connection = connection

    def begin(self, identity: str) -> None:
        """Make a key for one, where there is none; it is in the configuration before anything is sealed under it."""
        with self._connection.file.updating() as configuration:
            self._connection.vaults.remember(configuration, identity)
            if not configuration.grids[identity].envelope_key:
                key = EnvelopeKey(os.urandom(KEY_SIZE)).danger_whole_text()
                self._connection.kept.enter_envelope_key(configuration, identity, key)

    def key(self, configuration: Configuration, identity: str) -> EnvelopeKey:
        """Give the key of the one in this vault, which there is.

        Raises:
            ConfigurationError: It is damaged.
        """
        try:
            return parse_envelope_key(self._connection.kept.envelope_key(configuration, identity))
        except MalformedCapError as error:
            raise ConfigurationError(f"{self._connection.file.path}: the envelope key of a vault is damaged: {error}") from error

    def content(self, configuration: Configuration, identity: str) -> Envelope:
        """Give what the configuration has of a vault, as an envelope holds it."""
        key = self._connection.vaults.parse_key(self._connection.vaults.known(configuration, identity))
        return Envelope(key, frozenset(self._connection.kept.aliases_on(configuration, identity).items()))

    def update(self, identity: str, *, is_forced: bool) -> None:
        """Add what the configuration has to the one in this vault.

        Without force, the vault is not even looked at where this machine has put the very same there before.
        """
        with self._connection.file.updating() as configuration:
            content = self.content(configuration, identity)
            digest = _digest(content)
            known = configuration.grids[identity]
            if digest != known.enveloped or is_forced:
                backend = self._connection.vaults.backend_of(configuration, identity)
                EnvelopeFile(backend, identity, self.key(configuration, identity), os.urandom).add(content)
                configuration.grids[identity] = msgspec.structs.replace(known, enveloped=digest)

    def remove(self, configuration: Configuration, name: str) -> None:
        """Take an alias out of the one in its vault, under whatever name another machine had put its cap there."""
        identity = configuration.aliases[name].grid
        here = self._connection.kept.aliases_on(configuration, identity)
        others = {other for other, cap in here.items() if other != name and cap == here[name]}
        backend = self._connection.vaults.backend_of(configuration, identity)
        envelope = EnvelopeFile(backend, identity, self.key(configuration, identity), os.urandom)
        envelope.remove(lambda named: named[1] == here[name] and named[0] not in others)


def _digest(envelope: Envelope) -> str:
    """Give a hash that tells whether two envelopes hold the same."""
    held = [envelope.key.danger_whole_text(), *(word for named in sorted(envelope.aliases) for word in named)]
    return hash_file_bytes(msgspec.json.encode(held)).hex()[:32]
