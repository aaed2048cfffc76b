"""Making what no batch takes: links, what has several of them, symbolic links, FIFOs, sockets and devices."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress

import msgspec

from tallac.dag import Components, Entry, display_path, join_components
from tallac.errors import EntryError
from tallac.restore.entry_kind import Kind, is_device, kind_of
from tallac.restore.files.deferred_metadata import DeferredMetadata
from tallac.restore.files.file_writer import FileWriter
from tallac.restore.files.hard_links import LinkTable
from tallac.restore.files.metadata import FLAGS_LINK_FORBIDDING
from tallac.restore.filesystem import DestinationSystem, PathAt
from tallac.restore.overwrite.overwriter import Overwriter
from tallac.restore.path_filter import Scope
from tallac.restore.report import BatchResult, Change, Problem, ProblemKind, Tally
from tallac.restore.safe_names import temporary_name
from tallac.source import open_beneath


class SpecialFiles:
    """Makes one thing at a time, in the order in which they come: later links rely on earlier files."""

    def __init__(
        self,
        root: int,
        system: DestinationSystem,
        tally: Tally,
        writer: FileWriter,
        deferred: DeferredMetadata,
        overwriter: Overwriter | None,
    ) -> None:
        """Make things below an open directory, which stays the caller's."""
        self._root = root
        self._system = system
        self._tally = tally
        self._writer = writer
        self._deferred = deferred
        self._overwriter = overwriter
        self._links = LinkTable()

    def make_special(self, entry: Entry, directory: int, components: Components, change: Change = Change.NEW) -> bool:
        """Make what has no content, with its metadata; return whether it is there.

        Raises:
            EntryError: What makes it is not known.
            OSError: It can't be made, or the destination fails as a whole.
        """
        path = join_components(components, entry.name)

        def make(name: bytes) -> None:
            make_special(self._system, msgspec.structs.replace(entry, name=name), directory)
            self._deferred.set_attributes(PathAt(directory, name), entry.metadata, path)

        try:
            self._make(entry.name, directory, make, is_new=change is Change.NEW)
        except PermissionError as error:
            # Root was refused by the file system, which is what others would be told as well.
            if not is_device(entry) or self._writer.is_root:
                raise
            self._tally.add(Problem(path, ProblemKind.UNSET, f"not made: {error.strerror}; only root may"))
            return False
        self._tally.count_made(change, path)
        return True

    def restore_linked(self, entry: Entry, kind: Kind, directory: int, components: Components, scope: Scope) -> None:
        """Make a link of a file that is there, or the file itself, at once. Raises as `make_special` does."""
        first = self._links.first_of(entry)
        if first is not None and self._link(entry, first, directory, components, scope):
            return
        change = Change.NEW
        if self._overwriter is not None:
            change = self._overwriter.settle(entry, kind, directory, components, scope)
        if change is Change.KEPT:
            return
        is_there = change in (Change.UNCHANGED, Change.AMENDED) or (
            self.make_special(entry, directory, components, change)
            if kind is Kind.SPECIAL
            else self._write(entry, directory, components, change)
        )
        if is_there and first is None:
            self._links.add_first(entry, components)

    def _write(self, entry: Entry, directory: int, components: Components, change: Change) -> bool:
        """Write a file that gets links, without those flags that would forbid them; return whether it is there."""
        result = BatchResult()
        is_held = bool(entry.metadata.flags & FLAGS_LINK_FORBIDDING)
        is_new = change is Change.NEW
        is_made = self._writer.write(entry, directory, components, result, with_flags=not is_held, is_new=is_new)
        self._tally.count(result)
        if is_made and is_held:
            self._deferred.add_unflagged(components, entry.name, entry.metadata.flags, self._writer.unflagged)
        if is_made:
            self._tally.report_made(change, join_components(components, entry.name))
        return is_made

    def _link(self, entry: Entry, first: tuple[Components, bytes], directory: int, components: Components, scope: Scope) -> bool:
        """Make a link of the first one; return whether nothing is left to do."""
        change = Change.NEW
        path = join_components(components, entry.name)
        try:
            if self._overwriter is not None:
                change = self._overwriter.settle_link(entry, first, directory, components, scope)
            if change in (Change.NEW, Change.REPLACED):
                if self._overwriter is not None and self._overwriter.has_foreign_link(entry, first):
                    self._make_anew(entry, directory, components, change)
                    return True
                self._make_link(entry.name, directory, *first, is_new=change is Change.NEW)
                self._tally.count_made(change, path)
                self._tally.summary.bytes += entry.size if kind_of(entry) is Kind.REGULAR else 0
        except OSError as error:
            if self._writer.is_fatal(error) or error.errno == errno.EEXIST:
                raise
            # The file system knows no links, or no more of this file; or somebody moved the first one away.
            message = f"a copy instead of a hard link of {display_path(join_components(*first))} ({error.strerror})"
            self._tally.add(Problem(path, ProblemKind.UNSET, message))
            return False
        if change is not Change.KEPT:
            self._links.count_link(entry, components)
        return True

    def _make_anew(self, entry: Entry, directory: int, components: Components, change: Change) -> None:
        """Make a file with several names anew, since the one that is there has a name that the snapshot does not know."""
        is_special = kind_of(entry) is Kind.SPECIAL
        make = self.make_special if is_special else self._write
        if not make(entry, directory, components, change):
            return
        for above, name in self._links.earlier(entry):
            there = open_beneath(self._root, above, filesystem=self._system)
            try:
                self._make_link(name, there, components, entry.name, is_new=False)
            finally:
                self._system.close(there)
        self._links.replace_first(entry, components)
        self._links.count_link(entry, components)

    def _make_link(self, name: bytes, directory: int, components: Components, first: bytes, *, is_new: bool) -> None:
        below = open_beneath(self._root, components, filesystem=self._system)
        try:

            def make(new: bytes) -> None:
                self._system.make_link(PathAt(below, first), PathAt(directory, new))

            self._make(name, directory, make, is_new=is_new, is_link=True)
        finally:
            self._system.close(below)

    def _make(
        self, name: bytes, directory: int, make: Callable[[bytes], None], *, is_new: bool = False, is_link: bool = False
    ) -> None:
        """Make something under its name; over what is there, under another one, and rename it when it is complete."""
        if self._overwriter is None:
            make(name)
            self._writer.require_name(name, directory)
            return
        new = temporary_name()
        try:
            make(new)
            if is_new and self._is_there(name, directory):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            self._system.rename(new, name, directory)
            if is_link:
                # Between two names of one file a rename does nothing. Some file systems hide that they are: mergerfs, sshfs.
                self._remove_if_there(new, directory)
        except BaseException:
            self._remove_if_there(new, directory)
            raise
        if is_new:
            self._writer.require_name(name, directory)

    def _is_there(self, name: bytes, directory: int) -> bool:
        try:
            self._system.lstat(name, directory)
        except FileNotFoundError:
            return False
        return True

    def _remove_if_there(self, name: bytes, directory: int) -> None:
        try:
            self._system.remove(name, directory)
        except FileNotFoundError:
            return


def make_special(system: DestinationSystem, entry: Entry, directory: int) -> None:
    """Make a symbolic link, FIFO, socket or device, without its metadata.

    Raises:
        EntryError: What makes it is not known.
        OSError: It can't be made; EPERM for a device without the right to make one.
    """
    metadata = entry.metadata
    mode = metadata.mode
    assert mode is not None
    if stat.S_ISLNK(mode):
        if not metadata.target:
            raise EntryError("the symbolic link's text is not known")
        system.make_symlink(metadata.target, entry.name, directory)
        return
    device = 0
    if is_device(entry):
        if metadata.rdev is None:
            raise EntryError("the device's numbers are not known")
        device = os.makedev(*metadata.rdev)
    try:
        system.make_node(entry.name, directory, stat.S_IFMT(mode), device)
    except FileExistsError:
        raise
    except OSError:
        # exFAT through FUSE makes an empty file of that name, and then says EIO.
        with suppress(FileNotFoundError):
            if stat.S_ISREG(system.lstat(entry.name, directory).st_mode):
                system.remove(entry.name, directory)
        raise
