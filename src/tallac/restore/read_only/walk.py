"""A walk through a snapshot beside what is there, that changes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from tallac.caps import DirectoryReadCap
from tallac.dag import LEADS_BACK, Components, Entry, join_components, mutable_identity
from tallac.errors import CapError, DamageError, EntryError
from tallac.interfaces import CapReader, Directory
from tallac.restore.entry_kind import Kind, kind_of
from tallac.restore.files.file_writer import CHILD_ERRORS, problem_of
from tallac.restore.files.hard_links import LinkTable
from tallac.restore.filesystem import DestinationSystem
from tallac.restore.options import RestoreSettings
from tallac.restore.overwrite.decide import ExistingFiles
from tallac.restore.path_filter import PathFilter, Scope
from tallac.restore.privileges import restrain
from tallac.restore.report import Change, Problem, ProblemKind, Tally
from tallac.restore.safe_names import is_safe_component
from tallac.source import DirectoryStack, SourceEntry, open_beneath
from tallac.source.absence import Absence


class _Level(NamedTuple):
    """A directory that the walk is in; its identity tells a mutable one that contains itself."""

    entries: Iterator[Entry]
    identity: bytes | None
    scope: Scope
    absence: Absence | None = None


class ReadOnlyWalk(ABC):
    """Goes through what is wanted of a snapshot and, as far as they are there, through the directories that it is restored to.

    A subclass says what it makes of each thing.

    Attributes:
        child_errors: What goes wrong with one thing only, and is reported.
        makes_files: Whether the walk stands for one that makes what is missing.
        counts_withheld: Whether it counts what foreign snapshots have in vain; a second walk over the same ones does not.
    """

    child_errors: tuple[type[Exception], ...] = CHILD_ERRORS
    makes_files: bool = False
    counts_withheld: bool = True

    def __init__(
        self,
        grid: CapReader,
        root: int | None,
        settings: RestoreSettings,
        system: DestinationSystem,
        tally: Tally,
        selection: PathFilter,
        existing: ExistingFiles,
        *,
        is_foreign: bool,
    ) -> None:
        """Look below an open directory, which stays the caller's; None where nothing is there."""
        self._grid = grid
        self._root = root
        self._settings = settings
        self._system = system
        self._tally = tally
        self._selection = selection
        self._existing = existing
        self._is_foreign = is_foreign
        self._links = LinkTable()
        self._stack = None if root is None else DirectoryStack(root, filesystem=system)
        # The innermost directories that are not there.
        self._missing: list[bytes] = []
        self._levels: list[_Level] = []

    def run(self, entry: Entry, absence: Absence | None = None) -> None:
        """Look at a directory with all that is in it, or at a file that is restored into the root.

        Args:
            entry: The directory or file.
            absence: What is known of the names that the directory has not, where that makes a difference.

        Raises:
            DamageError, CapError: The directory can't be read.
            StoreError: The store failed, other than by damage.
        """
        if entry.is_directory:
            stored = self._read(entry)
            if absence is not None:
                absence.take_in(self._grid, stored)
            self._levels.append(_Level(iter(stored), mutable_identity(entry.encoded), self._selection.top, absence))
            if self._directory is not None:
                self._enter_existing(entry, stored, self._selection.top, absence)
        else:
            self._levels.append(_Level(iter((entry,)), None, self._selection.top))
        try:
            while self._levels:
                found = self._next_entry()
                if found is None:
                    self._leave()
                else:
                    self._look(found)
        finally:
            if self._stack is not None:
                self._stack.close()
        self._tally.show_progress()

    @abstractmethod
    def visit_file(
        self, entry: Entry, change: Change, found: SourceEntry | None, kind: Kind, first: tuple[Components, bytes] | None
    ) -> bool:
        """Make something of what is no directory, and say whether later links can be made to it.

        What is a link itself comes with the directory and name of the file that it is one of.
        """

    @abstractmethod
    def visit_directory(self, entry: Entry, change: Change, found: SourceEntry | None, scope: Scope) -> None:
        """Make something of a directory, before what is in it; for one that is not wanted itself the scope is TRAVERSE_ONLY."""

    @abstractmethod
    def enter(self, entry: Entry, descriptor: int, stored: Directory, scope: Scope, absence: Absence | None) -> None:
        """Make something of a directory that is there and has been entered."""

    @property
    def components(self) -> Components:
        """Lead to the directory that the walk is in."""
        return (self._stack.components if self._stack is not None else ()) + tuple(self._missing)

    @property
    def scope(self) -> Scope:
        """The scope of the directory that the walk is in."""
        return self._levels[-1].scope

    @property
    def absence(self) -> Absence | None:
        """Knowledge of the names that the directory that the walk is in has not."""
        return self._levels[-1].absence

    @property
    def _directory(self) -> int | None:
        return None if self._stack is None or self._missing else self._stack.descriptor

    def _next_entry(self) -> Entry | None:
        try:
            return next(self._levels[-1].entries, None)
        except DamageError as error:
            self._tally.add(Problem(join_components(self.components), ProblemKind.DAMAGED, f"entries are missing: {error}"))
            return None

    def _look(self, entry: Entry) -> None:
        path = join_components(self.components, entry.name)
        try:
            if not is_safe_component(entry.name):
                raise EntryError("the name is not valid for a file, and might lead out of the destination")
            scope = self._selection.scope(path, entry.is_directory, self.scope)
            if scope is Scope.OUT:
                return
            kind = kind_of(entry)
            if self._is_foreign:
                restrained = self._tally.restrain(entry) if self.counts_withheld else restrain(entry)
                if restrained is None:
                    return
                entry = restrained
            directory = self._directory
            found = None if directory is None else self._existing.lstat(entry.name, directory)
            if kind is Kind.DIRECTORY:
                self._compare_directory(entry, found, directory, scope)
            else:
                self._compare_file(entry, kind, found, directory)
        except self.child_errors as error:
            self._tally.add(problem_of(error, path, self._settings))

    def _compare_file(self, entry: Entry, kind: Kind, found: SourceEntry | None, directory: int | None) -> None:
        first = self._links.first_of(entry)
        if first is not None:
            # What a dry run would make is not there: whatever has the name of the first one is none of its links.
            is_new = self.makes_files and self._links.is_new(entry)
            change = self._existing.decide_link(entry, found, None if is_new else self._lstat_beneath(*first), directory)
        else:
            change = Change.NEW if directory is None else self._existing.decide(entry, kind, found, directory)
        if not self.visit_file(entry, change, found, kind, first):
            return
        if first is not None:
            self._links.count_link(entry)
        else:
            self._links.add_first(entry, self.components, is_new=change in (Change.NEW, Change.REPLACED))

    def _compare_directory(self, entry: Entry, found: SourceEntry | None, directory: int | None, scope: Scope) -> None:
        identity = mutable_identity(entry.encoded)
        if identity is not None and any(level.identity == identity for level in self._levels):
            raise EntryError(LEADS_BACK)
        change = Change.NEW if directory is None else self._existing.decide(entry, Kind.DIRECTORY, found, directory)
        stored = self._read(entry)
        absence = None if self.absence is None else self.absence.entered(entry, self._grid, stored)
        self.visit_directory(entry, change, found, scope)
        if change is Change.KEPT:
            return
        if change is Change.UNCHANGED and self._stack is not None:
            self._stack.enter(entry.name)
            self._enter_existing(entry, stored, scope, absence)
        else:
            self._missing.append(entry.name)
        self._levels.append(_Level(iter(stored), identity, scope, absence))

    def _enter_existing(self, entry: Entry, stored: Directory, scope: Scope, absence: Absence | None) -> None:
        descriptor = self._directory
        assert descriptor is not None
        try:
            self.enter(entry, descriptor, stored, scope, absence)
        except OSError as error:
            self._tally.add(problem_of(error, join_components(self.components), self._settings))

    def _leave(self) -> None:
        path = join_components(self.components)
        self._levels.pop()
        if self._missing:
            self._missing.pop()
        elif self._levels and self._stack is not None:
            self._stack.leave()
        self._tally.show_progress(path)

    def _read(self, entry: Entry) -> Directory:
        cap = entry.cap
        if not isinstance(cap, DirectoryReadCap):
            raise CapError("the cap leads to no directory that can be read")
        return self._grid.read_directory(cap)

    def _lstat_beneath(self, components: Components, name: bytes) -> SourceEntry | None:
        if self._root is None:
            return None
        try:
            directory = open_beneath(self._root, components, filesystem=self._system)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return self._existing.lstat(name, directory)
        finally:
            self._system.close(directory)
