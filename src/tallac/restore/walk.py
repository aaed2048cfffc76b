"""The walk through what is restored: it makes directories and special files, hands regular files on, and finishes directories."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterator
from contextlib import closing

from tallac.caps import DirectoryReadCap
from tallac.dag import LEADS_BACK, Entry, Metadata, display_path, join_components, mutable_identity, size_of_encoded
from tallac.errors import CapError, DamageError, EntryError
from tallac.interfaces import CapReader, Directory
from tallac.restore.entry_kind import Kind, is_plain_file, kind_of
from tallac.restore.files.deferred_metadata import DeferredMetadata
from tallac.restore.files.file_writer import CHILD_ERRORS, Batch, FileWriter, problem_of
from tallac.restore.filesystem import DestinationSystem
from tallac.restore.options import PLAIN, RestoreOptions, RestoreSettings
from tallac.restore.overwrite.decide import ExistingFiles
from tallac.restore.overwrite.name_collisions import NameCollisions
from tallac.restore.overwrite.overwriter import Overwriter
from tallac.restore.overwrite.own_guard import OwnGuard
from tallac.restore.parallel.process_pool import make_runner
from tallac.restore.parallel.runner import BatchRunner, LocalRunner
from tallac.restore.path_filter import Scope
from tallac.restore.report import BatchResult, Change, Problem, ProblemKind, Tally
from tallac.restore.safe_names import is_safe_component
from tallac.restore.special_files import SpecialFiles
from tallac.source import DirectoryStack
from tallac.source.absence import Absence

BATCH_COUNT_MAX = 200
BATCH_SIZE_MAX = 2 << 20


class Level:
    """A directory that the walk is in.

    Attributes:
        metadata: What it gets when all below it is done; None to leave it as it is.
        stored: What the entries come from; None where a single file is restored.
        identity: What tells it from all others, where it can lead back to itself; else None. See `mutable_identity`.
        scope: What holds for it, and for what is in it unless that has a scope of its own.
        pending, pending_size: Files that go into the next batch, and the sum of their sizes.
        replaced: The names of those among them that take the place of something.
        absence: What is known of the names that it has not, where something may be deleted.
        collisions, last: Its names so far, and the newest of them, where something may be overwritten.
    """

    __slots__ = (
        "absence",
        "collisions",
        "entries",
        "identity",
        "last",
        "metadata",
        "pending",
        "pending_size",
        "replaced",
        "scope",
        "stored",
    )

    def __init__(
        self,
        entries: Iterator[Entry],
        metadata: Metadata | None,
        identity: bytes | None,
        scope: Scope = Scope.IN,
        stored: Directory | None = None,
    ) -> None:
        self.entries = entries
        self.stored = stored
        self.metadata = metadata
        self.identity = identity
        self.scope = scope
        self.pending: list[Entry] = []
        self.pending_size = 0
        self.replaced: set[bytes] = set()
        self.absence: Absence | None = None
        self.collisions = NameCollisions()
        self.last: bytes | None = None


class Walk:
    """One restore under way."""

    def __init__(
        self,
        grid: CapReader,
        root: int,
        settings: RestoreSettings,
        system: DestinationSystem,
        tally: Tally,
        *,
        runner: BatchRunner | None = None,
        workers: int = 0,
        options: RestoreOptions = PLAIN,
    ) -> None:
        """Restore below an open directory, which stays the caller's; with a runner, or with so many worker processes."""
        self._grid = grid
        self._root = root
        self._settings = settings
        self._system = system
        self._tally = tally
        self._selection = options.selection
        self._is_foreign = options.is_foreign
        # Nothing is asked about files but what they are.
        self._takes_all = options.selection.is_everything and not options.is_foreign and options.overwrite is None
        self._writer = FileWriter(grid, settings, system)
        guard = OwnGuard(options.own, system, tally)
        existing = ExistingFiles(grid, settings, system, options.overwrite, guard) if options.overwrite else None
        self._deferred = DeferredMetadata(root, settings, system, tally, existing.comparer if existing else None)
        self._overwriter = Overwriter(root, options, settings, system, tally, self._deferred, existing, guard) if existing else None
        self._special_files = SpecialFiles(root, system, tally, self._writer, self._deferred, self._overwriter)
        self._runner = runner or make_runner(grid, root, settings, self._writer, workers) or LocalRunner(self._writer)
        self._stack = DirectoryStack(root, filesystem=system)
        self._levels: list[Level] = []
        # The innermost directories that the walk is in and that are not made yet: they are once something in them is wanted.
        self._unmade: list[Entry] = []
        self._under_way: deque[tuple[Batch, set[bytes]]] = deque()
        self._submitted = 0
        self._completed = 0

    @property
    def grid(self) -> CapReader:
        """Where it reads."""
        return self._grid

    def run(self, top: Level) -> None:
        """Restore everything below a directory that exists already, and the directory's own metadata.

        Raises:
            DestinationError: The destination fails as a whole.
            StoreError: The store failed, other than by damage.
        """
        self._levels.append(top)
        with closing(self._runner), self._stack:
            try:
                self._prepare(top)
            except OSError as error:
                self._tally.add(problem_of(error, b"", self._settings))
            while self._levels:
                entry = self._next_entry(self._levels[-1])
                if entry is None:
                    self._leave()
                else:
                    self._restore(entry)
            self._absorb(self._runner.drain())
            self._deferred.finish_directories(self._completed)
            self._deferred.set_remaining_flags()
        self._tally.show_progress()

    def level_of(self, entry: Entry, metadata: Metadata | None, scope: Scope = Scope.IN) -> Level:
        """Begin to read a directory.

        Raises:
            DamageError, CapError: It can't be read.
        """
        cap = entry.cap
        if not isinstance(cap, DirectoryReadCap):
            raise CapError("the cap leads to no directory that can be read")
        stored = self._grid.read_directory(cap)
        return Level(iter(stored), metadata, mutable_identity(entry.encoded), scope, stored)

    def _next_entry(self, level: Level) -> Entry | None:
        try:
            return self._next_unusual(level) if self._takes_all else next(level.entries, None)
        except DamageError as error:
            self._tally.add(Problem(self._path(), ProblemKind.DAMAGED, f"entries are missing: {error}"))
            return None

    def _next_unusual(self, level: Level) -> Entry | None:
        """Return the next entry that is no regular file with one name; such files go into the batch, as long as it is not full.

        It is what `_restore` does with them where everything is wanted and nothing is there, without a call for each question.
        """
        pending = level.pending
        size, size_left = 0, BATCH_SIZE_MAX - level.pending_size
        try:
            for entry in level.entries:
                metadata, encoded = entry.metadata, entry.encoded
                if not is_plain_file(metadata.mode, encoded) or metadata.links > 1 or not is_safe_component(entry.name):
                    return entry
                file_size = size_of_encoded(encoded)
                if len(pending) >= BATCH_COUNT_MAX - 1 or size + file_size >= size_left:
                    return entry
                pending.append(entry)
                size += file_size
            return None
        finally:
            level.pending_size += size

    def _restore(self, entry: Entry) -> None:
        try:
            if not is_safe_component(entry.name):
                raise EntryError("the name is not valid for a file, and might lead out of the destination")
            scope = self._levels[-1].scope
            if not self._selection.is_everything:
                scope = self._selection.scope(self._path(entry.name), entry.is_directory, scope)
            if scope is Scope.OUT:
                return
            kind = kind_of(entry)
            if self._is_foreign:
                restrained = self._tally.restrain(entry)
                if restrained is None:
                    return
                entry = restrained
            if scope is Scope.TRAVERSE_ONLY:
                self._pass(entry)
                return
            if self._unmade:
                self._make_unmade()
            if self._overwriter is not None:
                self._refuse_collision(entry.name)
            if kind is Kind.DIRECTORY:
                self._enter(entry)
            elif entry.metadata.links > 1:
                directory, components = self._stack.descriptor, self._stack.components
                self._special_files.restore_linked(entry, kind, directory, components, self._levels[-1].scope)
            else:
                self._restore_single(entry, kind)
        except CHILD_ERRORS as error:
            self._tally.add(problem_of(error, self._path(entry.name), self._settings))

    def _restore_single(self, entry: Entry, kind: Kind) -> None:
        change = self._settle(entry, kind)
        if change in (Change.NEW, Change.REPLACED):
            if kind is Kind.REGULAR:
                self._enqueue(entry, change)
            else:
                self._special_files.make_special(entry, self._stack.descriptor, self._stack.components, change)

    def _settle(self, entry: Entry, kind: Kind) -> Change:
        if self._overwriter is None:
            return Change.NEW
        return self._overwriter.settle(entry, kind, self._stack.descriptor, self._stack.components, self._levels[-1].scope)

    def _refuse_collision(self, name: bytes) -> None:
        """Refuse a name that this file system takes for one that has been restored: it would be overwritten."""
        level = self._levels[-1]
        last, level.last = level.last, name
        if not level.collisions.is_suspect(name):
            return
        self._submit(level)
        self._absorb(self._runner.drain())
        if last == name or (self._overwriter is not None and self._overwriter.is_alias(name, self._stack.descriptor)):
            raise OSError(errno.EEXIST, "the name is taken")

    def _enter(self, entry: Entry) -> None:
        level = self._level_below(entry, Scope.IN)
        change = self._settle(entry, Kind.DIRECTORY)
        if change is Change.KEPT:
            return
        if change is Change.UNCHANGED:
            self._enter_existing(entry, level)
        else:
            self._make_directory(entry)
        self._levels.append(level)

    def _pass(self, entry: Entry) -> None:
        """Go down into a directory that is made only if something in it is wanted."""
        level = self._level_below(entry, Scope.TRAVERSE_ONLY)
        change = Change.NEW
        if self._overwriter is not None and not self._unmade:
            change = self._overwriter.decide_directory(entry, self._stack.descriptor, self._stack.components)
        if change is Change.KEPT:
            self._tally.count_left(change, self._path(entry.name))
            return
        if change is Change.UNCHANGED:
            level.metadata = None
            self._enter_existing(entry, level)
        else:
            self._unmade.append(entry)
        self._levels.append(level)

    def _level_below(self, entry: Entry, scope: Scope) -> Level:
        identity = mutable_identity(entry.encoded)
        if identity is not None and any(level.identity == identity for level in self._levels):
            raise EntryError(LEADS_BACK)
        level = self.level_of(entry, entry.metadata, scope)
        above = self._levels[-1].absence
        if above is not None and level.stored is not None:
            level.absence = above.entered(entry, self._grid, level.stored)
        return level

    def _make_unmade(self) -> None:
        """Make the directories on the way to something that is wanted."""
        while self._unmade:
            entry = self._unmade[0]
            if self._settle(entry, Kind.DIRECTORY) is Change.KEPT:
                raise EntryError(
                    f"what is in the way at {display_path(join_components(self._stack.components, entry.name))} is kept"
                )
            self._make_directory(entry)
            del self._unmade[0]

    def _make_directory(self, entry: Entry) -> None:
        self._system.make_directory(entry.name, self._stack.descriptor)
        self._writer.require_directory_name(entry.name, self._stack.descriptor)
        self._stack.enter(entry.name)
        self._tally.summary.directories += 1
        self._tally.report(Change.NEW, join_components(self._stack.components))

    def _enter_existing(self, entry: Entry, level: Level) -> None:
        assert self._overwriter is not None
        try:
            self._stack.enter(entry.name)
        except PermissionError:
            self._overwriter.grant_owner_access(entry.name, self._stack.descriptor)
            self._stack.enter(entry.name)
        self._tally.summary.directories += 1
        try:
            self._prepare(level)
        except BaseException:
            self._stack.leave()
            raise

    def _prepare(self, level: Level) -> None:
        if self._overwriter is not None and level.stored is not None:
            components = self._stack.components
            level.metadata = self._overwriter.prepare(
                self._stack.descriptor, components, level.stored, level.scope, level.metadata, level.absence
            )

    def _leave(self) -> None:
        path = self._path()
        level = self._levels.pop()
        if self._unmade:
            self._unmade.pop()
            return
        self._submit(level)
        self._absorb(self._runner.results())
        if level.metadata is not None:
            self._finish_or_wait(level.metadata)
        if self._levels:
            self._stack.leave()
        self._deferred.finish_directories(self._completed)
        self._tally.show_progress(path)

    def _enqueue(self, entry: Entry, change: Change) -> None:
        level = self._levels[-1]
        level.pending.append(entry)
        level.pending_size += entry.size
        if change is Change.REPLACED:
            level.replaced.add(entry.name)
        if len(level.pending) >= BATCH_COUNT_MAX or level.pending_size >= BATCH_SIZE_MAX:
            self._submit(level)
            self._absorb(self._runner.results())
            self._tally.show_progress(self._path(entry.name))

    def _submit(self, level: Level) -> None:
        if not level.pending:
            return
        replaced = level.replaced
        batch = Batch(self._stack.components, level.pending, frozenset(replaced), level.pending_size)
        level.pending, level.pending_size, level.replaced = [], 0, set()
        try:
            directory = self._stack.descriptor
        except OSError as error:
            for entry in batch.entries:
                self._tally.add(problem_of(error, self._path(entry.name), self._settings))
            return
        self._under_way.append((batch, replaced))
        self._runner.submit(batch, directory)
        self._submitted += 1

    def _absorb(self, results: list[BatchResult]) -> None:
        for result in results:
            self._completed += 1
            self._tally.count(result)
            batch, replaced = self._under_way.popleft()
            if replaced or self._tally.observer.change is not None:
                self._report_batch(batch, replaced, result)

    def _report_batch(self, batch: Batch, replaced: set[bytes], result: BatchResult) -> None:
        missing = {problem.path for problem in result.problems if problem.kind is not ProblemKind.UNSET}
        for entry in batch.entries:
            path = join_components(batch.components, entry.name)
            if path not in missing:
                self._tally.report_made(Change.REPLACED if entry.name in replaced else Change.NEW, path)

    def _finish_or_wait(self, metadata: Metadata) -> None:
        components = self._stack.components
        if self._deferred.has_directories or self._completed < self._submitted:
            self._deferred.add_directory(self._submitted, components, metadata)
            return
        try:
            directory = self._stack.descriptor
        except OSError as error:
            self._tally.add(problem_of(error, join_components(components), self._settings))
            return
        self._deferred.finish_directory(directory, components, metadata)

    def _path(self, name: bytes | None = None) -> bytes:
        components = self._stack.components
        if self._unmade:
            components += tuple(entry.name for entry in self._unmade)
        return join_components(components, name)
