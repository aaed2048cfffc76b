"""What the command offers, for programs: the same names, values instead of printed lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Self

from tallac.app.configuration.folders import Folders
from tallac.app.locations.grid_options import GridChoice
from tallac.app.operations.backup import BackingUp
from tallac.app.operations.gateway import Serving
from tallac.app.operations.inspect import Looking
from tallac.app.operations.key_source import KeyPlacing
from tallac.app.operations.maintenance import Keeping
from tallac.app.operations.passphrases import Unlocking
from tallac.app.operations.recovery import Connecting
from tallac.app.operations.restore import Restoring
from tallac.app.operations.snapshots import Retaining
from tallac.app.operations.transfer import Transferring
from tallac.app.operations.tree import GridWide
from tallac.app.workspace import Connection
from tallac.caps import ReadCap, WriteCap
from tallac.errors import AuthorityError
from tallac.transfer import (
    find,
    find_strongest,
)
from tallac.vault.format.keys import KeeperKey, LocatorKey


def _say_nothing(_message: str) -> None:
    pass


class Client(BackingUp, Retaining, Keeping, Serving, Looking, Unlocking, Connecting, KeyPlacing, Transferring, Restoring, GridWide):
    """A user's Tallac: places are written as on the command line, `ALIAS:PATH` or with a cap in place of the alias.

    Use it in a `with` block, or close it. Not thread-safe. Methods raise TallacErrors whose message is meant for the user.

    Attributes:
        connection: Opens what the configuration names.
    """

    def __init__(
        self,
        folders: Folders | None = None,
        *,
        grid: str | None = None,
        vault_key_file: str | None = None,
        vault_key_command: str | None = None,
        node_directory: str | None = None,
        node_url: str | None = None,
        standard_input: BinaryIO | None = None,
        warn: Callable[[str], None] = _say_nothing,
    ) -> None:
        """Use the user's own folders, or others; nothing is opened yet.

        Args:
            folders: Where configuration, state and default vault are.
            grid: A vault's folder or URL, where no alias says it.
            vault_key_file: Where to read the key of a vault that the configuration does not know; `-` for standard input.
            vault_key_command: A command that prints it.
            node_directory: A Tahoe-LAFS node's folder, for its grid and aliases.
            node_url: A Tahoe-LAFS node's URL, for its grid.
            standard_input: What `-` stands for.
            warn: Told what did not work and can wait.
        """
        self.warn = warn
        self.standard_input = standard_input
        choice = GridChoice(grid, vault_key_file, node_directory, node_url, vault_key_command)
        self.connection = Connection(folders or Folders.standard(), choice, standard_input=standard_input)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        self.connection.close()

    # Aliases, caps and keys

    def create_alias(self, name: str) -> str:
        """Make a new directory and an alias for it; say where a vault was made for it, "" where there was one."""
        made = self.connection.create_alias(name)
        self.seal_alias(name)
        return made

    def add_alias(self, name: str, cap: str) -> None:
        """Remember a cap under a name."""
        self.connection.add_alias(name, self.connection.parse_cap(cap))
        self.seal_alias(name)

    def list_aliases(self) -> list[tuple[str, str]]:
        """List aliases, each with the place of its grid."""
        return self.connection.aliases()

    def cap(self, place: str) -> ReadCap:
        """Give the read cap of what is at a place."""
        grid, located = self.connection.resolve(place)
        return find(grid, located).cap

    def write_cap(self, place: str) -> WriteCap:
        """Give the write cap of what is at a place.

        Raises:
            AuthorityError: It can't be changed.
        """
        grid, located = self.connection.resolve(place)
        cap, _ = find_strongest(grid, located)
        if not isinstance(cap, WriteCap):
            raise AuthorityError(f"{located}: it has no write cap, because it can't be changed")
        return cap

    def locator_key(self, alias: str) -> LocatorKey:
        """Give the key that a holder of a read cap needs beside it."""
        return self.connection.vault_key(alias).locator_key

    def keeper_key(self, alias: str) -> KeeperKey:
        """Give the key that checks, prunes and copies a vault, and reads nothing.

        Raises:
            AuthorityError: Only a locator key is known here.
        """
        key = self.connection.vault_key(alias)
        if isinstance(key, LocatorKey):
            raise AuthorityError(
                f"{alias}: only the locator key of its vault is known here; ask the vault's owner for the keeper key"
            )
        return key.keeper_key
