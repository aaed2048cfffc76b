"""Keeping a vault key elsewhere than in the configuration: in a file, behind a command, in the system keyring."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tallac.app.configuration.configuration import KeySource
from tallac.app.configuration.folders import write_new_private_file
from tallac.app.workspace import Workspace
from tallac.errors import MalformedCapError, UsageError
from tallac.vault.format.keys import VaultKey, parse_vault_key


class KeyPlace(msgspec.Struct, frozen=True):
    """Where a user wants a vault key to be; one of these, or the configuration.

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

    def use(self, vault: str = "", place: KeyPlace | None = None, *, dry_run: bool = False) -> str:
        """Say where a vault's key is kept; with a place, keep it there from now on, and the aliases' caps sealed under it.

        The key is at its new place, and was read back from there, before the configuration lets go of it. Where it was kept
        elsewhere before, it stays there as well.

        Args:
            vault: An alias on the vault, or "" for the one that is meant.
            place: Where the key is to be.
            dry_run: Only find out whether that would work.

        Raises:
            UsageError: The place names nothing, several things, or holds another key.
            LocalStateError: The key can't be kept there.
        """
        identity = self._workspace.identity_of(vault)
        with self._workspace.file.updating() as configuration:
            self._workspace.vaults.remember(configuration, identity)
            known = configuration.grids[identity]
            if place is None:
                return _show(known.key_source)
            key = self._workspace.vaults.parse_key(known)
            source = _source_of(place, key)
            if source is not None:
                self._require_key(source, place, key, dry_run=dry_run)
            if not dry_run:
                self._workspace.sealed.move_key(configuration, identity, source)
            return _show(source)

    def _require_key(self, source: KeySource, place: KeyPlace, key: VaultKey, *, dry_run: bool) -> None:
        """See to it that the key is found at a place; put it there if nothing is."""
        secrets = self._workspace.secrets
        if self._is_empty(place):
            if dry_run:
                return
            if place.file is not None:
                write_new_private_file(Path(source.file), f"{key.danger_whole_text()}\n".encode())
            else:
                secrets.tell_keyring(source.keyring, key.danger_whole_text())
        try:
            found = parse_vault_key(self._workspace.vaults.ask(source))
        except MalformedCapError as error:
            raise UsageError(f"{source}: there is something else than a vault key ({error})") from error
        if found != key:
            raise UsageError(f"{source}: this is another vault key; nothing was changed")

    def _is_empty(self, place: KeyPlace) -> bool:
        if place.file is not None:
            return not os.path.lexists(place.file)
        return place.keyring is not None and not self._workspace.secrets.is_in_keyring(place.keyring)


def _source_of(place: KeyPlace, key: VaultKey) -> KeySource | None:
    named = [place.file, place.command, place.keyring, "configuration" if place.is_configuration else None]
    if sum(each is not None for each in named) != 1 or "" in named:
        raise UsageError("give one of --file, --command, --keyring and --configuration")
    if place.is_configuration:
        return None
    file = "" if place.file is None else os.path.abspath(place.file)
    return KeySource(key.mark, file, place.command or "", place.keyring or "")


def _show(source: KeySource | None) -> str:
    return "the configuration" if source is None else str(source)
