"""Pending deletions: the stored copies that a prune is about to delete. docs/format.md, "Registers" and "Prune", has the protocol.

They are kept in a register, which is read by name and changed by compare-and-swap, and so the arbiter between writers and prunes.
An entry names a pack and the objects to delete in it. While it is *proposed*, a writer that needs some of them may withdraw it;
once it is *decided*, nobody may, and nobody relies on those copies any more. Copies of the same objects in other packs stay.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from tallac.errors import MalformedObjectError
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.mutable.registers import NUMBER_MAX, REGISTER_PREFIX, State

PENDING_REGISTER = "quarantine"
PENDING_PATH = REGISTER_PREFIX + PENDING_REGISTER

_HEAD = struct.Struct(">QB32sI")


class PendingPack(msgspec.Struct, frozen=True):
    """The copies in one pack that are to be deleted.

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

    def is_pending(self, offset: int) -> bool:
        """Whether the copy at an offset is to go."""
        return self.offsets is None or offset in self.offsets


class PendingDeletions(msgspec.Struct, frozen=True):
    """One state of the register; what it holds counts as absent for writers.

    Attributes:
        number: The register's; 0 where there is none.
        packs: The entries by pack.
    """

    number: int = 0
    packs: Mapping[bytes, PendingPack] = msgspec.field(default_factory=dict)

    def is_pending(self, location: ObjectLocation) -> bool:
        """Whether the copy at this place is to go."""
        entry = self.packs.get(location.pack)
        return entry is not None and entry.is_pending(location.offset)

    def decided(self) -> PendingDeletions:
        """Return what is decided alone: to a writer that is going to rescue it, what is merely proposed counts as there."""
        return PendingDeletions(self.number, {name: entry for name, entry in self.packs.items() if entry.is_decided})

    def has_decided(self, location: ObjectLocation) -> bool:
        """Whether the copy at this place is to go for good, and may be gone."""
        entry = self.packs.get(location.pack)
        return entry is not None and entry.is_decided and entry.is_pending(location.offset)

    def is_deleted(self, pack: bytes) -> bool:
        """Whether all of a pack was decided to go, so that nobody misses it."""
        entry = self.packs.get(pack)
        return entry is not None and entry.is_decided and entry.offsets is None


NO_PENDING_DELETIONS = PendingDeletions()


def pending_deletions_of(state: State | None) -> PendingDeletions:
    """Read a state of the register.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    return (
        NO_PENDING_DELETIONS
        if state is None
        else PendingDeletions(state.number, {entry.pack: entry for entry in decode_pending(state.text)})
    )


def encode_pending(entries: Iterable[PendingPack]) -> bytes:
    """Encode entries in the order of their packs' names."""
    parts = []
    for entry in sorted(entries, key=lambda entry: entry.pack):
        offsets = sorted(entry.offsets or ())
        parts.append(_HEAD.pack(entry.since, entry.is_decided, entry.pack, len(offsets)))
        parts.append(struct.pack(f">{len(offsets)}I", *offsets))
    return b"".join(parts)


def decode_pending(text: bytes | None) -> list[PendingPack]:
    """Read what `encode_pending` gave.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    entries: list[PendingPack] = []
    place, text = 0, text or b""
    while place < len(text):
        if place + _HEAD.size > len(text):
            raise MalformedObjectError("the register of pending deletions is cut short")
        since, decided, pack, count = _HEAD.unpack_from(text, place)
        place += _HEAD.size
        if decided > 1 or not 1 <= since <= NUMBER_MAX or place + 4 * count > len(text):
            raise MalformedObjectError("the register of pending deletions does not follow the format")
        offsets = struct.unpack_from(f">{count}I", text, place)
        if any(offset >= after for offset, after in pairwise(offsets)):
            raise MalformedObjectError("the register of pending deletions is out of order")
        entries.append(PendingPack(pack, since, bool(decided), frozenset(offsets) if count else None))
        place += 4 * count
    if [entry.pack for entry in entries] != sorted({entry.pack for entry in entries}):
        raise MalformedObjectError("the register of pending deletions is out of order")
    return entries
