"""Marks on snapshots, in the metadata of their entries: held or not, a note, tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from tallac.dag import Entry
from tallac.errors import UsageError
from tallac.interfaces import Clock, Grid
from tallac.retention.rules import check_tag
from tallac.retention.target import Target, facts_of, find_named, set_latest, with_mark, with_metadata

NOTE_LENGTH_MAX = 4000


class TagChange(msgspec.Struct, frozen=True):
    """How tags and note are to change.

    Attributes:
        add, remove: Tags.
        replacement: All tags that there are to be; None to keep them.
        note: The new note, "" for none; None to keep it.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replacement: tuple[str, ...] | None = None
    note: str | None = None


def hold(grid: Grid, target: Target, names: Sequence[bytes], reason: str, clock: Clock, *, dry_run: bool = False) -> list[Entry]:
    """Hold snapshots, so that they are never forgotten, and note why. Returns their new entries; durable when this returns.

    Raises:
        EntryNotFoundError: One is missing; none was changed.
        UsageError: The reason is too long.
    """
    _check_note(reason)
    return _change(grid, target, names, lambda entry: with_mark(entry, "held", reason), clock, dry_run=dry_run)


def release(grid: Grid, target: Target, names: Sequence[bytes], clock: Clock, *, dry_run: bool = False) -> list[Entry]:
    """Release snapshots, so that they can be forgotten again. Raises as `hold`."""
    return _change(grid, target, names, lambda entry: with_mark(entry, "held", None), clock, dry_run=dry_run)


def tag(
    grid: Grid, target: Target, names: Sequence[bytes], change: TagChange, clock: Clock, *, dry_run: bool = False
) -> list[Entry]:
    """Change tags and notes of snapshots. Raises as `hold`.

    Raises:
        UsageError: A word can't be a tag, or the note is too long.
    """
    for word in (*change.add, *change.remove, *(change.replacement or ())):
        check_tag(word)
    _check_note(change.note or "")
    return _change(grid, target, names, lambda entry: _tagged(entry, change), clock, dry_run=dry_run)


def _tagged(entry: Entry, change: TagChange) -> Entry:
    facts = facts_of(entry)
    tags = facts.tags if change.replacement is None else change.replacement
    kept = dict.fromkeys(word for word in (*tags, *change.add) if word not in change.remove)
    if tuple(kept) != facts.tags:
        facts = msgspec.structs.replace(facts, tags=tuple(kept))
        entry = with_metadata(entry, msgspec.structs.replace(entry.metadata, snapshot=facts))
    return entry if change.note is None else with_mark(entry, "note", change.note or None)


def _change(
    grid: Grid, target: Target, names: Sequence[bytes], change: Callable[[Entry], Entry], clock: Clock, *, dry_run: bool
) -> list[Entry]:
    def edit(entries: list[Entry]) -> list[Entry]:
        wanted = _names_of(find_named(entries, names, target.label))
        return [change(entry) if entry.name in wanted else entry for entry in entries]

    entries = edit(target.read(grid)) if dry_run else grid.edit_directory(target.archives, edit)
    if not dry_run:
        set_latest(grid, target, clock)
    return [entry for entry in entries if entry.name in set(names)]


def _names_of(entries: Collection[Entry]) -> set[bytes]:
    return {entry.name for entry in entries}


def _check_note(text: str) -> None:
    if len(text) > NOTE_LENGTH_MAX:
        raise UsageError(f"a note or reason has at most {NOTE_LENGTH_MAX:,} characters, and this one {len(text):,}")
