"""Look up the snapshot that a place lies in: what was left out of it, and where it came from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from tallac.app.configuration.folders import host_name, make_private_folder
from tallac.caps import DirectoryReadCap
from tallac.clock import SystemClock
from tallac.dag import ARCHIVES, Entry, display_path, mutable_identity, newest_snapshot
from tallac.errors import LocalStateError, UsageError
from tallac.interfaces import CapReader
from tallac.local_files import Durability, replace as replace_file
from tallac.source.absence import Absence
from tallac.transfer.place import Place, find

FILLED_COUNT_MAX = 100


def snapshot_of(grid: CapReader, located: Place) -> tuple[Entry, int] | None:
    """Return the snapshot that a place lies in, and how many names lead to it; None where it lies in none."""
    for length in range(1, len(located.path) + 1):
        found = find(grid, Place(located.cap, located.path[:length], located.label))
        if found.metadata.snapshot is not None:
            return Entry.of(located.path[length - 1], found.cap, found.metadata), length
    return None


def absence_at(grid: CapReader, located: Place) -> Absence | None:
    """Return what a snapshot knows of the names that a directory in it has not; None where the place lies in no snapshot."""
    found = snapshot_of(grid, located)
    if found is None:
        return None
    entry, length = found
    facts = entry.metadata.snapshot
    absence = Absence.at_root(None if facts is None else facts.rules, entry.metadata)
    for name in located.path[length:]:
        cap = entry.cap
        below = grid.read_directory(cap) if isinstance(cap, DirectoryReadCap) else None
        child = None if below is None else below.get(name)
        if below is None or child is None:
            return absence
        absence.take_in(grid, below)
        absence, entry = absence.below(child), child
    return absence


def require_snapshot(grid: CapReader, located: Place, entry: Entry) -> None:
    """Refuse to restore a target, or what holds targets: that would write every snapshot.

    Raises:
        UsageError: The place is one of these.
    """
    if mutable_identity(entry.encoded) is None or snapshot_of(grid, located) is not None:
        return
    if located.name == ARCHIVES:
        _refuse(grid, located.parent, entry)
    cap = entry.cap
    children = list(grid.read_directory(cap)) if isinstance(cap, DirectoryReadCap) else []
    archives = next((child for child in children if child.name == ARCHIVES and child.is_directory), None)
    if archives is not None:
        _refuse(grid, located, archives)
    for child in children:
        child_cap = child.cap
        if mutable_identity(child.encoded) is None or not isinstance(child_cap, DirectoryReadCap):
            continue
        archives = grid.read_directory(child_cap).get(ARCHIVES)
        if archives is not None and archives.is_directory:
            _refuse(grid, located.child(child.name), archives)


def _refuse(grid: CapReader, target: Place, archives: Entry) -> None:
    cap = archives.cap
    newest = newest_snapshot(grid.read_directory(cap), SystemClock().now_ns()) if isinstance(cap, DirectoryReadCap) else None
    if newest is not None:
        where = str(target.child(ARCHIVES, newest.name))
        raise UsageError(f"{target}: this is a target with all its snapshots; name one of them, as in {where}, the newest")


class Origin(NamedTuple):
    """Where something in a snapshot was backed up from.

    Attributes:
        host: The machine, by its name; "" where that is not known.
        path: The absolute path there; b"" where that is not known.
    """

    host: str
    path: bytes

    def is_of(self, folder: bytes, host: str) -> bool:
        """Whether this is a folder of this machine."""
        return self.host == host and self.path != b"" and os.path.realpath(self.path) == os.path.realpath(folder)


class FilledFolders:
    """A list of the folders that restores have filled, each with what from, so that an interrupted restore can be finished."""

    def __init__(self, state: Path) -> None:
        """Use a file in the state folder."""
        self._path = state / "restored.json"

    def add(self, folder: bytes, origin: Origin) -> None:
        """Note a folder that is missing or empty, and what is restored into it; without room for that, nothing."""
        noted = [os.path.realpath(folder).hex(), origin.host, origin.path.hex()]
        kept = [line for line in self._read() if line[0] != noted[0]][1 - FILLED_COUNT_MAX :]
        try:
            make_private_folder(self._path.parent)
            replace_file(self._path, json.dumps([*kept, noted]).encode(), Durability.CONTENT)
        except (OSError, LocalStateError):
            return  # The next restore asks; nothing else depends on it.

    def holds(self, folder: bytes, origin: Origin) -> bool:
        """Whether a folder, or one that it lies in, was filled from the same place."""
        folder = os.path.realpath(folder)
        for filled_hex, host, path_hex in self._read():
            filled, path = bytes.fromhex(filled_hex), bytes.fromhex(path_hex)
            below = folder[len(filled) :]
            is_below = folder.startswith(filled) and (not below or below.startswith(b"/"))
            if is_below and origin.host == host and origin.path.rstrip(b"/") == (path + below).rstrip(b"/"):
                return True
        return False

    def _read(self) -> list[list[str]]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[list[str]])
        except (OSError, msgspec.MsgspecError):
            return []


def is_free(folder: bytes) -> bool:
    """Whether a folder is not there, or empty."""
    try:
        return not os.listdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # Whoever writes to it says what is wrong.


def require_own_source(origin: Origin, folder: bytes, place: str) -> None:
    """Refuse to overwrite a folder by what was backed up from elsewhere.

    Raises:
        UsageError: It came from elsewhere.
    """
    if origin.is_of(folder, host_name()):
        return
    source = display_path(origin.path or b"elsewhere")
    raise UsageError(
        f"{display_path(folder)}: {place} was backed up from {source} on {origin.host or 'an unknown host'}, and not from this "
        "folder; name its source with --source or --host, or add --any-source"
    )
