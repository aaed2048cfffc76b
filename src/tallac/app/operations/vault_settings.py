"""The settings of a vault, which all of its clients find there."""

from __future__ import annotations

from tallac.app.locations.vaults import require_vault
from tallac.app.workspace import Workspace
from tallac.errors import UsageError
from tallac.interfaces import Grid
from tallac.interfaces.compressing import CompressingGrid, Compression

_NOT_HERE = "a Tahoe-LAFS grid stores everything as it is; only a vault compresses"


class VaultSettings:
    """Reads and changes them."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def compression(self, alias: str = "") -> Compression:
        """Return how much is compressed in the vault of an alias, or without one in the default vault.

        Raises:
            UsageError: It is no vault.
            StoreError: The settings can't be read.
        """
        return require_vault(self._workspace.resolve_vault(alias), _NOT_HERE).components.settings.compression()

    def set_compression(self, compression: Compression, alias: str = "") -> None:
        """Make all clients of the vault compress so much from now on; durable when this returns.

        Raises:
            AuthorityError: Only a locator key is known.
            UsageError, StoreError: As `compression`.
        """
        set_compression(self._workspace.resolve_vault(alias), compression)


def set_compression(grid: Grid, compression: Compression) -> None:
    """Write into a vault's settings how much its clients compress. Raises as `VaultSettings.set_compression`."""
    require_vault(grid, _NOT_HERE).components.settings.set_compression(compression)


def choose_compression(grid: Grid, compression: Compression | None) -> None:
    """Make this client compress so much from now on, whatever the settings say; as they say with None.

    Raises:
        UsageError: The grid is no vault, and something was chosen.
    """
    if isinstance(grid, CompressingGrid):
        grid.choose_compression(compression)
    elif compression is not None:
        raise UsageError(f"--compression {compression}: {_NOT_HERE}")
