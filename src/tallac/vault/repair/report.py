"""Options and report of a repair."""

from __future__ import annotations

import msgspec

from tallac.interfaces import Backend


class RepairOptions(msgspec.Struct, frozen=True):
    """How to repair.

    Attributes:
        is_dry_run: Change nothing; the report says what would be done.
        is_quick: Believe each pack that has the right size, instead of reading it.
        ends_sessions: End all sessions but those that keep something; their writers, should they live, begin again.
        mirror: Another copy of the same vault, to get from what is damaged or lost.
    """

    is_dry_run: bool = False
    is_quick: bool = False
    ends_sessions: bool = False
    mirror: Backend | None = None


class RepairReport(msgspec.Struct):
    """The findings of a repair, and what it did or would do.

    Attributes:
        done: What was done, a sentence each.
        left: What could not be put right, a sentence each.
        healed_packs: Damaged or lost packs that came whole from the mirror.
        aside_packs: Damaged packs that were moved to `damaged/`, with all their bytes.
        lost_packs: Packs that are gone, and left the index.
        fetched_objects: Objects that came from other packs of the mirror.
        salvaged_objects: Objects that were found whole in damaged packs, and stored again.
        missing_objects: Objects in use that are in no whole pack after all that.
        bytes_read, bytes_total: How far the reading of the packs is.
    """

    done: list[str] = msgspec.field(default_factory=list)
    left: list[str] = msgspec.field(default_factory=list)
    healed_packs: int = 0
    aside_packs: int = 0
    lost_packs: int = 0
    fetched_objects: int = 0
    salvaged_objects: int = 0
    missing_objects: int = 0
    bytes_read: int = 0
    bytes_total: int = 0

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is left that is wrong."""
        return not self.left
