"""Metadata that has to wait: that of directories for their content, flags for the last link."""

from __future__ import annotations

import errno
from collections import deque

from tallac.dag import Components, Metadata, join_components
from tallac.restore.files.compare import Comparer
from tallac.restore.files.file_writer import problem_of, unset_problem
from tallac.restore.files.metadata import Attributes
from tallac.restore.filesystem import DestinationSystem, FileIdentity, Place, identity_of
from tallac.restore.options import RestoreSettings
from tallac.restore.report import Tally
from tallac.source import SourceEntry, open_beneath, open_regular


class DeferredMetadata:
    """Sets metadata at once or later, and tells what could not be set."""

    def __init__(
        self,
        root: int,
        settings: RestoreSettings,
        system: DestinationSystem,
        tally: Tally,
        comparer: Comparer | None = None,
    ) -> None:
        """Finish what is below an open directory, which stays the caller's; with a comparer, only directories that need it."""
        self._root = root
        self._settings = settings
        self._system = system
        self._tally = tally
        self._comparer = comparer
        self._attributes = Attributes(system, settings)
        # Directories that the walk has left, children first: (batches that must be complete, components, metadata).
        self._directories: deque[tuple[int, Components, Metadata]] = deque()
        # Files that had to stay free of flags until their last link was made.
        self._unflagged: list[tuple[Components, bytes, int, FileIdentity]] = []

    def set_attributes(
        self, place: Place, metadata: Metadata, path: bytes, *, is_directory: bool = False, with_flags: bool = True
    ) -> None:
        """Set all metadata of something that is there.

        Raises:
            OSError: The destination fails as a whole.
        """
        before = self._attributes.owners_unset
        unset = self._attributes.set_all(place, metadata, is_directory=is_directory, with_flags=with_flags)
        self._tally.summary.owners_unset += self._attributes.owners_unset - before
        self._tally.summary.count_unkept(self._attributes.take_unkept())
        if unset:
            self._tally.add(unset_problem(path, unset))

    def add_directory(self, batches: int, components: Components, metadata: Metadata) -> None:
        """Remember a directory that is left, until so many batches are complete. Children come before their parents."""
        self._directories.append((batches, components, metadata))

    def add_unflagged(self, components: Components, name: bytes, flags: int, identity: FileIdentity) -> None:
        """Remember a file that gets its flags at the end, if its name still leads to it."""
        self._unflagged.append((components, name, flags, identity))

    def finish_directories(self, completed: int) -> None:
        """Finish those directories that need no more than so many complete batches."""
        while self._directories and self._directories[0][0] <= completed:
            _, components, metadata = self._directories.popleft()
            try:
                descriptor = open_beneath(self._root, components, filesystem=self._system)
            except OSError as error:
                self._tally.add(problem_of(error, join_components(components), self._settings))
                continue
            try:
                self.finish_directory(descriptor, components, metadata)
            finally:
                self._system.close(descriptor)

    def finish_directory(self, descriptor: int, components: Components, metadata: Metadata) -> None:
        """Finish an open directory at once."""
        try:
            if self._needs(descriptor, metadata):
                self.set_attributes(descriptor, metadata, join_components(components), is_directory=True)
        except OSError as error:
            self._tally.add(problem_of(error, join_components(components), self._settings))

    @property
    def has_directories(self) -> bool:
        """Whether directories wait; what lies above them has to wait as well."""
        return bool(self._directories)

    def set_remaining_flags(self) -> None:
        """Set the flags of files that are complete with all their links."""
        for components, name, flags, identity in self._unflagged:
            path = join_components(components, name)
            try:
                unset = self._set_flags(components, name, flags, identity)
            except OSError as error:
                unset = [f"inode flags ({problem_of(error, path, self._settings).message})"]
            if unset:
                self._tally.add(unset_problem(path, unset))

    def _needs(self, descriptor: int, metadata: Metadata) -> bool:
        if self._comparer is None or metadata.mode is None:
            return True
        return self._comparer.differs(descriptor, SourceEntry.of(b"", self._system.fstat(descriptor)), metadata)

    def _set_flags(self, components: Components, name: bytes, flags: int, identity: FileIdentity) -> list[str]:
        directory = open_beneath(self._root, components, filesystem=self._system)
        try:
            descriptor, _ = open_regular(directory, name, filesystem=self._system)
        finally:
            self._system.close(directory)
        try:
            if identity_of(self._system.fstat(descriptor)) != identity:
                raise OSError(errno.ESTALE, "it was replaced by another file")
            return self._attributes.set_flags(descriptor, flags)
        finally:
            self._system.close(descriptor)
