"""Sizes of the snapshots of a target: restored, each content once, each chunk once, and as stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from tallac.dag import Entry, FileType
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CapReader, StoredObject, StoredSizes
from tallac.look.metadata import kind_of
from tallac.look.read_errors import OnReadError, ReadError
from tallac.look.versions import Version, walk_versions

_SHARED = -1
"""Stands for several snapshots, in place of the number of one."""

_OF_DIRECTORY, _IS_FILE = 1, 2

_PROGRESS_STEP = 1000


class SnapshotStats(msgspec.Struct):
    """Counts and sizes of one snapshot.

    Attributes:
        files, directories: Their numbers; everything but directories is a file, and the snapshot itself is not counted.
        size: Bytes of its regular files.
        freed: Bytes in the store that no other snapshot of the target refers to.
    """

    files: int = 0
    directories: int = 0
    size: int = 0
    freed: int = 0


class TargetStats(msgspec.Struct):
    """Sizes of all snapshots of a target, in bytes.

    Attributes:
        snapshots: The stats of each, in the given order.
        unique_size: Regular files, each content once.
        deduplicated_size: Stored objects of files, each chunk once, before compression, without small files that are stored in
            their directories.
        stored_files, stored_directories: Objects as stored, compressed and sealed.
        knows_store: Whether the grid knows the sizes of its objects; otherwise the last three, and `freed`, are 0.
    """

    snapshots: list[SnapshotStats]
    unique_size: int = 0
    deduplicated_size: int = 0
    stored_files: int = 0
    stored_directories: int = 0
    knows_store: bool = False

    @property
    def restore_size(self) -> int:
        """Bytes of all regular files in all snapshots: what restoring every one of them would write."""
        return sum(snapshot.size for snapshot in self.snapshots)

    @property
    def stored_size(self) -> int:
        """Bytes of all stored objects."""
        return self.stored_files + self.stored_directories


def gather(
    reader: CapReader, snapshots: Sequence[Entry], report: OnReadError, progress: Callable[[int], None] | None = None
) -> TargetStats:
    """Walk all snapshots of a target and return their stats. Shared directories are read once, contents of files never.

    Memory holds a few words for each distinct file and each stored object.

    Args:
        reader: The grid of the snapshots; if it is a `StoredSizes`, sizes in the store are included.
        snapshots: All of them, since the space that forgetting one frees depends on the others.
        report: Called with each path that can't be read or measured; the stats lack what it takes in the store.
        progress: Called from time to time with the number of paths read.
    """
    sizes = reader if isinstance(reader, StoredSizes) else None
    stats = TargetStats([SnapshotStats() for _ in snapshots], knows_store=sizes is not None)
    gathering = _Gathering(sizes, stats, [snapshot.name for snapshot in snapshots], report)
    for number, snapshot in enumerate(snapshots):
        gathering.count_stored(b"", Version(snapshot, (number,)))
    for count, versions in enumerate(walk_versions(reader, snapshots, report)):
        for version in versions.all:
            gathering.count(versions.path, version)
        if progress is not None and count % _PROGRESS_STEP == 0:
            progress(count)
    if gathering.measure():
        gathering.name_lost(b"", (Version(snapshot, (number,)) for number, snapshot in enumerate(snapshots)))
        for versions in walk_versions(reader, snapshots, lambda _: None):
            gathering.name_lost(versions.path, versions.all)
    return stats


class _Gathering(msgspec.Struct):
    """The state of the walk.

    Attributes:
        sizes: The grid, if it knows the sizes of its objects.
        names: The names of the snapshots.
        report: Called with each path that can't be read.
        owners: The number of the only snapshot that has a cap, or `_SHARED`; without what is one stored object.
        objects: The same for stored objects, shifted by two bits: `_OF_DIRECTORY`, and `_IS_FILE` for what is a whole file.
    """

    sizes: StoredSizes | None
    stats: TargetStats
    names: list[bytes]
    report: OnReadError
    owners: dict[bytes, int] = msgspec.field(default_factory=dict)
    objects: dict[bytes, int] = msgspec.field(default_factory=dict)

    def count(self, path: bytes, version: Version) -> None:
        """Count a path for each snapshot that has it."""
        entry = version.entry
        kind = kind_of(entry)
        size = entry.size if kind is FileType.REGULAR else 0
        for number in version.snapshots:
            snapshot = self.stats.snapshots[number]
            if kind is FileType.DIRECTORY:
                snapshot.directories += 1
            else:
                snapshot.files += 1
                snapshot.size += size
        self.count_stored(path, version, size)

    def count_stored(self, path: bytes, version: Version, unique_size: int = 0) -> None:
        """Record which snapshots own the stored objects of a version, and its size where its content is new."""
        encoded = version.entry.encoded
        owner = version.snapshots[0] if len(version.snapshots) == 1 else _SHARED
        known = self.owners.get(encoded)
        if known in (owner, _SHARED):
            return
        objects = self._objects_of(path, version)
        if len(objects) == 1:
            is_new = self._claim(objects, owner, _OF_DIRECTORY if version.entry.is_directory else _IS_FILE)
        else:
            is_new = known is None
            self.owners[encoded] = owner = owner if is_new else _SHARED
            self._claim(objects, owner, _OF_DIRECTORY if version.entry.is_directory else 0)
        if is_new:
            self.stats.unique_size += unique_size

    def measure(self) -> bool:
        """Take the sizes of all stored objects from the store; return whether it has lost some, which stay in `objects`."""
        stats, objects = self.stats, self.objects
        for name, size in self.sizes.stored_sizes(objects) if self.sizes is not None else ():
            value = objects.pop(name, None)
            if value is None:
                continue  # A copy.
            if value & _OF_DIRECTORY:
                stats.stored_directories += size
            else:
                stats.stored_files += size
            owner = value >> 2
            if owner != _SHARED:
                stats.snapshots[owner].freed += size
        return bool(objects)

    def name_lost(self, path: bytes, versions: Iterable[Version]) -> None:
        """Report the versions of a path of which the store has lost some object."""
        for version in versions:
            try:
                objects = () if self.sizes is None else self.sizes.objects_of(version.entry.encoded)
            except (DamageError, AuthorityError):
                continue  # It was reported by the first walk.
            lost = next((name for name, _ in objects if name in self.objects), None)
            if lost is not None:
                self._report(path, version, f"object {lost.hex()[:12]} is missing")

    def _objects_of(self, path: bytes, version: Version) -> Sequence[StoredObject]:
        if self.sizes is None:
            return ()
        try:
            return self.sizes.objects_of(version.entry.encoded)
        except (DamageError, AuthorityError) as error:
            self._report(path, version, str(error))
            return ()

    def _report(self, path: bytes, version: Version, what: str) -> None:
        names = tuple(self.names[number] for number in version.snapshots)
        self.report(ReadError(path, f"can't be measured: {what}", names))

    def _claim(self, objects: Sequence[StoredObject], owner: int, flags: int) -> bool:
        """Note whose some objects are; return whether the last one was not known as such."""
        is_new = False
        for name, size in objects:
            known = self.objects.get(name)
            if known is None:
                self.objects[name] = owner << 2 | flags
                if not flags & _OF_DIRECTORY:
                    self.stats.deduplicated_size += size
                is_new = True
            else:
                is_new = not known & flags
                self.objects[name] = (owner if known >> 2 == owner else _SHARED) << 2 | known & 3 | flags
        return is_new
