"""The space that a vault takes, as a keeper sees it: by kind of object, without opening any content."""

from __future__ import annotations

from collections.abc import Callable

from tallac.errors import DamageError
from tallac.vault.components import VaultComponents
from tallac.vault.format.keys import KeeperKey
from tallac.vault.index.index_objects import INDEX_PREFIX
from tallac.vault.mutable.pending_deletions import NO_PENDING_DELETIONS, pending_deletions_of
from tallac.vault.mutable.slots import SLOT_PREFIX
from tallac.vault.packs.damaged import DAMAGED_PREFIX
from tallac.vault.packs.pack import PACK_PREFIX
from tallac.vault.prune.mark import Marker, Marks
from tallac.vault.prune.plan import Survey
from tallac.vault.prune.session_watch import SessionWatch, links_in_use
from tallac.vault.prune.stats_report import CHUNKS, DIRECTORIES, LISTS, UNUSED, SessionStats, VaultStats


def vault_stats(components: VaultComponents) -> VaultStats:
    """Count everything. Nothing is changed, and no content is opened.

    Raises:
        AuthorityError: This takes the keeper key.
        StoreError: The store can't be asked.
    """
    keeper = components.require_keeper_key()
    stats = VaultStats(components.identity)
    _count_stored(components, stats)
    _try(stats, lambda: _count_pending(components, stats))
    _try(stats, lambda: _count_objects(components, keeper, stats))
    return stats


def _try(stats: VaultStats, count: Callable[[], None]) -> None:
    """Count what can be counted in a damaged vault."""
    try:
        count()
    except DamageError as error:
        stats.trouble = stats.trouble or str(error)


def _count_stored(components: VaultComponents, stats: VaultStats) -> None:
    places = {PACK_PREFIX: "packs", INDEX_PREFIX: "index", SLOT_PREFIX: "slots", DAMAGED_PREFIX: "aside"}
    for item in components.backend.list(""):
        kind = next((kind for prefix, kind in places.items() if item.name.startswith(prefix)), "other")
        stats.stored[kind].add(item.size)


def _count_pending(components: VaultComponents, stats: VaultStats) -> None:
    for entry in pending_deletions_of(components.pending_register().read()).packs.values():
        if entry.is_decided:
            stats.decided_packs += 1
        else:
            stats.proposed_packs += 1


def _count_objects(components: VaultComponents, keeper: KeeperKey, stats: VaultStats) -> None:
    stats.roots = len(components.require_roots().read())
    sessions = SessionWatch(components.backend, keeper.roots, components.randomness, components.clock).read()
    stats.sessions = [SessionStats(each.path, each.record.state.value, each.record.started_ns) for each in sessions]
    pending = components.pending_register()
    marker = Marker(components.backend, keeper, components.index, components.slots, components.require_roots(), pending)
    marks = marker.mark(links_in_use(sessions))
    survey = Survey(components.index, marks)
    for name, location in components.index.records():
        is_in_use = survey.is_in_use(name, location, NO_PENDING_DELETIONS)
        kind = _kind_of(name, marks, has_links=location.links_length > 0) if is_in_use else UNUSED
        stats.objects[kind].add(location.size)


def _kind_of(name: bytes, marks: Marks, *, has_links: bool) -> str:
    if marks.is_directory(name):
        return DIRECTORIES
    return LISTS if has_links else CHUNKS
