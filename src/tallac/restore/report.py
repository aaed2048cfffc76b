"""Reports of a restore: what it did, and what it could not do."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

from tallac.dag import Entry, FileType
from tallac.restore.privileges import restrain
from tallac.wording import pluralize


class ProblemKind(Enum):
    """How bad it is.

    DAMAGED: the store lost or changed it; it is not there. FAILED: this machine could not make it; it is not there.
    UNSET: it is there with its content, and something beside that is not as it was.
    """

    DAMAGED = "damaged"
    FAILED = "failed"
    UNSET = "unset"


class Change(Enum):
    """The things that can be done at a path; the value is the word for it.

    NEW: nothing was there. REPLACED: something else was. AMENDED: only metadata was set. UNCHANGED: it was right. KEPT: it
    differs, and stays since that was asked for. DELETED: the snapshot has nothing there.
    """

    NEW = "new"
    REPLACED = "replaced"
    AMENDED = "amended"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    DELETED = "deleted"


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it was.

    Attributes:
        path: Relative to the destination; b"" for the destination itself.
        kind: How bad it is.
        what: The reason, for the user.
    """

    path: bytes
    kind: ProblemKind
    message: str


class Unkept(msgspec.Struct):
    """How often a file system has taken something and not kept it, without an error. Such are counted, and not reported one by one.

    Attributes:
        modes, owners, times: How many files and directories have others than were set.
    """

    modes: int = 0
    owners: int = 0
    times: int = 0

    def add(self, other: Unkept) -> None:
        """Add other counts."""
        self.modes += other.modes
        self.owners += other.owners
        self.times += other.times


_Path = bytes


class RestoreSummary(msgspec.Struct):
    """The counts of a restore so far.

    Attributes:
        files: How many were made or replaced; everything that is no directory counts as a file.
        directories: How many are there.
        bytes: Sum of the sizes of the regular files among `files`.
        replaced: How many of the files were there with another content, or as something else.
        amended: How many files were there with their content, and got metadata only.
        unchanged: How many files were there as they should be.
        kept: How many files differ, and were left as they are because that was asked for.
        deleted: How many files and directories were deleted.
        files_expected, bytes_expected: How many there will be; 0 where that is not known.
        files_counted, bytes_counted: How many were counted so far, while they are.
        is_counting: Whether they are.
        path: The directory or file that it is about now; b"" at the end.
        verified: How many files were read back and found right.
        damaged, failed, unset: How many problems of each kind were reported.
        owners_unset: How many owners were left out since only root may set them; they are not reported one by one.
        withheld: How many devices did not come, and how many other files came without setuid and setgid bits, capabilities and the
            like, since the snapshot is foreign. They are not reported one by one.
        modes_unkept, owners_unkept, times_unkept: How many files and directories have others than were set, since the file system
            keeps none, or none such. They are not reported one by one either.
    """

    files: int = 0
    directories: int = 0
    bytes: int = 0
    replaced: int = 0
    amended: int = 0
    unchanged: int = 0
    kept: int = 0
    deleted: int = 0
    files_expected: int = 0
    bytes_expected: int = 0
    files_counted: int = 0
    bytes_counted: int = 0
    is_counting: bool = False
    path: _Path = b""
    verified: int = 0
    damaged: int = 0
    failed: int = 0
    unset: int = 0
    owners_unset: int = 0
    withheld: int = 0
    modes_unkept: int = 0
    owners_unkept: int = 0
    times_unkept: int = 0

    @property
    def files_done(self) -> int:
        """How many files nothing is left to do for."""
        return self.files + self.unchanged + self.amended + self.kept

    @property
    def is_complete(self) -> bool:
        """Whether everything is there with its content."""
        return not self.damaged and not self.failed

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks to be made once at the end."""
        unkept = (("permissions", self.modes_unkept), ("owners", self.owners_unkept), ("times", self.times_unkept))
        notes = [
            f"{what} of {count:,} files and directories are not as they were: this file system does not keep them"
            for what, count in unkept
            if count
        ]
        if self.owners_unset:
            notes.insert(0, "owners were not set: not root")
        if self.withheld:
            notes.append(
                f"devices, setuid bits and capabilities of {pluralize(self.withheld, 'file')} were left out: "
                "somebody else shared this; --trust-source restores them"
            )
        return tuple(notes)

    @property
    def unkept(self) -> list[str]:
        """The names of what the file system was found not to keep, of "modes", "owners" and "times"."""
        counts = {"modes": self.modes_unkept, "owners": self.owners_unkept, "times": self.times_unkept}
        return [field for field, count in counts.items() if count]

    def count_unkept(self, unkept: Unkept) -> None:
        """Add what was set and is not there."""
        self.modes_unkept += unkept.modes
        self.owners_unkept += unkept.owners
        self.times_unkept += unkept.times

    def count(self, problem: Problem) -> None:
        """Add a problem to the counts."""
        if problem.kind is ProblemKind.DAMAGED:
            self.damaged += 1
        elif problem.kind is ProblemKind.FAILED:
            self.failed += 1
        else:
            self.unset += 1


class BatchResult(msgspec.Struct):
    """The result of a batch. It can be pickled."""

    files: int = 0
    bytes: int = 0
    owners_unset: int = 0
    unkept: Unkept = msgspec.field(default_factory=Unkept)
    problems: list[Problem] = msgspec.field(default_factory=list)

    def add(self, other: BatchResult) -> None:
        """Add what became of another part of the batch."""
        self.files += other.files
        self.bytes += other.bytes
        self.owners_unset += other.owners_unset
        self.unkept.add(other.unkept)
        self.problems += other.problems


class RestoreObserver(msgspec.Struct, frozen=True):
    """Callbacks for what happens while a restore runs.

    Attributes:
        problem: Called once for each thing that is not as it was.
        change: Called with each path that was made, replaced, amended, kept or deleted, once it is.
        protected: Called once with the path of each thing that stays as it is because it is Tallac's own, and what it is.
        progress: Called now and then with the counts so far, and at the end. The object is the same each time.
    """

    problem: Callable[[Problem], None] | None = None
    change: Callable[[Change, bytes], None] | None = None
    protected: Callable[[bytes, str], None] | None = None
    progress: Callable[[RestoreSummary], None] | None = None


class Tally(msgspec.Struct):
    """Counts, and tells an observer.

    Attributes:
        reported: The paths with problems; None where nobody will ask.
        count_ahead: Called before progress is shown, to count what is expected; None where that is known, or nobody asks.
    """

    observer: RestoreObserver = msgspec.field(default_factory=RestoreObserver)
    summary: RestoreSummary = msgspec.field(default_factory=RestoreSummary)
    reported: set[bytes] | None = None
    count_ahead: Callable[[RestoreSummary], None] | None = None

    def take_root(self, entry: Entry, *, is_foreign: bool) -> Entry:
        """Return the entry of the restored directory itself as it may be restored, and count what is not."""
        restrained = self.restrain(entry) if is_foreign else entry
        if restrained is None or restrained.metadata.file_type not in (None, FileType.DIRECTORY):
            self.add(Problem(b"", ProblemKind.UNSET, "not set: metadata (its mode is none of a directory)"))
            return Entry(entry.name, entry.encoded)
        return restrained

    def restrain(self, entry: Entry) -> Entry | None:
        """Return an entry of a foreign snapshot as it may be restored, see `tallac.restore.privileges`; count what is withheld."""
        restrained = restrain(entry)
        self.summary.withheld += restrained is not entry
        return restrained

    def add(self, problem: Problem) -> None:
        """Count a problem."""
        if self.reported is not None:
            self.reported.add(problem.path)
        self.summary.count(problem)
        if self.observer.problem is not None:
            self.observer.problem(problem)

    def add_once(self, problem: Problem) -> None:
        """Count a problem at a path that has had none."""
        if self.reported is None or problem.path not in self.reported:
            self.add(problem)

    def count(self, result: BatchResult) -> None:
        """Count what became of a batch."""
        self.summary.files += result.files
        self.summary.bytes += result.bytes
        self.summary.owners_unset += result.owners_unset
        self.summary.count_unkept(result.unkept)
        for problem in result.problems:
            self.add(problem)

    def count_made(self, change: Change, path: bytes) -> None:
        """Count a file that was made, NEW or REPLACED, and name it."""
        self.summary.files += 1
        self.report_made(change, path)

    def report_made(self, change: Change, path: bytes) -> None:
        """Name a file that a batch counted."""
        self.summary.replaced += change is Change.REPLACED
        self.report(change, path)

    def count_left(self, change: Change, path: bytes) -> None:
        """Count a file that was not written; NEW and REPLACED are counted once they are made."""
        if change is Change.UNCHANGED:
            self.summary.unchanged += 1
        elif change is Change.AMENDED:
            self.summary.amended += 1
        elif change is Change.KEPT:
            self.summary.kept += 1
        else:
            return
        self.report(change, path)

    def report(self, change: Change, path: bytes) -> None:
        """Name a path and what was done there, if anything was."""
        if self.observer.change is not None and change is not Change.UNCHANGED:
            self.observer.change(change, path)

    def protect(self, path: bytes, what: str) -> None:
        """Report what stays as it is because it is Tallac's own."""
        if self.observer.protected is not None:
            self.observer.protected(path, what)

    def show_progress(self, path: bytes = b"") -> None:
        """Show the counts so far, and what it is about now; nothing at the end."""
        if self.observer.progress is None:
            return
        self.summary.path = path
        if self.count_ahead is not None:
            self.count_ahead(self.summary)
        self.observer.progress(self.summary)
