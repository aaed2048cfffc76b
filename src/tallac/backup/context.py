"""Everything a source walk needs, behind the narrowest protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tallac.backup.decide import Comparison
from tallac.backup.pending_directory import DirectoryAssembler, PendingDirectory
from tallac.backup.recorded import StoredBefore
from tallac.backup.summary import Ledger
from tallac.dag import Entry
from tallac.interfaces import CapReader, Clock, Holdings
from tallac.source import DirectoryStack, FileSystem, OwnFiles, SourceEntry
from tallac.sourcedb import SourceRecord


class FileQueue(Protocol):
    """Where a walk hands over the files that have to be read; see `Files`."""

    def read(
        self, pending: PendingDirectory, found: SourceEntry, recorded: Entry | None, stored: Sequence[StoredBefore]
    ) -> None: ...

    def drain(self) -> None: ...


class WalkContext(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a source walk needs.

    Attributes:
        trusts_timestamps: Whether files that look as they did are taken to be what they were.
        comparison: How such files are recognised.
        stack: At the source.
        own: Tells what is Tallac's own, which is left out.
    """

    grid: CapReader
    writer: Holdings
    record: SourceRecord
    files: FileQueue
    assembler: DirectoryAssembler
    ledger: Ledger
    clock: Clock
    filesystem: FileSystem
    stack: DirectoryStack
    own: OwnFiles
    trusts_timestamps: bool = True
    comparison: Comparison = msgspec.field(default_factory=Comparison)
