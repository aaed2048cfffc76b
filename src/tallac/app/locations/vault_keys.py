"""Where vault keys come from: the configuration, a file, a command or the system keyring."""

from __future__ import annotations

from tallac.app.configuration.configuration import ConfigurationFile, KeySource, KnownGrid
from tallac.app.locations.grid_options import GridOptions
from tallac.app.locations.urls import show_location
from tallac.app.secrets.secret_reader import SecretSource
from tallac.errors import ConfigurationError, MalformedCapError, UsageError
from tallac.vault.format.keys import KeeperKey, LocatorKey, WriterKey, parse_vault_key

VaultKey = WriterKey | KeeperKey | LocatorKey


class VaultKeys:
    """Reads vault keys; what was asked for is kept. Not thread-safe."""

    def __init__(self, file: ConfigurationFile, options: GridOptions, secrets: SecretSource) -> None:
        self._file = file
        self._options = options
        self._secrets = secrets
        self._asked: dict[KeySource, VaultKey] = {}

    def parse(self, known: KnownGrid) -> VaultKey:
        """Read the key of a known vault.

        Raises:
            ConfigurationError: It is damaged.
        """
        source = known.key_source
        try:
            if source is None:
                return parse_vault_key(known.vault_key)
            if source not in self._asked:
                self._asked[source] = parse_vault_key(self.ask(source))
        except MalformedCapError as error:
            where = self._file.path if source is None else source
            raise ConfigurationError(
                f"{where}: the key of the vault at {show_location(known.location)} is damaged: {error}"
            ) from error
        if self._asked[source].mark != source.mark:
            raise ConfigurationError(f"{source}: this is another key than that of the vault at {show_location(known.location)}")
        return self._asked[source]

    def ask(self, source: KeySource) -> str:
        """Return the text that is kept at a key source.

        Raises:
            UsageError: There is nothing.
            LocalStateError: The system keyring does not answer.
        """
        if source.file:
            return self._secrets.read_line(source.file, "a vault key")
        if source.command:
            return self._secrets.ask_command(source.command, "a vault key")
        return self._secrets.ask_keyring(source.keyring, "a vault key")

    def given(self) -> VaultKey:
        """Read the key where the command line says."""
        options = self._options
        if options.vault_key_command is not None and options.vault_key_file is not None:
            raise UsageError("--vault-key and --vault-key-command both name the key: give one of them")
        if options.vault_key_command is not None:
            return parse_vault_key(self._secrets.ask_command(options.vault_key_command, "a vault key"))
        return parse_vault_key(self._secrets.read_line(options.vault_key_file or "", "a vault key"))
