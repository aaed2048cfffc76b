"""A walk through a source that looks and stores nothing. What a backup leaves out, it leaves out; what can't be looked at, too."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from tallac.backup.left_out import OwnLeftOut
from tallac.backup.summary import Observer
from tallac.clock import since_start_ns
from tallac.dag import join_path
from tallac.errors import LocalStateError
from tallac.interfaces import Clock
from tallac.source import (
    ChosenScan,
    DirectorySelection,
    DirectoryStack,
    FileSystem,
    OwnFiles,
    Scan,
    Scope,
    Selection,
    SourceEntry,
)

DIRECTORIES_SEEN_MAX = 200
"""After so many directories a source is taken to hold no more than it has shown: `holds_more` is to be over in milliseconds."""


class Looked(NamedTuple):
    """A directory that is looked at, for as long as that lasts.

    Attributes:
        path: Its absolute path.
        is_ordinary: Whether it is neither the source itself nor only on the way to something in a scope.
        above: The rules of the directory above, as far as they hold in it.
        chosen: What of it is chosen.
        listing: All that is in it.
        looked_ns, read_ns: When its listing began, by `since_start_ns` and by the wall clock.
        descriptor: Its descriptor.
        status: Its stat fields, from before it was listed.
        own: Tells what is Tallac's own.
    """

    path: bytes
    is_ordinary: bool
    above: DirectorySelection
    chosen: ChosenScan
    listing: Scan
    looked_ns: int
    read_ns: int
    descriptor: int
    status: os.stat_result
    own: OwnLeftOut

    def files(self) -> Iterator[SourceEntry]:
        """Iterate over what of it a backup stores, but for directories."""
        for found in self.chosen.entries(_ignore):
            if not found.is_directory and not self.own.holds(self.path, found, self.descriptor):
                yield found


Look = Callable[[Looked], Iterable[SourceEntry]]
"""Looks at a directory, and returns its subdirectories in the order in which they are to be looked at."""


class LookTask(msgspec.Struct, frozen=True):
    """The task of a process that looks at a source.

    Attributes:
        root: The descriptor of the source, which the process inherits.
        source, selection, scope, own: As in the request.
    """

    root: int
    source: bytes
    selection: Selection
    scope: Scope | None
    own: OwnFiles

    def walk(self, look: Look, filesystem: FileSystem, clock: Clock) -> Iterator[bool]:
        """Look at the source and at what is below it.

        Yields:
            After each directory, whether that was all.
        """
        device = filesystem.fstat(self.root).st_dev
        selection = self.selection.at_root(self.source, device, self.scope, self.own.file_inodes)
        with DirectoryStack(self.root, filesystem=filesystem) as stack:
            yield from _QuickLook(self, look, stack, filesystem, clock).run(selection)


class _EnoughError(Exception):
    """The question is answered by what was seen."""


def holds_more(task: LookTask, files: int, size: int, filesystem: FileSystem, clock: Clock) -> bool:
    """Whether a source holds more than so many files, or bytes in them, as far as its first directories tell."""
    directories_seen = files_seen = size_seen = 0

    def look(looked: Looked) -> Iterable[SourceEntry]:
        nonlocal directories_seen, files_seen, size_seen
        directories_seen += 1
        for found in looked.files():
            files_seen += 1
            size_seen += found.size if found.is_regular else 0
            if files_seen > files or size_seen > size:
                raise _EnoughError
        if directories_seen >= DIRECTORIES_SEEN_MAX:
            raise _EnoughError
        return looked.chosen.directories()

    with suppress(_EnoughError):
        for _ in task.walk(look, filesystem, clock):
            pass
    return files_seen > files or size_seen > size


class _Below(NamedTuple):
    """A directory that is to be looked at; one without a name is the source itself."""

    name: bytes
    path: bytes
    selection: DirectorySelection

    @property
    def is_passage(self) -> bool:
        return self.selection.scope is not None


class _QuickLook:
    """One walk."""

    def __init__(self, task: LookTask, look: Look, stack: DirectoryStack, filesystem: FileSystem, clock: Clock) -> None:
        self._source = task.source
        self._own = OwnLeftOut(task.own, filesystem, Observer())
        self._mounts = filesystem.mounts().seen_from(task.source)
        self._look = look
        self._stack = stack
        self._filesystem = filesystem
        self._clock = clock

    def run(self, selection: DirectorySelection) -> Iterator[bool]:
        """As `LookTask.walk`. Trees may be deeper than Python's stack, so visits have one of their own."""
        visits = [self._visit(_Below(b"", self._source, selection))]
        try:
            while visits:
                below = next(visits[-1], None)
                if below is not None:
                    visits.append(self._visit(below))
                    continue
                visits.pop()
                yield not visits
        finally:
            while visits:
                visits.pop().close()

    def _visit(self, directory: _Below) -> Generator[_Below, None, None]:
        looked_ns = since_start_ns()
        try:
            if directory.name:
                self._stack.enter(directory.name, to_pass=directory.is_passage)
        except OSError:
            return
        try:
            read_ns = self._clock.now_ns()
            mounted = self._mounts.names.get(directory.path, {})
            with directory.selection.scan(self._stack.descriptor, self._filesystem, mounted) as listing:
                yield from self._below(directory, listing, looked_ns, read_ns)
        except (OSError, LocalStateError):
            return
        finally:
            if directory.name:
                self._stack.leave()

    def _below(self, directory: _Below, listing: Scan, looked_ns: int, read_ns: int) -> Iterator[_Below]:
        descriptor, path = self._stack.descriptor, directory.path
        is_ordinary = bool(directory.name) and not directory.is_passage
        if is_ordinary and self._own.recognises(path, directory.name, descriptor, listing):
            return
        mounted = self._mounts.names.get(path)
        selection = directory.selection.reading(listing, descriptor, path, _ignore, self._filesystem, mounted)
        chosen = ChosenScan(listing, selection)
        status, own = self._stack.status, self._own
        looked = Looked(path, is_ordinary, directory.selection, chosen, listing, looked_ns, read_ns, descriptor, status, own)
        for found in self._look(looked):
            below = selection.beneath(found)
            if not below.is_hollow and not self._own.holds(path, found, self._stack.descriptor):
                yield _Below(found.name, join_path(path, found.name), below)


def _ignore(*_: object) -> None:
    """Do nothing."""
