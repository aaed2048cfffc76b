"""What a keeper does for a vault that may not be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from msgspec.structs import replace

from tallac.app.locations.urls import backend_at, is_absent
from tallac.app.locations.vaults import require_vault, vault_of
from tallac.app.workspace import Connection
from tallac.backends.memory import MemoryBackend
from tallac.caps import Cap, DirectoryWriteCap, VerifyCap, WriteCap
from tallac.errors import AuthorityError, CorruptObjectError, UsageError, VaultNotFoundError
from tallac.interfaces import Backend, CheckReport
from tallac.transfer import find
from tallac.vault.check.options import CheckOptions, PackSubset
from tallac.vault.format.header import mend_headers, read_identity
from tallac.vault.format.keys import KeeperKey, WriterKey
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.vault.prune.stats_report import VaultStats
from tallac.vault.repair.report import RepairOptions, RepairReport


class Keeping:
    """The part of `tallac.Client` that needs no more than a keeper key."""

    connection: Connection

    def check(
        self,
        place: str = "",
        *,
        read_data: bool = False,
        share: PackSubset | None = None,
        progress: Callable[[CheckReport], None] | None = None,
    ) -> CheckReport:
        """Check all that hangs below a place, which may be a verify cap; for an alias itself, also the structure of the vault.

        Args:
            place: Without one, and where the vault is given by itself, all of it is checked, with a keeper key from all roots.
            read_data: Read everything that hangs there.
            share: Read whole packs instead, those that this says.
            progress: Is told how far it is.

        Raises:
            UsageError: Whole packs are to be read, and the grid is no vault.
            AuthorityError: The cap was issued by another grid, or is of an unknown kind.
            StoreError: The store can't be asked.
        """
        if not place and self.connection.is_grid_given:
            grid, cap, is_whole = self.connection.default_grid(), None, True
        else:
            grid, located = self.connection.resolve(place)
            cap = located.cap if located.name is None else find(grid, located).cap
            is_whole = located.name is None and isinstance(located.cap, DirectoryWriteCap)
        # A check needs no more than reading.
        below = cap.read_cap if isinstance(cap, WriteCap) else cap
        vault = vault_of(grid)
        if vault is not None and (is_whole or share is not None):
            from tallac.vault.check.vault_check import check_vault  # late import: a backup need not wait for it

            if read_data and share is None:
                share = PackSubset()
            return check_vault(vault.components, below, CheckOptions(share, opens_content=read_data), progress)
        if share is not None or below is None:
            raise UsageError("this grid has no packs to be read: check an ALIAS:PATH, with or without --read-data")
        report = grid.check(below, read_data=read_data, progress=progress)
        if is_whole:
            report = report.with_structure(grid.check_structure(read_data=read_data, progress=progress))
        return report

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
        from tallac.vault.prune.prune import Prune  # late import: a backup need not wait for it

        vault = require_vault(grid, f"{alias or 'this grid'}: there is nothing to prune on a grid of this kind")
        return Prune(vault.components, options or PruneOptions(), progress).run()

    def keeper_stats(self, alias: str = "") -> VaultStats:
        """Count what the vault of an alias takes and what for; without one, in the vault that is meant where no place says it.

        Raises:
            AuthorityError: Only a locator key is known.
            UsageError: The place is more than an alias, or its grid is no vault.
        """
        if alias:
            grid, place = self.connection.resolve(alias if ":" in alias else f"{alias}:")
            if place.path:
                raise UsageError(f"{alias}: this counts a whole vault: give the alias alone; for a target there is `tallac stats`")
        else:
            grid = self.connection.default_grid()
        from tallac.vault.prune.vault_stats import vault_stats  # late import: a backup need not wait for it

        vault = require_vault(grid, f"{alias or 'this grid'}: this is no vault; `tallac stats` counts what is in a target")
        return vault_stats(vault.components)

    def repair(
        self,
        alias: str = "",
        *,
        mirror: str | None = None,
        options: RepairOptions | None = None,
        progress: Callable[[RepairReport], None] | None = None,
    ) -> RepairReport:
        """Put right what is damaged in the vault of an alias, or in the one that is meant where no place says it.

        Args:
            alias: The alias, with or without its colon.
            mirror: A copy of the vault to get things from: a folder, a URL or an alias.
            options: How to repair; its mirror is the one above.
            progress: Is told how far it is.

        Raises:
            As `tallac.vault.repair.repair.Repair`.
        """
        options = options or RepairOptions()
        if mirror is not None:
            options = replace(options, mirror=backend_at(self.connection.location_of(mirror)))
        if alias:
            alias = alias if ":" in alias else f"{alias}:"
            if not alias.endswith(":"):
                raise UsageError(f"{alias}: a repair goes over the whole vault; give the alias alone, as in `tallac repair home:`")
            headers = self._bring_back_headers(alias, options)
            if headers is not None and options.is_dry_run:
                return headers
            grid, _ = self.connection.resolve(alias)
        else:
            grid = self.connection.default_grid()
        from tallac.vault.repair.repair import Repair  # late import: a backup need not wait for it

        message = f"{alias or 'this grid'}: a grid of this kind is not repaired by Tallac; its own tools do that"
        components = require_vault(grid, message).components
        return Repair(components, options, progress).run(self.connection.read_caps(grid))

    def _bring_back_headers(self, alias: str, options: RepairOptions) -> RepairReport | None:
        """Write the headers anew where both are lost, but the configuration knows which vault it was; None where they are there."""
        url = self.connection.location_of(alias)
        backend = backend_at(url)
        try:
            read_identity(backend)
        except (VaultNotFoundError, CorruptObjectError):
            if not any(True for _ in backend.list("registers/")):
                raise
            mend_headers(backend, self.connection.identity_of(alias), is_dry_run=options.is_dry_run)
            return RepairReport(done=["written anew: both headers; what else is wrong shows after that"])
        return None

    def scrub(self, location: str, *, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Compare whatever names itself in the vault at a folder, a URL or an alias with its name; no key is needed.

        Raises:
            VaultNotFoundError: There is no vault.
        """
        from tallac.vault.check.scrub import Scrub  # late import: a backup need not wait for it

        run = Scrub(backend_at(self.connection.location_of(location)), progress)
        run.run()
        return run.report

    def copy_vault(
        self,
        source: str,
        mirror: str,
        options: MirrorOptions | None = None,
        *,
        only: Sequence[str] = (),
        progress: Callable[[MirrorReport], None] | None = None,
    ) -> MirrorReport:
        """Copy what the mirror lacks of the vault at a folder, a URL or an alias, to a folder, which is made, or a URL.

        Raises:
            UsageError: Both are the same place.
            As `tallac.vault.mirror.full.VaultCopy.run`.
        """
        from tallac.vault.mirror.full import VaultCopy  # late import: a backup need not wait for it
        from tallac.vault.mirror.partial import PartialCopy  # late import: likewise
        from tallac.vault.mirror.rollback_guard import MirrorMemory  # late import: likewise

        options = replace(options or MirrorOptions(), only=tuple(self._verify_cap(place) for place in only))
        source_url, mirror_url = self.connection.location_of(source), self.connection.location_of(mirror)
        if source_url == mirror_url:
            raise UsageError(f"{mirror}: the vault itself can't be its mirror; give another folder")
        backend = backend_at(source_url)
        key = self.connection.key_at(source_url)
        keeper = key.keeper_key if isinstance(key, WriterKey) else key
        if options.only:
            if not isinstance(keeper, KeeperKey):
                raise AuthorityError("a partial mirror takes the keeper key: give it with --vault-key")
            partial = PartialCopy(backend, _mirror_at(mirror_url, is_dry_run=options.is_dry_run), keeper, options, progress)
            partial.run()
            return partial.report
        memory = None
        if not options.is_dry_run:
            folder = self.connection.folders.state / read_identity(backend)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            memory = folder / f"mirror-{sha256(mirror_url.encode()).hexdigest()[:16]}.json"
        run = VaultCopy(
            backend,
            _mirror_at(mirror_url, is_dry_run=options.is_dry_run),
            keeper,
            MirrorMemory(memory),
            options,
            progress,
        )
        run.run()
        return run.report

    def _verify_cap(self, place: str) -> VerifyCap:
        """Give the verify cap of what is at a place; a cap may stand for itself, since a keeper has no more."""
        if place.startswith(("URI:", "@")):
            cap: Cap = self.connection.parse_cap(place)
        else:
            grid, located = self.connection.resolve(place)
            cap = located.cap if located.name is None else find(grid, located).cap
        verify_cap = cap.verify_cap
        if verify_cap is None:
            raise AuthorityError(f"{place}: nothing is stored for it that could be copied")
        return verify_cap


def _mirror_at(url: str, *, is_dry_run: bool) -> Backend:
    """Give the mirror's backend; a folder is made where it is missing, but for a dry run, which looks at an empty one instead."""
    if is_dry_run and is_absent(url):
        return MemoryBackend()
    backend = backend_at(url)
    if not is_dry_run and is_absent(url):
        backend.create()
    return backend
