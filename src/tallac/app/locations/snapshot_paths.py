"""The snapshots of a target, as its `Archives/` lists them, and paths within them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tallac.app.locations.snapshot_names import choose_snapshot
from tallac.caps import DirectoryReadCap, MutableDirectoryRead
from tallac.dag import ARCHIVES, LATEST, Entry, parse_snapshot_name
from tallac.errors import EntryNotFoundError
from tallac.interfaces import CapReader
from tallac.look.snapshot_filter import SnapshotFilter, select_snapshots
from tallac.transfer.place import Place, find, find_or_none


class SnapshotPath(Struct, frozen=True):
    """A path in the snapshots of a target.

    Attributes:
        target: The target.
        path: The path in its snapshots; () for all that they hold.
        snapshot: The one that the path names, `Latest` or a name in `Archives/`; None where it names none.
    """

    target: Place
    path: tuple[bytes, ...]
    snapshot: bytes | None = None


def list_snapshots(reader: CapReader, target: Place, *, unknown: Callable[[bytes], None] | None = None) -> list[Entry]:
    """Return the entries of a target's `Archives/` in order of their names, which is that of their times.

    A path that leads to one of them stands for it alone.

    Args:
        reader: Where the target is.
        target: The target.
        unknown: Called with each name there that is not a snapshot's.

    Raises:
        EntryNotFoundError: The target does not exist, or is none.
    """
    only = None
    if len(target.path) >= 2 and target.path[-2] == ARCHIVES:
        only, target = target.name, target.parent.parent
    archives = find_or_none(reader, target.child(ARCHIVES)) if find(reader, target).is_directory else None
    if archives is None or not isinstance(archives.cap, DirectoryReadCap):
        raise EntryNotFoundError(f"{target}: no snapshots found; `tallac backup FROM {target}` makes one")
    entries = list(reader.read_directory(archives.cap))
    for entry in entries:
        if unknown is not None and (parse_snapshot_name(entry.name) is None or not entry.is_directory):
            unknown(entry.name)
    return [entry for entry in entries if entry.is_directory and only in (None, entry.name)]


def find_targets(reader: CapReader, place: Place) -> Iterator[Place]:
    """Iterate over the targets at a place and below it: the directories that have an `Archives` directory, in order of their paths.

    Only directories that can change are looked into, each once: a target is one, and a snapshot has none.

    Raises:
        StoreError, DamageError: The grid failed, or a directory on the way is damaged.
    """
    waiting = [place]
    seen: set[bytes] = set()
    while waiting:
        here = waiting.pop()
        cap = find(reader, here).cap
        if not isinstance(cap, MutableDirectoryRead) or cap.storage_index in seen:
            continue
        seen.add(cap.storage_index)
        entries = list(reader.read_directory(cap))
        if any(entry.name == ARCHIVES and entry.is_directory for entry in entries):
            yield here
        below = (entry.name for entry in entries if isinstance(entry.cap, MutableDirectoryRead) and entry.name != ARCHIVES)
        waiting += [here.child(name) for name in sorted(below, reverse=True)]


def locate_in_snapshots(reader: CapReader, place: Place) -> SnapshotPath:
    """Split a path into a target and a path in its snapshots.

    It may be written `home:docs/Letters`, `home:docs/Latest/Letters` or `home:docs/Archives/NAME/Letters`.
    Of several directories on the way that have snapshots, the last one is the target.

    Raises:
        EntryNotFoundError: No directory on the way has snapshots.
    """
    target: Place | None = None
    for length in range(len(place.path) + 1):
        above = Place(place.cap, place.path[:length], place.label)
        if above.name in (ARCHIVES, LATEST):
            break
        found = find_or_none(reader, above)
        if found is None or not isinstance(found.cap, DirectoryReadCap):
            break
        archives = reader.read_directory(found.cap).get(ARCHIVES)
        if archives is not None and archives.is_directory:
            target = above
    if target is None:
        raise EntryNotFoundError(f"{place}: no snapshots found, here or above; `tallac backup FROM TO` makes one")
    path = place.path[len(target.path) :]
    if path[:1] == (LATEST,):
        return SnapshotPath(target, path[1:], LATEST)
    if path[:1] == (ARCHIVES,) and len(path) > 1:
        return SnapshotPath(target, path[2:], path[1])
    return SnapshotPath(target, path[1:] if path[:1] == (ARCHIVES,) else path)


def choose_snapshots(snapshots: Sequence[Entry], choice: SnapshotFilter, label: str = "this target") -> list[Entry]:
    """Choose among a target's snapshots; names are read as `choose_snapshot` reads them.

    Raises:
        EntryNotFoundError: A name is none of theirs.
    """
    if choice.names:
        choice = replace(choice, names=tuple(choose_snapshot(snapshots, name, label).name for name in choice.names))
    return select_snapshots(snapshots, choice)
