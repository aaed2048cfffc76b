"""Counts of a restore under way, and whom they are told."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tallac.dag import Entry
from tallac.restore.batch import BatchResult
from tallac.restore.selection import Selection
from tallac.restore.summary import Change, Problem, RestoreSummary


class RestoreObserver(msgspec.Struct, frozen=True):
    """What is told while a restore runs.

    Attributes:
        problem: Called once for each thing that is not as it was.
        change: Called with each path that was made, replaced, amended, kept or deleted, once it is.
        progress: Called now and then with the counts so far, and at the end. The object is the same each time.
    """

    problem: Callable[[Problem], None] | None = None
    change: Callable[[Change, bytes], None] | None = None
    progress: Callable[[RestoreSummary], None] | None = None


class Tally(msgspec.Struct):
    """Counts, and tells an observer.

    Attributes:
        told: The paths with problems; None where nobody will ask.
    """

    observer: RestoreObserver = msgspec.field(default_factory=RestoreObserver)
    summary: RestoreSummary = msgspec.field(default_factory=RestoreSummary)
    told: set[bytes] | None = None

    def expect(self, entry: Entry, selection: Selection) -> None:
        """Take from a snapshot's own facts how much there is to do, if all of it is wanted."""
        facts = entry.metadata.snapshot
        if facts is not None and selection.is_everything:
            self.summary.files_expected, self.summary.bytes_expected = facts.files, facts.size

    def add(self, problem: Problem) -> None:
        """Count a problem."""
        if self.told is not None:
            self.told.add(problem.path)
        self.summary.count(problem)
        if self.observer.problem is not None:
            self.observer.problem(problem)

    def add_once(self, problem: Problem) -> None:
        """Count a problem at a path that has had none."""
        if self.told is None or problem.path not in self.told:
            self.add(problem)

    def count(self, result: BatchResult) -> None:
        """Count what became of a batch."""
        self.summary.files += result.files
        self.summary.bytes += result.bytes
        self.summary.owners_unset += result.owners_unset
        for problem in result.problems:
            self.add(problem)

    def count_made(self, change: Change, path: bytes) -> None:
        """Count a file that was made, NEW or REPLACED, and name it."""
        self.summary.files += 1
        self.tell_made(change, path)

    def tell_made(self, change: Change, path: bytes) -> None:
        """Name a file that a batch counted."""
        self.summary.replaced += change is Change.REPLACED
        self.tell(change, path)

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
        self.tell(change, path)

    def tell(self, change: Change, path: bytes) -> None:
        """Name a path and what was done there, if anything was."""
        if self.observer.change is not None and change is not Change.UNCHANGED:
            self.observer.change(change, path)

    def show_progress(self) -> None:
        """Show the counts so far."""
        if self.observer.progress is not None:
            self.observer.progress(self.summary)
