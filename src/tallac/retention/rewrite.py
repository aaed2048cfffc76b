"""Take paths out of snapshots: the directories on the way are made anew, all else is shared with what was there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, decode_cap, display_path, encode_cap, is_held, mutable_identity
from tallac.errors import EntryError, FencedError
from tallac.interfaces import CapReader, Clock, DirectoryWriter, Grid
from tallac.retention.record import RetentionRecord, claimed_ns
from tallac.retention.target import Target, find_named, set_latest, with_metadata

IsExcluded = Callable[[bytes, bool], bool]
"""Whether to remove a path below the snapshot, given whether it is a directory."""


class Removed(msgspec.Struct, frozen=True):
    """Counts of what was removed.

    Attributes:
        files: How many, of all kinds but directories.
        directories: How many.
        size: Sum of the files' sizes, in bytes.
    """

    files: int = 0
    directories: int = 0
    size: int = 0

    def __add__(self, other: Removed) -> Removed:
        """Add up."""
        return Removed(self.files + other.files, self.directories + other.directories, self.size + other.size)


class Rewritten(msgspec.Struct, frozen=True):
    """The outcome for one snapshot.

    Attributes:
        name: Its name, which it keeps.
        removed: What was taken out.
        paths: What was taken out, without what lay below it.
    """

    name: bytes
    removed: Removed
    paths: list[bytes]


def rewrite(
    grid: Grid,
    target: Target,
    names: Sequence[bytes],
    is_excluded: IsExcluded,
    record: RetentionRecord,
    clock: Clock,
    *,
    dry_run: bool = False,
) -> list[Rewritten]:
    """Take paths out of these snapshots, or of all for no names, and set `Latest`. Durable when this returns.

    What was taken out stays in the vault until it is pruned, but no snapshot leads there. Snapshots without such a path stay as
    they are and are not in the answer.

    Raises:
        EntryNotFoundError: One is missing.
        EntryError: One of those that would change is held.
        DamageError: A directory is damaged; nothing was changed.
        FencedError: A prune took over twice in a row.
    """
    run = _Run(grid, target, names, is_excluded, record, clock)
    if dry_run:
        return [rewritten for _, _, rewritten in run.removals(None)]
    try:
        return run.once()
    except FencedError:
        # What it refers to is looked up, and made, again.
        return run.once()


class _Result(msgspec.Struct):
    """The outcome for a directory: its encoded cap, and what was removed from it."""

    encoded: bytes
    removed: Removed = msgspec.field(default_factory=Removed)
    paths: list[bytes] = msgspec.field(default_factory=list)


class _Run:
    """One rewriting; it can be run again."""

    def __init__(
        self,
        grid: Grid,
        target: Target,
        names: Sequence[bytes],
        is_excluded: IsExcluded,
        record: RetentionRecord,
        clock: Clock,
    ) -> None:
        self._grid = grid
        self._target = target
        self._names = names
        self._is_excluded = is_excluded
        self._record = record
        self._clock = clock

    def once(self) -> list[Rewritten]:
        """Rewrite."""
        with self._grid.session() as session:
            with session.writing() as writer:
                found = list(self.removals(writer))
            session.commit([_directory_cap(new.encoded) for _, new, _ in found])
            for old, new, _ in found:
                self._record.replace(self._target.fingerprint, old, new)
            replaced = {(old.name, old.encoded): new for old, new, _ in found}

            def replace(entries: list[Entry]) -> list[Entry]:
                return [_replaced(entry, replaced.get((entry.name, entry.encoded))) for entry in entries]

            self._grid.edit_directory(self._target.archives, replace)
            set_latest(self._grid, self._target, self._clock)
        return [rewritten for _, _, rewritten in found]

    def removals(self, writer: DirectoryWriter | None) -> Iterator[tuple[Entry, Entry, Rewritten]]:
        """Iterate over the snapshots that change: the entry before and after, and what was removed. Nothing is stored for None."""
        entries = self._target.read(self._grid)
        wanted = find_named(entries, self._names, self._target.label) if self._names else entries
        walk = _Walk(self._grid, writer, self._is_excluded)
        for entry in wanted:
            if claimed_ns(entry) is None:
                continue
            result = walk.rewrite(entry.encoded)
            if result.paths:
                if is_held(entry):
                    name = display_path(entry.name)
                    raise EntryError(
                        f"{name}: it is held, and would change; `tallac release {self._target.label} {name}` removes the hold"
                    )
                yield entry, _after(entry, result), Rewritten(entry.name, result.removed, result.paths)


class _Level(msgspec.Struct):
    """A directory whose entries are being looked at."""

    path: bytes
    encoded: bytes
    entries: Iterator[Entry]
    result: _Result
    changes: dict[bytes, bytes | None] = msgspec.field(default_factory=dict)


class _Walk:
    """Rewrites directories, each place and content once, however many snapshots share it.

    Only what changes is held in memory, with one number for each directory that was looked at.
    """

    def __init__(self, reader: CapReader, writer: DirectoryWriter | None, is_excluded: IsExcluded) -> None:
        self._reader = reader
        self._writer = writer
        self._is_excluded = is_excluded
        self._known: dict[tuple[bytes, bytes], _Result] = {}

    def rewrite(self, encoded: bytes) -> _Result:
        """Rewrite a snapshot's directory."""
        # A list in place of recursion, as trees may be deeper than Python's stack.
        levels = [self._enter(b"", encoded)]
        while True:
            level = levels[-1]
            entry = next(level.entries, None)
            if entry is not None:
                below = self._look_at(level, entry)
                if below is not None:
                    levels.append(below)
                continue
            levels.pop()
            result = self._finish(level)
            if not levels:
                return result
            _note(levels[-1], level.path.rpartition(b"/")[2], level.encoded, result)

    def _look_at(self, level: _Level, entry: Entry) -> _Level | None:
        """Drop an entry, or keep it, or give the directory that it is, to be looked at first."""
        path = level.path + b"/" + entry.name if level.path else entry.name
        if self._is_excluded(path, entry.is_directory):
            level.changes[entry.name] = None
            level.result.removed += _count(self._reader, entry)
            level.result.paths.append(path)
            return None
        # A mutable directory is no part of what is rewritten: it can't be made anew under its cap, and may lead back to itself.
        if not isinstance(entry.cap, DirectoryReadCap) or mutable_identity(entry.encoded) is not None:
            return None
        known = self._known.get((path, entry.encoded))
        if known is None:
            return self._enter(path, entry.encoded)
        _note(level, entry.name, entry.encoded, known)
        return None

    def _enter(self, path: bytes, encoded: bytes) -> _Level:
        return _Level(path, encoded, iter(self._reader.read_directory(_directory_cap(encoded))), _Result(encoded))

    def _finish(self, level: _Level) -> _Result:
        if level.changes and self._writer is not None:
            builder = self._writer.build_directory()
            for entry in self._reader.read_directory(_directory_cap(level.encoded)):
                encoded = level.changes.get(entry.name, entry.encoded)
                if encoded is not None:
                    builder.add(Entry(entry.name, encoded, entry.metadata, entry.write))
            level.result.encoded = encode_cap(builder.finish())
        self._known[level.path, level.encoded] = level.result
        return level.result


def _note(level: _Level, name: bytes, before: bytes, result: _Result) -> None:
    """Add the outcome for a subdirectory to the directory above."""
    if result.encoded != before:
        level.changes[name] = result.encoded
    level.result.removed += result.removed
    level.result.paths += result.paths


def _count(reader: CapReader, entry: Entry) -> Removed:
    """Count an entry and all below it."""
    total = Removed()
    waiting = [entry]
    seen: set[bytes | None] = set()
    while waiting:
        found = waiting.pop()
        cap = found.cap
        if isinstance(cap, DirectoryReadCap):
            total += Removed(directories=1)
            identity = mutable_identity(found.encoded)
            if identity is None or identity not in seen:
                # A mutable directory, which other tools may have put there, is counted once: it can lead back to itself.
                seen.add(identity)
                waiting += reader.read_directory(cap)
        else:
            total += Removed(files=1, size=found.size)
    return total


def _after(entry: Entry, result: _Result) -> Entry:
    """Return a snapshot's entry as it is to be, with the counts of what it holds then."""
    changed = Entry(entry.name, result.encoded, entry.metadata, entry.write)
    facts = entry.metadata.snapshot
    if facts is None:
        return changed
    less = msgspec.structs.replace(
        facts,
        files=max(0, facts.files - result.removed.files),
        directories=max(0, facts.directories - result.removed.directories),
        size=max(0, facts.size - result.removed.size),
    )
    return with_metadata(changed, msgspec.structs.replace(entry.metadata, snapshot=less))


def _replaced(entry: Entry, new: Entry | None) -> Entry:
    if new is None:
        return entry
    # Marks may have changed meanwhile; what the walk changed is the cap and the counts.
    facts, counted = entry.metadata.snapshot, new.metadata.snapshot
    if facts is None or counted is None:
        return Entry(entry.name, new.encoded, entry.metadata, entry.write)
    facts = msgspec.structs.replace(facts, files=counted.files, directories=counted.directories, size=counted.size)
    return Entry(entry.name, new.encoded, msgspec.structs.replace(entry.metadata, snapshot=facts), entry.write)


def _directory_cap(encoded: bytes) -> DirectoryReadCap:
    cap = decode_cap(encoded)
    if not isinstance(cap, DirectoryReadCap):
        raise EntryError("a snapshot is no directory")
    return cap
