"""The secrets in the configuration: in plain text, or sealed under a vault key that is kept elsewhere.

A grid with a *key source* has no key in the configuration, and the caps of its aliases and the envelope key are sealed under that
vault key. So a copy of the configuration alone opens nothing.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from tallac.app.configuration.configuration import Alias, Configuration, KeySource, KnownGrid
from tallac.app.locations.vault_keys import VaultKey
from tallac.app.locations.vaults import Vaults
from tallac.errors import ConfigurationError, CorruptObjectError
from tallac.interfaces import Randomness

_SEALED = "sealed:"


class SealedSecrets:
    """Reads and writes caps of aliases and envelope keys, sealed or not, as their grid's are."""

    # Ciphers are imported where they are used, because most configurations hold nothing sealed.

    def __init__(self, vaults: Vaults, randomness: Randomness) -> None:
        """Use these vaults' keys."""
        self._vaults = vaults
        self._randomness = randomness

    def cap_of(self, configuration: Configuration, alias: Alias) -> str:
        """Return the whole text of an alias's cap.

        Raises:
            ConfigurationError: It does not open.
        """
        if not alias.cap.startswith(_SEALED):
            return alias.cap
        return _open(self.vault_key(configuration, alias.grid), alias.grid, alias.cap)

    def aliases_on(self, configuration: Configuration, identity: str) -> dict[str, str]:
        """Return the aliases on a grid with the whole texts of their caps."""
        return {name: self.cap_of(configuration, alias) for name, alias in configuration.aliases.items() if alias.grid == identity}

    def set_alias(self, configuration: Configuration, name: str, identity: str, cap: str) -> None:
        """Set the cap of an alias, given as its whole text, on a grid that the configuration knows."""
        configuration.aliases[name] = Alias(identity, self.seal(configuration, identity, cap))

    def envelope_key(self, configuration: Configuration, identity: str) -> str:
        """Return the text of the key of the user's envelope in a vault; "" where there is none."""
        known = configuration.grids.get(identity)
        if known is None or not known.envelope_key.startswith(_SEALED):
            return "" if known is None else known.envelope_key
        return _open(self.vault_key(configuration, identity), identity, known.envelope_key)

    def set_envelope_key(self, configuration: Configuration, identity: str, key: str) -> None:
        """Set the key of the user's envelope in a vault that the configuration knows."""
        sealed = self.seal(configuration, identity, key)
        configuration.grids[identity] = msgspec.structs.replace(configuration.grids[identity], envelope_key=sealed)

    def move_key(self, configuration: Configuration, identity: str, source: KeySource | None) -> None:
        """Take a vault's key from where it lies already, or for None keep it here; its other secrets are sealed or opened."""
        key = self.vault_key(configuration, identity)
        aliases = self.aliases_on(configuration, identity)
        envelope_key = self.envelope_key(configuration, identity)
        text = key.danger_whole_text() if source is None else ""
        configuration.grids[identity] = msgspec.structs.replace(configuration.grids[identity], vault_key=text, key_source=source)
        for name, cap in aliases.items():
            self.set_alias(configuration, name, identity, cap)
        if envelope_key:
            self.set_envelope_key(configuration, identity, envelope_key)

    def seal(self, configuration: Configuration, identity: str, secret: str) -> str:
        """Return a secret of a grid as the configuration holds it; as it is for a grid that the configuration does not know."""
        known = configuration.grids.get(identity)
        if known is None or known.key_source is None:
            return secret
        from tallac.crypto.sealing import SALT_SIZE, seal  # lazy import: see above

        key = self.vault_key(configuration, identity)
        sealed = seal(key.configuration, self._randomness(SALT_SIZE), secret.encode(), identity.encode())
        return _SEALED + base64.b64encode(sealed).decode("ascii")

    def unseal(self, configuration: Configuration, identity: str, text: str) -> str:
        """Return the secret in what `seal` has given.

        Raises:
            ConfigurationError: It can't be decrypted.
        """
        return _open(self.vault_key(configuration, identity), identity, text) if text.startswith(_SEALED) else text

    def vault_key(self, configuration: Configuration, identity: str) -> VaultKey:
        """Return the key of a vault that the configuration knows.

        Raises:
            ConfigurationError: It is missing or damaged.
        """
        known: KnownGrid | None = configuration.grids.get(identity)
        if known is None:
            raise ConfigurationError(f"the key of vault {identity} is missing in the configuration; restore a copy of it")
        return self._vaults.keys.parse(known)


def _open(key: VaultKey, identity: str, text: str) -> str:
    from tallac.crypto.sealing import open_sealed  # lazy import: see above

    try:
        return open_sealed(key.configuration, base64.b64decode(text.removeprefix(_SEALED)), identity.encode()).decode()
    except (CorruptObjectError, binascii.Error, UnicodeDecodeError):
        raise ConfigurationError(
            "a secret in the configuration can't be decrypted with the key that is kept "
            "elsewhere; restore a copy of the configuration"
        ) from None
