"""Restoring over what is there: all that can be settled without writing content."""

from __future__ import annotations

import errno
import os
import stat

from tallac.dag import Components, Entry, Metadata, join_components
from tallac.errors import EntryError
from tallac.interfaces import Directory
from tallac.restore.entry_kind import Kind
from tallac.restore.files.deferred_metadata import DeferredMetadata
from tallac.restore.files.kept_names import listed_form
from tallac.restore.files.metadata import FLAGS_LINK_FORBIDDING, Attributes
from tallac.restore.filesystem import DestinationSystem, FileIdentity, PathAt
from tallac.restore.options import Overwrite, RestoreOptions, RestoreSettings
from tallac.restore.overwrite.decide import ExistingFiles
from tallac.restore.overwrite.deleter import Deleter
from tallac.restore.overwrite.own_guard import OwnGuard
from tallac.restore.path_filter import Scope
from tallac.restore.report import Change, Tally
from tallac.restore.safe_names import temporary_name
from tallac.source import SourceEntry, metadata_of, open_beneath, open_regular, read_flags
from tallac.source.absence import Absence


class Overwriter:
    """Makes way for what is to be written, sets metadata where nothing else differs, and deletes what is in excess."""

    def __init__(
        self,
        root: int,
        options: RestoreOptions,
        settings: RestoreSettings,
        system: DestinationSystem,
        tally: Tally,
        deferred: DeferredMetadata,
        existing: ExistingFiles,
        guard: OwnGuard,
    ) -> None:
        """Work below an open directory, which stays the caller's."""
        self._root = root
        self._options = options
        self._system = system
        self._tally = tally
        self._deferred = deferred
        self._existing = existing
        # The names in those directories that the walk is in and where something was found.
        self._listed: dict[Components, set[bytes]] = {}
        self._deleter = Deleter(options, settings, system, tally, guard)
        # Counts nothing: what is tried is no file of the user's.
        self._attributes = Attributes(system, settings)
        self._tried: dict[tuple[object, ...], os.stat_result | None] = {}
        existing.try_with(self._try)

    def settle(self, entry: Entry, kind: Kind, directory: int, components: Components, scope: Scope) -> Change:
        """Do for an entry of a directory with this scope what can be done without making anything, and count it.

        For NEW and REPLACED it is the caller's to make; for directories UNCHANGED means that there is one.

        Raises:
            EntryError: A directory with something in it is in the way.
            DamageError, CapError: The contents had to be compared, and the stored one can't be read.
            OSError: The destination failed here, or as a whole.
        """
        found = self._existing.lstat(entry.name, directory)
        change = self._existing.decide(entry, kind, found, directory)
        path = join_components(components, entry.name)
        if found is not None and change is not Change.KEPT and (change is not Change.UNCHANGED or kind is Kind.DIRECTORY):
            self._require_listed(entry.name, directory, components)
        if change is Change.REPLACED:
            assert found is not None
            self._make_way(kind, found, directory, components, scope)
        elif change is Change.AMENDED:
            assert found is not None
            change = self._amend(entry, found, directory, components)
        if kind is not Kind.DIRECTORY or change is Change.KEPT:
            self._tally.count_left(change, path)
        return change

    def settle_link(
        self, entry: Entry, first: tuple[Components, bytes], directory: int, components: Components, scope: Scope
    ) -> Change:
        """Do as `settle` for a further link of a file that is there. Raises as `settle` does."""
        found = self._existing.lstat(entry.name, directory)
        change = self._existing.decide_link(entry, found, self._lstat_beneath(*first), directory)
        if change is Change.REPLACED:
            assert found is not None
            self._require_listed(entry.name, directory, components)
            self._make_way(Kind.REGULAR, found, directory, components, scope)
        self._tally.count_left(change, join_components(components, entry.name))
        return change

    def has_foreign_link(self, entry: Entry, first: tuple[Components, bytes]) -> bool:
        """Whether the first one of a file's names has all the links that the snapshot knows, though this name is none of them yet.

        Then one of them is somebody else's, and may lie anywhere. Raises OSError where the first one can't be looked at.
        """
        found = self._lstat_beneath(*first)
        return found is not None and found.links >= entry.metadata.links

    def decide_directory(self, entry: Entry, directory: int, components: Components) -> Change:
        """Return what `settle` would do for a directory. Raises OSError as `lstat` does."""
        change = self._existing.decide(entry, Kind.DIRECTORY, self._existing.lstat(entry.name, directory), directory)
        if change is Change.UNCHANGED:
            self._require_listed(entry.name, directory, components)
        return change

    def _require_listed(self, name: bytes, directory: int, components: Components) -> None:
        """Raise FileExistsError where what answers to a name is listed under another one: it is something else's, and stays."""
        if components not in self._listed:
            # The walk goes depth first: of the directories that it has left none comes again.
            self._listed = {above: names for above, names in self._listed.items() if components[: len(above)] == above}
            self._listed[components] = self._list(directory)
        listed = listed_form(name)
        if listed not in self._listed[components]:
            # Made by this run, or by somebody else since.
            self._listed[components] = self._list(directory)
            if listed not in self._listed[components]:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _list(self, directory: int) -> set[bytes]:
        with self._system.scandir(directory) as listing:
            return {listed_form(os.fsencode(listed.name)) for listed in listing}

    def is_alias(self, name: bytes, directory: int) -> bool:
        """Whether something answers to a name, and has another one in the listing."""
        if self._existing.lstat(name, directory) is None:
            return False
        with self._system.scandir(directory) as listing:
            return all(listed_form(os.fsencode(listed.name)) != listed_form(name) for listed in listing)

    def prepare(
        self,
        descriptor: int,
        components: Components,
        stored: Directory,
        scope: Scope,
        metadata: Metadata | None,
        absence: Absence | None,
    ) -> Metadata | None:
        """Make an open directory ready to be written to, and delete what is to go. Give the metadata that it gets at the end.

        Raises:
            OSError: The destination failed here, or as a whole.
        """
        final = metadata
        if metadata is None or self._options.overwrite is Overwrite.NEVER:
            status = self._system.fstat(descriptor)
            flags = read_flags(descriptor, filesystem=self._system)
            is_closed = status.st_mode & stat.S_IRWXU != stat.S_IRWXU or flags & FLAGS_LINK_FORBIDDING
            original = metadata_of(SourceEntry.of(b"", status), flags=flags)
            final = Metadata(mode=original.mode, flags=original.flags) if is_closed else None
        else:
            for name in self._existing.comparer.extraneous_xattrs(descriptor, metadata):
                self._system.remove_xattr(descriptor, name)
        self._deleter.clear_open_flags(descriptor)
        mode = self._system.fstat(descriptor).st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            self._system.set_mode(descriptor, stat.S_IMODE(mode) | stat.S_IRWXU)
        self._deleter.sweep(descriptor, components, stored, scope, absence)
        return final

    def grant_owner_access(self, name: bytes, directory: int) -> None:
        """Grant a directory's owner all rights to it, so that it can be entered."""
        self._system.grant_owner_access(name, directory)

    def _make_way(self, kind: Kind, found: SourceEntry, directory: int, components: Components, scope: Scope) -> None:
        self._deleter.clear_flags(found, directory)
        if not found.is_directory:
            if kind is Kind.DIRECTORY:
                self._system.remove(found.name, directory)
            return
        if not self._options.delete:
            try:
                self._system.remove_directory(found.name, directory)
            except OSError as error:
                raise EntryError("a directory that is not empty is in the way; --delete would delete it") from error
            return
        below = self._options.selection.scope(join_components(components, found.name), is_directory=True, parent=scope)
        if not self._deleter.remove_tree(found, directory, components, below):
            raise EntryError("a directory is in the way, and not all of it could be deleted")

    def _amend(self, entry: Entry, found: SourceEntry, directory: int, components: Components) -> Change:
        """Set metadata; return UNCHANGED where the file system has kept its own, so that a further run says the same."""
        path = join_components(components, entry.name)
        if not found.is_regular:
            place = PathAt(directory, entry.name)
            for name in self._existing.comparer.extraneous_xattrs(place, entry.metadata):
                self._system.remove_xattr(place, name)
            self._deferred.set_attributes(place, entry.metadata, path)
            return Change.AMENDED
        is_held = entry.metadata.links > 1 and bool(entry.metadata.flags & FLAGS_LINK_FORBIDDING)
        descriptor, now = open_regular(directory, entry.name, filesystem=self._system)
        try:
            if (now.device, now.inode, now.links) != (found.device, found.inode, found.links):
                # Its content has not been compared; and a second name of somebody else's file must not give that another owner.
                raise OSError(errno.ESTALE, "it was replaced by another file")
            has_flags = bool(entry.metadata.flags or read_flags(descriptor, filesystem=self._system))
            self._deleter.clear_open_flags(descriptor)
            extraneous = self._existing.comparer.extraneous_xattrs(descriptor, entry.metadata)
            for name in extraneous:
                self._system.remove_xattr(descriptor, name)
            self._deferred.set_attributes(descriptor, entry.metadata, path, with_flags=not is_held)
            after = self._system.fstat(descriptor)
        finally:
            self._system.close(descriptor)
        if is_held:
            self._deferred.add_unflagged(components, entry.name, entry.metadata.flags, FileIdentity(now.device, now.inode))
        before = (found.mode, found.uid, found.gid, found.mtime_ns)
        is_as_before = (after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns) == before
        return Change.AMENDED if has_flags or extraneous or entry.metadata.xattrs or not is_as_before else Change.UNCHANGED

    def _try(self, metadata: Metadata, device: int, directory: int) -> os.stat_result | None:
        """See `tallac.restore.overwrite.decide.Trial`: make a file, look at what is kept, remove it; once for all such files."""
        owner = self._attributes.owner_of(metadata)
        key = (device, metadata.mode, owner)
        if key not in self._tried:
            self._tried[key] = self._try_anew(metadata, directory)
        return self._tried[key]

    def _try_anew(self, metadata: Metadata, directory: int) -> os.stat_result | None:
        name = temporary_name()
        # Of what is tried, a file has the mode; its time and all else have been compared.
        mode = None if metadata.mode is None or stat.S_ISLNK(metadata.mode) else metadata.mode
        plain = Metadata(mode=mode, uid=metadata.uid, gid=metadata.gid, user=metadata.user, group=metadata.group)
        try:
            descriptor = self._system.create(name, directory)
        except OSError:
            return None  # Whoever replaces the file meets the same error, and tells it.
        try:
            self._attributes.set_all(descriptor, plain)
            return self._system.fstat(descriptor)
        finally:
            self._system.remove(name, directory)
            self._system.close(descriptor)

    def _lstat_beneath(self, components: Components, name: bytes) -> SourceEntry | None:
        directory = open_beneath(self._root, components, filesystem=self._system)
        try:
            return self._existing.lstat(name, directory)
        finally:
            self._system.close(directory)
