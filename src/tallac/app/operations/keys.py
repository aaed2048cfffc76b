"""Vault keys, and the ways to get at them: passphrases, key sources, recovery kits."""

from __future__ import annotations

from collections.abc import Callable

from tallac.app.operations.key_source import KeySources
from tallac.app.operations.passphrases import UserPassphrases
from tallac.app.operations.recovery import Recovery
from tallac.app.workspace import Workspace
from tallac.errors import AuthorityError
from tallac.vault.format.keys import KeeperKey, LocatorKey


class Keys:
    """Hands out vault keys; the rest is in its attributes.

    Attributes:
        passphrases: Sets, lists and removes passphrases.
        sources: Reports where vault keys are kept, and moves them.
        recovery: Connects to a vault by passphrase or recovery kit, and makes such kits.
    """

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self.passphrases = UserPassphrases(workspace, warn)
        self.sources = KeySources(workspace)
        self.recovery = Recovery(workspace, warn)

    def locator_key(self, alias: str) -> LocatorKey:
        """Return the key that a holder of a read cap needs beside it."""
        return self._workspace.vault_key(alias).locator_key

    def keeper_key(self, alias: str) -> KeeperKey:
        """Return the key that checks, prunes and copies a vault, and reads nothing.

        Raises:
            AuthorityError: Only a locator key is known here.
        """
        key = self._workspace.vault_key(alias)
        if isinstance(key, LocatorKey):
            raise AuthorityError(
                f"{alias}: only the locator key of its vault is known here; ask the vault's owner for the keeper key"
            )
        return key.keeper_key
