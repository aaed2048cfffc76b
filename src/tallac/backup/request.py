"""Requests for a backup: what is to be backed up, and how."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec

from tallac.backup.decide import UNCHANGED_BY
from tallac.caps import DirectoryWriteCap
from tallac.dag import SnapshotFacts, display_path
from tallac.errors import SourceError, UsageError
from tallac.source import NOTHING_OWN, FileSystem, OwnFiles, Scope, Selection, open_root

WORKERS_MAX = 4
"""One process that lists and stores directories keeps so many busy. docs/decisions/043-backups-in-less-time.md has the figures."""


def workers_for(processors: int) -> int:
    """Return how many worker processes a backup starts where it may use so many processors: as many, up to `WORKERS_MAX`."""
    return max(1, min(processors, WORKERS_MAX))


def workers_here() -> int:
    """Return how many worker processes a backup starts on this machine."""
    return workers_for(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


class BackupRequest(msgspec.Struct, frozen=True):
    """A request for one backup.

    Attributes:
        root: The mutable directory that the path to the target begins at.
        path: The names that lead to the target.
        source: The absolute path of what becomes the snapshot's root.
        scope: Leads from there to the sources; None where the root itself is the source.
        sources: What the snapshot's facts name as its sources; the root where nothing is given.
        missing: Paths that the user named and that can't be backed up, with the reason.
        remarks: What to say of the sources where there is no snapshot of them yet.
        facts: Host, user, tags and version for the snapshot; the rest is filled in.
        selection: What of the source is backed up.
        own: Tells what is Tallac's own, which is left out: the vault itself, keys, configuration and state.
        workers: How many worker processes may be started; 0 reads everything in this one.
        time_ns: What the snapshot is named by, UTC; None for the time at which it is entered.
        trusts_timestamps: Whether files that look as they did are taken to be what they were, and not read.
        unchanged_by: By which fields such files are recognised; see `UNCHANGED_BY`.
        allows_empty: Whether a source may be empty that had files before.
        removed_share_max: The share of the files of before that may have been removed, from 0 to 1; None for any.
        counts_ahead: Whether a source of which nothing is known may be counted meanwhile, for whoever waits.
        skips_unchanged: Whether no snapshot is entered where `Latest` has the very same files.
    """

    root: DirectoryWriteCap
    path: Sequence[bytes]
    source: bytes
    facts: SnapshotFacts = msgspec.field(default_factory=SnapshotFacts)
    selection: Selection = msgspec.field(default_factory=Selection)
    own: OwnFiles = NOTHING_OWN
    workers: int = msgspec.field(default_factory=workers_here)
    scope: Scope | None = None
    sources: tuple[bytes, ...] = ()
    missing: tuple[tuple[bytes, str], ...] = ()
    remarks: tuple[tuple[bytes, str], ...] = ()
    time_ns: int | None = None
    trusts_timestamps: bool = True
    skips_unchanged: bool = False
    allows_empty: bool = False
    removed_share_max: float | None = None
    unchanged_by: frozenset[str] = frozenset(UNCHANGED_BY)
    counts_ahead: bool = True

    @property
    def named_sources(self) -> tuple[bytes, ...]:
        """The sources that the snapshot's facts name."""
        return self.sources or (self.source,)


def open_source(source: bytes, filesystem: FileSystem) -> int:
    """Open the directory that becomes the snapshot's root.

    Raises:
        SourceError: It can't be opened.
        UsageError: It is no directory.
    """
    try:
        return open_root(source, filesystem=filesystem)
    except SourceError as error:
        if isinstance(error.__cause__, NotADirectoryError):
            raise UsageError(f"{display_path(source)} is a file; back up the folder that contains it") from error
        raise
