"""Decisions on what exists under the names of a snapshot; nothing is changed here."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import TypeAlias

from tallac.dag import EncodedCap, Entry, Metadata
from tallac.interfaces import FileReader
from tallac.restore.entry_kind import Kind
from tallac.restore.files.compare import Comparer, is_same_special, is_same_time
from tallac.restore.files.metadata import FLAGS_LINK_FORBIDDING
from tallac.restore.filesystem import DestinationSystem, PathAt, Place
from tallac.restore.options import Overwrite, RestoreSettings
from tallac.restore.overwrite.own_guard import OwnGuard
from tallac.restore.report import Change
from tallac.source import SourceEntry, open_regular

# What can't be opened is replaced; what is no regular file any more is somebody's who is at work there.
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM})

Trial: TypeAlias = Callable[[Metadata, int, int], os.stat_result | None]
"""Given metadata, a device and an open directory on it: what becomes of permissions and owner there; None if it can't be tried."""


class ExistingFiles:
    """Looks at what is there."""

    def __init__(
        self,
        grid: FileReader,
        settings: RestoreSettings,
        system: DestinationSystem,
        overwrite: Overwrite,
        guard: OwnGuard | None = None,
    ) -> None:
        """Look with these calls, and judge by what a user wants to have overwritten; what the guard holds stays."""
        self._guard = guard
        self._system = system
        self._overwrite = overwrite
        self.comparer = Comparer(grid, settings, system)
        self._trial: Trial | None = None

    def try_with(self, trial: Trial) -> None:
        """Find out with this what the file system keeps of a file's metadata; without it, it is taken to keep all."""
        self._trial = trial

    def lstat(self, name: bytes, directory: int) -> SourceEntry | None:
        """Return what has a name in an open directory; None for nothing.

        Raises:
            OSError: It can't be looked at.
        """
        try:
            return SourceEntry.of(name, self._system.lstat(name, directory))
        except FileNotFoundError:
            return None

    def decide(self, entry: Entry, kind: Kind, found: SourceEntry | None, directory: int) -> Change:
        """Decide what to do for an entry, given what has its name. For directories UNCHANGED means that there is one.

        Raises:
            DamageError, CapError: The contents had to be compared, and the stored one can't be read.
            OSError: What is there can't be looked at.
        """
        if found is None:
            return Change.NEW
        if self._guard is not None and self._guard.holds(found, directory):
            return Change.KEPT
        if kind is Kind.DIRECTORY and found.is_directory:
            return Change.UNCHANGED
        if not self._gives_way(entry, found):
            return Change.UNCHANGED if self._looks_same(entry, kind, found) else Change.KEPT
        # A second name that the snapshot does not know may lie anywhere, and what is written to the file would show there.
        if found.links > entry.metadata.links:
            return Change.REPLACED
        if kind is Kind.REGULAR and found.is_regular:
            return self._decide_regular(entry, found, directory)
        if kind is Kind.SPECIAL:
            return self._decide_special(entry, found, directory)
        return Change.REPLACED

    def decide_link(self, entry: Entry, found: SourceEntry | None, first: SourceEntry | None, directory: int | None) -> Change:
        """Decide what to do for a further link of a file that has been restored."""
        if found is None:
            return Change.NEW
        if self._guard is not None and directory is not None and self._guard.holds(found, directory):
            return Change.KEPT
        if first is not None and (found.device, found.inode) == (first.device, first.inode):
            return Change.UNCHANGED
        return Change.REPLACED if self._gives_way(entry, found) else Change.KEPT

    def _gives_way(self, entry: Entry, found: SourceEntry) -> bool:
        if self._overwrite is Overwrite.IF_NEWER:
            wanted = entry.metadata.mtime_ns
            return wanted is not None and wanted > found.mtime_ns and not is_same_time(found, wanted)
        return self._overwrite is not Overwrite.NEVER

    @staticmethod
    def _looks_same(entry: Entry, kind: Kind, found: SourceEntry) -> bool:
        if not is_same_time(found, entry.metadata.mtime_ns):
            return False
        return kind is Kind.SPECIAL or (kind is Kind.REGULAR and found.is_regular and found.size == entry.size)

    def _decide_regular(self, entry: Entry, found: SourceEntry, directory: int) -> Change:
        # Only these caps tell a size.
        is_size_known = EncodedCap(entry.encoded).has_file_size
        if is_size_known and entry.size != found.size:
            return Change.REPLACED
        try:
            descriptor, now = open_regular(directory, entry.name, filesystem=self._system)
        except OSError as error:
            if error.errno in _UNREADABLE:
                return Change.REPLACED
            raise
        try:
            is_trusted = is_size_known and self._overwrite is not Overwrite.ALWAYS and is_same_time(now, entry.metadata.mtime_ns)
            if not is_trusted and not self.comparer.is_same_content(entry, descriptor):
                return Change.REPLACED
            if self.comparer.differs(descriptor, now, entry.metadata):
                return self._amended(now, entry, descriptor, directory)
            # Further links can be made only while it has no such flags.
            is_held = entry.metadata.links > 1 and entry.metadata.flags & FLAGS_LINK_FORBIDDING
            return Change.AMENDED if is_held else Change.UNCHANGED
        finally:
            self._system.close(descriptor)

    def _decide_special(self, entry: Entry, found: SourceEntry, directory: int) -> Change:
        target = self._system.readlink(entry.name, directory) if found.is_symlink else None
        if not is_same_special(found, target, entry.metadata):
            return Change.REPLACED
        place = PathAt(directory, entry.name)
        differs = self.comparer.differs(place, found, entry.metadata)
        return self._amended(found, entry, place, directory) if differs else Change.UNCHANGED

    def _amended(self, found: SourceEntry, entry: Entry, place: Place, directory: int) -> Change:
        """Return the change where only metadata differs: a file with other names is replaced, as above, unless that is in vain."""
        if found.links <= 1:
            return Change.AMENDED
        kept = None if self._trial is None else self._trial(entry.metadata, found.device, directory)
        # Some file systems, as NTFS and SMB, make of these permissions and owners what is there already.
        is_vain = kept is not None and _looks_alike(kept, found)
        is_vain = is_vain and not self.comparer.differs(place, found, entry.metadata, but=("modes", "owners"))
        return Change.UNCHANGED if is_vain else Change.REPLACED


def _looks_alike(kept: os.stat_result, found: SourceEntry) -> bool:
    is_same_mode = found.is_symlink or stat.S_IMODE(kept.st_mode) == stat.S_IMODE(found.mode)
    return is_same_mode and (kept.st_uid, kept.st_gid) == (found.uid, found.gid)
