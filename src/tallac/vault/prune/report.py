"""Options and report of a prune."""

from __future__ import annotations

from enum import Enum

import msgspec


class PrunePhase(Enum):
    """The phase of a prune; the value is what people read."""

    MARKING = "marking"
    WAITING = "waiting"
    DELETING = "deleting"


class Forgotten(msgspec.Struct, frozen=True):
    """Links that a dry run takes to be gone: those of snapshots which are to be forgotten.

    Attributes:
        directories: The storage indexes of the mutable directories that they are in.
        links: Them, encoded. What leads to the same from elsewhere counts.
    """

    directories: frozenset[bytes]
    links: frozenset[bytes]


NOTHING_FORGOTTEN = Forgotten(frozenset(), frozenset())


class PruneOptions(msgspec.Struct, frozen=True):
    """How to prune.

    Attributes:
        is_dry_run: Change nothing; the report says what would be freed.
        forgotten: Counts in a dry run only.
        unused_max: The share of dead bytes, from 0 to 1, that is put up with in all packs together; above it, what is alive moves
            out of those that have the largest share.
        fence_after_seconds: How long a session may show no sign of life before its writer has to look everything up again.
    """

    is_dry_run: bool = False
    forgotten: Forgotten = NOTHING_FORGOTTEN
    unused_max: float = 0.05
    fence_after_seconds: float = 120.0


class PruneReport(msgspec.Struct):
    """The findings of a prune, and what it did or would do.

    Attributes:
        alive_objects, alive_bytes: Stored and in use.
        dead_objects, dead_bytes: Stored, and nothing leads there; or stored a second time.
        deleted_packs, deleted_bytes: Packs that were removed, with the bytes that they took.
        repacked_packs: Those of them of which something was moved.
        written_packs, written_bytes: The new packs with what was moved.
        waiting_sessions: How many sessions are being waited for.
        skipped: Packs that were left, because they are damaged or what is in use would have gone with them, a sentence each.
        ignored: What lies among the vault's objects and is none, a sentence each.
        lasting_sessions: Sessions that have been committing for more than a day, and keep what they name, a sentence each.
        entering_sessions: Others that are committing, a sentence each: their snapshots may be entered yet.
        entering_objects, entering_bytes: What nothing leads to but committing sessions; it is not deleted.
        missing_objects: Objects in use that no pack has which is there.
        unmoved_packs: Packs that were left because the store has no room for what stays of them.
        locked_packs: Packs that the store keeps locked; a later prune deletes them.
        locked_until: Up to when the store may keep what was deleted, in seconds since 1970; 0 where it is not known to.
        room_needed: How many bytes have to be free to empty the cheapest of these.
        phase: What is being done; this and the next three are for whoever waits.
        marked_objects, objects_total: Objects found to be in use so far, and those that there are.
        packs_left: Packs that are still to be deleted in this round.
    """

    alive_objects: int = 0
    alive_bytes: int = 0
    dead_objects: int = 0
    dead_bytes: int = 0
    deleted_packs: int = 0
    deleted_bytes: int = 0
    repacked_packs: int = 0
    written_packs: int = 0
    written_bytes: int = 0
    waiting_sessions: int = 0
    skipped: list[str] = msgspec.field(default_factory=list)
    ignored: list[str] = msgspec.field(default_factory=list)
    lasting_sessions: list[str] = msgspec.field(default_factory=list)
    entering_sessions: list[str] = msgspec.field(default_factory=list)
    entering_objects: int = 0
    entering_bytes: int = 0
    missing_objects: int = 0
    unmoved_packs: int = 0
    locked_packs: int = 0
    locked_until: int = 0
    room_needed: int = 0
    phase: PrunePhase = PrunePhase.MARKING
    marked_objects: int = 0
    objects_total: int = 0
    packs_left: int = 0

    @property
    def freed_bytes(self) -> int:
        """Bytes that the store got back."""
        return self.deleted_bytes - self.written_bytes
