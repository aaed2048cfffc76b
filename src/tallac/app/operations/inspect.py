"""What a user asks about what is stored, put in the words of `tallac.look`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from tallac.app.locations.grid_path import DEFAULT_ALIAS, is_remote
from tallac.app.locations.snapshot_paths import PlaceInSnapshots, list_snapshots, locate_in_snapshots
from tallac.app.workspace import Connection
from tallac.clock import SystemClock
from tallac.dag import ARCHIVES, LATEST, Entry, newest_snapshot
from tallac.errors import EntryNotFoundError
from tallac.interfaces import Grid
from tallac.transfer import Place, find, list_directory, walk

if TYPE_CHECKING:
    from tallac.look.choosing import Choice
    from tallac.look.criteria import Criteria
    from tallac.look.diff import Change
    from tallac.look.find import FoundPath
    from tallac.look.history import Period
    from tallac.look.listing import SortOrder
    from tallac.look.read_errors import Report
    from tallac.look.sides import Side
    from tallac.look.stats import Statistics
    from tallac.look.usage import Usage


class PathHistory(msgspec.Struct, frozen=True):
    """The versions of a path over the snapshots of a target.

    Attributes:
        located: The target, and the path in its snapshots.
        snapshots: Those that were looked at, the oldest first.
        stretches: Which of them have the same, in order; they name snapshots by their positions.
    """

    located: PlaceInSnapshots
    snapshots: list[Entry]
    periods: list[Period]

    def place(self, number: int) -> Place:
        """Give the place of the path in a snapshot."""
        return self.located.target.child(ARCHIVES, self.snapshots[number].name, *self.located.path)


class Looking:
    """The part of `tallac.Client` that lists, compares, searches and counts. Nothing is changed.

    `report` is told of what can't be looked at; the rest is looked at all the same. A place in snapshots is written
    `ALIAS:TO/PATH`, `ALIAS:TO/Latest/PATH` or `ALIAS:TO/Archives/NAME/PATH`.
    """

    # Imports are late throughout, because most commands do without all this.

    connection: Connection

    def ls(self, place: str, order: SortOrder | None = None) -> Iterator[Entry]:
        """Give the entries of a directory, in order of their names or another; of a file, its own."""
        grid, located = self.connection.resolve(place)
        return iter(_arrange(order)(list_directory(grid, located)))

    def ls_recursive(self, place: str, order: SortOrder | None = None) -> Iterator[tuple[tuple[bytes, ...], Entry]]:
        """Give all that is below a directory, each with its path from there; each directory's entries are in order."""
        grid, located = self.connection.resolve(place)
        start = len(located.path)
        arrange = _arrange(order)
        for entry in arrange(list_directory(grid, located)):
            for below, found in walk(grid, located.child(entry.name), entry, arrange):
                yield below.path[start:], found

    def snapshots(
        self, target: str = f"{DEFAULT_ALIAS}:", choice: Choice | None = None, *, unknown: Callable[[bytes], None] | None = None
    ) -> list[Entry]:
        """List a target's snapshots, all or those that are meant, in order of their names; each one's facts are in its metadata.

        `unknown` is told each name in `Archives/` that is no snapshot's.
        """
        grid, located = self.connection.resolve(target)
        snapshots = list_snapshots(grid, located, unknown=unknown)
        if choice is None:
            return snapshots
        return sorted(_choose(snapshots, choice), key=lambda entry: entry.name)

    def diff(self, old: str, new: str, report: Report, *, read_data: bool = False) -> Iterator[Change]:
        """Give all that differs between two places, or a place and a local path; `is_remote` says which is which.

        Raises:
            EntryNotFoundError, SourceError: One of them is not there.
        """
        from tallac.look.diff import diff  # late import: see above

        with ExitStack() as opened:
            one, other = (opened.enter_context(closing(self._side(text))) for text in (old, new))
            yield from diff(one, other, report, read_data=read_data)

    def find(self, place: str, choice: Choice, criteria: Criteria, report: Report) -> tuple[list[Entry], Iterator[FoundPath]]:
        """Give the snapshots that are meant, and all in them, at a place and below it, that fulfils the criteria."""
        from tallac.look.find import find_versions  # late import: see above

        grid, located = self._located(place)
        snapshots = _choose_at(list_snapshots(grid, located.target), choice, located)
        return snapshots, find_versions(grid, snapshots, criteria, report, path=located.path)

    def history(self, place: str, choice: Choice) -> PathHistory:
        """Give the versions of a file or directory over all snapshots that are meant.

        Raises:
            EntryNotFoundError: It is in none of them.
        """
        from tallac.look.history import history  # late import: see above

        grid, located = self._located(place)
        snapshots = _choose(list_snapshots(grid, located.target), choice)
        periods = history(grid, snapshots, located.path)
        if all(period.state is None for period in periods):
            raise EntryNotFoundError(f"{place}: none of {len(snapshots)} snapshots has this")
        return PathHistory(located, snapshots, periods)

    def stats(self, target: str, report: Report, progress: Callable[[int], None] | None = None) -> tuple[list[Entry], Statistics]:
        """Say what all snapshots of a target hold and take; the figures of each come in the order of the snapshots."""
        from tallac.look.choosing import ALL  # late import: see above
        from tallac.look.stats import gather  # late import: see above

        grid, located = self.connection.resolve(target)
        snapshots = _choose(list_snapshots(grid, located), ALL)
        return snapshots, gather(grid, snapshots, report, progress)

    def du(self, place: str, report: Report, *, depth_max: int | None = None) -> Iterator[Usage]:
        """Say how much is in each directory below a place, down to so many levels, and in the place itself last."""
        from tallac.look.usage import measure  # late import: see above

        return measure(*self._found(place), report, depth_max=depth_max)

    def _located(self, place: str) -> tuple[Grid, PlaceInSnapshots]:
        grid, located = self.connection.resolve(place)
        return grid, locate_in_snapshots(grid, located)

    def _side(self, text: str) -> Side:
        from tallac.look.sides import LocalSide, StoredSide  # late import: see above

        return StoredSide(*self._found(text)) if is_remote(text) else LocalSide(text)

    def _found(self, place: str) -> tuple[Grid, Entry]:
        """Give what is at a place as an entry."""
        grid, located = self.connection.resolve(place)
        found = find(grid, located)
        return grid, Entry.of(located.name or b"", found.cap, found.metadata)


def _arrange(order: SortOrder | None) -> Callable[[Iterable[Entry]], Iterable[Entry]]:
    return iter if order is None else order.arrange


def _choose_at(snapshots: Sequence[Entry], choice: Choice, located: PlaceInSnapshots) -> list[Entry]:
    """Choose; where the place names a snapshot, that one only."""
    names = choice.names if located.snapshot is None else (*choice.names, located.snapshot)
    return _choose(snapshots, replace(choice, names=names))


def _choose(snapshots: Sequence[Entry], choice: Choice) -> list[Entry]:
    """Choose among a target's snapshots; `Latest` is the newest."""
    from tallac.look.choosing import choose  # late import: see above

    if LATEST in choice.names:
        newest = newest_snapshot(snapshots, SystemClock().now_ns())
        if newest is None:
            raise EntryNotFoundError("there is no snapshot yet")
        choice = replace(choice, names=tuple(newest.name if name == LATEST else name for name in choice.names))
    return choose(snapshots, choice)
