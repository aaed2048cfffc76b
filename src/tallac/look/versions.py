"""A walk over many snapshots at once: each path once, with all its versions; a directory that they share is read once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple, TypeAlias

import msgspec

from tallac.caps import DirectoryReadCap
from tallac.dag import LEADS_BACK, Entry, join_path, mutable_identity
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CapReader
from tallac.look.metadata import is_alike
from tallac.look.read_errors import OnReadError, ReadError

Entries: TypeAlias = list[Entry]


class Version(NamedTuple):
    """One version of a path. A tuple, because a walk creates one for each name and snapshot.

    Attributes:
        entry: Its entry.
        snapshots: The snapshots that have it, as positions in the given list, ascending.
    """

    entry: Entry
    snapshots: tuple[int, ...]


class Versions(NamedTuple):
    """A path with all its versions.

    Attributes:
        path: The path below the snapshots.
        all: The versions with different entries, in order of the first snapshot that has them.
    """

    path: bytes
    all: tuple[Version, ...]

    def alike(self) -> list[Version]:
        """Return the versions that differ by `is_alike`, which is what a listing shows."""
        found: list[Version] = []
        for version in self.all:
            for place, other in enumerate(found):
                if is_alike(other.entry, version.entry):
                    found[place] = Version(other.entry, tuple(sorted(other.snapshots + version.snapshots)))
                    break
            else:
                found.append(version)
        return found


State = Entry | ReadError | None
"""The state of a path in a snapshot: an entry, an error if it can't be read, or None if there is nothing."""


class PathFinder:
    """Follows a path in many snapshots. Directories that they share are read once."""

    def __init__(self, reader: CapReader) -> None:
        """Use a grid; nothing is read yet."""
        self._reader = reader
        self._known: dict[tuple[bytes, bytes], State] = {}

    def find(self, snapshot: Entry, path: Sequence[bytes]) -> State:
        """Return the state of a path in a snapshot; for an empty path, the snapshot itself."""
        state: State = snapshot
        for place, name in enumerate(path):
            if not isinstance(state, Entry) or not state.is_directory:
                return state if isinstance(state, ReadError) else None
            key = (state.encoded, name)
            if key not in self._known:
                self._known[key] = self._get(state, name, b"/".join(path[:place]))
            state = self._known[key]
        return state

    def _get(self, directory: Entry, name: bytes, path: bytes) -> State:
        try:
            cap = directory.cap
            return self._reader.read_directory(cap).get(name) if isinstance(cap, DirectoryReadCap) else None
        except (DamageError, AuthorityError) as error:
            return ReadError(path, f"can't be read: {error}")


def walk_versions(
    reader: CapReader, snapshots: Sequence[Entry], report: OnReadError, *, path: Sequence[bytes] = ()
) -> Iterator[Versions]:
    """Iterate over all paths in some snapshots, each directory before what is below it, in the order of the names.

    Memory holds, for each level of the path, one table of each version of the directory.

    Args:
        reader: The grid of the snapshots.
        snapshots: The snapshots to walk.
        report: Called with each directory that can't be read; everything below it is missing, and the rest is walked.
        path: Limits the walk to this path and everything below it.
    """
    levels: list[Iterator[Versions]] = []
    above = Above(report, [snapshot.name for snapshot in snapshots])
    lister = Lister(reader, [snapshot.name for snapshot in snapshots], report)
    roots = find_roots(reader, snapshots, report, path)
    if path and roots:
        levels.append(iter([Versions(b"/".join(path), roots)]))
        above.enter(())
    elif roots:
        levels.append(_below(lister, Versions(b"", roots)))
        above.enter(roots)
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            above.leave()
            continue
        yield found
        directories = tuple(version for version in found.all if version.entry.is_directory)
        if directories and (directories := above.without_ancestors(found.path, directories)):
            levels.append(_below(lister, Versions(found.path, directories)))
            above.enter(directories)


class Above:
    """The mutable directories that a walk is in, each with the snapshots in which it lies there. See `Ancestors`."""

    def __init__(self, report: OnReadError, names: list[bytes]) -> None:
        self._report = report
        self._names = names
        self._levels: list[dict[bytes, set[int]]] = []

    def enter(self, versions: Iterable[Version]) -> None:
        """Go down into these directories."""
        level: dict[bytes, set[int]] = {}
        for version in versions:
            identity = mutable_identity(version.entry.encoded)
            if identity is not None:
                level.setdefault(identity, set()).update(version.snapshots)
        self._levels.append(level)

    def leave(self) -> None:
        """Go up again."""
        self._levels.pop()

    def without_ancestors(self, path: bytes, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """Return the directories that are to be entered; report those that lead back, with their snapshots."""
        kept: list[Version] = []
        for version in versions:
            identity = mutable_identity(version.entry.encoded) if any(self._levels) else None
            back = set() if identity is None else {n for level in self._levels for n in level.get(identity, ())}
            back.intersection_update(version.snapshots)
            if back:
                self._report(ReadError(path, LEADS_BACK, tuple(self._names[number] for number in sorted(back)), is_missing=False))
            left = tuple(number for number in version.snapshots if number not in back)
            if left:
                kept.append(Version(version.entry, left))
        return tuple(kept)


def find_roots(reader: CapReader, snapshots: Sequence[Entry], report: OnReadError, path: Sequence[bytes]) -> tuple[Version, ...]:
    """Return the versions of a path in some snapshots; report those in which it can't be read."""
    finder = PathFinder(reader)
    states = [(finder.find(snapshot, path), number) for number, snapshot in enumerate(snapshots)]
    for error in dict.fromkeys(state for state, _ in states if isinstance(state, ReadError)):
        names = tuple(snapshots[number].name for state, number in states if state == error)
        report(ReadError(error.path, error.message, names))
    return unite(Version(state, (number,)) for state, number in states if isinstance(state, Entry))


class Lister(msgspec.Struct, frozen=True):
    """Lists directories, and reports those that can't be read."""

    reader: CapReader
    names: list[bytes]
    report: OnReadError

    def list(self, path: bytes, entry: Entry, snapshots: tuple[int, ...]) -> Iterator[Entry]:
        """Iterate over the entries of a directory that these snapshots have."""
        try:
            cap = entry.cap
            if isinstance(cap, DirectoryReadCap):
                yield from self.reader.read_directory(cap)
        except (DamageError, AuthorityError) as error:
            self._tell(path, snapshots, error)

    def steps(self, path: bytes, entry: Entry, snapshots: tuple[int, ...], names_max: int) -> Iterator[Entries]:
        """Do as `list` does, so many entries at a time, and at last fewer or none; what precedes damage is among them."""
        taken: Entries = []
        try:
            cap = entry.cap
            if isinstance(cap, DirectoryReadCap):
                entries = iter(self.reader.read_directory(cap))
                while True:
                    taken = []
                    taken.extend(islice(entries, names_max))
                    if len(taken) < names_max:
                        break
                    yield taken
        except (DamageError, AuthorityError) as error:
            self._tell(path, snapshots, error)
        yield taken

    def _tell(self, path: bytes, snapshots: tuple[int, ...], error: Exception) -> None:
        names = tuple(self.names[number] for number in snapshots)
        self.report(ReadError(path, f"can't be read: {error}", names))


def _below(lister: Lister, versions: Versions) -> Iterator[Versions]:
    """Iterate over the entries, name by name, of the directories among some versions of a path."""
    holders = find_holders(versions)
    streams = [lister.list(versions.path, entry, snapshots) for entry, snapshots in holders]
    before = join_path(versions.path, b"")
    if len(streams) == 1:
        for entry in streams[0]:
            yield Versions(before + entry.name, (Version(entry, holders[0][1]),))
        return
    everywhere = tuple(sorted(number for _, snapshots in holders for number in snapshots))
    for group in _merged(streams):
        first = group[0][1]
        # Most entries are the same in all versions of a directory.
        if len(group) == len(holders) and all(entry == first for _, entry in group):
            yield Versions(before + first.name, (Version(first, everywhere),))
        else:
            yield Versions(before + first.name, unite(Version(entry, holders[place][1]) for place, entry in group))


def find_holders(versions: Versions) -> list[tuple[Entry, tuple[int, ...]]]:
    """Return the distinct directories among some versions of a path, each with its snapshots."""
    found: dict[bytes, tuple[Entry, list[int]]] = {}
    for version in versions.all:
        if version.entry.is_directory:
            found.setdefault(version.entry.encoded, (version.entry, []))[1].extend(version.snapshots)
    return [(entry, tuple(sorted(numbers))) for entry, numbers in found.values()]


def _merged(streams: Sequence[Iterator[Entry]]) -> Iterator[list[tuple[int, Entry]]]:
    """Iterate over the entries of several directories, name by name, each with the number of its stream."""
    heap = [(entry.name, place, entry) for place, stream in enumerate(streams) if (entry := next(stream, None)) is not None]
    heapq.heapify(heap)
    while heap:
        name, group = heap[0][0], []
        while heap and heap[0][0] == name:
            _, place, entry = heap[0]
            group.append((place, entry))
            following = next(streams[place], None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following.name, place, following))
        yield group


def unite(versions: Iterable[Version]) -> tuple[Version, ...]:
    """Merge the versions whose entries are identical."""
    found: dict[object, list[tuple[Entry, list[int]]]] = {}
    for entry, snapshots in versions:
        # Entries have no hash. What differs, differs in one of these as a rule: the roots of 10,000 snapshots in their names.
        alike = found.setdefault((entry.name, entry.encoded, entry.metadata.ctime), [])
        for known, numbers in alike:
            if known == entry:
                numbers.extend(snapshots)
                break
        else:
            alike.append((entry, list(snapshots)))
    united = [Version(entry, tuple(sorted(numbers))) for alike in found.values() for entry, numbers in alike]
    return tuple(united) if len(united) == 1 else tuple(sorted(united, key=_snapshots_of))


def _snapshots_of(version: Version) -> tuple[int, ...]:
    return version.snapshots


def runs(snapshots: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs of consecutive numbers, each by its first and last number."""
    if not snapshots:
        return []
    starts = [snapshots[0], *(after for before, after in pairwise(snapshots) if after != before + 1)]
    ends = [*(before for before, after in pairwise(snapshots) if after != before + 1), snapshots[-1]]
    return list(zip(starts, ends, strict=True))
