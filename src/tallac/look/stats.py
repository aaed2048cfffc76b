"""Sizes of the snapshots of a target: restored, each content once, each chunk once, and as stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from tallac.dag import Entry, join_path
from tallac.dag.encoded import sizes_of
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CapReader, StoredSizes
from tallac.look.counting_back import counting_back
from tallac.look.object_table import IS_FILE, IS_OWNED, NOT_STORED, OF_DIRECTORY, ObjectTable, owner_of, size_of
from tallac.look.read_errors import OnReadError, ReadError
from tallac.look.tables import Tables, walk_tables
from tallac.look.tally import Noted, Owners, Tally, by_owner, note_owner, noted_of, tally_of
from tallac.look.versions import Version, walk_versions

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

    Memory holds some hundred bytes for each file that is long enough to have several chunks. What is known of each distinct file
    and each stored object, 28 bytes, goes to a temporary file from some 100,000 of them on, and the sizes in the store, 24 bytes.

    Args:
        reader: The grid of the snapshots; if it is a `StoredSizes`, sizes in the store are included.
        snapshots: All of them, since the space that forgetting one frees depends on the others.
        report: Called with each path that can't be read or measured; the stats lack what it takes in the store.
        progress: Called from time to time with the number of paths read.

    Raises:
        LocalStateError: What was put into a temporary file can't be read again, or is something else.
    """
    sizes = reader if isinstance(reader, StoredSizes) else None
    stats = TargetStats([SnapshotStats() for _ in snapshots], knows_store=sizes is not None)
    gathering = _Gathering(sizes, stats, [snapshot.name for snapshot in snapshots], report)
    for owner, caps in by_owner([((number,), {snapshot.encoded}) for number, snapshot in enumerate(snapshots)]):
        problems: dict[bytes, str] = {}
        gathering.note(noted_of(sizes_of(caps), owner, OF_DIRECTORY, sizes, gathering.owners, problems))
        for encoded, problem in problems.items():
            having = [number for number, snapshot in enumerate(snapshots) if snapshot.encoded == encoded]
            gathering.report_at(b"", having, problem)
    shown = -_PROGRESS_STEP
    with counting_back(reader, snapshots, gathering.add) as other:
        for tables in walk_tables(reader, snapshots, report, ends_at=other.has_counted):
            gathering.count(tables)
            if progress is not None and gathering.paths - shown >= _PROGRESS_STEP:
                progress(gathering.paths)
                shown = gathering.paths
    gathering.add_up()
    if gathering.lost:
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
        counts: For snapshots that have a directory in common: how many directories and others, and bytes of regular files.
        objects: Each stored object, and each file that takes none.
        owners: What consists of several objects.
        lost: The names of the objects that the store has lost.
        paths: How many were counted.
    """

    sizes: StoredSizes | None
    stats: TargetStats
    names: list[bytes]
    report: OnReadError
    counts: dict[tuple[int, ...], tuple[int, int, int]] = msgspec.field(default_factory=dict)
    objects: ObjectTable = msgspec.field(default_factory=ObjectTable)
    owners: Owners = msgspec.field(default_factory=dict)
    lost: set[bytes] = msgspec.field(default_factory=set)
    paths: int = 0

    def count(self, tables: Tables) -> None:
        """Count the entries of directories for each snapshot that has them, and note their objects."""
        tally, problems = tally_of(tables, self.sizes, self.owners)
        self.add(tally)
        if problems:
            self._name(tables, problems)

    def add(self, tally: Tally) -> None:
        """Take in what a part of a directory comes to."""
        for snapshots, directories, others, size in tally.counts:
            before = self.counts.get(snapshots, (0, 0, 0))
            self.counts[snapshots] = (before[0] + directories, before[1] + others, before[2] + size)
        for noted in tally.noted:
            self.note(noted)
        self.paths += max(directories + others for _, directories, others, _ in tally.counts)

    def note(self, noted: Noted) -> None:
        """Take in the objects of some files or directories."""
        owner, flags = noted.owner, noted.flags
        for encoded, size, objects in noted.several:
            known = self.owners.get(encoded)
            if note_owner(self.owners, encoded, owner):
                self.objects.add(objects, owner, flags & OF_DIRECTORY)
            if known is None and flags & IS_FILE:
                self.stats.unique_size += size
        for objects, of_these in ((noted.sole, flags), (noted.without, flags | NOT_STORED)):
            if objects:
                self.objects.add(objects, owner, of_these)

    def add_up(self) -> None:
        """Take the sizes of all stored objects from the store; what it has lost is in `lost` then."""
        stats = self.stats
        for snapshots, (directories, files, size) in self.counts.items():
            for number in snapshots:
                stats.snapshots[number].directories += directories
                stats.snapshots[number].files += files
                stats.snapshots[number].size += size
        for part in self.objects.parts():
            stats.unique_size += sum([size_of(fact) for fact in part.values() if fact & IS_FILE])
            for name in [name for name, fact in part.items() if fact & NOT_STORED]:
                del part[name]
            stats.deduplicated_size += sum([size_of(fact) for fact in part.values() if not fact & OF_DIRECTORY])
            if self.sizes is not None:
                self._measure(part, self.sizes)

    def _measure(self, objects: dict[bytes, int], sizes: StoredSizes) -> None:
        """Take the sizes of some objects from the store; those that it has lost stay."""
        files = directories = 0
        for name, size in sizes.stored_sizes(objects):
            fact = objects.pop(name, None)
            if fact is None:
                continue  # A copy.
            if fact & OF_DIRECTORY:
                directories += size
            else:
                files += size
            if fact & IS_OWNED:
                self.stats.snapshots[owner_of(fact)].freed += size
        self.stats.stored_files += files
        self.stats.stored_directories += directories
        self.lost |= objects.keys()

    def name_lost(self, path: bytes, versions: Iterable[Version]) -> None:
        """Report the versions of a path of which the store has lost some object."""
        for version in versions:
            try:
                objects = () if self.sizes is None else self.sizes.objects_of(version.entry.encoded)
            except (DamageError, AuthorityError):
                continue  # It was reported by the first walk.
            lost = next((name for name, _ in objects if name in self.lost), None)
            if lost is not None:
                self.report_at(path, version.snapshots, f"object {lost.hex()[:12]} is missing")

    def report_at(self, path: bytes, snapshots: Iterable[int], what: str) -> None:
        """Report a path in some snapshots that can't be measured."""
        names = tuple(self.names[number] for number in snapshots)
        self.report(ReadError(path, f"can't be measured: {what}", names))

    def _name(self, tables: Tables, problems: Mapping[bytes, str]) -> None:
        """Report the entries that have these caps, each path once."""
        found: dict[tuple[bytes, bytes], list[int]] = {}
        for snapshots, directories, others in tables.all:
            for entry in chain(directories, others):
                if entry.encoded in problems:
                    found.setdefault((entry.name, entry.encoded), []).extend(snapshots)
        for name, encoded in sorted(found):
            self.report_at(join_path(tables.path, name), sorted(found[name, encoded]), problems[encoded])
