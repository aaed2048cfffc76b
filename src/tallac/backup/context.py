"""Everything a source walk needs, behind the narrowest protocols; and what it asks of itself for each directory."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import msgspec

from tallac.backup.decide import Comparison
from tallac.backup.pending_directory import DirectoryAssembler, PendingDirectory
from tallac.backup.recorded import Recorded, StoredBefore
from tallac.backup.summary import Ledger
from tallac.dag import Entry
from tallac.interfaces import CapReader, Clock, Holdings
from tallac.source import DirectorySelection, DirectoryStack, FileSystem, OwnFiles, SourceEntry
from tallac.sourcedb import DirectoryRow, SourceRecord

if TYPE_CHECKING:
    from tallac.backup.look_ahead import LookAhead


class FileQueue(Protocol):
    """Where a walk hands over the files that have to be read; see `Files`.

    Attributes:
        small_size_max: The size in bytes up to which a file is a small one.
    """

    @property
    def small_size_max(self) -> int: ...

    def read(
        self, pending: PendingDirectory, found: SourceEntry, recorded: Entry | None, stored: Sequence[StoredBefore]
    ) -> None: ...

    def read_new(self, pending: PendingDirectory, found: Sequence[SourceEntry]) -> None: ...

    def drain(self) -> None: ...


class WalkContext(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a source walk needs.

    Attributes:
        trusts_timestamps: Whether files that look as they did are taken to be what they were.
        comparison: How such files are recognised.
        ahead: Another process that looks at the source, if there is one.
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
    ahead: LookAhead | None = None


class VisitRequest(NamedTuple):
    """A directory that is to be visited; one without a name is the source itself."""

    name: bytes
    path: bytes
    recorded: Recorded | None
    selection: DirectorySelection


Visited: TypeAlias = DirectoryRow | PendingDirectory | None
"""The outcome of a visit: a row where nothing has changed, else a pending directory; None where it is left out."""

Visit: TypeAlias = Generator[VisitRequest, Visited, Visited]


class Before(NamedTuple):
    """The visits made below a directory while it still looked unchanged.

    Attributes:
        last: The last subdirectory that was visited; b"" where none was. Those before it came out unchanged.
        visited: What came of that one.
        is_unchanged: Whether the directory is as it was recorded.
        files, size: What the unchanged subdirectories hold.
    """

    last: bytes = b""
    visited: Visited = None
    is_unchanged: bool = False
    files: int = 0
    size: int = 0
