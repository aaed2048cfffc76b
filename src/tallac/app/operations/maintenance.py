"""Looking after vaults: check, prune, repair, scrub, mirror. A keeper does most of it without reading what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tallac.app.locations.urls import is_absent, is_store
from tallac.app.locations.vaults import require_vault, vault_of
from tallac.app.operations.mirror import VaultMirror
from tallac.app.workspace import Workspace
from tallac.caps import DirectoryWriteCap, WriteCap
from tallac.errors import CorruptObjectError, UsageError, VaultNotFoundError
from tallac.interfaces import CheckReport
from tallac.transfer.place import find
from tallac.vault.check.options import CheckOptions, PackSubset
from tallac.vault.check.scrub import Scrub
from tallac.vault.check.vault_check import check_vault
from tallac.vault.format.header import read_header, repair_headers
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.vault.mutable.pending_deletions import pending_deletions_of
from tallac.vault.packs.pack import pack_path
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.vault.prune.stats_report import VaultStats
from tallac.vault.prune.vault_stats import vault_stats
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions, RepairReport
from tallac.vault.vault import Vault

if TYPE_CHECKING:
    from tallac.app.operations.moving import MoveProgress, MoveReport
    from tallac.backends.probe_report import ProbeReport


class VaultMaintenance:
    """Checks, prunes, repairs and mirrors vaults, most of it with no more than a keeper key."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def check(
        self,
        place: str = "",
        *,
        read_data: bool = False,
        share: PackSubset | None = None,
        progress: Callable[[CheckReport], None] | None = None,
    ) -> CheckReport:
        """Check all that is reachable from a path, which may be a verify cap; for an alias itself, also the structure of the vault.

        Args:
            place: Without one, and if the vault is given by itself, all of it is checked; with a keeper key, from all roots.
            read_data: Read all of the data.
            share: Read whole packs instead, the chosen ones.
            progress: Called with the report so far.

        Raises:
            UsageError: Whole packs are to be read, and the grid is no vault.
            AuthorityError: The cap was issued by another grid, or is of an unknown kind.
            StoreError: The store can't be asked.
        """
        if not place and self._workspace.is_grid_given:
            grid, cap, is_whole = self._workspace.default_grid(), None, True
        else:
            grid, located = self._workspace.resolve(self._workspace.with_colon(place))
            cap = located.cap if located.name is None else find(grid, located).cap
            is_whole = located.name is None and isinstance(located.cap, DirectoryWriteCap)
        vault = vault_of(grid)
        # A check needs no more than reading; in a vault it looks at the write caps, too, that somebody can open.
        below = cap.read_cap if isinstance(cap, WriteCap) and vault is None else cap
        if vault is not None and (is_whole or share is not None):
            if read_data and share is None:
                share = PackSubset()
            found = check_vault(vault.components, below, CheckOptions(share, opens_content=read_data), progress)
            self._extend_locks(vault)
            return found
        if share is not None or below is None:
            raise UsageError("this grid has no packs: check an ALIAS:PATH, with or without --read-data")
        report = grid.check(below, read_data=read_data, progress=progress)
        if is_whole:
            report = report.with_structure(grid.check_structure(read_data=read_data, progress=progress))
        return report

    def deep_check(
        self,
        place: str,
        *,
        read_data: bool = False,
        repair: bool = False,
        add_lease: bool = False,
        progress: Callable[[CheckReport], None] | None = None,
    ) -> CheckReport:
        """Check all that is reachable from a path; on a Tahoe-LAFS grid repair it and renew its leases, where that is asked for.

        Raises:
            UsageError: A vault has neither repair of single objects nor leases.
        """
        from tallac.tahoe.grid import TahoeGrid  # lazy import: a command on a vault does without the web

        grid, located = self._workspace.resolve(place)
        cap = find(grid, located).cap
        if isinstance(grid, TahoeGrid):
            return grid.check_and_repair(cap, verify=read_data, repair=repair, add_lease=add_lease, progress=progress)
        if repair or add_lease:
            raise UsageError(
                f"{place}: this is in a vault, which `tallac repair` repairs and which has no "
                "leases; leave out --repair and --add-lease"
            )
        return grid.check(cap.read_cap if isinstance(cap, WriteCap) else cap, read_data=read_data, progress=progress)

    def prune(
        self, alias: str = "", options: PruneOptions | None = None, *, progress: Callable[[PruneReport], None] | None = None
    ) -> PruneReport:
        """Delete unreferenced data in the vault of an alias, or without one in the default vault.

        Raises:
            AuthorityError: Only a locator key is known.
            UsageError: The grid is no vault.
            DamageError: Something in use can't be followed; nothing was deleted.
        """
        vault = self.require_prunable(alias)
        options = options or PruneOptions()
        report = Prune(vault.components, options, progress).run()
        if not options.is_dry_run:
            report.locked_until = self._extend_locks(vault)
        return report

    def _extend_locks(self, vault: Vault) -> int:
        """Lock what is in use for longer, where that is wanted; return up to when the store may keep what was deleted."""
        url = self._workspace.vaults.location_of(self._workspace.file.read(), vault.identity)
        if not is_store(url):
            return 0
        parts = vault.components

        def passed_over() -> set[str]:
            pending = () if parts.keeper_key is None else pending_deletions_of(parts.pending_register().read()).packs
            return {pack_path(pack) for pack in pending}

        return self._workspace.backends.extend_locks(url, passed_over)

    def require_prunable(self, alias: str = "") -> Vault:
        """Return the vault of an alias, or without one the default vault.

        Raises:
            UsageError: The grid is no vault.
        """
        return require_vault(self._workspace.resolve_vault(alias), f"{alias or 'this grid'}: only vaults can be pruned")

    def stats(self, alias: str = "") -> VaultStats:
        """Report what the vault of an alias, or without one the default vault, takes and what for.

        Raises:
            AuthorityError: Only a locator key is known.
            UsageError: The grid is no vault.
        """
        grid = self._workspace.resolve_vault(alias)
        vault = require_vault(grid, f"{alias or 'this grid'}: not a vault; `tallac stats` works on a target")
        return vault_stats(vault.components)

    def repair(
        self,
        alias: str = "",
        *,
        mirror: str | None = None,
        options: RepairOptions | None = None,
        progress: Callable[[RepairReport], None] | None = None,
    ) -> RepairReport:
        """Repair damage in the vault of an alias, or without one in the default vault.

        Args:
            alias: The alias, with or without its colon.
            mirror: A copy of the vault to get things from: a folder, a URL or an alias.
            options: How to repair; its mirror is the one above.
            progress: Called with the report so far.

        Raises:
            As `tallac.vault.repair.repair.Repair`.
        """
        options = options or RepairOptions()
        if mirror is not None:
            options = replace(options, mirror=self._workspace.backends.at(self._workspace.location_of(mirror)))
        if alias:
            alias = f"{alias.partition(':')[0]}:"
        headers = self._bring_back_headers(alias, is_dry_run=options.is_dry_run)
        if headers and options.is_dry_run:
            return RepairReport(done=[f"{headers}; run the repair again to find other damage"])
        grid = self._workspace.resolve_vault(alias)
        message = f"{alias or 'this grid'}: Tallac repairs vaults only; use the grid's own tools"
        components = require_vault(grid, message).components
        report = Repair(components, options, progress).run(list(self._workspace.read_caps(grid).values()))
        report.done[:0] = [headers] if headers else []
        return report

    def _bring_back_headers(self, alias: str, *, is_dry_run: bool) -> str:
        """Write both headers anew if they are lost, and the writer key or this machine knows them; return what was done."""
        url = self._workspace.vault_url(alias)
        if url is None or is_absent(url):
            return ""
        backend = self._workspace.backends.at(url)
        try:
            read_header(backend)
        except (VaultNotFoundError, CorruptObjectError) as error:
            if not any(True for _ in backend.list("registers/")):
                return ""  # There is none; whatever opens it says so.
            header = self._workspace.remembered_header(url)
            if header is None:
                raise CorruptObjectError(
                    f"{error}; only the writer key, or a machine that has used this vault before, can bring the header back"
                ) from error
            repair_headers(backend, header, is_dry_run=is_dry_run)
            return "rewritten: both headers"
        return ""

    def scrub(self, location: str, *, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Compare each object of a vault, given as a folder, a URL or an alias, with the hash in its name; no key is needed.

        Raises:
            VaultNotFoundError: There is no vault.
        """
        run = Scrub(self._workspace.backends.at(self._workspace.location_of(location)), progress)
        run.run()
        return run.report

    def check_store(self, location: str, *, quickly: bool = False, progress: Callable[[str], None] = lambda _: None) -> ProbeReport:
        """Try out whether the store at a location does what a vault relies on; see `StoreCheck.run`."""
        from tallac.app.operations.store_check import StoreCheck  # lazy import: no other command needs it

        return StoreCheck(self._workspace).run(location, quickly=quickly, progress=progress)

    def mirror(
        self,
        source: str,
        mirror: str,
        options: MirrorOptions | None = None,
        *,
        only: Sequence[str] = (),
        progress: Callable[[MirrorReport], None] | None = None,
    ) -> MirrorReport:
        """Copy to a mirror what it lacks of a vault; see `VaultMirror.run`."""
        return VaultMirror(self._workspace).run(source, mirror, options or MirrorOptions(), only=only, progress=progress)

    def move(
        self,
        source: str,
        target: str,
        *,
        copies: bool = True,
        is_dry_run: bool = False,
        progress: MoveProgress | None = None,
    ) -> MoveReport:
        """Copy a vault to another place, and use it there from then on; see `VaultMove.run`."""
        from tallac.app.operations.moving import VaultMove  # lazy import: no other command needs it

        return VaultMove(self._workspace).run(source, target, copies=copies, is_dry_run=is_dry_run, progress=progress)
