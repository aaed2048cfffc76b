"""Check everything below one cap."""

from __future__ import annotations

from tallac.caps import Cap
from tallac.interfaces import CheckProgress, CheckReport
from tallac.vault.check.reachable import CapCheck
from tallac.vault.components import VaultComponents
from tallac.vault.reading.object_reader import Finder, ObjectReader


def check_below(
    components: VaultComponents,
    cap: Cap,
    *,
    read_data: bool,
    progress: CheckProgress | None = None,
    finder: Finder | None = None,
) -> CheckReport:
    """Check what hangs below a cap, over a fresh index and the packs that are there.

    Args:
        components: The vault.
        cap: Of any kind.
        read_data: Read all content, too.
        progress: Called now and then with the report so far.
        finder: Looks objects up; None for the index itself.
    """
    components.index.refresh()
    components.index.look_at_packs()
    # A reader of its own: what another one has kept of a pack may be gone from the store.
    reader = ObjectReader(components.backend, components.locator, finder or components.index, only_present=True)
    check = CapCheck(reader, components.slots, components.index, components.locator, read_data=read_data, progress=progress)
    check.check(cap)
    return check.report
