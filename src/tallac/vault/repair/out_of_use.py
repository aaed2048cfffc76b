"""Take out of use what nobody can use, and put back into use what nobody has decided to delete."""

from __future__ import annotations

from collections.abc import Iterable

from tallac.caps import Cap
from tallac.errors import DamageError
from tallac.vault.check.poison import find_poison
from tallac.vault.components import VaultComponents
from tallac.vault.marking.copies import CopyVerifier
from tallac.vault.mutable.pending_deletions import PendingDeletions, PendingPack, decode_pending, encode_pending
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.slots import Slots
from tallac.vault.packs.pack import pack_path
from tallac.vault.prune.mark import Marker
from tallac.vault.prune.plan import Survey
from tallac.vault.prune.repack import Repacking
from tallac.vault.prune.sweep import replace_packs


def take_out_poison(components: VaultComponents, pending: Register, caps: Iterable[Cap]) -> int:
    """Take out of use what has the right hash, and opens to something else than the caps say that lead there; return how many.

    Somebody stored it under the name of a content that others would store. The next backup of that content stores it anew. Its
    pack goes to `damaged/`, without an entry, so that nothing brings it back. What else is in the pack is moved first.

    Args:
        components: The vault.
        pending: The register of pending deletions, whose number makes the next backup look everything up.
        caps: Those that open nothing are passed over.
    """
    poison = find_poison(components, caps)
    packs: dict[bytes, set[int]] = {}
    for name, stored_hash in poison:
        for copy in components.index.copies(name):
            if copy.hash == stored_hash:
                packs.setdefault(copy.pack, set()).add(copy.offset)
    if not packs:
        return 0
    sizes = components.index.packs()
    repacking = Repacking(components.backend, components.structure, components.randomness)
    try:
        for pack, offsets in packs.items():
            repacking.move(PendingPack(pack, 0, is_decided=True, offsets=frozenset(offsets)), sizes[pack], lambda _: False)
        new = repacking.finish()
    except BaseException:
        repacking.abort()
        raise
    for pack in packs:
        components.damaged_packs.put(pack, sizes[pack], None)
    replace_packs(components.index_register, components.index_store, set(packs), new)
    for pack in packs:
        components.backend.delete(pack_path(pack))
    pending.renumber()
    return len(poison)


def withdraw_deletions(components: VaultComponents, slots: Slots, pending: Register) -> bool:
    """Take out of the pending deletions what was decided and is in use without any other copy: no prune has decided that.

    Returns:
        Whether there was any. Where what is in use is not known, nothing is taken out: nobody prunes before that is put right.
    """
    keeper, roots = components.require_keeper_key(), components.require_roots()
    marker = Marker(components.backend, keeper, components.index, slots, roots, pending)
    try:
        survey = Survey(components.index, marker.mark([]), CopyVerifier(components.backend))
    except DamageError:
        return False
    withdrawn = False

    def withdraw(text: bytes | None) -> bytes | None:
        nonlocal withdrawn
        entries = decode_pending(text)
        decided = PendingDeletions(0, {entry.pack: entry for entry in entries if entry.is_decided})
        needed = survey.needed(decided) if decided.packs else set()
        withdrawn = bool(needed)
        return encode_pending(entry for entry in entries if entry.pack not in needed) if needed else None

    pending.swap(withdraw)
    return withdrawn
