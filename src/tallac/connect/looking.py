"""What a user asks about what is stored, put in the words of `tallac.look`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from tallac.connect.connection import Connection
from tallac.connect.written_place import is_remote
from tallac.dag import Entry
from tallac.interfaces import Grid
from tallac.transfer import find

if TYPE_CHECKING:
    from tallac.look.diff import Change
    from tallac.look.sides import Side
    from tallac.look.trouble import Report


class Looking:
    """The part of `tallac.Client` that compares, searches and counts. Nothing is changed.

    `report` is told of what can't be looked at; the rest is looked at all the same.
    """

    # Imports are late throughout, because most commands do without all this.

    connection: Connection

    def diff(self, old: str, new: str, report: Report, *, read_data: bool = False) -> Iterator[Change]:
        """Give all that differs between two places, or a place and a local path; `is_remote` says which is which.

        Raises:
            EntryNotFoundError, SourceError: One of them is not there.
        """
        from tallac.look.diff import diff  # late import: see above

        with ExitStack() as opened:
            one, other = (opened.enter_context(closing(self._side(text))) for text in (old, new))
            yield from diff(one, other, report, read_data=read_data)

    def _side(self, text: str) -> Side:
        from tallac.look.sides import LocalSide, StoredSide  # late import: see above

        return StoredSide(*self._found(text)) if is_remote(text) else LocalSide(text)

    def _found(self, place: str) -> tuple[Grid, Entry]:
        """Give what is at a place as an entry."""
        grid, located = self.connection.resolve(place)
        found = find(grid, located)
        return grid, Entry.of(located.name or b"", found.cap, found.metadata)
