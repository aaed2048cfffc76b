"""Check everything below one cap."""

from __future__ import annotations

from tallac.caps import Cap
from tallac.interfaces import CheckReport
from tallac.vault.check.reachable import CapCheck, Progress
from tallac.vault.components import VaultComponents
from tallac.vault.reading.object_reader import ObjectReader


def check_below(components: VaultComponents, cap: Cap, *, read_data: bool, progress: Progress | None = None) -> CheckReport:
    """Check what hangs below a cap, over a fresh index and the packs that are there."""
    components.index.refresh()
    components.index.look_at_packs()
    # A reader of its own: what another one has kept of a pack may be gone from the store.
    reader = ObjectReader(components.backend, components.locator, components.index, only_present=True)
    check = CapCheck(reader, components.slots, components.index, components.locator, read_data=read_data, progress=progress)
    check.check(cap)
    return check.report
