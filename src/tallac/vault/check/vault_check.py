"""Check a vault as a whole: its own structure, its packs, and what hangs below a cap or below all roots."""

from __future__ import annotations

from tallac.caps import Cap, MutableDirectoryVerify, VerifyCap
from tallac.errors import DamageError
from tallac.interfaces import CheckProgress, CheckReport
from tallac.vault.check.options import CheckOptions
from tallac.vault.check.reachable import CapCheck
from tallac.vault.check.read_data_progress import ReadDataProgress
from tallac.vault.check.structure import StructureCheck
from tallac.vault.components import VaultComponents
from tallac.vault.reading.object_reader import ObjectReader


def structure_check(components: VaultComponents, progress: CheckProgress | None = None) -> StructureCheck:
    """Prepare a check of what belongs to no single cap."""
    return StructureCheck(
        components.backend,
        components.identity,
        components.locator,
        components.keeper_key,
        components.slots,
        components.roots,
        components.index_register,
        components.index_store,
        progress,
    )


def check_vault(
    components: VaultComponents, cap: Cap | None, options: CheckOptions, progress: CheckProgress | None = None
) -> CheckReport:
    """Check the vault's structure, the chosen packs, and what hangs below a cap; without one, below all roots.

    The packs come first: what hangs below the caps is then looked up with the knowledge of what is damaged, so that each path, or
    without a read cap each object, is named that is hit. With a keeper key this takes no cap, and opens no content.

    Raises:
        AuthorityError: The cap was issued by another grid.
        StoreError: The store can't be asked.
    """
    structure = structure_check(components, progress)
    structure.check(None if options.share is None else ReadDataProgress(options.share, components.state.folder))
    components.index.refresh()
    components.index.look_at_packs()
    # A reader of its own: what another one has kept of a pack may be gone from the store.
    reader = ObjectReader(components.backend, components.locator, components.index, only_present=True)
    below = CapCheck(
        reader,
        components.slots,
        components.index,
        components.locator,
        # Without a read cap there is no content to be opened, and the packs were read just now.
        read_data=options.opens_content and cap is not None and not isinstance(cap, VerifyCap),
        damaged_packs=frozenset(structure.damaged_packs),
        progress=progress,
    )
    # At most: some may hang from elsewhere, or from nothing.
    below.report.objects_total = components.index.count()
    for each in _roots(components) if cap is None else [cap]:
        below.check(each)
    if below.report.is_healthy:
        # All that lies in them and was reached was read, and is right.
        unaffected = "no file or directory is affected" if cap is None else "nothing below what was checked is affected"
        if cap is not None or components.keeper_key is not None:
            structure.add_to_damaged_packs(unaffected)
    return below.report.with_structure(structure.report)


def _roots(components: VaultComponents) -> list[Cap]:
    """Return the verify caps of all mutable directories; none without a keeper key."""
    if components.keeper_key is None or components.roots is None:
        return []
    try:
        known = components.roots.read()
    except DamageError:
        known = []  # The structure check has named it.
    roots: dict[MutableDirectoryVerify, None] = dict.fromkeys(known)
    roots.update(dict.fromkeys(components.slots.all_roots(components.keeper_key)))
    return list(roots)
