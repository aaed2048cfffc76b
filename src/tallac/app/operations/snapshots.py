"""Listing snapshots, and deciding which of them stay."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.app.locations.snapshot_names import choose_snapshot
from tallac.app.locations.snapshot_paths import choose_snapshots, find_targets, list_snapshots, locate_in_snapshots
from tallac.app.locations.vaults import vault_of
from tallac.app.operations.removing import Removal
from tallac.app.workspace import Workspace
from tallac.clock import SystemClock
from tallac.dag import ARCHIVES, LATEST, Entry, display_path, encode_cap, mutable_identity
from tallac.errors import EntryNotFoundError, UsageError
from tallac.interfaces import Grid
from tallac.local_files import make_private_folders
from tallac.look.snapshot_filter import ALL, SnapshotFilter, select_snapshots
from tallac.retention.forget import Plan, RetentionPolicy, Undone, forget, forget_named, parse_group_by, undo
from tallac.retention.marks import TagChange, hold, release, tag
from tallac.retention.record import RetentionRecord
from tallac.retention.target import Target
from tallac.transfer.directory_edits import find_writable
from tallac.transfer.place import Place, find_or_none
from tallac.vault.format.links import links_of_entries, split_links
from tallac.vault.local_state import open_state_folder
from tallac.vault.prune.report import Forgotten

if TYPE_CHECKING:
    from tallac.retention.rewrite import Rewritten

RECORD_FILE = "retention.db"
RECORD_ROOM = 48 << 10
"""Free bytes with which the record can note some snapshots, its journal included; less than a piece of the reserve."""

Entries: TypeAlias = list[Entry]
Names: TypeAlias = list[bytes]


class Snapshots:
    """Lists snapshots, forgets them, brings them back, and changes what they say.

    Targets are written `ALIAS:TO`, and snapshots `ALIAS:TO@WHEN`; names are those in `Archives/`, or any other WHEN.
    With `dry_run` nothing is changed.
    """

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._warn = warn

    def list(
        self,
        target: str = f"{DEFAULT_ALIAS}:",
        choice: SnapshotFilter | None = None,
        *,
        unknown: Callable[[bytes], None] | None = None,
    ) -> Entries:
        """List a target's snapshots, all or the chosen ones, in order of their names; each one's facts are in its metadata.

        `unknown` is told each name in `Archives/` that is not a snapshot's.
        """
        grid, located = self._workspace.resolve(target)
        snapshots = list_snapshots(grid, located, unknown=unknown)
        if choice is None:
            return snapshots
        return sorted(choose_snapshots(snapshots, choice, str(located)), key=lambda entry: entry.name)

    def list_below(
        self, place: str, choice: SnapshotFilter, *, unknown: Callable[[bytes], None] | None = None
    ) -> dict[str, Entries]:
        """List the chosen snapshots of all targets at a place and below it, by target.

        Raises:
            EntryNotFoundError: There is no target.
        """
        grid, located = self._workspace.resolve(place)
        targets = list(find_targets(grid, located)) or [located]
        listed = {str(target): list_snapshots(grid, target, unknown=unknown) for target in targets}
        return {label: choose_snapshots(entries, choice, label) for label, entries in listed.items()}

    def newest_of(self, place: str, choice: SnapshotFilter) -> str:
        """Return a path in `Latest`, or below a target, as the same path in the newest snapshot that is chosen.

        Raises:
            EntryNotFoundError: No snapshot is.
            UsageError: The path names one already.
        """
        if choice == ALL:
            return place
        grid, located = self._workspace.resolve(place)
        found = locate_in_snapshots(grid, located)
        if found.snapshot not in (None, LATEST):
            raise UsageError(f"{place}: this names a snapshot already; leave out --host and --source, or write Latest in its place")
        chosen = select_snapshots(list_snapshots(grid, found.target), replace(choice, latest=1))
        if not chosen:
            wanted = [*choice.hosts, *(display_path(source) for source in choice.sources)]
            raise EntryNotFoundError(
                f"{found.target}: there is no snapshot of {', '.join(wanted)}; `tallac snapshots {found.target}` shows all"
            )
        return str(found.target.child(ARCHIVES, chosen[0].name, *found.path))

    def forget(self, target: str, policy: RetentionPolicy, *, dry_run: bool = False) -> Plan:
        """Forget what the policy's rules don't keep, and return what each rule keeps.

        Raises:
            UsageError: There is no rule.
        """
        grid, found = self._target(target)
        with self.record(grid, is_noting=not dry_run) as record:
            return forget(grid, found, policy, record, SystemClock(), dry_run=dry_run)

    def forget_named(
        self, places: Sequence[str], *, group_by: str = "host,source", allow_empty: bool = False, dry_run: bool = False
    ) -> Names:
        """Forget single snapshots of one target, written `ALIAS:TO/Archives/NAME`; return their names."""
        groups = parse_group_by(group_by)
        grid, found, names = self._named(places)
        with self.record(grid, is_noting=not dry_run) as record:
            return forget_named(grid, found, names, groups, record, SystemClock(), allow_empty=allow_empty, dry_run=dry_run)

    def forgotten(self, places: Sequence[str], names: Collection[bytes]) -> Forgotten:
        """Return what a prune has to take for gone to tell what forgetting these snapshots of a target would free."""
        grid, place = self._workspace.resolve(places[0])
        target = _open(grid, place.parent.parent if _is_named(place) else place)
        entries = target.read(grid)
        going = split_links(links_of_entries([entry for entry in entries if entry.name in names]))[1]
        staying = split_links(links_of_entries([entry for entry in entries if entry.name not in names]))[1]
        identities = (mutable_identity(encode_cap(cap.read_cap)) for cap in (target.archives, target.directory))
        return Forgotten(frozenset(filter(None, identities)), frozenset(going) - frozenset(staying))

    def undo_forget(self, places: Sequence[str], *, dry_run: bool = False) -> Undone:
        """Bring back what the last `forget` of a target has forgotten, or these single snapshots of it."""
        if len(places) == 1 and not self.names_snapshot(places[0]):
            grid, place = self._workspace.resolve(places[0])
            is_there = find_or_none(grid, place) is not None
            undone = None if is_there else Removal(self._workspace, self.record).undo(grid, place, dry_run=dry_run)
            if undone is not None:
                return undone
            found = _open(grid, place)
            names: Names = []
        else:
            grid, found, names = self._named(places)
        with self.record(grid) as record:
            return undo(grid, found, names, record, SystemClock(), dry_run=dry_run)

    def hold(self, target: str, names: Sequence[str], reason: str = "", *, dry_run: bool = False) -> Entries:
        """Hold snapshots, so that they are never forgotten; return their entries."""
        grid, found, chosen = self._chosen(target, names)
        return hold(grid, found, chosen, reason, SystemClock(), dry_run=dry_run)

    def release(self, target: str, names: Sequence[str], *, dry_run: bool = False) -> Entries:
        """Release held snapshots; return their entries."""
        grid, found, chosen = self._chosen(target, names)
        return release(grid, found, chosen, SystemClock(), dry_run=dry_run)

    def tag(self, target: str, names: Sequence[str], change: TagChange, *, dry_run: bool = False) -> Entries:
        """Change tags and notes of snapshots; return their entries."""
        grid, found, chosen = self._chosen(target, names)
        return tag(grid, found, chosen, change, SystemClock(), dry_run=dry_run)

    def rewrite(
        self, target: str, patterns: Sequence[str], snapshots: Sequence[str] = (), *, dry_run: bool = False
    ) -> Sequence[Rewritten]:
        """Take what matches gitignore patterns out of all snapshots, or of these; return what became of those that change.

        Raises:
            PatternError: Nothing can match a pattern.
        """
        from tallac.retention.rewrite import rewrite  # lazy import: a listing does without it
        from tallac.source import Patterns  # lazy import: likewise

        is_excluded = Patterns.of_options(patterns).matches
        grid, found, names = self._chosen(target, snapshots, is_all_meant=True)
        with self.record(grid) as record:
            return rewrite(grid, found, names, is_excluded, record, SystemClock(), dry_run=dry_run)

    def names_snapshot(self, place: str) -> bool:
        """Whether a place is written `ALIAS:TO/Archives/NAME`."""
        return _is_named(self._workspace.resolve(place)[1])

    def _target(self, text: str) -> tuple[Grid, Target]:
        grid, place = self._workspace.resolve(text)
        return grid, _open(grid, place)

    def _chosen(self, text: str, names: Sequence[str], *, is_all_meant: bool = False) -> tuple[Grid, Target, Names]:
        """Return a target and the names of its snapshots that are meant, by `TARGET@WHEN` or after the target."""
        grid, place = self._workspace.resolve(text)
        if _is_named(place):
            target = _open(grid, place.parent.parent)
            return grid, target, [place.path[-1], *_names(grid, target, names)]
        if not (names or is_all_meant):
            raise UsageError(f"{place}: which snapshot? Write one as in {place}@latest or {place}@2026-11-23")
        target = _open(grid, place)
        return grid, target, _names(grid, target, names)

    def _named(self, places: Sequence[str]) -> tuple[Grid, Target, Names]:
        resolved = [self._workspace.resolve(text) for text in places]
        grid, first = resolved[0]
        for other, place in resolved:
            if not _is_named(place):
                raise UsageError(f"{place}: not a snapshot; give a target with rules, or ALIAS:TO/Archives/NAME")
            if other is not grid or place.parent != first.parent:
                raise UsageError(f"{place}: not in the same target as {first}; forget in one target at a time")
        return grid, _open(grid, first.parent.parent), [place.path[-1] for _, place in resolved]

    @contextmanager
    def record(self, grid: Grid, *, is_noting: bool = False) -> Iterator[RetentionRecord]:
        """Open the record of a grid's targets; where its disk is full or read-only, a copy that does not last.

        Args:
            grid: The grid.
            is_noting: What is forgotten is to be noted, so that the user has to know where that does not last.
        """
        folder = self._workspace.folders.state / grid.identity
        state = open_state_folder(folder, kept=RECORD_FILE, room=RECORD_ROOM)
        try:
            vault = vault_of(grid) if state.is_temporary else None
            if vault is not None and vault.components.reserve.give_up():
                # Often the vault lies on the same disk.
                state.close()
                state = open_state_folder(folder, kept=RECORD_FILE, room=RECORD_ROOM)
            if state.is_temporary and is_noting:
                why = _why_unwritable(folder)
                self._warn(f"{folder}: can't record what is forgotten ({why}), so `tallac forget --undo` can't restore it")
            with RetentionRecord(state.folder / RECORD_FILE) as record:
                yield record
        finally:
            state.close()


def _why_unwritable(folder: Path) -> str:
    """Return the reason why nothing can be recorded in a folder: that the disk is full is only one of them."""
    try:
        make_private_folders(folder)
        with tempfile.TemporaryFile(dir=folder):
            return os.strerror(errno.ENOSPC)
    except OSError as error:
        return error.strerror or str(error)


def _is_named(place: Place) -> bool:
    return len(place.path) >= 2 and place.path[-2] == ARCHIVES


def _open(grid: Grid, place: Place) -> Target:

    directory = find_writable(grid, place)
    try:
        archives = find_writable(grid, place.child(ARCHIVES))
    except EntryNotFoundError as error:
        raise EntryNotFoundError(f"{place}: no snapshots found; `tallac backup FROM {place}` makes one") from error
    return Target(directory, archives, str(place))


def _names(grid: Grid, target: Target, names: Sequence[str | bytes]) -> list[bytes]:
    if not names:
        return []
    snapshots = target.read(grid)
    return [choose_snapshot(snapshots, os.fsencode(name), target.label).name for name in names]
