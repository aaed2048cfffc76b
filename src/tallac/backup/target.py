"""The target: opening the directories that lead to it, and entering a snapshot into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from tallac.caps import DirectoryReadCap, DirectoryWriteCap, ReadCap
from tallac.dag import (
    ARCHIVES,
    LATEST,
    Entry,
    Metadata,
    display_path,
    free_snapshot_name,
    join_path,
    newest_snapshot,
    next_snapshot_name,
    parse_snapshot_name,
    snapshots_by_time,
)
from tallac.errors import FencedError, NotADirectoryCapError
from tallac.interfaces import CapReader, Clock, Grid, PreparesEdits, Session

PREPARED_NS_MAX = 60 * 10**9
"""For so long a snapshot keeps the name that it was about to be entered by."""


class Target(msgspec.Struct, frozen=True):
    """An open target.

    Attributes:
        directory: The directory that holds `Archives/` and `Latest`.
        archives: The directory of the snapshots.
    """

    directory: DirectoryWriteCap
    archives: DirectoryWriteCap


class Naming:
    """The time that a snapshot is named by: a given one, or that at which it was about to be entered."""

    def __init__(self, clock: Clock, time_ns: int | None = None) -> None:
        """Name it by a time, UTC; None for now."""
        self.clock = clock
        self._time_ns = time_ns
        self._begun_ns = clock.now_ns()

    def name_among(self, entries: list[Entry]) -> bytes:
        """Return its name: the time, or the first second after the snapshots that are there; a given time's next free second."""
        if self._time_ns is not None:
            return free_snapshot_name(self._time_ns, {entry.name for entry in entries})
        # A wait or two later it has the name that it was prepared with. After a longer one that would belie its order.
        now_ns = self.clock.now_ns()
        is_recent = 0 <= now_ns - self._begun_ns <= PREPARED_NS_MAX
        return next_snapshot_name(self._begun_ns if is_recent else now_ns, entries)


def open_target(grid: Grid, root: DirectoryWriteCap, path: Sequence[bytes]) -> Target:
    """Go down from a mutable directory to the target, creating what is missing, `Archives/` too.

    Raises:
        NotADirectoryCapError: Something on the way is a file, or a directory that can't be changed.
    """
    target = _go_down(root, path, partial(_open_or_create, grid))
    assert target is not None, "whatever is missing is made"
    return target


def open_existing_target(grid: Grid, root: DirectoryWriteCap, path: Sequence[bytes]) -> Target | None:
    """As `open_target`, but None where something on the way, or `Archives/`, is missing."""
    return _go_down(root, path, partial(_open, grid))


def find_target(grid: CapReader, root: DirectoryWriteCap, path: Sequence[bytes]) -> Target | None:
    """Find a target without creating anything; None where it is not there, or is none."""
    return _go_down(root, path, lambda parent, walked: _write_cap_in(grid, parent, walked[-1]))


def _ignore(_path: bytes, _message: str) -> None:
    """Take no notice."""


def enter_snapshot(
    grid: Grid,
    session: Session,
    target: Target,
    encoded: bytes,
    metadata: Metadata,
    naming: Naming,
    *,
    notice: Callable[[bytes, str], None] = _ignore,
) -> bytes:
    """Enter a stored snapshot in `Archives/`, then set `Latest`; durable when this returns.

    Call only after the writing() block that stored it has exited and the session has committed: `Archives/` must never name
    something that is not durable.

    Args:
        grid: Where the target is.
        session: Whose caps they are.
        target: Where it is entered.
        encoded: The snapshot's encoded cap.
        metadata: Its root's, with its facts.
        naming: What it is named by.
        notice: Called with each name beside it that is no snapshot's.

    Returns:
        The snapshot's name; see `Naming`.
    """
    entries = grid.edit_directory(target.archives, _adding(encoded, metadata, naming))
    _set_latest(grid, session, target, entries, Entry(LATEST, encoded, metadata), naming.clock)
    _notice_second_source(entries, metadata, notice)
    for entry in entries:
        if parse_snapshot_name(entry.name) is None:
            notice(join_path(ARCHIVES, entry.name), "not a snapshot's name; ignored")
    return next(entry.name for entry in entries if _is_same(entry, encoded, metadata))


def prepare_snapshot(grid: Grid, target: Target, encoded: bytes, metadata: Metadata, naming: Naming) -> None:
    """Make a grid begin to store what `enter_snapshot` is going to, where it can; nothing is entered by that, and nobody sees it.

    So it may be called before the session has committed. The arguments are those of `enter_snapshot`.
    """
    if not isinstance(grid, PreparesEdits):
        return
    archived = grid.prepare_edit(target.archives, _adding(encoded, metadata, naming))
    if archived is None:
        return
    newest = newest_snapshot(archived, naming.clock.now_ns())
    if newest is not None and _is_same(newest, encoded, metadata):
        latest = Entry(LATEST, encoded, metadata)

        def replace(entries: list[Entry]) -> list[Entry]:
            before = _find(entries, LATEST)
            # Somebody else's, which is not there yet as far as is known, is looked into once the snapshot is entered.
            return _replaced(entries, latest) if before is None or _is_among(archived, before) else entries

        grid.prepare_edit(target.directory, replace)


def _adding(encoded: bytes, metadata: Metadata, naming: Naming) -> Callable[[list[Entry]], list[Entry]]:
    """Return the edit of `Archives/` that enters a snapshot."""

    def add(entries: list[Entry]) -> list[Entry]:
        # The answer to an earlier swap may have been lost: what stands there already is not entered twice.
        if any(_is_same(entry, encoded, metadata) for entry in entries):
            return entries
        return [*entries, Entry(naming.name_among(entries), encoded, metadata)]

    return add


def _is_among(archived: Iterable[Entry], latest: Entry) -> bool:
    return any(_is_same(entry, latest.encoded, latest.metadata) for entry in archived)


def _replaced(entries: Iterable[Entry], latest: Entry) -> list[Entry]:
    return [entry for entry in entries if entry.name != LATEST] + [latest]


def _notice_second_source(entries: list[Entry], metadata: Metadata, notice: Callable[[bytes, str], None]) -> None:
    """Report once that a target holds snapshots of another source as well: `Latest` is the newest of all."""
    own = metadata.snapshot
    known = [facts for entry in entries if (facts := entry.metadata.snapshot) is not None]
    if own is None or not own.sources:
        return
    of_own = sum((facts.host, facts.sources) == (own.host, own.sources) for facts in known)
    others = [facts for facts in known if (facts.host, facts.sources) != (own.host, own.sources) and facts.sources]
    if of_own == 1 and others:
        other = others[-1]
        where = display_path(other.sources[0]) + (f" on {other.host}" if other.host != own.host else "")
        notice(
            own.sources[0], f"the target has snapshots of {where}, too; Latest is the newest of all, and --source or --host chooses"
        )


def latest_snapshot(grid: CapReader, target: Target, host: str, sources: tuple[bytes, ...]) -> Entry | None:
    """Find the snapshot that can stand in for lost local records: the newest one from this host, of these sources where possible.

    One of `tahoe backup` does not tell its host. It counts where there is none that does; inodes will tell.
    """
    found = [entry for _, entry in snapshots_by_time(grid.read_directory(target.archives.read_cap)) if entry.is_directory]
    known = [(entry, facts) for entry in found if (facts := entry.metadata.snapshot) is not None and facts.host == host]
    same_sources = [entry for entry, facts in known if facts.sources == sources]
    foreign = [entry for entry in found if entry.metadata.snapshot is None]
    candidates = same_sources or [entry for entry, _ in known] or foreign
    return candidates[-1] if candidates else None


def is_latest(grid: CapReader, target: Target, encoded: bytes) -> bool:
    """Whether the latest snapshot is the directory of this encoded cap."""
    latest = grid.read_directory(target.directory.read_cap).get(LATEST)
    return latest is not None and latest.encoded == encoded


def _set_latest(grid: Grid, session: Session, target: Target, archived: list[Entry], own: Entry, clock: Clock) -> None:
    """Make `Latest` the newest snapshot; `own` is what this run has entered, and `archived` what was in `Archives/` then.

    Whoever has entered a snapshot since then sets `Latest` later, or has set it to what is not among these. Then `Archives/` is
    read inside the edit: whoever enters one meanwhile makes this swap fail, or sets `Latest` later.
    """

    def replace(entries: list[Entry]) -> list[Entry]:
        before = _find(entries, LATEST)
        is_known = before is None or _is_among(archived, before)
        newest = newest_snapshot(archived if is_known else grid.read_directory(target.archives.read_cap), clock.now_ns())
        if newest is None:
            return entries
        latest = Entry(LATEST, newest.encoded, newest.metadata)
        if latest.encoded != own.encoded and latest not in entries and not _is_committed(session, latest):
            latest = own
        return _replaced(entries, latest)

    grid.edit_directory(target.directory, replace)


def _is_committed(session: Session, entry: Entry) -> bool:
    """Protect another run's snapshot, which is about to be linked, from a prune; return False where a prune was faster."""
    try:
        session.commit([], found=[cap for cap in (entry.cap,) if isinstance(cap, ReadCap)])
    except FencedError:
        return False
    return True


def _is_same(entry: Entry, encoded: bytes, metadata: Metadata) -> bool:
    return entry.encoded == encoded and entry.metadata == metadata


_Step = Callable[[DirectoryWriteCap, Sequence[bytes]], DirectoryWriteCap | None]


def _go_down(root: DirectoryWriteCap, path: Sequence[bytes], step: _Step) -> Target | None:
    """Go down to a target and its `Archives/`; `step` leads from a directory to the one that a way ends with."""
    directory = root
    for length in range(1, len(path) + 1):
        below = step(directory, path[:length])
        if below is None:
            return None
        directory = below
    archives = step(directory, [*path, ARCHIVES])
    return None if archives is None else Target(directory, archives)


def _open(grid: Grid, parent: DirectoryWriteCap, walked: Sequence[bytes]) -> DirectoryWriteCap | None:
    """Return the last directory of a way, None where there is none. It is looked for by an edit, as it may be edited soon."""
    entry = _find(grid.edit_directory(parent, lambda entries: entries), walked[-1])
    return None if entry is None else _require_directory(entry, walked)


def _open_or_create(grid: Grid, parent: DirectoryWriteCap, walked: Sequence[bytes]) -> DirectoryWriteCap:
    name = walked[-1]
    created: list[Entry] = []

    def add_missing(entries: list[Entry]) -> list[Entry]:
        if _find(entries, name) is not None:
            return entries
        # Once, however often this is called; somebody else may be faster yet, and then theirs is used.
        if not created:
            created.append(Entry.of(name, grid.create_directory()))
        return [*entries, *created]

    entry = _find(grid.edit_directory(parent, add_missing), name)
    assert entry is not None, "the edit has added it"
    return _require_directory(entry, walked)


def _require_directory(entry: Entry, walked: Sequence[bytes]) -> DirectoryWriteCap:
    cap = entry.write_cap
    if isinstance(cap, DirectoryWriteCap):
        return cap
    message = "an immutable directory" if isinstance(entry.cap, DirectoryReadCap) else "no directory"
    place = "/".join(part.decode(errors="backslashreplace") for part in walked)
    raise NotADirectoryCapError(f"{place!r} in the target is {message}; choose another target, or move it away")


def _write_cap_in(grid: CapReader, directory: DirectoryWriteCap, name: bytes) -> DirectoryWriteCap | None:
    entry = grid.read_directory(directory.read_cap).get(name)
    cap = None if entry is None else entry.write_cap
    return cap if isinstance(cap, DirectoryWriteCap) else None


def _find(entries: Iterable[Entry], name: bytes) -> Entry | None:
    return next((entry for entry in entries if entry.name == name), None)
