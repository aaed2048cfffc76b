"""The walk through what is restored: it makes directories and special files, hands regular files on, and finishes directories."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import Protocol

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, Metadata
from tallac.errors import CapError, DamageError, EntryError
from tallac.interfaces import CapReader
from tallac.restore.attributes import FLAGS_LINK_FORBIDDING
from tallac.restore.batch import Batch, BatchResult, FileWriter, problem_of
from tallac.restore.finish import Finisher
from tallac.restore.links import LinkTable
from tallac.restore.names import is_safe_component, join_path, shown
from tallac.restore.pool_runner import make_runner
from tallac.restore.selection import EVERYTHING, Scope, Selection
from tallac.restore.settings import RestoreSettings
from tallac.restore.special import Kind, is_device, kind_of, make_special
from tallac.restore.summary import Change, Problem, ProblemKind
from tallac.restore.system import Beneath, DestinationSystem, is_fatal
from tallac.restore.tally import Tally
from tallac.source import DirectoryStack, open_beneath

BATCH_COUNT_MAX = 200
BATCH_SIZE_MAX = 2 << 20

_CHILD_ERRORS = (DamageError, CapError, EntryError, OSError, ValueError, OverflowError)


class BatchRunner(Protocol):
    """Restores batches, at once or elsewhere. Whatever a batch raises, `submit`, `results` or `drain` raises."""

    def submit(self, batch: Batch, directory: int) -> None:
        """Take a batch; waits while too many are under way. The directory's descriptor is open during this call only."""
        ...

    def results(self) -> list[BatchResult]:
        """Give what has been done since the last call, in the order of submission; waits for nothing."""
        ...

    def drain(self) -> list[BatchResult]:
        """Wait for all that is under way, and give what `results` would."""
        ...

    def close(self) -> None:
        """End what is under way, finished or not."""
        ...


class LocalRunner:
    """Restores each batch in this process, at once."""

    def __init__(self, writer: FileWriter) -> None:
        """Write with this writer."""
        self._writer = writer
        self._done: list[BatchResult] = []

    def submit(self, batch: Batch, directory: int) -> None:
        self._done.append(self._writer.write_batch(batch, directory))

    def results(self) -> list[BatchResult]:
        done, self._done = self._done, []
        return done

    def drain(self) -> list[BatchResult]:
        return self.results()

    def close(self) -> None:
        pass


class Frame:
    """A directory that the walk is in.

    Attributes:
        metadata: What it gets when all below it is done; None to leave it as it is.
        packed: Its cap, to notice a directory that contains itself.
        scope: What holds for it, and for what is in it unless that has a scope of its own.
    """

    __slots__ = ("entries", "metadata", "packed", "pending", "pending_size", "scope")

    def __init__(self, entries: Iterator[Entry], metadata: Metadata | None, packed: bytes, scope: Scope = Scope.IN) -> None:
        self.entries = entries
        self.metadata = metadata
        self.packed = packed
        self.scope = scope
        self.pending: list[Entry] = []
        self.pending_size = 0


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
        selection: Selection = EVERYTHING,
    ) -> None:
        """Restore below an open directory, which stays the caller's; with a runner, or with so many worker processes."""
        self._grid = grid
        self._root = root
        self._settings = settings
        self._system = system
        self._tally = tally
        self._selection = selection
        self._writer = FileWriter(grid, settings, system)
        self._finisher = Finisher(root, settings, system, tally)
        self._runner = runner or make_runner(grid, root, settings, self._writer, workers) or LocalRunner(self._writer)
        self._stack = DirectoryStack(root, filesystem=system)
        self._frames: list[Frame] = []
        # The innermost directories that the walk is in and that are not made yet: they are once something in them is wanted.
        self._unmade: list[Entry] = []
        self._links = LinkTable()
        self._under_way: deque[Batch] = deque()
        self._submitted = 0
        self._completed = 0

    def run(self, top: Frame) -> None:
        """Restore everything below a directory that exists already, and the directory's own metadata.

        Raises:
            DestinationError: The destination fails as a whole.
            StoreError: The store failed, other than by damage.
        """
        self._frames.append(top)
        with closing(self._runner), self._stack:
            while self._frames:
                entry = self._next_entry(self._frames[-1])
                if entry is None:
                    self._leave()
                else:
                    self._restore(entry)
            self._absorb(self._runner.drain())
            self._finisher.finish_directories(self._completed)
            self._finisher.set_flags_left()
        self._tally.show_progress()

    def frame_of(self, entry: Entry, metadata: Metadata | None, scope: Scope = Scope.IN) -> Frame:
        """Begin to read a directory.

        Raises:
            DamageError, CapError: It can't be read.
        """
        cap = entry.cap
        if not isinstance(cap, DirectoryReadCap):
            raise CapError("the cap leads to no directory that can be read")
        return Frame(iter(self._grid.read_directory(cap)), metadata, entry.packed, scope)

    def _next_entry(self, frame: Frame) -> Entry | None:
        try:
            return next(frame.entries, None)
        except DamageError as error:
            self._tally.add(Problem(self._path(), ProblemKind.DAMAGED, f"entries are missing: {error}"))
            return None

    def _restore(self, entry: Entry) -> None:
        try:
            if not is_safe_component(entry.name):
                raise EntryError("the name is no name of a file, and might lead out of the destination")
            scope = self._frames[-1].scope
            if not self._selection.is_everything:
                scope = self._selection.scope(self._path(entry.name), entry.is_directory, scope)
            if scope is Scope.OUT:
                return
            kind = kind_of(entry)
            if scope is Scope.PASSAGE:
                self._pass(entry)
                return
            if self._unmade:
                self._make_unmade()
            if kind is Kind.DIRECTORY:
                self._enter(entry)
            elif entry.metadata.links > 1:
                self._restore_linked(entry, kind)
            elif kind is Kind.REGULAR:
                self._enqueue(entry)
            else:
                self._make_special(entry)
        except _CHILD_ERRORS as error:
            self._tally.add(problem_of(error, self._path(entry.name), self._settings))

    def _enter(self, entry: Entry) -> None:
        frame = self._frame_below(entry, Scope.IN)
        self._make_directory(entry)
        self._frames.append(frame)

    def _pass(self, entry: Entry) -> None:
        """Go down into a directory that is made only if something in it is wanted."""
        frame = self._frame_below(entry, Scope.PASSAGE)
        self._unmade.append(entry)
        self._frames.append(frame)

    def _frame_below(self, entry: Entry, scope: Scope) -> Frame:
        # Only a mutable directory can: what is immutable is made after what it contains.
        if entry.packed[:1] == b"T" and any(frame.packed == entry.packed for frame in self._frames):
            raise EntryError("the directory contains itself")
        return self.frame_of(entry, entry.metadata, scope)

    def _make_unmade(self) -> None:
        """Make the directories on the way to something that is wanted."""
        while self._unmade:
            self._make_directory(self._unmade[0])
            del self._unmade[0]

    def _make_directory(self, entry: Entry) -> None:
        self._system.make_directory(entry.name, self._stack.descriptor)
        self._stack.enter(entry.name)
        self._tally.summary.directories += 1
        self._tally.tell(Change.NEW, join_path(self._stack.components))

    def _leave(self) -> None:
        frame = self._frames.pop()
        if self._unmade:
            self._unmade.pop()
            return
        self._submit(frame)
        self._absorb(self._runner.results())
        if frame.metadata is not None:
            self._finish_or_wait(frame.metadata)
        if self._frames:
            self._stack.leave()
        self._finisher.finish_directories(self._completed)
        self._tally.show_progress()

    def _enqueue(self, entry: Entry) -> None:
        frame = self._frames[-1]
        frame.pending.append(entry)
        frame.pending_size += entry.size
        if len(frame.pending) >= BATCH_COUNT_MAX or frame.pending_size >= BATCH_SIZE_MAX:
            self._submit(frame)
            self._absorb(self._runner.results())
            self._tally.show_progress()

    def _submit(self, frame: Frame) -> None:
        if not frame.pending:
            return
        batch = Batch(self._stack.components, frame.pending)
        frame.pending, frame.pending_size = [], 0
        try:
            directory = self._stack.descriptor
        except OSError as error:
            for entry in batch.entries:
                self._tally.add(problem_of(error, self._path(entry.name), self._settings))
            return
        self._under_way.append(batch)
        self._runner.submit(batch, directory)
        self._submitted += 1

    def _absorb(self, results: list[BatchResult]) -> None:
        for result in results:
            self._completed += 1
            self._tally.count(result)
            self._tell_batch(self._under_way.popleft(), result)

    def _tell_batch(self, batch: Batch, result: BatchResult) -> None:
        if self._tally.observer.change is None:
            return
        missing = {problem.path for problem in result.problems if problem.kind is not ProblemKind.UNSET}
        for entry in batch.entries:
            path = join_path(batch.components, entry.name)
            if path not in missing:
                self._tally.tell(Change.NEW, path)

    def _make_special(self, entry: Entry) -> bool:
        """Make what has no content, with its metadata; say whether it is there."""
        directory = self._stack.descriptor
        try:
            make_special(self._system, entry, directory)
        except PermissionError as error:
            if not is_device(entry):
                raise
            what = f"not made: {error.strerror}; only root may"
            self._tally.add(Problem(self._path(entry.name), ProblemKind.UNSET, what))
            return False
        self._finisher.set_attributes(Beneath(directory, entry.name), entry.metadata, self._path(entry.name))
        self._tally.summary.files += 1
        self._tally.tell(Change.NEW, self._path(entry.name))
        return True

    def _restore_linked(self, entry: Entry, kind: Kind) -> None:
        """Make a link of a file that is there, or the file itself, at once: later links rely on it."""
        first = self._links.first_of(entry)
        if first is not None and self._link(entry, *first):
            self._tally.summary.bytes += entry.size if kind is Kind.REGULAR else 0
            return
        components = self._stack.components
        is_made = self._make_special(entry) if kind is Kind.SPECIAL else self._write_now(entry)
        if is_made and first is None:
            self._links.add_first(entry, components)

    def _write_now(self, entry: Entry) -> bool:
        """Write a file that gets links, without those flags that would forbid them; say whether it is there."""
        components = self._stack.components
        result = BatchResult()
        is_held = bool(entry.metadata.flags & FLAGS_LINK_FORBIDDING)
        is_made = self._writer.write(entry, self._stack.descriptor, components, result, with_flags=not is_held)
        self._tally.count(result)
        if is_made and is_held:
            self._finisher.add_unflagged(components, entry.name, entry.metadata.flags)
        if is_made:
            self._tally.tell(Change.NEW, self._path(entry.name))
        return is_made

    def _link(self, entry: Entry, components: tuple[bytes, ...], name: bytes) -> bool:
        new = Beneath(self._stack.descriptor, entry.name)
        try:
            directory = open_beneath(self._root, components, filesystem=self._system)
            try:
                self._system.make_link(Beneath(directory, name), new)
            finally:
                self._system.close(directory)
        except OSError as error:
            if is_fatal(error) or error.errno == errno.EEXIST:
                raise
            # The file system knows no links, or no more of this file; or somebody moved the first one away.
            what = f"a copy instead of a hard link of {shown(join_path(components, name))} ({error.strerror})"
            self._tally.add(Problem(self._path(entry.name), ProblemKind.UNSET, what))
            return False
        self._links.count_link(entry)
        self._tally.summary.files += 1
        self._tally.tell(Change.NEW, self._path(entry.name))
        return True

    def _finish_or_wait(self, metadata: Metadata) -> None:
        components = self._stack.components
        if self._finisher.has_directories or self._completed < self._submitted:
            self._finisher.add_directory(self._submitted, components, metadata)
            return
        try:
            directory = self._stack.descriptor
        except OSError as error:
            self._tally.add(problem_of(error, join_path(components), self._settings))
            return
        self._finisher.finish_directory(directory, components, metadata)

    def _path(self, name: bytes | None = None) -> bytes:
        components = self._stack.components
        if self._unmade:
            components += tuple(entry.name for entry in self._unmade)
        return join_path(components, name)
