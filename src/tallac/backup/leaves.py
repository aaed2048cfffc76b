"""A walk through a source from its end on, which yields the directories that have no subdirectories."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from tallac.backup.left_out import OwnLeftOut
from tallac.backup.summary import Observer
from tallac.dag import join_path
from tallac.errors import TallacError
from tallac.source import ChosenScan, DirectorySelection, DirectoryStack, FileSystem, Mounts, OwnFiles, Scan, Scope, Selection

DIRECTORY_NAMES_MAX = 9_000
"""A longer directory, and what is below it, is passed over: its listing would go to disk twice, where there may be no room."""

_PATH_SIZE_MAX = 3_000


class ShortListings(FileSystem):
    """The real file system, in which a long directory can't be listed."""

    @contextmanager
    def scandir(self, descriptor: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        """See `FileSystem`; the listing raises OSError where it is too long."""
        with super().scandir(descriptor) as listing:
            yield _at_most(listing, DIRECTORY_NAMES_MAX)


def _at_most(listing: Iterator[os.DirEntry[str]], count_max: int) -> Iterator[os.DirEntry[str]]:
    for number, listed in enumerate(listing):
        if number >= count_max:
            raise OSError(errno.EFBIG, "the directory is too long")
        yield listed


_SHORT = ShortListings()


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """A directory without subdirectories, as it was when it was looked at.

    Attributes:
        path: Its absolute path.
        rules: The digest of the rules of the directory above, as far as they hold in it.
        signature: See `ChosenScan.signature`.
        count: How many names it has.
        looked_ns: When its listing began, by the monotonic clock that all processes share.
    """

    path: bytes
    rules: bytes
    signature: bytes
    count: int
    looked_ns: int


class LookTask(msgspec.Struct, frozen=True):
    """The task of the process that looks at a source.

    Attributes:
        root: The descriptor of the source.
        source, selection, scope, own: As in the request.
    """

    root: int
    source: bytes
    selection: Selection
    scope: Scope | None
    own: OwnFiles

    def leaves(self, filesystem: FileSystem = _SHORT) -> Iterator[Leaf]:
        """Go through the source backwards and yield its directories without subdirectories.

        What can't be looked at, or is Tallac's own, is passed over, with all that is below it.
        """
        device = filesystem.fstat(self.root).st_dev
        selection = self.selection.at_root(self.source, device, self.scope, self.own.file_inodes)
        with DirectoryStack(self.root, filesystem=filesystem) as stack:
            looking = _Looking(self.own, stack, filesystem, filesystem.mounts().seen_from(self.source))
            yield from looking.run(_Below(b"", self.source, selection))


class _Below(NamedTuple):
    """A directory that is to be looked at; one without a name is the source itself."""

    name: bytes
    path: bytes
    selection: DirectorySelection


class _Looking:
    """One walk backwards; what a backup leaves out, it leaves out."""

    def __init__(self, own: OwnFiles, stack: DirectoryStack, filesystem: FileSystem, mounts: Mounts) -> None:
        self._own = OwnLeftOut(own, filesystem, Observer())
        self._stack = stack
        self._filesystem = filesystem
        self._mounts = mounts

    def run(self, root: _Below) -> Iterator[Leaf]:
        """Go through a source. Trees may be deeper than Python's stack, so visits have one of their own."""
        visits = [self._visit(root)]
        try:
            while visits:
                found = next(visits[-1], None)
                if isinstance(found, _Below):
                    visits.append(self._visit(found))
                elif found is not None:
                    yield found
                else:
                    visits.pop()
        finally:
            while visits:
                visits.pop().close()

    def _visit(self, directory: _Below) -> Generator[_Below | Leaf, None, None]:
        looked_ns = time.monotonic_ns()
        try:
            if directory.name:
                self._stack.enter(directory.name, to_pass=directory.selection.scope is not None)
        except OSError:
            return
        try:
            mounted = self._mounts.names.get(directory.path, {})
            with directory.selection.scan(self._stack.descriptor, self._filesystem, mounted) as listing:
                yield from self._look(directory, listing, looked_ns)
        except (OSError, TallacError):
            return
        finally:
            if directory.name:
                self._stack.leave()

    def _look(self, directory: _Below, listing: Scan, looked_ns: int) -> Iterator[_Below | Leaf]:
        descriptor, path, is_passage = self._stack.descriptor, directory.path, directory.selection.scope is not None
        if directory.name and not is_passage and self._own.recognises(path, directory.name, descriptor, listing):
            return
        mounted = self._mounts.names.get(path)
        selection = directory.selection.reading(listing, descriptor, path, _ignore, self._filesystem, mounted)
        chosen = ChosenScan(listing, selection)
        directories = list(chosen.directories())
        if not directories:
            signature = chosen.signature()
            if directory.name and signature is not None and not is_passage and len(path) <= _PATH_SIZE_MAX:
                yield Leaf(path, directory.selection.digest, signature, len(listing), looked_ns)
            return
        for found in reversed(directories):
            below = selection.beneath(found)
            if not below.is_hollow and not self._own.holds(path, found, self._stack.descriptor):
                yield _Below(found.name, join_path(path, found.name), below)


def _ignore(*_: object) -> None:
    """Do nothing."""
