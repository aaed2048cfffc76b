"""Whether what is there is what the snapshot has: content, and metadata as far as this user may set it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable

from tallac.caps import FileReadCap
from tallac.dag import Entry, Metadata
from tallac.errors import CapError
from tallac.interfaces import FileReader
from tallac.restore.filesystem import DestinationSystem, PathAt, Place
from tallac.restore.options import RestoreSettings
from tallac.restore.owners import Owners
from tallac.restore.privileges import has_privileges, without_privileges
from tallac.source import FLAGS_KEPT, SourceEntry, read_flags, read_xattrs, read_xattrs_beneath

_STEP_SIZE = 1 << 20
# 1 µs, 1 ms, 10 ms, 1 s, 2 s
_STEPS_NS = (1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000)

# Others, such as a security label, belong to the place and come by themselves.
_XATTRS_OF_THE_FILE = (b"user.", b"trusted.", b"system.posix_acl_", b"security.capability")


class Comparer:
    """Compares what is there with entries of a snapshot.

    Attributes:
        reads_disk: Contents are to come from the disk, and not from the system's memory of what was written.
    """

    def __init__(self, grid: FileReader, settings: RestoreSettings, system: DestinationSystem) -> None:
        """Read from a grid, look with these calls."""
        self._grid = grid
        self._system = system
        self.reads_disk = False
        self._ignored: frozenset[str] = frozenset()
        self._owners = Owners(numeric=settings.numeric_owners, user_rules=settings.user_rules, group_rules=settings.group_rules)

    def ignore(self, fields: Iterable[str]) -> None:
        """Compare these no more, of "modes", "owners" and "times": the file system was found not to keep them."""
        self._ignored = frozenset(fields)

    def is_same_content(self, entry: Entry, descriptor: int) -> bool:
        """Whether an open file, from its beginning, is what an entry's cap leads to.

        Raises:
            DamageError: The stored content is missing or wrong.
            CapError: The cap leads to no file, or was issued by another grid.
            OSError: The file can't be read.
        """
        if self.reads_disk:
            self._system.drop_cached(descriptor)
        (small,) = self._grid.read_small_files((entry.encoded,))
        if small is not None:
            return self._has_next(descriptor, small) and not self._system.read(descriptor, 1)
        cap = entry.cap
        if not isinstance(cap, FileReadCap):
            raise CapError("the cap leads to no file that can be read")
        with self._grid.open_file(cap) as reader:
            while block := reader.read(_STEP_SIZE):
                if not self._has_next(descriptor, block):
                    return False
        return not self._system.read(descriptor, 1)

    def differs(self, place: Place, found: SourceEntry, metadata: Metadata, *, but: Collection[str] = ()) -> bool:
        """Whether the metadata of something that is there is to be set, leaving out some of what `ignore` takes.

        Raises:
            OSError: It can't be looked at.
        """
        ignored = self._ignored.union(but)
        metadata = self._as_set(metadata)
        if metadata.mtime is not None and "times" not in ignored and not is_same_time(found, metadata.mtime_ns):
            return True
        mode = None if "modes" in ignored or found.is_symlink else metadata.mode
        if mode is not None and stat.S_IMODE(found.mode) != stat.S_IMODE(mode):
            return True
        owner = self._owners.owner_of(metadata)
        if owner is not None and "owners" not in ignored and self._owners.may_set(*owner) and owner != (found.uid, found.gid):
            return True
        if isinstance(place, int) and read_flags(place, filesystem=self._system) != metadata.flags & FLAGS_KEPT:
            return True
        return bool(self.extraneous_xattrs(place, metadata)) or not self._has_xattrs(place, metadata)

    def extraneous_xattrs(self, place: Place, metadata: Metadata) -> list[bytes]:
        """Name the extended attributes that something has, and the snapshot's has not. Raises as `differs` does."""
        wanted = {name for name, _ in self._as_set(metadata).xattrs}
        return [name for name, _ in self._xattrs(place) if name not in wanted and name.startswith(_XATTRS_OF_THE_FILE)]

    def _as_set(self, metadata: Metadata) -> Metadata:
        """Return metadata without the privileges that go where the owner is another; see `Attributes.set_all`."""
        is_directory = metadata.mode is not None and stat.S_ISDIR(metadata.mode)
        if not has_privileges(metadata, is_directory=is_directory):
            return metadata
        owner = self._owners.owner_of(metadata)
        if owner is not None and self._owners.may_set(*owner) and self._owners.is_stored_owner(metadata):
            return metadata
        return without_privileges(metadata, is_directory=is_directory)

    def _has_xattrs(self, place: Place, metadata: Metadata) -> bool:
        return not metadata.xattrs or set(metadata.xattrs) <= set(self._xattrs(place))

    def _xattrs(self, place: Place) -> tuple[tuple[bytes, bytes], ...]:
        if isinstance(place, PathAt):
            return read_xattrs_beneath(place.directory, place.name, filesystem=self._system)
        return read_xattrs(place, filesystem=self._system)

    def _has_next(self, descriptor: int, block: bytes) -> bool:
        position = 0
        while position < len(block):
            part = self._system.read(descriptor, len(block) - position)
            if not part or part != block[position : position + len(part)]:
                return False
            position += len(part)
        return True


def is_same_time(found: SourceEntry, wanted_ns: int | None) -> bool:
    """Whether something has a time, as precisely as its file system keeps times.

    Below a microsecond nobody looks. A coarser file system is known by its other time, that of the last change of the inode, which
    nobody can choose: where that is a multiple of 10 ms (exFAT), of a second (sshfs) or of two (FAT) as well, so are all times.
    """
    if wanted_ns is None:
        return False
    difference = abs(found.mtime_ns - wanted_ns)
    if difference < _STEPS_NS[0]:
        return True
    return any(difference < step and found.mtime_ns % step == 0 and found.ctime_ns % step == 0 for step in _STEPS_NS)


def is_same_special(found: SourceEntry, target: bytes | None, metadata: Metadata) -> bool:
    """Whether something without content is of the same kind and leads to the same; `target` is the text of a link that is there."""
    mode = metadata.mode
    if mode is None or stat.S_IFMT(mode) != stat.S_IFMT(found.mode):
        return False
    if found.is_symlink:
        return target == metadata.target
    return not found.is_device or metadata.rdev == (os.major(found.rdev), os.minor(found.rdev))
