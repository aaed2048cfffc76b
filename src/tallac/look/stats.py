"""Sizes of the snapshots of a target: restored, each content once, each chunk once, and as stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from tallac.caps import ReadCap
from tallac.dag import Entry, FileType
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CapReader, StoredPart, StoredSizes
from tallac.look.metadata import kind_of, size_of
from tallac.look.read_errors import OnReadError, ReadError
from tallac.look.versions import Version, walk_versions

_SHARED = -1
"""Stands for several snapshots, in place of the number of one."""

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
        report: Called with each path that can't be read; the stats lack it.
        progress: Called from time to time with the number of paths read.
    """
    stats = TargetStats([SnapshotStats() for _ in snapshots], knows_store=isinstance(reader, StoredSizes))
    gathering = _Gathering(reader, stats, [snapshot.name for snapshot in snapshots], report)
    for number, snapshot in enumerate(snapshots):
        gathering.count_stored(b"", Version(snapshot, (number,)))
    for count, versions in enumerate(walk_versions(reader, snapshots, report)):
        for version in versions.all:
            gathering.count(version)
            gathering.count_stored(versions.path, version)
        if progress is not None and count % _PROGRESS_STEP == 0:
            progress(count)
    return gathering.stats


class _Gathering(msgspec.Struct):
    """The state of the walk.

    Attributes:
        names: The names of the snapshots.
        report: Called with each path that can't be read.
        owners: The number of the only snapshot that has a cap, or `_SHARED`.
        part_owners: The same for stored objects.
    """

    reader: CapReader
    stats: TargetStats
    names: list[bytes]
    report: OnReadError
    owners: dict[bytes, int] = msgspec.field(default_factory=dict)
    part_owners: dict[bytes, int] = msgspec.field(default_factory=dict)

    def count(self, version: Version) -> None:
        """Count a path for each snapshot that has it."""
        is_directory, size = version.entry.is_directory, size_of(version.entry)
        for number in version.snapshots:
            snapshot = self.stats.snapshots[number]
            snapshot.files += not is_directory
            snapshot.directories += is_directory
            snapshot.size += size
        if kind_of(version.entry) is FileType.REGULAR and version.entry.encoded not in self.owners:
            self.stats.unique_size += size

    def count_stored(self, path: bytes, version: Version) -> None:
        """Record which snapshots own the stored objects of a version, once for each change of owners."""
        encoded = version.entry.encoded
        owner = version.snapshots[0] if len(version.snapshots) == 1 else _SHARED
        known = self.owners.get(encoded)
        if known in (owner, _SHARED):
            return
        self.owners[encoded] = owner = owner if known is None else _SHARED
        cap = version.entry.cap
        if not isinstance(self.reader, StoredSizes) or not isinstance(cap, ReadCap):
            return
        try:
            self._claim(self.reader.stored_parts(cap), owner, is_directory=version.entry.is_directory)
        except (DamageError, AuthorityError) as error:
            names = tuple(self.names[number] for number in version.snapshots)
            self.report(ReadError(path, f"can't be measured: {error}", names))

    def _claim(self, parts: Iterable[StoredPart], owner: int, *, is_directory: bool) -> None:
        stats = self.stats
        for part in parts:
            known = self.part_owners.get(part.name)
            if known is None:
                self.part_owners[part.name] = owner
                if is_directory:
                    stats.stored_directories += part.stored_size
                else:
                    stats.stored_files += part.stored_size
                    stats.deduplicated_size += part.size
                if owner != _SHARED:
                    stats.snapshots[owner].freed += part.stored_size
            elif known not in (owner, _SHARED):
                self.part_owners[part.name] = _SHARED
                stats.snapshots[known].freed -= part.stored_size
