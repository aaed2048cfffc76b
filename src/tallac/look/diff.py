"""The differences between two directories: snapshots, parts of them, or local folders."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TypeVar

import msgspec

from tallac.dag import LEADS_BACK, Ancestors, Entry, FileType, Metadata, join_path
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import BinaryReader
from tallac.look.metadata import differing
from tallac.look.read_errors import OnReadError, ReadError
from tallac.look.sides import Side, StoredSide, Thing, thing_of

STEP_SIZE = 1 << 20

_READING_ERRORS = (DamageError, AuthorityError, OSError)


class Difference(Enum):
    """The kind of a difference, with the sign that shows it."""

    ADDED = "+"
    REMOVED = "-"
    CONTENT = "M"
    METADATA = "U"
    TYPE = "T"


class Change(msgspec.Struct, frozen=True):
    """One difference.

    Attributes:
        difference: Its kind.
        path: The path below the compared directories; b"" for these themselves.
        old, new: The two states; None if there is nothing at the path.
        metadata: The names of the metadata that differ, if the content is the same.
    """

    difference: Difference
    path: bytes
    old: Thing | None
    new: Thing | None
    metadata: tuple[str, ...] = ()

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory, or was one before it was removed."""
        thing = self.new or self.old
        return thing is not None and thing.is_directory


class Tally(msgspec.Struct):
    """Counts of differences by kind, of files (everything but directories) and directories, and bytes of regular files.

    Attributes:
        bytes_added: Sizes of files that were added, or that replaced something of another type.
        bytes_removed: Sizes of files that were removed, or that were replaced by something of another type.
        bytes_before, bytes_after: Sizes of the files whose content differs.
    """

    files: dict[Difference, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Difference, 0))
    directories: dict[Difference, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Difference, 0))
    bytes_added: int = 0
    bytes_removed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def add(self, change: Change) -> None:
        """Count one difference."""
        counts = self.directories if change.is_directory else self.files
        counts[change.difference] += 1
        old, new = change.old.size if change.old else 0, change.new.size if change.new else 0
        match change.difference:
            case Difference.ADDED | Difference.REMOVED | Difference.TYPE:
                self.bytes_added += new
                self.bytes_removed += old
            case Difference.CONTENT:
                self.bytes_before += old
                self.bytes_after += new
            case Difference.METADATA:
                pass


def diff(old: Side, new: Side, report: OnReadError, *, read_data: bool = False) -> Iterator[Change]:
    """Iterate over all differences, sorted by path component, each directory before what is below it.

    Entries with the same cap of one grid are equal and are not read. A local file counts as unchanged if its
    size, times and inode are those that the snapshot recorded, as in a backup; otherwise both sides are read.

    Args:
        old: The old side; the caller closes it.
        new: The new side; likewise.
        report: Called with each path that can't be read; the rest is compared all the same.
        read_data: Whether to read every local file.
    """
    return _Walk(old, new, report, read_data=read_data).run()


Pair = tuple[Thing | None, Thing | None]
_Named = TypeVar("_Named", Thing, Entry)


class _Level(msgspec.Struct):
    """One pair of directories: their path, their remaining entries, and the sides that have entered them."""

    path: bytes
    pairs: Iterator[Pair]
    entered: list[Side]


class _Walk:
    """One comparison."""

    def __init__(self, old: Side, new: Side, report: OnReadError, *, read_data: bool) -> None:
        self._old = old
        self._new = new
        self._report = report
        self._read_data = read_data
        self._ancestors = Ancestors(), Ancestors()
        self._is_one_grid = old.reader is not None and old.reader is new.reader

    def run(self) -> Iterator[Change]:
        """Walk both sides without recursion, because paths may be deep."""
        yield from self._look(b"", self._old.root, self._new.root)
        levels = self._below(b"", self._old.root, self._new.root)
        while levels:
            level = levels[-1]
            pair = self._next(level)
            if pair is None:
                for side in levels.pop().entered:
                    side.leave()
                for ancestors in self._ancestors:
                    ancestors.leave()
                continue
            old, new = pair
            if _may_be_left_out(level, old, new):
                continue
            path = join_path(level.path, _name_of(old, new))
            yield from self._look(path, old, new)
            levels += self._below(path, old, new)

    def _next(self, level: _Level) -> Pair | None:
        try:
            return next(level.pairs, None)
        except _READING_ERRORS as error:
            self._tell(level.path, error)
            return None

    def _look(self, path: bytes, old: Thing | None, new: Thing | None) -> Iterator[Change]:
        try:
            change = self._compare(path, old, new)
        except _READING_ERRORS as error:
            self._tell(path, error)
            return
        if change is not None:
            yield change

    def _below(self, path: bytes, old: Thing | None, new: Thing | None) -> list[_Level]:
        """Enter a directory on the sides that have one, unless both have the same."""
        if self._is_same_cap(old, new):
            return []
        caps = [thing.encoded if thing is not None and thing.is_directory else None for thing in (old, new)]
        back = [cap is not None and cap in ancestors for cap, ancestors in zip(caps, self._ancestors, strict=True)]
        if any(back):
            # Where the other side has a directory that does not lead back, what is in it is not compared.
            others = [thing is not None and thing.is_directory for thing in (old, new)]
            self._report(ReadError(path, LEADS_BACK, is_missing=back != others))
            return []
        entered: list[Side] = []
        try:
            pairs = self._enter(old, new, entered)
        except _READING_ERRORS as error:
            # To go on with one side alone would report all of it as added or removed.
            for side in entered:
                side.leave()
            self._tell(path, error)
            return []
        if not entered:
            return []
        for cap, ancestors in zip(caps, self._ancestors, strict=True):
            ancestors.enter(cap)
        return [_Level(path, pairs, entered)]

    def _enter(self, old: Thing | None, new: Thing | None, entered: list[Side]) -> Iterator[Pair]:
        """Enter the directories of a pair, note the sides that were entered, and return the pairs of entries."""
        if self._is_one_grid and old is not None and old.is_directory and new is not None and new.is_directory:
            return self._enter_stored(old, new, entered)
        listings: list[Iterator[Thing]] = []
        for side, thing, other in ((self._old, old, new), (self._new, new, old)):
            is_directory = thing is not None and thing.is_directory
            if not is_directory and other is not None and other.is_directory and isinstance(side, StoredSide):
                side.pass_by(other)
                entered += [side]
            listings.append(side.enter(thing) if thing is not None and is_directory else iter(()))
            entered += [side] if is_directory else []
        return _pairs(*listings)

    def _enter_stored(self, old: Thing, new: Thing, entered: list[Side]) -> Iterator[Pair]:
        """Do as `_enter` does for two directories of one grid; entries that are the same on both sides are left out."""
        listings: list[Iterator[Entry]] = []
        for side, thing in ((self._old, old), (self._new, new)):
            assert isinstance(side, StoredSide)
            listings.append(side.enter_stored(thing))
            entered += [side]
        return ((_thing_or_none(one), _thing_or_none(other)) for one, other in _pairs(*listings) if one != other)

    def _compare(self, path: bytes, old: Thing | None, new: Thing | None) -> Change | None:
        if old is None or new is None:
            return Change(Difference.ADDED if old is None else Difference.REMOVED, path, old, new)
        if old.kind is not new.kind:
            return Change(Difference.TYPE, path, old, new)
        if self._is_untouched(old, new) and not self._read_data:
            return None
        metadata = self._old.complete(old), self._new.complete(new)
        if not old.is_directory and not self._has_same_content(old, new, *metadata):
            return Change(Difference.CONTENT, path, old, new)
        fields = differing(*metadata, is_directory=old.is_directory)
        return Change(Difference.METADATA, path, old, new, fields) if fields else None

    def _is_same_cap(self, old: Thing | None, new: Thing | None) -> bool:
        return self._is_one_grid and old is not None and new is not None and old.encoded == new.encoded

    def _is_untouched(self, old: Thing, new: Thing) -> bool:
        """Whether a local file still is as it was recorded. Its ctime covers all metadata."""
        if self._is_one_grid:
            return old.encoded == new.encoded and old.metadata == new.metadata
        facts = [(thing.size, one.mode, one.mtime, one.ctime, one.inode) for thing in (old, new) for one in [thing.metadata]]
        return facts[0] == facts[1] and None not in facts[0]

    def _has_same_content(self, old: Thing, new: Thing, before: Metadata, after: Metadata) -> bool:
        if old.kind is not FileType.REGULAR:
            return (before.target, before.rdev) == (after.target, after.rdev)
        if self._is_one_grid:
            return old.encoded == new.encoded
        if old.size != new.size:
            return False
        with self._old.open(old) as one, self._new.open(new) as other:
            return _has_same_bytes(one, other)

    def _tell(self, path: bytes, error: DamageError | AuthorityError | OSError) -> None:
        message = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        self._report(ReadError(path, f"can't be compared: {message}"))


def _may_be_left_out(level: _Level, old: Thing | None, new: Thing | None) -> bool:
    """Whether a local file is in no snapshot because the backup left it out: that is no difference."""
    local = new if old is None else old if new is None else None
    return local is not None and any(isinstance(side, StoredSide) and side.may_have_had(local) for side in level.entered)


def _pairs(old: Iterator[_Named], new: Iterator[_Named]) -> Iterator[tuple[_Named | None, _Named | None]]:
    """Pair the entries of equal names; both sequences come sorted."""
    one, other = next(old, None), next(new, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.name < other.name):
            yield one, None
            one = next(old, None)
        elif one is None or other.name < one.name:
            yield None, other
            other = next(new, None)
        else:
            yield one, other
            one, other = next(old, None), next(new, None)


def _thing_or_none(entry: Entry | None) -> Thing | None:
    return None if entry is None else thing_of(entry)


def _name_of(old: Thing | None, new: Thing | None) -> bytes:
    thing = old or new
    assert thing is not None
    return thing.name


def _has_same_bytes(one: BinaryReader, other: BinaryReader) -> bool:
    while step := _read_step(one):
        if step != _read_step(other):
            return False
    return not other.read(1)


def _read_step(reader: BinaryReader) -> bytes:
    """Read a full step, fewer bytes only at the end; a single read may return less than it was asked for."""
    parts: list[bytes] = []
    left = STEP_SIZE
    while left and (part := reader.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
