"""What a keeper does for a vault that may not be read."""

from __future__ import annotations

from collections.abc import Callable

from tallac.connect.connection import Connection
from tallac.connect.location import backend_at
from tallac.errors import UsageError
from tallac.interfaces import CheckReport
from tallac.vault import PruneOptions, Pruner, PruneReport, Scrub


class Keeping:
    """The part of `tallac.Client` that needs no more than a keeper key."""

    connection: Connection

    def prune(
        self, alias: str = "", options: PruneOptions | None = None, *, progress: Callable[[PruneReport], None] | None = None
    ) -> PruneReport:
        """Delete what nothing leads to in the vault of an alias; without one, in the vault that is meant where no place says it.

        Raises:
            AuthorityError: Only a locator key is known.
            UsageError: The place is more than an alias, or its grid has no prune.
            DamageError: Something in use can't be followed; nothing was deleted.
        """
        if alias:
            grid, place = self.connection.resolve(alias if ":" in alias else f"{alias}:")
            if place.path:
                raise UsageError(f"{alias}: a prune goes over the whole vault; give the alias alone, as in `tallac prune home:`")
        else:
            grid = self.connection.default_grid()
        if not isinstance(grid, Pruner):
            raise UsageError(f"{alias or 'this grid'}: there is nothing to prune on a grid of this kind")
        return grid.prune(options or PruneOptions(), progress=progress)

    def scrub(self, location: str, *, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Compare whatever names itself in the vault at a folder, a URL or an alias with its name; no key is needed.

        Raises:
            NotAVaultError: There is no vault.
        """
        run = Scrub(backend_at(self.connection.location_of(location)), progress)
        run.run()
        return run.report
