"""Deleting what a snapshot has not, or what is in its way; never through a symbolic link, and nothing on other file systems."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from tallac.dag import Components, join_components
from tallac.errors import DamageError, MalformedObjectError
from tallac.interfaces import Directory
from tallac.restore.files.file_writer import problem_of
from tallac.restore.files.metadata import FLAGS_LINK_FORBIDDING
from tallac.restore.filesystem import DestinationSystem
from tallac.restore.options import RestoreOptions, RestoreSettings
from tallac.restore.overwrite.own_guard import OwnGuard
from tallac.restore.path_filter import Scope
from tallac.restore.report import Change, Problem, ProblemKind, Tally
from tallac.restore.safe_names import is_temporary
from tallac.source import DirectorySelection, DirectoryStack, Scan, SourceEntry, open_directory, open_regular, read_flags, scan
from tallac.source.absence import Absence


class Deleter:
    """Deletes below open directories; counts and reports what was deleted."""

    def __init__(
        self, options: RestoreOptions, settings: RestoreSettings, system: DestinationSystem, tally: Tally, guard: OwnGuard
    ) -> None:
        """Delete what a user's options allow, and the guard does not hold."""
        self._guard = guard
        self._options = options
        self._settings = settings
        self._system = system
        self._tally = tally

    def sweep(self, descriptor: int, components: Components, stored: Directory, scope: Scope, absence: Absence | None) -> None:
        """Delete what killed restores have left in an open directory and, where that is wanted, what was gone from the stored one.

        Raises:
            OSError: The directory can't be listed, or the destination fails as a whole.
        """
        self._remove_leftovers(descriptor, stored)
        if not self._options.delete or absence is None or scope is Scope.OUT:
            return
        is_known = absence.is_on(self._system.fstat(descriptor).st_dev)
        try:
            with scan(descriptor, filesystem=self._system) as listing:
                for found in extraneous(listing, stored):
                    if is_known and absence.proves_removed(found):
                        self._remove_extraneous(found, descriptor, components, scope, absence)
                    else:
                        self._tally.report(Change.KEPT, join_components(components, found.name))
        except DamageError as error:
            message = f"nothing was deleted here, because the snapshot's directory can't be read completely: {error}"
            self._tally.add(Problem(join_components(components), ProblemKind.FAILED, message))

    def remove_tree(
        self,
        found: SourceEntry,
        directory: int,
        components: Components,
        scope: Scope,
        rules: DirectorySelection | None = None,
    ) -> bool:
        """Delete a directory with what is in it, as far as that is in scope; return whether it was deleted.

        What the rules that hold in it would leave out of a backup stays. Problems are reported.

        Raises:
            OSError: The destination fails as a whole.
        """
        if not self._may_enter(found, directory, components):
            return False
        top = _Level(found, scope, rules)
        levels: list[_Level] = []
        with DirectoryStack(directory, filesystem=self._system) as stack:
            try:
                self._descend(stack, top, levels)
                while levels:
                    self._step(stack, components, levels)
            except OSError as error:
                self._tally.add(problem_of(error, join_components((*components, *stack.components)), self._settings))
                top.keeps = True
            finally:
                for level in levels:
                    level.close()
        return not top.keeps

    def clear_flags(self, found: SourceEntry, directory: int) -> None:
        """Take those flags off a file or directory that would forbid to replace it, as far as this user may.

        Raises:
            OSError: The destination failed.
        """
        if not (found.is_regular or found.is_directory):
            return
        try:
            descriptor = (
                open_directory(directory, found.name, filesystem=self._system)
                if found.is_directory
                else open_regular(directory, found.name, filesystem=self._system)[0]
            )
        except OSError:
            return  # What can't be opened can't be freed; replacing it says what is wrong, if anything is.
        try:
            self.clear_open_flags(descriptor)
        finally:
            self._system.close(descriptor)

    def clear_open_flags(self, descriptor: int) -> None:
        """Do as `free` for what is open."""
        if read_flags(descriptor, filesystem=self._system) & FLAGS_LINK_FORBIDDING:
            try:
                self._system.set_flags(descriptor, self._system.get_flags(descriptor) & ~FLAGS_LINK_FORBIDDING)
            except PermissionError:
                return  # As above.

    def is_empty(self, name: bytes, directory: int) -> bool:
        """Whether nothing is in a directory. Raises OSError."""
        descriptor = open_directory(directory, name, filesystem=self._system)
        try:
            with self._system.scandir(descriptor) as listing:
                return next(listing, None) is None
        finally:
            self._system.close(descriptor)

    def _remove_leftovers(self, descriptor: int, stored: Directory) -> None:
        with self._system.scandir(descriptor) as listing:
            left = [name for listed in listing if is_temporary(name := os.fsencode(listed.name))]
        for name in left:
            try:
                if stored.get(name) is None:
                    self._system.remove(name, descriptor)
            except (DamageError, IsADirectoryError, PermissionError):
                continue  # Not ours, or not known to be: it stays.

    def _remove_extraneous(
        self, found: SourceEntry, directory: int, components: Components, scope: Scope, absence: Absence
    ) -> None:
        path = join_components(components, found.name)
        below = self._options.selection.scope(path, found.is_directory, scope)
        if below is Scope.OUT:
            return
        if found.is_directory:
            self.remove_tree(found, directory, components, below, absence.selection.below(found.name, found.device, None))
        elif not self._guard.holds(found, directory):
            self._remove_file(found, directory, path)

    def _remove_file(self, found: SourceEntry, directory: int, path: bytes) -> bool:
        """Delete what is no directory; return whether it was deleted."""
        self.clear_flags(found, directory)
        try:
            self._system.remove(found.name, directory)
        except FileNotFoundError:
            return True
        except OSError as error:
            self._tally.add(problem_of(error, path, self._settings))
            return False
        self._tally.summary.deleted += 1
        self._tally.report(Change.DELETED, path)
        return True

    def _descend(self, stack: DirectoryStack, level: _Level, levels: list[_Level]) -> None:
        try:
            descriptor = stack.enter(level.found.name)
        except PermissionError:
            self._system.grant_owner_access(level.found.name, stack.descriptor)
            descriptor = stack.enter(level.found.name)
        self.clear_open_flags(descriptor)
        listing = scan(descriptor, filesystem=self._system)
        level.open(listing)
        if level.rules is not None:
            level.rules = level.rules.reading(listing, descriptor, b"", lambda _name, _message: None, self._system)
        levels.append(level)

    def _step(self, stack: DirectoryStack, above: Components, levels: list[_Level]) -> None:
        level = levels[-1]
        found = level.next()
        if found is None:
            levels.pop().close()
            stack.leave()
            if level.scope is not Scope.IN or level.keeps:
                level.keeps = True
            else:
                path = join_components((*above, *stack.components), level.found.name)
                level.keeps = not self._remove_emptied(level.found.name, stack.descriptor, path)
            if levels and level.keeps:
                levels[-1].keeps = True
            return
        components = (*above, *stack.components)
        path = join_components(components, found.name)
        below = self._options.selection.scope(path, found.is_directory, level.scope)
        if below is Scope.OUT:
            level.keeps = True
        elif level.rules is not None and level.rules.excludes(found):
            level.keeps = True
            self._tally.report(Change.KEPT, path)
        elif not found.is_directory:
            if self._guard.holds(found, stack.descriptor):
                level.keeps = True
                return
            level.keeps |= not self._remove_file(found, stack.descriptor, path)
        elif not self._may_enter(found, stack.descriptor, components):
            level.keeps = True
        else:
            try:
                rules = None if level.rules is None else level.rules.below(found.name, found.device, None)
                self._descend(stack, _Level(found, below, rules), levels)
            except OSError as error:
                self._tally.add(problem_of(error, path, self._settings))
                level.keeps = True

    def _remove_emptied(self, name: bytes, directory: int, path: bytes) -> bool:
        try:
            self._system.remove_directory(name, directory)
        except OSError as error:
            self._tally.add(problem_of(error, path, self._settings))
            return False
        self._tally.summary.deleted += 1
        self._tally.report(Change.DELETED, path)
        return True

    def _may_enter(self, found: SourceEntry, directory: int, components: Components) -> bool:
        path = join_components(components, found.name)
        if self._guard.holds(found, directory):
            return False
        if found.device != self._system.fstat(directory).st_dev:
            self._tally.add(Problem(path, ProblemKind.FAILED, "not deleted, because another file system is mounted here"))
            return False
        return True


class _Level:
    """A directory that is being deleted.

    Attributes:
        found: What it is.
        scope: What holds for it.
        rules: What would be left out of it by the rules of the backup; None where nothing is.
        keeps: Something in it stays, so that it stays itself.
    """

    def __init__(self, found: SourceEntry, scope: Scope, rules: DirectorySelection | None) -> None:
        self.rules = rules
        self.found = found
        self.scope = scope
        self.keeps = False
        self._scan: Scan | None = None
        self._rest: Iterator[SourceEntry] = iter(())

    def open(self, listing: Scan) -> None:
        """Take the listing; it is closed with the level."""
        self._scan = listing
        self._rest = iter(listing)

    def next(self) -> SourceEntry | None:
        """Return the next entry of the listing; None at its end."""
        return next(self._rest, None)

    def close(self) -> None:
        """Close the listing."""
        if self._scan is not None:
            self._scan.__exit__(None, None, None)


def extraneous(listing: Iterable[SourceEntry], stored: Directory) -> Iterator[SourceEntry]:
    """Iterate over what a listing has and a stored directory has not. The directory is read to its end first.

    Raises:
        DamageError: It can't be read to its end, or its names don't ascend; then nothing is known to be absent.
    """
    previous: bytes | None = None
    for entry in stored:
        if previous is not None and entry.name <= previous:
            raise MalformedObjectError("the names of a directory are out of order")
        previous = entry.name
    names = (entry.name for entry in stored)
    present = next(names, None)
    for found in listing:
        while present is not None and present < found.name:
            present = next(names, None)
        if found.name != present and not is_temporary(found.name):
            yield found
