"""The caches of distant vaults, as a user sees them: shown, cleared, limited."""

from __future__ import annotations

from tallac.app.locations.urls import is_store, show_location
from tallac.app.workspace import Workspace
from tallac.backends.store_cache import CacheReport
from tallac.errors import UsageError


class VaultCaches:
    """The caches of all vaults that this user reaches over a line."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def reports(self) -> list[CacheReport]:
        """Return what each holds, the largest first."""
        return self._workspace.caches.reports()

    def clear(self, vault: str = "") -> int:
        """Delete the cache of a vault, an alias or a location, or of all; return how many bytes that frees.

        Raises:
            UsageError: The vault is none that is reached over a line.
        """
        url = self._workspace.location_of(vault) if vault else None
        if url is not None and not is_store(url):
            raise UsageError(
                f"{show_location(url)}: nothing is kept of a vault in a folder; name one in an object store or over SFTP"
            )
        return self._workspace.caches.clear(url)

    @property
    def limit(self) -> int:
        """How many bytes each may take."""
        return self._workspace.caches.size_max

    def set_limit(self, size: int) -> int:
        """Remember how many bytes each may take, 0 for none; what is too much goes when a vault is used next."""
        with self._workspace.file.updating() as configuration:
            configuration.cache_size = size
        if size == 0:
            self.clear()
        return size
