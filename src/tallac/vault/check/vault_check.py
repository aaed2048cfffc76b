"""Check a vault as a whole: its own structure, its packs, and what hangs below a cap or below all roots."""

from __future__ import annotations

from tallac.caps import Cap, MutableDirectoryVerify, VerifyCap
from tallac.errors import DamageError
from tallac.interfaces import CheckProgress, CheckReport
from tallac.vault.check.below import check_contents, with_paths
from tallac.vault.check.by_links import LinkCheck, top_link
from tallac.vault.check.options import CheckOptions
from tallac.vault.check.read_data_progress import ReadDataProgress
from tallac.vault.check.structure import StructureCheck, asked_together
from tallac.vault.check.write_caps import check_write_caps
from tallac.vault.components import VaultComponents
from tallac.vault.distance import at_hand, fetched


def structure_check(components: VaultComponents, progress: CheckProgress | None = None) -> StructureCheck:
    """Prepare a check of what belongs to no single cap."""
    return StructureCheck(components, progress)


def check_vault(
    components: VaultComponents, cap: Cap | None, options: CheckOptions, progress: CheckProgress | None = None
) -> CheckReport:
    """Check the vault's structure, the chosen packs, and what hangs below a cap; without one, below all roots.

    The packs come first: what hangs below the caps is then looked up with the knowledge of what is damaged, so that each path, or
    without a read cap each object, is named that is hit. With a keeper key this takes no cap, and opens no content. With a write
    cap, the write caps below it are compared with the read caps beside them.

    Raises:
        AuthorityError: The cap was issued by another grid.
        StoreError: The store can't be asked.
    """
    structure = structure_check(components, progress)
    listed = structure.look()
    with fetched(components.backend, list(asked_together(listed))):
        structure.check(listed, None if options.share is None else ReadDataProgress(options.share, components.state.folder))
        return _check_links(components, cap, options, progress, structure)


def _check_links(
    components: VaultComponents, cap: Cap | None, options: CheckOptions, progress: CheckProgress | None, structure: StructureCheck
) -> CheckReport:
    """Check what hangs below a cap, or below all roots, and add what the structure check has found."""
    components.index.refresh()
    # Where packs were stored since the listing was made, or it is old, `LinkCheck` looks again.
    components.index.look_at_packs(structure.listed_packs if options.share is None else None)
    tops = [top_link(each) for each in (_roots(components, structure) if cap is None else [cap])]
    links = LinkCheck(components, wrong=structure.wrong_objects, progress=progress)
    # At most: some may hang from elsewhere, or from nothing.
    links.report.objects_total = components.index.count()
    links.check(tops)
    below = links.report
    # That bytes are those that were stored, the packs have shown. Whether they were the right ones only others can be asked.
    foreign = components.index.packs().keys() - set(components.own_packs.names())
    opens = options.opens_content and bool(foreign)
    if cap is not None and not isinstance(cap, VerifyCap) and (opens or not below.is_healthy):
        contents = check_contents(
            components, cap, read_data=opens, progress=progress, wrong=structure.wrong_objects, foreign_packs=foreign
        )
        below = with_paths(below, contents)
    if below.is_healthy:
        # All that lies in them and was reached was read, and is right.
        unaffected = "no file or directory is affected" if cap is None else "nothing below what was checked is affected"
        if cap is not None or components.keeper_key is not None:
            structure.add_to_damaged_packs(unaffected)
    check_write_caps(components.slots, cap, below)
    return below.with_structure(structure.report)


def _roots(components: VaultComponents, structure: StructureCheck) -> list[Cap]:
    """Return the verify caps of all mutable directories; none without a keeper key."""
    if components.keeper_key is None or components.roots is None:
        return []
    try:
        known = components.roots.read()
    except DamageError:
        known = []  # The structure check has named it.
    roots: dict[MutableDirectoryVerify, None] = dict.fromkeys(known)
    paths = at_hand(components.backend, structure.listed_slots.items())
    roots.update(dict.fromkeys(components.slots.all_roots(components.keeper_key, paths)))
    return list(roots)
