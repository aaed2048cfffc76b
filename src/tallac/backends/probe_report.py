"""The findings of a probe of a store: what was tried, and what came of it."""

from __future__ import annotations

from enum import Enum

import msgspec

from tallac.errors import UnsafeStoreError

CHECKS = {
    "create": "an object is created only where there is none",
    "swap": "an object is replaced only in the state that was read",
    "range": "a part of an object is read, right after it was written",
    "list": "listings are complete, and right at once",
    "delete": "a deleted object is absent at once",
    "create_races": "of clients that create at once, one succeeds",
    "swap_races": "of clients that replace at once, one succeeds",
    "multiprocess_races": "of processes that create or replace at once, one succeeds",
    "large": "an object of 8 MiB comes back as it was",
    "large_races": "of clients that create 8 MiB at once, one succeeds",
    "list_long": "a listing of more than 1,000 names is complete",
    "list_busy": "a listing is complete while others write and delete",
    "locks": "an object stays locked for as long as it was told",
}


class Outcome(Enum):
    """The outcome of one check."""

    YES = "yes"
    WORKAROUND = "workaround"
    NO = "NO"
    UNKNOWN = "unknown"


class ProbeRow(msgspec.Struct, frozen=True):
    """A finding about one thing that a vault relies on.

    Attributes:
        check: A key of `CHECKS`.
        outcome: Whether the store does it.
        detail: What was seen, a sentence without a full stop; "" where there is nothing to say.
    """

    check: str
    outcome: Outcome
    detail: str = ""


class ProbeReport(msgspec.Struct):
    """The findings about a store.

    Attributes:
        location: Where.
        rows: In the order of the checks.
    """

    location: str
    rows: list[ProbeRow] = []

    @property
    def is_safe(self) -> bool:
        """Whether a vault can be kept there."""
        return all(row.outcome is not Outcome.NO for row in self.rows)

    def require_safe(self) -> None:
        """Refuse the store where it isn't.

        Raises:
            UnsafeStoreError: It fails in something; the first one is named.
        """
        for row in self.rows:
            if row.outcome is Outcome.NO:
                raise UnsafeStoreError(
                    f"{self.location}: a vault would not be safe in this store: {row.detail}; "
                    "use another store, `tallac check-store` tells more"
                )
