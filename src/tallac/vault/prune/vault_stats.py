"""The space that a vault takes, as a keeper sees it: by kind of object, without opening any content."""

from __future__ import annotations

from collections.abc import Callable

from tallac.errors import DamageError
from tallac.vault.components import VaultComponents
from tallac.vault.format.keys import KeeperKey
from tallac.vault.index.index_objects import INDEX_PREFIX
from tallac.vault.marking.copies import CopyVerifier
from tallac.vault.mutable.pending_deletions import NO_PENDING_DELETIONS, pending_deletions_of
from tallac.vault.mutable.slots import SLOT_PREFIX
from tallac.vault.packs.damaged import DAMAGED_PREFIX
from tallac.vault.packs.pack import PACK_PREFIX
from tallac.vault.prune.mark import Marker
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
    _try(stats, lambda: _read_settings(components, stats))
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


def _read_settings(components: VaultComponents, stats: VaultStats) -> None:
    stats.compression = str(components.settings.compression())


def _count_pending(components: VaultComponents, stats: VaultStats) -> None:
    for entry in pending_deletions_of(components.pending_register().read()).packs.values():
        if entry.is_decided:
            stats.decided_packs += 1
        else:
            stats.proposed_packs += 1


def _count_objects(components: VaultComponents, keeper: KeeperKey, stats: VaultStats) -> None:
    stats.roots = len(components.require_roots().read())
    watch = SessionWatch(components.backend, keeper.roots, components.structure, components.randomness, components.clock)
    sessions = watch.read()
    stats.sessions = [SessionStats(each.path, each.record.state.value, each.record.started_ns) for each in sessions]
    pending = components.pending_register()
    marker = Marker(components.backend, keeper, components.index, components.slots, components.require_roots(), pending)
    marks = marker.mark(links_in_use(sessions))
    spares = Survey(components.index, marks, CopyVerifier(components.backend)).spares(NO_PENDING_DELETIONS)
    in_use = marks.census.in_use
    # Of copies of one object the walk has met the first.
    directories = {number for group in marks.census.repeated if marks.walk.is_directory(group[0]) for number in group}
    number = 0
    for run in components.index.runs():
        for _, _, _, _, length, links_length in run.columns():
            kind = UNUSED
            if number in in_use and number not in spares:
                kind = (
                    CHUNKS
                    if not links_length
                    else DIRECTORIES
                    if number in directories or marks.walk.is_directory(number)
                    else LISTS
                )
            stats.objects[kind].add(length + links_length)
            number += 1
