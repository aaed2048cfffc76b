"""Sizes of the snapshots of a target: restored, each content once, each chunk once, and as stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain

import msgspec

from tallac.dag import Entry, FileType, file_type_of, join_path
from tallac.dag.encoded import sizes_of
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CapReader, StoredSizes
from tallac.look.object_table import IS_FILE, IS_OWNED, NAME_SIZE, NOT_STORED, OF_DIRECTORY, SHARED, ObjectTable, owner_of, size_of
from tallac.look.read_errors import OnReadError, ReadError
from tallac.look.versions import Tables, Version, walk_tables, walk_versions

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
    for owner, caps in _by_owner([((number,), {snapshot.encoded}) for number, snapshot in enumerate(snapshots)]):
        for encoded, problem in gathering.note(sizes_of(caps), owner, OF_DIRECTORY).items():
            having = [number for number, snapshot in enumerate(snapshots) if snapshot.encoded == encoded]
            gathering.report_at(b"", having, problem)
    count, shown = 0, -_PROGRESS_STEP
    for tables in walk_tables(reader, snapshots, report):
        gathering.count(tables)
        count += max(len(table.directories) + len(table.others) for table in tables.all)
        if progress is not None and count - shown >= _PROGRESS_STEP:
            progress(count)
            shown = count
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
        owners: What consists of several objects, by its cap: the only snapshot that has it, or `SHARED`.
        lost: The names of the objects that the store has lost.
    """

    sizes: StoredSizes | None
    stats: TargetStats
    names: list[bytes]
    report: OnReadError
    counts: dict[tuple[int, ...], tuple[int, int, int]] = msgspec.field(default_factory=dict)
    objects: ObjectTable = msgspec.field(default_factory=ObjectTable)
    owners: dict[bytes, int] = msgspec.field(default_factory=dict)
    lost: set[bytes] = msgspec.field(default_factory=set)

    def count(self, tables: Tables) -> None:
        """Count the entries of directories for each snapshot that has them, and note their objects."""
        caps: dict[int, list[tuple[tuple[int, ...], set[bytes]]]] = {OF_DIRECTORY: [], IS_FILE: [], 0: []}
        sizes: dict[bytes, int] = {}
        for snapshots, directories, others in tables.all:
            regular, special = _divided(others)
            contents = [entry.encoded for entry in regular]
            sizes |= sizes_of(set(contents) - sizes.keys())
            before = self.counts.get(snapshots, (0, 0, 0))
            size = sum(map(sizes.__getitem__, contents))
            self.counts[snapshots] = (before[0] + len(directories), before[1] + len(others), before[2] + size)
            for flags, found in ((OF_DIRECTORY, directories), (0, special)):
                if found:
                    caps[flags].append((snapshots, {entry.encoded for entry in found}))
            caps[IS_FILE].append((snapshots, set(contents)))
        problems: dict[bytes, str] = {}
        for flags, versions in caps.items():
            for owner, owned in _by_owner(versions):
                problems |= self.note({each: sizes[each] for each in owned} if flags & IS_FILE else sizes_of(owned), owner, flags)
        if problems:
            self._name(tables, problems)

    def note(self, caps: Mapping[bytes, int], owner: int, flags: int) -> dict[bytes, str]:
        """Note the objects of files or directories, whose sizes are given.

        Returns:
            What is wrong with those of which some objects can't be told.
        """
        sole, others = ({}, list(caps)) if self.sizes is None else self.sizes.sole_objects(caps)
        without: dict[bytes, int] = {}
        problems: dict[bytes, str] = {}
        for encoded in others:
            known = self.owners.get(encoded)
            if known in (owner, SHARED):
                continue
            try:
                objects = dict(self.sizes.objects_of(encoded)) if self.sizes is not None else {}
            except (DamageError, AuthorityError) as error:
                problems[encoded] = str(error)
                objects = {}
            if len(objects) == 1:
                sole |= objects
            elif not objects:
                without[blake2b(encoded, digest_size=NAME_SIZE).digest()] = caps[encoded]
            else:
                self.objects.add(objects, owner, flags & OF_DIRECTORY)
                self.owners[encoded] = owner if known is None else SHARED
                if known is None and flags & IS_FILE:
                    self.stats.unique_size += caps[encoded]
        self.objects.add(sole, owner, flags)
        self.objects.add(without, owner, flags | NOT_STORED)
        return problems

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


def _divided(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Divide what is no directory into regular files, and others."""
    # Files of one directory have few modes between them.
    kinds = {mode: None if mode is None else file_type_of(mode) for mode in {entry.metadata.mode for entry in entries}}
    special = {mode for mode, kind in kinds.items() if kind not in (None, FileType.DIRECTORY, FileType.REGULAR)}
    if not special:
        return entries, []
    return [each for each in entries if each.metadata.mode not in special], [
        each for each in entries if each.metadata.mode in special
    ]


def _by_owner(versions: list[tuple[tuple[int, ...], set[bytes]]]) -> Iterator[tuple[int, set[bytes]]]:
    """Iterate over the caps in versions of a directory with the only snapshot that has them there, or `SHARED`."""
    seen: set[bytes] = set()
    shared: set[bytes] = set()
    for _, caps in versions[1:] and versions:
        shared |= seen & caps
        seen |= caps
    for snapshots, caps in versions:
        yield snapshots[0] if len(snapshots) == 1 else SHARED, caps - shared if shared else caps
    if shared:
        yield SHARED, shared
