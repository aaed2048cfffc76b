"""What may be said of a backup beside its sources and its target."""

from __future__ import annotations

from dataclasses import dataclass, field

from tallac.connect.exclusions import Exclusions


@dataclass(frozen=True, kw_only=True)
class BackupOptions:
    """How to back up; the defaults suit most.

    Attributes:
        exclusions: What is left out.
        tags: The snapshot's tags.
        host: What the snapshot says of the machine, in place of its own name.
        time_ns: What the snapshot is named by, nanoseconds since 1970, UTC; None for the time at which it is made.
        ignore_timestamps: Read all files, also those that look as they did.
        skip_if_unchanged: Enter no snapshot where the latest one has the very same files.
    """

    exclusions: Exclusions = field(default_factory=Exclusions)
    tags: tuple[str, ...] = ()
    host: str | None = None
    time_ns: int | None = None
    ignore_timestamps: bool = False
    skip_if_unchanged: bool = False
