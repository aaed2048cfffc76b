"""Listing, comparing, searching and counting what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from tallac.app.locations.grid_path import is_remote
from tallac.app.workspace import Workspace
from tallac.caps import DirectoryReadCap
from tallac.dag import ARCHIVES, Entry
from tallac.errors import AliasError, EntryNotFoundError, MalformedCapError, NotADirectoryCapError, UsageError
from tallac.interfaces import Grid
from tallac.transfer.place import Place, find, find_or_none, list_directory, walk

if TYPE_CHECKING:
    from tallac.app.locations.snapshot_paths import SnapshotPath
    from tallac.look.criteria import Criteria
    from tallac.look.diff import Change
    from tallac.look.find import FoundPath
    from tallac.look.history import Period
    from tallac.look.listing import SortOrder
    from tallac.look.manifest import Listed
    from tallac.look.read_errors import OnReadError
    from tallac.look.sides import Side
    from tallac.look.snapshot_filter import SnapshotFilter
    from tallac.look.stats import TargetStats
    from tallac.look.usage import Usage


class PathHistory(msgspec.Struct, frozen=True):
    """The versions of a path over the snapshots of a target.

    Attributes:
        located: The target, and the path in its snapshots.
        snapshots: The chosen ones, the oldest first.
        periods: Runs of snapshots with the same version, in order; they name snapshots by their positions.
    """

    located: SnapshotPath
    snapshots: list[Entry]
    periods: list[Period]

    def place(self, number: int) -> Place:
        """Return where the path is in a snapshot."""
        return self.located.target.child(ARCHIVES, self.snapshots[number].name, *self.located.path)


class Inspector:
    """Lists, compares, searches and counts. Nothing is changed.

    `report` is told of what can't be read; the rest is read all the same. A path in snapshots is written `ALIAS:TO/PATH`,
    `ALIAS:TO@WHEN/PATH`, `ALIAS:TO/Latest/PATH` or `ALIAS:TO/Archives/NAME/PATH`.
    """

    # `ls` is typed while somebody waits: what compares and searches is imported where it is used, for it would take `ls` 22 ms.

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def ls(self, place: str, order: SortOrder | None = None) -> Iterator[Entry]:
        """Return the entries of a directory, in order of their names or in another; for a file, its own."""
        grid, located = self._workspace.resolve(place)
        return iter(_arrange(order)(list_directory(grid, located)))

    def ls_recursive(
        self, place: str, order: SortOrder | None = None, leads_back: Callable[[Place], None] = lambda _: None
    ) -> Iterator[tuple[tuple[bytes, ...], Entry]]:
        """Yield all entries below a directory, each with its path from there; each directory's entries are in order.

        `leads_back` is told of each directory that leads back to one that it is in: it is yielded, and what is in it is not.
        """
        grid, located = self._workspace.resolve(place)
        found = find(grid, located)
        if not isinstance(found.cap, DirectoryReadCap):
            yield from (((entry.name,), entry) for entry in list_directory(grid, located))
            return
        for components, entry in walk(grid, located, found.cap, _arrange(order), leads_back):
            yield (*components, entry.name), entry

    def diff(self, old: str, new: str, report: OnReadError, *, read_data: bool = False) -> Iterator[Change]:
        """Yield all that differs between two paths, on a grid or local; `is_remote` says which is which.

        Raises:
            EntryNotFoundError, SourceError: One of them is not there.
        """
        from tallac.look.diff import diff  # lazy import: see above

        beside_local = not (is_remote(old) and is_remote(new))
        with ExitStack() as opened:
            one, other = (opened.enter_context(closing(self._side(text, beside_local=beside_local))) for text in (old, new))
            yield from diff(one, other, report, read_data=read_data)

    def find(
        self, place: str, choice: SnapshotFilter, criteria: Criteria, report: OnReadError
    ) -> Iterator[tuple[Place, list[Entry], Iterator[FoundPath]]]:
        """Yield each target with its chosen snapshots, and all in them at or below a path that meets the criteria.

        Above targets, all that are below the path are searched.
        """
        from tallac.app.locations.snapshot_paths import list_snapshots  # lazy import: see above
        from tallac.look.find import find_versions  # lazy import: see above

        grid, places = self._located_below(place)
        for located in places:
            snapshots = _choose_at(list_snapshots(grid, located.target), choice, located)
            yield located.target, snapshots, find_versions(grid, snapshots, criteria, report, path=located.path)

    def is_place(self, text: str) -> bool:
        """Whether a text names something that is there: an alias, or a path in a vault."""
        try:
            return find_or_none(*self._workspace.resolve(text)) is not None
        except (AliasError, MalformedCapError, NotADirectoryCapError, UsageError):
            return False

    def history(self, place: str, choice: SnapshotFilter) -> PathHistory:
        """Return the versions of a file or directory over the chosen snapshots.

        Raises:
            EntryNotFoundError: It is in none of them.
        """
        from tallac.app.locations.snapshot_paths import choose_snapshots, list_snapshots  # lazy import: see above
        from tallac.look.history import history  # lazy import: see above

        grid, located = self._located(place)
        snapshots = choose_snapshots(list_snapshots(grid, located.target), choice)
        periods = history(grid, snapshots, located.path)
        if all(period.state is None for period in periods):
            raise EntryNotFoundError(f"{place}: none of {len(snapshots)} snapshots contains this")
        return PathHistory(located, snapshots, periods)

    def stats(
        self, target: str, report: OnReadError, progress: Callable[[int], None] | None = None
    ) -> tuple[list[tuple[Place, Entry]], TargetStats]:
        """Report what all snapshots of a target, or of all below a path, hold and take, and each of them, in the same order."""
        from tallac.app.locations.snapshot_paths import choose_snapshots, find_targets, list_snapshots  # lazy import: see above
        from tallac.look.snapshot_filter import ALL  # lazy import: see above
        from tallac.look.stats import gather  # lazy import: see above

        grid, located = self._workspace.resolve(target)
        targets = list(find_targets(grid, located)) or [located]
        snapshots = [(each, entry) for each in targets for entry in choose_snapshots(list_snapshots(grid, each), ALL)]
        return snapshots, gather(grid, [entry for _, entry in snapshots], report, progress)

    def du(self, place: str, report: OnReadError, *, depth_max: int | None = None) -> Iterator[Usage]:
        """Report how much is in each directory below a path, down to so many levels, and at the path itself last."""
        from tallac.look.usage import measure  # lazy import: see above

        return measure(*self._found(place), report, depth_max=depth_max)

    def manifest(self, place: str) -> Iterator[Listed]:
        """List all that is reachable from a path, each object once."""
        from tallac.look.manifest import manifest  # lazy import: see above

        grid, located = self._workspace.resolve(place)
        return manifest(grid, find(grid, located).cap)

    def deep_stats(self, place: str) -> dict[str, int]:
        """Count all that is reachable from a path, each object once; the keys are those of Tahoe-LAFS."""
        from tallac.look.deep_stats import deep_stats  # lazy import: see above
        from tallac.tahoe.grid import TahoeGrid  # lazy import: a command on a vault does without the web

        grid, located = self._workspace.resolve(place)
        cap = find(grid, located).cap
        if isinstance(grid, TahoeGrid) and isinstance(cap, DirectoryReadCap):
            return grid.deep_stats(cap)
        return deep_stats(listed.cap for listed in self.manifest(place))

    def _located_below(self, place: str) -> tuple[Grid, list[SnapshotPath]]:
        """Return where a path leads in snapshots; above targets, all of those that are below it."""
        from tallac.app.locations.snapshot_paths import SnapshotPath, find_targets, locate_in_snapshots  # lazy import: see above

        grid, located = self._workspace.resolve(place)
        targets = list(find_targets(grid, located)) if find_or_none(grid, located) is not None else []
        return grid, [SnapshotPath(target, ()) for target in targets] or [locate_in_snapshots(grid, located)]

    def _located(self, place: str) -> tuple[Grid, SnapshotPath]:
        from tallac.app.locations.snapshot_paths import locate_in_snapshots  # lazy import: see above

        grid, located = self._workspace.resolve(place)
        return grid, locate_in_snapshots(grid, located)

    def _side(self, text: str, *, beside_local: bool) -> Side:
        from tallac.app.operations.snapshot_origin import absence_at  # lazy import: see above
        from tallac.look.sides import LocalSide, StoredSide  # lazy import: see above

        if not is_remote(text):
            return LocalSide(text)
        return StoredSide(*self._found(text), absence_at(*self._workspace.resolve(text)) if beside_local else None)

    def _found(self, place: str) -> tuple[Grid, Entry]:
        """Return what is at a path as an entry."""
        grid, located = self._workspace.resolve(place)
        found = find(grid, located)
        return grid, Entry.of(located.name or b"", found.cap, found.metadata)


def _arrange(order: SortOrder | None) -> Callable[[Iterable[Entry]], Iterable[Entry]]:
    return iter if order is None else order.sort


def _choose_at(snapshots: Sequence[Entry], choice: SnapshotFilter, located: SnapshotPath) -> list[Entry]:
    """Choose snapshots; if the path names one, that one only."""
    from tallac.app.locations.snapshot_paths import choose_snapshots  # lazy import: a listing does without

    names = choice.names if located.snapshot is None else (*choice.names, located.snapshot)
    return choose_snapshots(snapshots, replace(choice, names=names))
