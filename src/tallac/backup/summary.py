"""Reports of a backup: while it runs, and at its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

import msgspec

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, display_path, join_path
from tallac.interfaces import Clock
from tallac.wording import pluralize

PROGRESS_INTERVAL_NS = 100_000_000

# What a link there leads to comes with the system and is no user's.
_SYSTEM = tuple(b"/%b/" % name for name in b"bin dev etc lib lib64 nix proc run sbin snap sys usr".split())


class Change(Enum):
    """How a file or directory compares with what was stored before."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Counts(msgspec.Struct):
    """How many there were of each kind.

    Attributes:
        gone: Those that the previous snapshot of the same sources has, and this one has not.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0

    @property
    def total(self) -> int:
        """All that are there."""
        return self.new + self.changed + self.unchanged

    def add(self, change: Change, count: int = 1) -> None:
        """Count some."""
        if change is Change.NEW:
            self.new += count
        elif change is Change.CHANGED:
            self.changed += count
        else:
            self.unchanged += count


class Phase(Enum):
    """The phase of a backup; the value is what people read."""

    STORING = "storing"
    LAST_PACKS = "finishing the last packs"
    INDEX = "updating the index"
    SNAPSHOT = "creating the snapshot"


class Progress(msgspec.Struct):
    """How far a backup is.

    Attributes:
        phase: What it does.
        files_found: Files and the like that were listed so far.
        files_done, bytes_done: Those that are dealt with, whether read or unchanged.
        bytes_begun: What was read of large files that are not dealt with yet.
        bytes_read: What was read in all.
        bytes_stored: What the store has grown by.
        files_expected, bytes_expected: What the source held the last time, or was counted to hold; 0 where that is not known.
        files_counted, bytes_counted: How far a count has come that runs ahead; 0 where there is none.
        is_counting: Whether it goes on.
        path: The directory that is being walked through, or the large file in it that is being read.
    """

    phase: Phase = Phase.STORING
    files_found: int = 0
    files_done: int = 0
    bytes_done: int = 0
    bytes_begun: int = 0
    bytes_read: int = 0
    bytes_stored: int = 0
    files_expected: int = 0
    bytes_expected: int = 0
    files_counted: int = 0
    bytes_counted: int = 0
    is_counting: bool = False
    path: bytes = b""


def _ignore(*_: object) -> None:
    """Do nothing."""


class Observer(msgspec.Struct, frozen=True):
    """Whom a backup tells what happens. All paths are absolute.

    Attributes:
        unreadable: Called with the path of what can't be read, and the reason.
        notice: Called with a path, and a remark on it.
        file: Called with each file; None where nobody wants that.
        excluded: Called with each file or directory that the user's rules leave out, where `file` is given as well.
        progress: Called now and then, at most every 0.1 s.
    """

    unreadable: Callable[[bytes, str], None] = _ignore
    notice: Callable[[bytes, str], None] = _ignore
    file: Callable[[Change, bytes], None] | None = None
    excluded: Callable[[bytes], None] = _ignore
    own: Callable[[bytes, str], None] = _ignore
    progress: Callable[[Progress], None] | None = None


class OutwardLinks:
    """Counts new symbolic links out of the sources: they are stored, and what they lead to is not.

    Nothing is looked up: where a text leads is told by the text alone.
    """

    def __init__(self, sources: Iterable[bytes]) -> None:
        """Take the absolute paths of the sources."""
        self._inside = tuple({inside for source in sources for inside in (_inside(source), _inside(os.path.realpath(source)))})
        self._count = 0
        self._first = (b"", b"")

    def add(self, path: bytes, target: bytes) -> None:
        """Take in a link that is stored for the first time, or leads elsewhere than before."""
        leads_to = os.path.normpath(os.path.join(os.path.dirname(path), target)) + b"/"
        if leads_to.startswith((*self._inside, *_SYSTEM)) or leads_to == b"//":
            return
        if not self._count:
            self._first = (path, target)
        self._count += 1

    def report(self, notice: Callable[[bytes, str], None]) -> None:
        """Report them in one line."""
        if not self._count:
            return
        path, target = self._first
        others = f" (one of {self._count:,})" if self._count > 1 else ""
        notice(path, f"this link{others} leads out of what is backed up, to {display_path(target)}; what is there is not stored")


def _inside(source: bytes) -> bytes:
    return source if source.endswith(b"/") else source + b"/"


class Ledger(msgspec.Struct):
    """Keeps count of one run, and tells the observer.

    Attributes:
        unreadable: How many were left out because they could not be read.
        vanished: How many were removed between listing and reading.
        files_before: How many files each source had the last time, by its path, where that is known.
        emptied: The sources that had files then, and have none now.
        has_previous: Whether there is a snapshot of the same sources to compare with.
        attributes_missed: By reason, how many are stored without some of their attributes.
        outward: New symbolic links that lead out of the sources.
        count_ahead: Called with the progress and the time before it is reported, to add what is expected; None where that is known.
    """

    observer: Observer
    clock: Clock
    bytes_stored: Callable[[], int]
    files: Counts = msgspec.field(default_factory=Counts)
    directories: Counts = msgspec.field(default_factory=Counts)
    progress: Progress = msgspec.field(default_factory=Progress)
    unreadable: int = 0
    vanished: int = 0
    files_before: dict[bytes, int] = msgspec.field(default_factory=dict)
    emptied: list[bytes] = msgspec.field(default_factory=list)
    has_previous: bool = True
    last_reported_ns: int = 0
    attributes_missed: dict[str, int] = msgspec.field(default_factory=dict)
    outward: OutwardLinks = msgspec.field(default_factory=lambda: OutwardLinks(()))
    count_ahead: Callable[[Progress, int], None] | None = None

    def leave_out(self, path: bytes, reason: str) -> None:
        """Count and tell what can't be read."""
        self.unreadable += 1
        self.observer.unreadable(path, reason)

    def miss_attributes(self, path: bytes, reason: str) -> None:
        """Report that some attributes can't be read: the first path at once, the others for the same reason with `finish`."""
        count = self.attributes_missed[reason] = self.attributes_missed.get(reason, 0) + 1
        if count == 1:
            self.observer.notice(path, f"its attributes can't be read ({reason}); it is stored without them")

    def finish(self, source: bytes) -> None:
        """Report what is said once for all paths."""
        self.outward.report(self.observer.notice)
        for reason, count in self.attributes_missed.items():
            if count > 1:
                others = pluralize(count - 1, "other")
                self.observer.notice(source, f"{others} in it can't have attributes read either ({reason}); stored without them")

    def remark(self, remarks: Iterable[tuple[bytes, str]]) -> None:
        """Report what is to be said of sources when they are backed up for the first time."""
        if not self.has_previous:
            for path, remark in remarks:
                self.observer.notice(path, remark)

    def report_unmatched(self, source: bytes, patterns: Sequence[str]) -> None:
        """Report patterns of the user's that have left nothing out."""
        first = patterns[0].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        others = f" and {pluralize(len(patterns) - 1, 'other pattern')}" if len(patterns) > 1 else ""
        self.observer.notice(source, f"nothing in it is excluded by {first!r}{others}")

    def vanish(self) -> None:
        """Count what was removed before it could be read. It is no error: that might have happened a moment earlier as well."""
        self.vanished += 1

    def pass_by_deleted(self, path: bytes) -> None:
        """Report what an NFS client shows of a file that was deleted."""
        self.observer.notice(path, "left out: on NFS this is a file that was deleted while a program has it open")

    def exclude(self, path: bytes) -> None:
        """Report a path that the user's rules leave out."""
        self.observer.excluded(path)

    def finish_file(self, change: Change, directory: bytes, name: bytes, size: int) -> None:
        """Count one file that is dealt with."""
        self.files.add(change)
        self.progress.files_done += 1
        self.progress.bytes_done += size
        self.name_file(change, directory, name)

    def finish_files(self, change: Change, directory: bytes, names: Sequence[bytes], size: int) -> None:
        """Count several files of one directory; `size` is the sum of theirs."""
        self.files.add(change, len(names))
        self.progress.files_done += len(names)
        self.progress.bytes_done += size
        if self.observer.file is not None:
            for name in names:
                self.name_file(change, directory, name)

    def name_file(self, change: Change, directory: bytes, name: bytes) -> None:
        """Report one file, if an observer wants each of them."""
        if self.observer.file is not None:
            self.observer.file(change, join_path(directory, name))

    def tick(self) -> None:
        """Report the progress, at most every 0.1 s."""
        if self.observer.progress is None:
            return
        now_ns = self.clock.now_ns()
        if not 0 <= now_ns - self.last_reported_ns < PROGRESS_INTERVAL_NS:
            self._report(now_ns)

    def begin(self, phase: Phase) -> None:
        """Report that another phase begins, at once: it may be a long one without any further report."""
        self.progress.phase, self.progress.path = phase, b""
        # Whatever the count is still about is stored.
        self.count_ahead, self.progress.is_counting = None, False
        if self.observer.progress is not None:
            self._report(self.clock.now_ns())

    def _report(self, now_ns: int) -> None:
        assert self.observer.progress is not None
        self.last_reported_ns = now_ns
        self.progress.bytes_stored = self.bytes_stored()
        if self.count_ahead is not None:
            self.count_ahead(self.progress, now_ns)
        self.observer.progress(self.progress)


class BackupSummary(msgspec.Struct, frozen=True):
    """The outcome of a backup.

    Attributes:
        name: The snapshot's name in `Archives/`; b"" where none was entered.
        cap: The snapshot's root directory.
        files: Everything that is no directory.
        directories: All below the source, itself not counted.
        size: Sum of the sizes of the snapshot's regular files.
        bytes_read, bytes_stored: What was read of them; what the store has grown by.
        seconds: How long it took, by the clock.
        unreadable: How many are missing because they could not be read.
        vanished: How many were removed between listing and reading.
        excluded: How many files and directories the user's rules leave out; what is in those is not counted.
    """

    name: bytes
    cap: DirectoryReadCap
    files: Counts
    directories: Counts
    size: int
    bytes_read: int
    bytes_stored: int
    seconds: float
    unreadable: int
    vanished: int
    excluded: int

    @property
    def is_incomplete(self) -> bool:
        """Whether something is missing from the snapshot."""
        return self.unreadable > 0


def compare(entry: Entry, recorded: Entry | None) -> Change:
    """Compare an entry with the one that was recorded under its name."""
    if recorded is None:
        return Change.NEW
    return Change.UNCHANGED if entry == recorded else Change.CHANGED
