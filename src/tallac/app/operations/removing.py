"""Removing what snapshots are in: never a held one, others only when that is meant, and so that it can be undone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from tallac.app.workspace import Workspace
from tallac.caps import DirectoryWriteCap, MutableDirectoryRead
from tallac.clock import SystemClock
from tallac.dag import ARCHIVES, Entry, encode_cap, mutable_identity, parse_snapshot_name, require_not_held
from tallac.errors import EntryExistsError, EntryNotFoundError, SnapshotsLostError
from tallac.interfaces import Grid
from tallac.retention.forget import Undone, forget_named
from tallac.retention.record import RetentionRecord
from tallac.retention.target import Target
from tallac.transfer import Place, entries_of, find_writable, unlink
from tallac.wording import pluralize

OpenRecord = Callable[[Grid], AbstractContextManager[RetentionRecord]]


class Removal:
    """Removes entries that may be snapshots, or have snapshots below them."""

    def __init__(self, workspace: Workspace, open_record: OpenRecord) -> None:
        """Note what is removed in a record of the grid."""
        self._workspace = workspace
        self._open_record = open_record

    def require(self, grid: Grid, place: Place, *, is_moved: bool = False, force: bool = False) -> Entry:
        """Return the entry at a place once it may be removed from there.

        Args:
            grid: Where it is.
            place: Which entry.
            is_moved: It stays elsewhere on the grid, with all below it.
            force: Snapshots may be dropped.

        Raises:
            EntryNotFoundError: There is none.
            EntryError: It is a held snapshot, or has one below it.
            SnapshotsLostError: It is a snapshot, or has some below it.
        """
        entry = _entry_at(grid, place)
        if place.parent.name == ARCHIVES and _is_snapshot(entry):
            require_not_held(entry)
            count = 1
        elif is_moved:
            return entry
        else:
            count = _count_below(grid, entry)
        if count and not force:
            what = "this is a snapshot" if place.parent.name == ARCHIVES else f"it holds {pluralize(count, 'snapshot')}"
            raise SnapshotsLostError(f"{place}: {what}; `tallac forget` drops single ones, --force does it anyway")
        return entry

    def remove(self, grid: Grid, place: Place, *, force: bool = False) -> Entry:
        """Remove an entry from its directory and return it. What had snapshots is noted first, for `forget --undo`.

        Raises:
            As `require`.
        """
        entry = self.require(grid, place, force=force)
        if place.parent.name == ARCHIVES and _is_snapshot(entry):
            self.drop_snapshot(grid, place)
            return entry
        if entry.write is not None and _count_below(grid, entry):
            secret = self._workspace.seal(grid, entry.write.decode())
            noted = Entry(entry.name, entry.encoded, entry.metadata, secret.encode())
            with self._open_record(grid) as record:
                record.keep_forgotten(_fingerprint(find_writable(grid, place.parent)), [noted])
        return unlink(grid, place)

    def drop_snapshot(self, grid: Grid, place: Place) -> None:
        """Forget one snapshot by its place."""
        archives = place.parent
        target = Target(find_writable(grid, archives.parent), find_writable(grid, archives), str(archives.parent))
        assert place.name is not None
        with self._open_record(grid) as record:
            forget_named(grid, target, [place.name], frozenset(), record, SystemClock(), allow_empty=True)

    def undo(self, grid: Grid, place: Place, *, dry_run: bool = False) -> Undone | None:
        """Bring back a directory with snapshots that was removed from this place; None where none is noted.

        Raises:
            EntryExistsError: Something else is there by now.
        """
        if place.name is None:
            return None
        parent = find_writable(grid, place.parent)
        with self._open_record(grid) as record:
            noted = {entry.name: entry for entry in record.all_forgotten(_fingerprint(parent))}.get(place.name)
            if noted is None or noted.write is None:
                return None
            write = self._workspace.unseal(grid, noted.write.decode()).encode()
            back = Entry(noted.name, noted.encoded, noted.metadata, write)

            def add(entries: list[Entry]) -> list[Entry]:
                if any(entry.name == back.name for entry in entries):
                    raise EntryExistsError(f"{place}: something else has this name now; move it, then undo again")
                return [*entries, back]

            if not dry_run:
                with grid.session() as session:
                    session.commit([], found=[noted.cap] if isinstance(noted.cap, MutableDirectoryRead) else [])
                    grid.edit_directory(parent, add)
                record.drop_forgotten(_fingerprint(parent), [noted.name])
            return Undone([noted.name], {}, [])


def _entry_at(grid: Grid, place: Place) -> Entry:
    name = place.name
    for entry in entries_of(grid, find_writable(grid, place.parent)):
        if entry.name == name:
            return entry
    raise EntryNotFoundError(f"{place}: there is no such entry")


def _count_below(grid: Grid, top: Entry) -> int:
    """Count the snapshots in the mutable directories at and below an entry, each directory once.

    Raises:
        EntryError: One is held.
    """
    count = 0
    waiting = [top]
    seen: set[bytes] = set()
    while waiting:
        above = waiting.pop()
        identity = mutable_identity(above.encoded)
        cap = above.cap
        if identity is None or identity in seen or not isinstance(cap, MutableDirectoryRead):
            continue
        seen.add(identity)
        for entry in grid.read_directory(cap):
            if above.name == ARCHIVES and _is_snapshot(entry):
                require_not_held(entry)
                count += 1
            waiting.append(entry)
    return count


def _is_snapshot(entry: Entry) -> bool:
    return entry.is_directory and parse_snapshot_name(entry.name) is not None


def _fingerprint(directory: DirectoryWriteCap) -> bytes:
    return hashlib.sha256(encode_cap(directory.read_cap)).digest()[:16]
