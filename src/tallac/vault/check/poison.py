"""Find what was stored under the name of another content: its bytes are those of its link, and its content is not the cap's."""

from __future__ import annotations

from collections.abc import Iterable

from tallac.caps import Cap, LiteralDirectory, LiteralFile, ReadCap, WriteCap
from tallac.vault.check.below import cap_check
from tallac.vault.components import VaultComponents
from tallac.vault.marking.copies import CopyVerifier


def find_poison(components: VaultComponents, caps: Iterable[Cap]) -> set[tuple[bytes, bytes]]:
    """Open what others have stored below read caps; return name and stored hash of what no cap opens to what it promises.

    Args:
        components: The vault.
        caps: Of any kind; those that open nothing are passed over.
    """
    components.index.refresh()
    components.index.look_at_packs()
    # This machine knows what it has stored itself.
    foreign = components.index.packs().keys() - set(components.own_packs.names())
    if not foreign:
        return set()
    check = cap_check(components, read_data=True, foreign_packs=foreign)
    for cap in caps:
        if isinstance(cap, ReadCap | WriteCap) and not isinstance(cap, LiteralDirectory | LiteralFile):
            check.check(cap)
    verifier = CopyVerifier(components.backend)
    return {
        (name, stored_hash)
        for name, stored_hash in check.damaged - check.right
        if any(copy.hash == stored_hash and verifier.is_right(copy) for copy in components.index.present(name))
    }
