"""Check a vault as a whole: its own parts, its packs, and what hangs below a cap or below all roots."""

from __future__ import annotations

from collections.abc import Callable

from tallac.caps import Cap, MutableDirectoryVerify, VerifyCap
from tallac.errors import DamageError
from tallac.interfaces import CheckReport
from tallac.vault.check.options import CheckOptions
from tallac.vault.check.reachable import CapCheck
from tallac.vault.check.read_data_progress import ReadDataProgress
from tallac.vault.check.structure import StructureCheck
from tallac.vault.components import VaultParts
from tallac.vault.reading.object_reader import ObjectReader

Progress = Callable[[CheckReport], None]


def structure_check(parts: VaultParts) -> StructureCheck:
    """Prepare a check of a vault's own parts."""
    return StructureCheck(
        parts.backend,
        parts.identity,
        parts.locator,
        parts.keeper_key,
        parts.slots,
        parts.roots,
        parts.index_register,
        parts.index_store,
    )


def check_vault(parts: VaultParts, cap: Cap | None, options: CheckOptions, progress: Progress | None) -> CheckReport:
    """See `VaultChecker`.

    The packs come first: what hangs below the caps is then looked up with the knowledge of what is damaged, so that each path, or
    without a read cap each object, is named that is hit.
    """
    frame = structure_check(parts)
    frame.check(None if options.share is None else ReadDataProgress(options.share, parts.state.folder), progress)
    parts.index.refresh()
    parts.index.look_at_packs()
    # A reader of its own: what another one has kept of a pack may be gone from the store.
    reader = ObjectReader(parts.backend, parts.locator, parts.index, only_present=True)
    below = CapCheck(
        reader,
        parts.slots,
        parts.index,
        parts.locator,
        # Without a read cap there is no content to be opened, and the packs were read just now.
        read_data=options.opens_content and cap is not None and not isinstance(cap, VerifyCap),
        damaged_packs=frozenset(frame.damaged_packs),
        progress=progress,
    )
    for each in _roots(parts) if cap is None else [cap]:
        below.check(each)
    return _together(below.report, frame.report)


def _roots(parts: VaultParts) -> list[Cap]:
    """Give the verify caps of all mutable directories; none to whoever has no keeper key."""
    if parts.keeper_key is None or parts.roots is None:
        return []
    try:
        known = parts.roots.read()
    except DamageError:
        known = []  # The check of the frame has named it.
    roots: dict[MutableDirectoryVerify, None] = dict.fromkeys(known)
    roots.update(dict.fromkeys(parts.slots.all_roots(parts.keeper_key)))
    return list(roots)


def _together(report: CheckReport, frame: CheckReport) -> CheckReport:
    """Add up, without saying twice that a slot is damaged."""
    said = {finding.message for finding in report.findings}
    return CheckReport(
        files=report.files,
        directories=report.directories,
        objects=report.objects + frame.objects,
        bytes_read=report.bytes_read + frame.bytes_read,
        bytes_total=frame.bytes_total,
        findings=report.findings + [each for each in frame.findings if each.stored or each.message not in said],
    )
