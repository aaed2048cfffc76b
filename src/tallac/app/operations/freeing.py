"""Giving up mutable directories, so that a prune takes what only they hold.

A mutable directory stays a root whatever leads to it, since a cap of it may be in anybody's hands. So its owner says that it is
given up, by emptying it: that takes its write cap, is signed with it, and is seen by everybody who has a cap.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import msgspec

from tallac.app.workspace import Workspace
from tallac.caps import (
    Cap,
    DirectoryWriteCap,
    MutableDirectoryRead,
    MutableDirectoryWrite,
    MutableFileRead,
    MutableFileWrite,
    ReadCap,
    WriteCap,
)
from tallac.dag import Entry, display_path, encode_cap, require_not_held
from tallac.interfaces import Grid
from tallac.retention.forget import damage_of, without_lost_entries
from tallac.retention.record import RetentionRecord
from tallac.transfer.directory_edits import entries_of, find_writable, strongest_cap
from tallac.transfer.place import Place


class GivenUp(msgspec.Struct, frozen=True):
    """The directories and files at and below a place that can be given up.

    Attributes:
        directories: Mutable directories, each before those that it leads to first.
        files: Mutable files.
        kept: Paths of this user that lead to some of what is below, by which that stays.
    """

    directories: list[MutableDirectoryWrite]
    files: list[MutableFileWrite]
    kept: list[str]


def find_given_up(grid: Grid, workspace: Workspace, top: Entry, link: Place) -> GivenUp:
    """Find what can be emptied at and below an entry: what can be changed, and none of this user's aliases leads to any more.

    Args:
        grid: The vault.
        workspace: Knows the aliases.
        top: The entry.
        link: Where it is; this link does not count.
    """
    needed = {identity: path for path, identity in _reached_otherwise(grid, workspace, link)}
    found = GivenUp([], [], [])
    waiting = [strongest_cap(top)]
    seen: set[bytes] = set()
    for cap in waiting:
        identity = _identity(cap)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        if identity in needed:
            found.kept.append(needed[identity])
        elif isinstance(cap, MutableFileWrite):
            found.files.append(cap)
        elif isinstance(cap, MutableDirectoryWrite):
            found.directories.append(cap)
            waiting += [strongest_cap(entry) for entry in entries_of(grid, cap)]
    return found


def empty(grid: Grid, workspace: Workspace, given_up: GivenUp, record: RetentionRecord) -> None:
    """Empty what is given up, what is below first; each entry is noted before it goes.

    The directories go on leading to each other, so that `refill` and whoever has an alias of one find them all.
    """
    going = {_identity(cap) for cap in given_up.directories}
    for directory in reversed(given_up.directories):
        dropped = [entry for entry in entries_of(grid, directory) if _identity(strongest_cap(entry)) not in going]
        record.keep_forgotten(_fingerprint(directory), [sealed(grid, workspace, entry) for entry in dropped])
        noted = {(entry.name, entry.encoded) for entry in dropped}

        def drop(entries: list[Entry], noted: set[tuple[bytes, bytes]] = noted) -> list[Entry]:
            # What somebody has entered meanwhile is not what was given up, and what somebody holds by now is not either.
            going = [entry for entry in entries if (entry.name, entry.encoded) in noted]
            for entry in going:
                require_not_held(entry)
            return [entry for entry in entries if entry not in going]

        grid.edit_directory(directory, drop)
    for file in given_up.files:
        grid.write_file(file, io.BytesIO())


def refill(grid: Grid, workspace: Workspace, top: Cap, record: RetentionRecord) -> dict[bytes, str]:
    """Put back what `empty` has taken out of a directory and those below it, as far as no prune has taken it.

    Returns:
        What is lost, by name, with what is missing of it.

    Raises:
        FencedError: A prune has taken some of it meanwhile; of the directory in which that was nothing is put back.
    """
    lost: dict[bytes, str] = {}
    waiting = [top]
    seen: set[bytes] = set()
    for cap in waiting:
        identity = _identity(cap)
        if identity is None or identity in seen or not isinstance(cap, MutableDirectoryWrite):
            continue
        seen.add(identity)
        waiting += [strongest_cap(entry) for entry in entries_of(grid, cap)]
        noted = [unsealed(grid, workspace, entry) for entry in record.all_forgotten(_fingerprint(cap))]
        if not noted:
            continue
        with without_lost_entries(grid, cap) as enter, grid.session() as session:
            damage = {entry.name: damage_of(grid, entry) for entry in noted}
            whole = [entry for entry in noted if damage[entry.name] is None]
            session.commit([read for entry in whole if isinstance(read := entry.cap, ReadCap)])
            enter(whole)
        lost |= {name: missing for name, missing in damage.items() if missing is not None}
        record.drop_forgotten(_fingerprint(cap), [entry.name for entry in noted])
    return lost


def _reached_otherwise(grid: Grid, workspace: Workspace, link: Place) -> Iterator[tuple[str, bytes]]:
    """Iterate over the paths and identities of what this user's aliases lead to by mutable directories, without one link."""
    parent = _identity(find_writable(grid, link.parent))
    waiting = [(f"{alias}:", cap) for alias, cap in workspace.read_caps(grid).items()]
    seen: set[bytes] = set()
    for path, cap in waiting:
        identity = _identity(cap)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        yield path, identity
        if isinstance(cap, MutableDirectoryRead):
            for entry in grid.read_directory(cap):
                if (identity, entry.name) != (parent, link.name):
                    shown = display_path(entry.name)
                    waiting.append((path + shown if path.endswith(":") else f"{path}/{shown}", entry.cap))


def _identity(cap: Cap) -> bytes | None:
    """Return what all caps of one mutable directory or file have in common; None for what can't change."""
    read = cap.read_cap if isinstance(cap, WriteCap) else cap
    return read.storage_index if isinstance(read, MutableDirectoryRead | MutableFileRead) else None


def sealed(grid: Grid, workspace: Workspace, entry: Entry) -> Entry:
    """Return an entry as it may lie in a record on this machine: its write cap is sealed."""
    if entry.write is None:
        return entry
    return Entry(entry.name, entry.encoded, entry.metadata, workspace.seal(grid, entry.write.decode()).encode())


def unsealed(grid: Grid, workspace: Workspace, entry: Entry) -> Entry:
    """Return an entry that `sealed` gave as it was."""
    if entry.write is None:
        return entry
    return Entry(entry.name, entry.encoded, entry.metadata, workspace.unseal(grid, entry.write.decode()).encode())


def _fingerprint(directory: DirectoryWriteCap) -> bytes:
    """Return a key of what was taken out of a directory that was given up; what `forget` has taken out of it has another."""
    return hashlib.sha256(b"given up " + encode_cap(directory.read_cap)).digest()[:16]
