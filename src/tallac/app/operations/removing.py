"""Removing what snapshots are in: never a held one, others only when that is meant, and so that it can be undone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from tallac.app.locations.vaults import vault_of
from tallac.app.operations.freeing import GivenUp, empty, find_given_up, refill, sealed, unsealed
from tallac.app.workspace import Workspace
from tallac.caps import DirectoryWriteCap, MutableDirectoryRead
from tallac.clock import SystemClock
from tallac.dag import ARCHIVES, Entry, encode_cap, mutable_identity, parse_snapshot_name, require_not_held
from tallac.errors import EntryExistsError, EntryNotFoundError, SnapshotsLostError, UsageError
from tallac.interfaces import Grid
from tallac.retention.forget import Undone, forget_named
from tallac.retention.record import RetentionRecord
from tallac.retention.target import Target
from tallac.transfer.directory_edits import entries_of, find_writable, new_name, strongest_cap, unlink
from tallac.transfer.place import Place
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
        """Remove an entry from its directory and return it. What can be changed is noted first, for `forget --undo`.

        Raises:
            As `require`.
        """
        entry = self.require(grid, place, force=force)
        if place.parent.name == ARCHIVES and _is_snapshot(entry):
            self.drop_snapshot(grid, place)
            return entry
        self._note(grid, place, entry)
        return unlink(grid, place)

    def free(self, grid: Grid, place: Place, *, force: bool = False) -> GivenUp:
        """Remove an entry, or one that was removed on this machine before, and empty what hung from it alone: a prune takes that.

        Raises:
            UsageError: The grid is no vault, and frees what nobody asks for by itself.
            EntryError: A held snapshot would go.
            SnapshotsLostError: Something would be emptied, and it is not forced.
        """
        if vault_of(grid) is None:
            raise UsageError(f"{place}: this is not in a vault; a Tahoe-LAFS grid frees what nobody renews by itself")
        with self._open_record(grid) as record:
            try:
                entry = _entry_at(grid, place)
            except EntryNotFoundError:
                entry = self._noted(grid, place, record)
                is_linked = False
            else:
                is_linked = True
            given_up = find_given_up(grid, self._workspace, entry, place)
            count = _count_below(grid, entry)
            if (given_up.directories or given_up.files) and not force:
                raise SnapshotsLostError(f"{place}: {_described(given_up, count)}; --force does it without asking")
            if is_linked:
                self.remove(grid, place, force=force)
            empty(grid, self._workspace, given_up, record)
        return given_up

    def _note(self, grid: Grid, place: Place, entry: Entry) -> None:
        if entry.write is None:
            return
        with self._open_record(grid) as record:
            record.keep_forgotten(_fingerprint(find_writable(grid, place.parent)), [sealed(grid, self._workspace, entry)])

    def _noted(self, grid: Grid, place: Place, record: RetentionRecord) -> Entry:
        """Return an entry that was removed from this place, with its write cap.

        Raises:
            EntryNotFoundError: None is noted.
        """
        name = new_name(place)
        noted = {entry.name: entry for entry in record.all_forgotten(_fingerprint(find_writable(grid, place.parent)))}.get(name)
        if noted is None or noted.write is None:
            raise EntryNotFoundError(f"{place}: no such entry, and this machine has removed none that could be freed")
        return unsealed(grid, self._workspace, noted)

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
            try:
                back = self._noted(grid, place, record)
            except EntryNotFoundError:
                return None

            def add(entries: list[Entry]) -> list[Entry]:
                if any(entry.name == back.name for entry in entries):
                    raise EntryExistsError(f"{place}: something else has this name now; move it, then undo again")
                return [*entries, back]

            lost: dict[bytes, str] = {}
            if not dry_run:
                with grid.session() as session:
                    session.commit([], found=[back.cap] if isinstance(back.cap, MutableDirectoryRead) else [])
                    grid.edit_directory(parent, add)
                record.drop_forgotten(_fingerprint(parent), [back.name])
                lost = refill(grid, self._workspace, strongest_cap(back), record)
            return Undone([back.name], lost, [])


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


def _described(given_up: GivenUp, snapshots: int) -> str:
    """Return in words what will be emptied, and for whom."""
    parts = []
    if given_up.directories:
        parts.append(pluralize(len(given_up.directories), "directory"))
    if given_up.files:
        parts.append(pluralize(len(given_up.files), "mutable file"))
    held = f" with {pluralize(snapshots, 'snapshot')}" if snapshots else ""
    return f"this empties {' and '.join(parts)}{held}, for everybody who has a cap or an alias of them"


def _is_snapshot(entry: Entry) -> bool:
    return entry.is_directory and parse_snapshot_name(entry.name) is not None


def _fingerprint(directory: DirectoryWriteCap) -> bytes:
    return hashlib.sha256(encode_cap(directory.read_cap)).digest()[:16]
