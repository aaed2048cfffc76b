"""What a vault takes and what for, as a keeper sees it: by kind of object, without a look at any content."""

from __future__ import annotations

from collections.abc import Callable

from tallac.errors import DamageError
from tallac.vault.components import VaultParts
from tallac.vault.format.keys import KeeperKey
from tallac.vault.index.index_objects import INDEX_PREFIX
from tallac.vault.mutable.pending_deletions import NO_PENDING_DELETIONS, pending_deletions_of
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.slots import SLOT_PREFIX
from tallac.vault.packs.damaged import DAMAGED_PREFIX
from tallac.vault.packs.pack import PACK_PREFIX
from tallac.vault.prune.mark import Marker, Marks
from tallac.vault.prune.plan import Survey
from tallac.vault.prune.session_watch import SessionWatch, links_in_use
from tallac.vault.prune.stats_report import CHUNKS, DIRECTORIES, LISTS, UNUSED, SessionStats, VaultStats


def vault_stats(parts: VaultParts, keeper: KeeperKey) -> VaultStats:
    """See `StatsSource`."""
    figures = VaultStats(parts.identity)
    _count_stored(parts, figures)
    _try(figures, lambda: _count_pending(parts, keeper, figures))
    _try(figures, lambda: _count_objects(parts, keeper, figures))
    return figures


def _try(figures: VaultStats, count: Callable[[], None]) -> None:
    """Count what can be counted in a damaged vault."""
    try:
        count()
    except DamageError as error:
        figures.trouble = figures.trouble or str(error)


def _count_stored(parts: VaultParts, figures: VaultStats) -> None:
    places = {PACK_PREFIX: "packs", INDEX_PREFIX: "index", SLOT_PREFIX: "slots", DAMAGED_PREFIX: "aside"}
    for item in parts.backend.list(""):
        kind = next((kind for prefix, kind in places.items() if item.name.startswith(prefix)), "other")
        figures.stored[kind].add(item.size)


def _count_pending(parts: VaultParts, keeper: KeeperKey, figures: VaultStats) -> None:
    register = Register(parts.backend, "quarantine", keeper.roots, parts.memory, parts.randomness)
    for entry in pending_deletions_of(register.read()).packs.values():
        if entry.is_decided:
            figures.decided_packs += 1
        else:
            figures.proposed_packs += 1


def _count_objects(parts: VaultParts, keeper: KeeperKey, figures: VaultStats) -> None:
    figures.roots = len(parts.require_roots().read())
    sessions = SessionWatch(parts.backend, keeper.roots, parts.randomness, parts.clock).read()
    figures.sessions = [SessionStats(each.path, each.record.state.value, each.record.started_ns) for each in sessions]
    quarantine = Register(parts.backend, "quarantine", keeper.roots, parts.memory, parts.randomness)
    marker = Marker(parts.backend, keeper, parts.index, parts.slots, parts.require_roots(), quarantine)
    marks = marker.mark(links_in_use(sessions))
    survey = Survey(parts.index, marks)
    for name, location in parts.index.records():
        is_in_use = survey.is_in_use(name, location, NO_PENDING_DELETIONS)
        kind = _kind_of(name, marks, has_links=location.links_length > 0) if is_in_use else UNUSED
        figures.objects[kind].add(location.length + location.links_length)


def _kind_of(name: bytes, marks: Marks, *, has_links: bool) -> str:
    if marks.is_directory(name):
        return DIRECTORIES
    return LISTS if has_links else CHUNKS
