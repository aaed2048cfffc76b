"""What may be said of a backup beside its sources and its target."""

from __future__ import annotations

import msgspec

from tallac.errors import UsageError
from tallac.source import Selection


class BackupOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to back up; the defaults suit most.

    Attributes:
        selection: What of the sources is backed up; `Exclusions` makes one.
        tags: The snapshot's tags.
        host: What the snapshot says of the machine, in place of its own name.
        time_ns: What the snapshot is named by, nanoseconds since 1970, UTC; None for the time at which it is made.
        ignore_timestamps: Read all files, also those that look as they did.
        skip_if_unchanged: Enter no snapshot where the latest one has the very same files.
    """

    selection: Selection = msgspec.field(default_factory=Selection)
    tags: tuple[str, ...] = ()
    host: str | None = None
    time_ns: int | None = None
    ignore_timestamps: bool = False
    skip_if_unchanged: bool = False

    def require_sense(self, now_ns: int) -> None:
        """Refuse what can't be meant.

        Raises:
            UsageError: The snapshot is to have a time that has not come yet: nothing newer would ever become the latest one.
        """
        if self.time_ns is not None and self.time_ns > now_ns:
            raise UsageError("a snapshot can't have a time that has not come yet; give one that has")
