"""A restore that changes nothing, and reports what one would do."""

from __future__ import annotations

from tallac.dag import Components, Entry, join_components
from tallac.interfaces import CapReader, Directory
from tallac.restore.entry_kind import Kind
from tallac.restore.filesystem import DestinationSystem, Place
from tallac.restore.options import Overwrite, RestoreOptions, RestoreSettings
from tallac.restore.overwrite.decide import ExistingFiles
from tallac.restore.overwrite.deleter import Deleter
from tallac.restore.overwrite.own_guard import OwnGuard
from tallac.restore.path_filter import Scope
from tallac.restore.read_only.walk import ReadOnlyWalk
from tallac.restore.report import Change, Problem, ProblemKind, Tally
from tallac.source import SourceEntry
from tallac.source.absence import Absence


class ReadOnlySystem(DestinationSystem):
    """The real file system, as something that can't be changed: what deletes or prepares to does nothing."""

    def remove(self, name: bytes, directory: int) -> None:
        pass

    def remove_directory(self, name: bytes, directory: int) -> None:
        pass

    def grant_owner_access(self, name: bytes, directory: int) -> None:
        pass

    def set_mode(self, place: Place, mode: int) -> None:
        pass

    def set_flags(self, descriptor: int, flags: int) -> None:
        pass


class DryRun(ReadOnlyWalk):
    """Counts and tells what would be done; directories' metadata is left out, since it follows from the rest."""

    makes_files = True

    def __init__(self, grid: CapReader, root: int | None, options: RestoreOptions, settings: RestoreSettings, tally: Tally) -> None:
        """Look below an open directory, which stays the caller's; None where nothing is there."""
        system = ReadOnlySystem()
        # Without a rule the folder must be empty, so that no rule is ever needed.
        guard = OwnGuard(options.own, system, tally)
        existing = ExistingFiles(grid, settings, system, options.overwrite or Overwrite.NEVER, guard)
        super().__init__(grid, root, settings, system, tally, options.selection, existing, is_foreign=options.is_foreign)
        self._options = options
        self._deleter = Deleter(options, settings, system, tally, guard)
        # Directories on the way to what may be wanted, that would be made for it.
        self._unreported: list[Components] = []

    def visit_file(
        self,
        entry: Entry,
        change: Change,
        found: SourceEntry | None,
        kind: Kind,
        first: tuple[Components, bytes] | None,
    ) -> bool:
        path = join_components(self.components, entry.name)
        self._report_directories(self.components)
        if found is not None and self._options.overwrite is None:
            self._tally.add(Problem(path, ProblemKind.FAILED, "exists already; use --overwrite"))
            return False
        if change is Change.REPLACED and found is not None and found.is_directory and not self._gives_way(found):
            self._tally.add(Problem(path, ProblemKind.FAILED, "a directory that is not empty is in the way"))
            return False
        if change in (Change.NEW, Change.REPLACED):
            self._tally.count_made(change, path)
            self._tally.summary.bytes += entry.size if kind is Kind.REGULAR else 0
        else:
            self._tally.count_left(change, path)
        return True

    def visit_directory(self, entry: Entry, change: Change, found: SourceEntry | None, scope: Scope) -> None:
        components = (*self.components, entry.name)
        if change is Change.KEPT:
            self._tally.count_left(change, join_components(components))
        elif change is Change.UNCHANGED:
            self._tally.summary.directories += 1
        else:
            self._unreported = [above for above in self._unreported if above == components[: len(above)]] + [components]
            if scope is Scope.IN:
                self._report_directories(components)

    def enter(self, entry: Entry, descriptor: int, stored: Directory, scope: Scope, absence: Absence | None) -> None:
        self._deleter.sweep(descriptor, self.components, stored, scope, absence)

    def _report_directories(self, components: Components) -> None:
        """Count and name those directories that would be made on the way, the last one included."""
        for above in self._unreported:
            if above == components[: len(above)]:
                self._tally.summary.directories += 1
                self._tally.report(Change.NEW, join_components(above))
        self._unreported = []

    def _gives_way(self, found: SourceEntry) -> bool:
        directory = self._directory
        assert directory is not None
        if self._options.delete:
            path = join_components(self.components, found.name)
            scope = self._options.selection.scope(path, is_directory=True, parent=self.scope)
            return self._deleter.remove_tree(found, directory, self.components, scope)
        return self._deleter.is_empty(found.name, directory)
