"""Vault keys outside the configuration: in a file, printed by a command, or in the system keyring."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tallac.app.configuration.configuration import KeySource
from tallac.app.configuration.folders import write_new_private_file
from tallac.app.workspace import Workspace
from tallac.errors import MalformedCapError, UsageError
from tallac.vault.format.keys import VaultKey, parse_vault_key


class KeyLocation(msgspec.Struct, frozen=True):
    """Where to keep a vault key: one of these.

    Attributes:
        file: A file; it is made where it is missing.
        command: A command that prints the key already.
        keyring: An entry in the system keyring; it is made where it is missing.
        is_configuration: The configuration, as it is at first.
    """

    file: str | None = None
    command: str | None = None
    keyring: str | None = None
    is_configuration: bool = False


class KeySources:
    """Reports where vault keys are kept, and moves them."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def use(self, vault: str = "", location: KeyLocation | None = None, *, dry_run: bool = False) -> str:
        """Report where a vault's key is kept; with a location, move it there, and seal the aliases' caps under it.

        The key is at its new location, and was read back from there, before the configuration drops it. A former location outside
        the configuration keeps it as well.

        Args:
            vault: An alias on the vault, or "" for the default vault.
            location: Where the key is to be.
            dry_run: Only find out whether that would work.

        Raises:
            UsageError: The location names nothing, several things, or holds another key.
            LocalStateError: The key can't be kept there.
        """
        identity = self._workspace.identity_of(vault)
        with self._workspace.file.updating() as configuration:
            self._workspace.vaults.remember(configuration, identity)
            known = configuration.grids[identity]
            if location is None:
                return _show(known.key_source)
            key = self._workspace.vaults.keys.parse(known)
            source = _source_of(location, key)
            if source is not None:
                self._require_key(source, location, key, dry_run=dry_run)
            if not dry_run:
                self._workspace.sealed.move_key(configuration, identity, source)
            return _show(source)

    def _require_key(self, source: KeySource, location: KeyLocation, key: VaultKey, *, dry_run: bool) -> None:
        """Make sure that the key is found at a location; write it there if nothing is."""
        secrets = self._workspace.secrets
        if self._is_empty(location):
            if dry_run:
                return
            if location.file is not None:
                write_new_private_file(Path(source.file), f"{key.danger_whole_text()}\n".encode())
            else:
                secrets.tell_keyring(source.keyring, key.danger_whole_text())
        try:
            found = parse_vault_key(self._workspace.vaults.keys.ask(source))
        except MalformedCapError as error:
            raise UsageError(f"{source}: this is not a vault key ({error})") from error
        if found != key:
            raise UsageError(f"{source}: this is another vault key; nothing was changed")

    def _is_empty(self, location: KeyLocation) -> bool:
        if location.file is not None:
            return not os.path.lexists(location.file)
        return location.keyring is not None and not self._workspace.secrets.is_in_keyring(location.keyring)


def _source_of(location: KeyLocation, key: VaultKey) -> KeySource | None:
    named = [location.file, location.command, location.keyring, "configuration" if location.is_configuration else None]
    if sum(each is not None for each in named) != 1 or "" in named:
        raise UsageError("give one of --file, --command, --keyring and --configuration")
    if location.is_configuration:
        return None
    file = "" if location.file is None else os.path.abspath(location.file)
    return KeySource(key.mark, file, location.command or "", location.keyring or "")


def _show(source: KeySource | None) -> str:
    return "the configuration" if source is None else str(source)
