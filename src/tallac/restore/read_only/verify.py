"""Reading back what was restored, and comparing it with the snapshot."""

from __future__ import annotations

from tallac.dag import Components, Entry, join_components
from tallac.interfaces import CapReader, Directory
from tallac.restore.entry_kind import Kind
from tallac.restore.files.compare import is_same_time
from tallac.restore.filesystem import DestinationSystem, Place
from tallac.restore.options import Overwrite, RestoreOptions, RestoreSettings
from tallac.restore.overwrite.decide import ExistingFiles
from tallac.restore.path_filter import Scope
from tallac.restore.read_only.walk import ReadOnlyWalk
from tallac.restore.report import Change, Problem, ProblemKind, Tally
from tallac.source import SourceEntry
from tallac.source.absence import Absence


class WrittenFiles(ExistingFiles):
    """Judges what must be as it is in the snapshot, except for what was to be kept: what has another time."""

    def __init__(self, grid: CapReader, settings: RestoreSettings, system: DestinationSystem, options: RestoreOptions) -> None:
        """Judge all contents by reading them from the disk."""
        super().__init__(grid, settings, system, Overwrite.ALWAYS)
        self.comparer.reads_disk = True
        self._keeps = options.overwrite in (Overwrite.NEVER, Overwrite.IF_NEWER)

    def _gives_way(self, entry: Entry, found: SourceEntry) -> bool:
        wanted = entry.metadata.mtime_ns
        return not self._keeps or wanted is None or is_same_time(found, wanted)

    def _amended(self, found: SourceEntry, entry: Entry, place: Place, directory: int) -> Change:
        # Nothing is going to be written, so it does not matter who else has the file.
        return Change.AMENDED


class Verification(ReadOnlyWalk):
    """Reports each thing that is not as it is in the snapshot, once."""

    counts_withheld = False

    def __init__(
        self,
        grid: CapReader,
        root: int,
        options: RestoreOptions,
        settings: RestoreSettings,
        system: DestinationSystem,
        tally: Tally,
    ) -> None:
        """Look below an open directory, which stays the caller's."""
        existing = WrittenFiles(grid, settings, system, options)
        existing.comparer.ignore(tally.summary.unkept)
        super().__init__(grid, root, settings, system, tally, options.selection, existing, is_foreign=options.is_foreign)
        self._keeps_directories = options.overwrite is Overwrite.NEVER

    def visit_file(
        self,
        entry: Entry,
        change: Change,
        found: SourceEntry | None,
        kind: Kind,
        first: tuple[Components, bytes] | None,
    ) -> bool:
        path = join_components(self.components, entry.name)
        if change is Change.NEW:
            self._tally.add_once(Problem(path, ProblemKind.FAILED, "verified: it does not exist"))
        elif change is Change.REPLACED:
            self._tally.add_once(Problem(path, ProblemKind.FAILED, "verified: its content differs from the snapshot's"))
        elif change is Change.AMENDED:
            self._tally.add_once(Problem(path, ProblemKind.UNSET, "verified: its metadata differ from the snapshot's"))
        else:
            self._tally.summary.verified += change is Change.UNCHANGED
        return True

    def visit_directory(self, entry: Entry, change: Change, found: SourceEntry | None, scope: Scope) -> None:
        path = join_components(self.components, entry.name)
        if scope is Scope.IN and change in (Change.NEW, Change.REPLACED):
            self._tally.add_once(Problem(path, ProblemKind.FAILED, "verified: the directory does not exist"))

    def enter(self, entry: Entry, descriptor: int, stored: Directory, scope: Scope, absence: Absence | None) -> None:
        if self._keeps_directories or scope is not Scope.IN or entry.metadata.mode is None:
            return
        found = SourceEntry.of(entry.name, self._system.fstat(descriptor))
        if self._existing.comparer.differs(descriptor, found, entry.metadata):
            path = join_components(self.components)
            self._tally.add_once(Problem(path, ProblemKind.UNSET, "verified: its metadata differ from the snapshot's"))
