"""Vault keys, and the ways to get at them: passphrases, key sources, recovery kits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from tallac.app.operations.key_source import KeySources
from tallac.app.workspace import Workspace
from tallac.errors import AuthorityError
from tallac.vault.format.keys import KeeperKey, LocatorKey

if TYPE_CHECKING:
    from tallac.app.operations.passphrases import UserPassphrases
    from tallac.app.operations.recovery import Recovery


class Keys:
    """Hands out vault keys; the rest is in its attributes.

    Attributes:
        passphrases: Sets, lists and removes passphrases.
        sources: Reports where vault keys are kept, and moves them.
        recovery: Connects to a vault by passphrase or recovery kit, and makes such kits.
    """

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._warn = warn
        self.sources = KeySources(workspace)

    @cached_property
    def passphrases(self) -> UserPassphrases:
        """Sets, lists and removes passphrases."""
        from tallac.app.operations.passphrases import UserPassphrases  # lazy import: loads the ciphers

        return UserPassphrases(self._workspace, self._warn)

    @cached_property
    def recovery(self) -> Recovery:
        """Connects to a vault by passphrase or recovery kit, and makes such kits."""
        from tallac.app.operations.recovery import Recovery  # lazy import: loads the ciphers

        return Recovery(self._workspace, self._warn)

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
