"""The quarantine: which stored copies a prune is about to delete. docs/format.md, "Registers" and "Prune", has the protocol.

It is a register, got by name and changed by compare-and-swap, and so the arbiter between writers and prunes. An entry names a pack
and what in it is to go. As long as it is *proposed*, a writer that needs some of it may take it out again; once it is *decided*,
nobody may, and nobody relies on those copies any more. Copies of the same objects in other packs are not concerned.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import msgspec

from tallac.errors import MalformedObjectError
from tallac.vault.format.footers import Location
from tallac.vault.mutable.registers import State

_HEAD = struct.Struct(">QB32sI")


class QuarantinedPack(msgspec.Struct, frozen=True):
    """What is to go of one pack.

    Attributes:
        pack: The pack's name.
        since: The register's number with which this was proposed.
        is_decided: Nothing takes it out any more; the pack will be deleted, after what else is in it was moved.
        offsets: Where the copies that are to go begin in the pack; None for all of it.
    """

    pack: bytes
    since: int
    is_decided: bool
    offsets: frozenset[int] | None

    def hides(self, offset: int) -> bool:
        """Whether the copy at an offset is to go."""
        return self.offsets is None or offset in self.offsets


class Quarantine(msgspec.Struct, frozen=True):
    """One state of the quarantine; what it holds counts as absent for writers.

    Attributes:
        number: The register's; 0 where there is none.
        packs: The entries by pack.
        wanted: Where it is a set, what is merely proposed counts as there, and its pack is noted in the set, to be taken out.
    """

    number: int = 0
    packs: Mapping[bytes, QuarantinedPack] = msgspec.field(default_factory=dict)
    wanted: set[bytes] | None = None

    def hides(self, location: Location) -> bool:
        """Whether the copy at this place is to go."""
        entry = self.packs.get(location.pack)
        if entry is None or not entry.hides(location.offset):
            return False
        if self.wanted is None or entry.is_decided:
            return True
        self.wanted.add(location.pack)
        return False

    def has_decided(self, location: Location) -> bool:
        """Whether the copy at this place is to go for good, and may be gone."""
        entry = self.packs.get(location.pack)
        return entry is not None and entry.is_decided and entry.hides(location.offset)

    def is_gone(self, pack: bytes) -> bool:
        """Whether all of a pack was decided to go, so that nobody misses it."""
        entry = self.packs.get(pack)
        return entry is not None and entry.is_decided and entry.offsets is None


NO_QUARANTINE = Quarantine()


def quarantine_of(state: State | None) -> Quarantine:
    """Read a state of the register.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    return (
        NO_QUARANTINE if state is None else Quarantine(state.number, {entry.pack: entry for entry in decode_quarantine(state.text)})
    )


def encode_quarantine(entries: Iterable[QuarantinedPack]) -> bytes:
    """Encode entries in the order of their packs' names."""
    parts = []
    for entry in sorted(entries, key=lambda entry: entry.pack):
        offsets = sorted(entry.offsets or ())
        parts.append(_HEAD.pack(entry.since, entry.is_decided, entry.pack, len(offsets)))
        parts.append(struct.pack(f">{len(offsets)}I", *offsets))
    return b"".join(parts)


def decode_quarantine(text: bytes | None) -> list[QuarantinedPack]:
    """Read what `encode_quarantine` gave.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    entries: list[QuarantinedPack] = []
    place, text = 0, text or b""
    while place < len(text):
        if place + _HEAD.size > len(text):
            raise MalformedObjectError("the quarantine is cut short")
        since, decided, pack, count = _HEAD.unpack_from(text, place)
        place += _HEAD.size
        if decided > 1 or place + 4 * count > len(text):
            raise MalformedObjectError("the quarantine does not follow the format")
        offsets = frozenset(struct.unpack_from(f">{count}I", text, place)) if count else None
        entries.append(QuarantinedPack(pack, since, bool(decided), offsets))
        place += 4 * count
    if [entry.pack for entry in entries] != sorted({entry.pack for entry in entries}):
        raise MalformedObjectError("the quarantine is out of order")
    return entries
