"""Deleting what a snapshot has not, or what is in its way; never through a symbolic link, and nothing on other file systems."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from tallac.errors import DamageError, MalformedObjectError
from tallac.interfaces import Directory
from tallac.restore.attributes import FLAGS_LINK_FORBIDDING
from tallac.restore.batch import problem_of
from tallac.restore.names import join_path
from tallac.restore.options import RestoreOptions
from tallac.restore.selection import Scope
from tallac.restore.settings import RestoreSettings
from tallac.restore.summary import Change, Problem, ProblemKind
from tallac.restore.system import DestinationSystem
from tallac.restore.tally import Tally
from tallac.restore.temporary import is_temporary
from tallac.source import DirectoryStack, Scan, SourceEntry, open_directory, open_regular, read_flags, scan

Components = tuple[bytes, ...]

_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})


class Clearer:
    """Deletes below open directories; counts and tells what is gone."""

    def __init__(self, options: RestoreOptions, settings: RestoreSettings, system: DestinationSystem, tally: Tally) -> None:
        """Delete what a user's options allow."""
        self._options = options
        self._settings = settings
        self._system = system
        self._tally = tally

    def sweep(self, descriptor: int, components: Components, stored: Directory, scope: Scope) -> None:
        """Delete what killed restores have left in an open directory and, where that is wanted, what the stored one has not.

        Raises:
            OSError: The directory can't be listed, or the destination fails as a whole.
        """
        self._remove_left(descriptor, stored)
        if not self._options.delete or scope is Scope.OUT:
            return
        try:
            with scan(descriptor, filesystem=self._system) as listing:
                for found in extras(listing, stored):
                    self._remove_extra(found, descriptor, components, scope)
        except DamageError as error:
            what = f"nothing was deleted here, since the snapshot's directory can't be read whole: {error}"
            self._tally.add(Problem(join_path(components), ProblemKind.FAILED, what))

    def remove_tree(self, found: SourceEntry, directory: int, components: Components, scope: Scope) -> bool:
        """Delete a directory with what is in it, as far as that is in scope; say whether it is gone.

        Problems are reported.

        Raises:
            OSError: The destination fails as a whole.
        """
        if not self._may_enter(found, directory, components):
            return False
        with DirectoryStack(directory, filesystem=self._system) as stack:
            levels: list[tuple[Scan, Iterator[SourceEntry], SourceEntry, Scope]] = []
            try:
                self._descend(stack, found, scope, levels)
                while levels:
                    self._step(stack, components, levels)
            except OSError as error:
                self._tally.add(problem_of(error, join_path((*components, *stack.components), None), self._settings))
            finally:
                for level in levels:
                    level[0].__exit__(None, None, None)
        return self._is_gone(found.name, directory)

    def free(self, found: SourceEntry, directory: int) -> None:
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
            self.free_open(descriptor)
        finally:
            self._system.close(descriptor)

    def free_open(self, descriptor: int) -> None:
        """Do as `free` for what is open."""
        if read_flags(descriptor, filesystem=self._system) & FLAGS_LINK_FORBIDDING:
            try:
                self._system.set_flags(descriptor, self._system.get_flags(descriptor) & ~FLAGS_LINK_FORBIDDING)
            except PermissionError:
                return  # As above.

    def _remove_left(self, descriptor: int, stored: Directory) -> None:
        with self._system.scandir(descriptor) as listing:
            left = [name for listed in listing if is_temporary(name := os.fsencode(listed.name))]
        for name in left:
            try:
                if stored.get(name) is None:
                    self._system.remove(name, descriptor)
            except (DamageError, IsADirectoryError, PermissionError):
                continue  # Not ours, or not known to be: it stays.

    def _remove_extra(self, found: SourceEntry, directory: int, components: Components, scope: Scope) -> None:
        path = join_path(components, found.name)
        below = self._options.selection.scope(path, found.is_directory, scope)
        if below is Scope.OUT:
            return
        if found.is_directory:
            self.remove_tree(found, directory, components, below)
        else:
            self._remove_file(found, directory, path)

    def _remove_file(self, found: SourceEntry, directory: int, path: bytes) -> None:
        self.free(found, directory)
        try:
            self._system.remove(found.name, directory)
        except FileNotFoundError:
            return
        except OSError as error:
            self._tally.add(problem_of(error, path, self._settings))
            return
        self._tally.summary.deleted += 1
        self._tally.tell(Change.DELETED, path)

    def _descend(
        self,
        stack: DirectoryStack,
        found: SourceEntry,
        scope: Scope,
        levels: list[tuple[Scan, Iterator[SourceEntry], SourceEntry, Scope]],
    ) -> None:
        try:
            descriptor = stack.enter(found.name)
        except PermissionError:
            self._system.open_to_owner(found.name, stack.descriptor)
            descriptor = stack.enter(found.name)
        self.free_open(descriptor)
        listing = scan(descriptor, filesystem=self._system)
        levels.append((listing, iter(listing), found, scope))

    def _step(
        self,
        stack: DirectoryStack,
        above: Components,
        levels: list[tuple[Scan, Iterator[SourceEntry], SourceEntry, Scope]],
    ) -> None:
        listing, rest, own, scope = levels[-1]
        found = next(rest, None)
        components = (*above, *stack.components)
        if found is None:
            listing.__exit__(None, None, None)
            levels.pop()
            stack.leave()
            if scope is Scope.IN:
                self._remove_emptied(own.name, stack.descriptor, join_path(components))
            return
        path = join_path(components, found.name)
        below = self._options.selection.scope(path, found.is_directory, scope)
        if below is Scope.OUT:
            return
        if not found.is_directory:
            self._remove_file(found, stack.descriptor, path)
        elif self._may_enter(found, stack.descriptor, components):
            try:
                self._descend(stack, found, below, levels)
            except OSError as error:
                self._tally.add(problem_of(error, path, self._settings))

    def _remove_emptied(self, name: bytes, directory: int, path: bytes) -> None:
        try:
            self._system.remove_directory(name, directory)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:  # What is kept in it has been told where that was not asked for.
                self._tally.add(problem_of(error, path, self._settings))
            return
        self._tally.summary.deleted += 1
        self._tally.tell(Change.DELETED, path)

    def _may_enter(self, found: SourceEntry, directory: int, components: Components) -> bool:
        path = join_path(components, found.name)
        if (found.device, found.inode) in self._options.protected:
            self._tally.add(
                Problem(path, ProblemKind.UNSET, "not deleted, since it is Tallac's own: a vault, its keys or its state")
            )
            return False
        if found.device != self._system.fstat(directory).st_dev:
            self._tally.add(Problem(path, ProblemKind.FAILED, "not deleted, since another file system is mounted here"))
            return False
        return True

    def _is_gone(self, name: bytes, directory: int) -> bool:
        try:
            self._system.look(name, directory)
        except FileNotFoundError:
            return True
        return False


def extras(listing: Iterable[SourceEntry], stored: Directory) -> Iterator[SourceEntry]:
    """Give what a listing has and a stored directory has not. The directory is read to its end before anything is given.

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
