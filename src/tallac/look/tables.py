"""A walk over many snapshots at once by the table: what all versions of a directory have between two names comes together.

It goes from the beginning, as `walk_versions` does, or from the end on, so that two processes can do it from both sides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from tallac.dag import Entry, join_path, mutable_identity
from tallac.interfaces import CapReader
from tallac.look.read_errors import OnReadError, ReadError
from tallac.look.versions import Above, Lister, Version, Versions, find_holders, find_roots, unite

STEP_NAMES_MAX = 10_000
"""So many names of a directory are in memory at a time in a walk over tables."""

_MAY_BE_DIRECTORY = frozenset((b"D", b"M", b"T"))

_name_of = attrgetter("name")


class Table(NamedTuple):
    """Some neighbouring entries of one version of a directory.

    Attributes:
        snapshots: The snapshots that have it, as positions in the given list, ascending.
        directories, others: The entries, in order of their names.
    """

    snapshots: tuple[int, ...]
    directories: list[Entry]
    others: list[Entry]


class Tables(NamedTuple):
    """The entries of all versions of a directory, between two names: what is the same in them is seen without merging names.

    Attributes:
        path: The path below the snapshots.
        all: The versions that have entries there.
    """

    path: bytes
    all: list[Table]


def walk_tables(
    reader: CapReader,
    snapshots: Sequence[Entry],
    report: OnReadError,
    *,
    names_max: int = STEP_NAMES_MAX,
    ends_at: Callable[[bytes], bool] = lambda _: False,
) -> Iterator[Tables]:
    """Iterate over all directories in some snapshots as `walk_versions` does, a table at a time and not a name.

    Memory holds, for each level of the path, up to twice `names_max` names of each version of the directory. Before a directory is
    read, `ends_at` is asked by its path whether the walk ends there.
    """
    names = [snapshot.name for snapshot in snapshots]
    above, lister = Above(report, names), Lister(reader, names, report)
    levels: list[tuple[Iterator[Tables], Iterator[Versions]]] = []
    waiting: Iterator[Versions] = iter([Versions(b"", find_roots(reader, snapshots, report, ()))])
    steps: Iterator[Tables] = iter(())
    while True:
        found = next(waiting, None)
        if found is not None:
            directories = above.without_ancestors(found.path, found.all)
            if directories:
                if ends_at(found.path):
                    return
                levels.append((steps, waiting))
                above.enter(directories)
                steps, waiting = _steps(lister, Versions(found.path, directories), names_max), iter(())
            continue
        tables = next(steps, None)
        if tables is not None:
            yield tables
            waiting = _directories_in(tables)
        elif levels:
            steps, waiting = levels.pop()
            above.leave()
        else:
            return


def walk_tables_back(reader: CapReader, snapshots: Sequence[Entry], *, names_max: int = STEP_NAMES_MAX) -> Iterator[Tables]:
    """Iterate over the same in the opposite order, a directory after all that is below it.

    This ends before the first directory that it can't give whole, as `walk_tables` would: one that can't be read, has `names_max`
    names or more, or is mutable, so that it may be another one when it is read from the other side.
    """
    lister = Lister(reader, [snapshot.name for snapshot in snapshots], _end)
    levels: list[tuple[list[Tables], list[Versions]]] = []
    own: list[Tables] = []
    waiting = [Versions(b"", find_roots(reader, snapshots, _end, ()))]
    try:
        while True:
            if waiting:
                found = waiting.pop()
                if any(mutable_identity(version.entry.encoded) is not None for version in found.all):
                    return
                levels.append((own, waiting))
                own = list(islice(_steps(lister, found, names_max), 2))
                if len(own) > 1:
                    return
                waiting = list(_directories_in(own[0])) if own else []
            elif levels:
                yield from own
                own, waiting = levels.pop()
            else:
                return
    except _EndedError:
        return


class _EndedError(Exception):
    """A directory can't be read."""


def _end(_: ReadError) -> None:
    raise _EndedError


def _steps(lister: Lister, versions: Versions, names_max: int) -> Iterator[Tables]:
    """Iterate over the entries of the directories among some versions of a path, in step: equal names come together."""
    holders = find_holders(versions)
    streams = [lister.steps(versions.path, entry, snapshots, names_max) for entry, snapshots in holders]
    held = [next(stream) for stream in streams]
    while any(held):
        # What is not full has ended.
        lasts = [entries[-1].name for entries in held if len(entries) >= names_max]
        counts = [bisect_right(entries, min(lasts), key=_name_of) if lasts else len(entries) for entries in held]
        taken = [entries[:count] for entries, count in zip(held, counts, strict=True)]
        yield Tables(versions.path, [_table(snapshots, part) for (_, snapshots), part in zip(holders, taken, strict=True) if part])
        held = [
            entries[count:] + (next(stream, []) if len(entries) >= names_max and count else [])
            for entries, count, stream in zip(held, counts, streams, strict=True)
        ]


def _table(snapshots: tuple[int, ...], entries: list[Entry]) -> Table:
    directories = [entry for entry in entries if entry.encoded[:1] in _MAY_BE_DIRECTORY and entry.is_directory]
    others = [entry for entry in entries if not entry.is_directory] if directories else entries
    return Table(snapshots, directories, others)


def _directories_in(tables: Tables) -> Iterator[Versions]:
    before = join_path(tables.path, b"")
    found: dict[bytes, list[Version]] = {}
    for table in tables.all:
        for entry in table.directories:
            found.setdefault(entry.name, []).append(Version(entry, table.snapshots))
    for name in sorted(found):
        yield Versions(before + name, unite(found[name]))
