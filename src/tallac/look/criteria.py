"""What to look for: names, sizes, times and types. Text -> a value that says of an entry whether it is meant."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from enum import Enum

import msgspec

from tallac.dag import Entry, FileType
from tallac.errors import UsageError
from tallac.look.metadata import kind_of, size_of

TYPES = {
    "f": FileType.REGULAR,
    "d": FileType.DIRECTORY,
    "l": FileType.SYMLINK,
    "p": FileType.FIFO,
    "s": FileType.SOCKET,
    "b": FileType.BLOCK_DEVICE,
    "c": FileType.CHARACTER_DEVICE,
}
"""Letters for types, those of find(1)."""


class PathPattern:
    """A name or glob: `*`, `?` and `[...]` within a name, and `**` for any number of names.

    Without a slash it is compared with the last name of a path. With one it is compared with the path's end, or, if it begins with
    a slash, with the whole path from the snapshot on. Bytes that are no UTF-8 match themselves.
    """

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        """Read a pattern.

        Raises:
            UsageError: It is empty.
        """
        parts = [part for part in _text(text.encode("utf-8", "surrogateescape")).split("/") if part]
        if not parts:
            raise UsageError(f"{text!r} matches no name: give a name or a pattern, as in '*.txt'")
        if not text.startswith("/"):
            parts.insert(0, "**")
        flags = re.IGNORECASE if ignore_case else 0
        # None stands for any number of names.
        self._parts = [None if part == "**" else re.compile(fnmatch.translate(part), flags) for part in parts]
        self._last = self._parts[-1] if len(parts) == 2 and parts[0] == "**" else None

    def matches(self, path: bytes) -> bool:
        """Whether a path below a snapshot is meant."""
        if self._last is not None:
            return self._last.match(_text(path[path.rfind(b"/") + 1 :])) is not None
        # Places in the pattern that can be reached; a name takes each of them on by one, or leaves it where ** stands.
        places = self._reach({0})
        for name in _text(path).split("/"):
            reached = set()
            for place in places - {len(self._parts)}:
                part = self._parts[place]
                if part is None:
                    reached.add(place)
                elif part.match(name):
                    reached.add(place + 1)
            places = self._reach(reached)
        return len(self._parts) in places

    def _reach(self, places: set[int]) -> set[int]:
        """Add the places after those that stand for any number of names, none included."""
        found = set(places)
        for place in sorted(places):
            while place < len(self._parts) and self._parts[place] is None:
                place += 1  # noqa: PLW2901 - it walks on from where it was.
                found.add(place)
        return found


class Comparison(Enum):
    """How a size is compared with a limit."""

    AT_LEAST = "+"
    AT_MOST = "-"
    EXACTLY = ""


class SizeLimit(msgspec.Struct, frozen=True):
    """A condition on a regular file's size, in bytes."""

    comparison: Comparison
    size: int

    def holds(self, size: int) -> bool:
        """Whether a size fulfils it."""
        match self.comparison:
            case Comparison.AT_LEAST:
                return size >= self.size
            case Comparison.AT_MOST:
                return size <= self.size
            case Comparison.EXACTLY:
                return size == self.size


def parse_types(texts: Iterable[str]) -> frozenset[FileType]:
    """Read letters for types, with commas between them or none.

    Raises:
        UsageError: One stands for no type.
    """
    letters = [letter for text in texts for part in text.split(",") for letter in (part or " ")]
    for letter in letters:
        if letter not in TYPES:
            raise UsageError(
                f"{letter!r} is no type: f is a file, d a directory, l a symbolic link; also p, s, b and c, as in find(1)"
            )
    return frozenset(TYPES[letter] for letter in letters)


class Criteria(msgspec.Struct, frozen=True):
    """What is looked for: all of this at a time.

    Attributes:
        patterns: One of these matches the path; none for all paths.
        sizes: Conditions on the size, which only regular files fulfil.
        newer_ns, older_ns: Bounds of the time of the last change, nanoseconds since 1970, themselves included.
        types: One of these; none for all types.
    """

    patterns: Sequence[PathPattern] = ()
    sizes: Sequence[SizeLimit] = ()
    newer_ns: int | None = None
    older_ns: int | None = None
    types: frozenset[FileType] = frozenset()

    def matches_path(self, path: bytes) -> bool:
        """Whether the path is meant, whatever is there."""
        return not self.patterns or any(pattern.matches(path) for pattern in self.patterns)

    def matches_entry(self, entry: Entry) -> bool:
        """Whether an entry is meant, whatever its path is."""
        kind = kind_of(entry)
        if self.types and kind not in self.types:
            return False
        if self.sizes and (kind is not FileType.REGULAR or not all(limit.holds(size_of(entry)) for limit in self.sizes)):
            return False
        if self.newer_ns is None and self.older_ns is None:
            return True
        mtime_ns = entry.metadata.mtime_ns
        if mtime_ns is None:
            return False
        return (self.newer_ns is None or mtime_ns >= self.newer_ns) and (self.older_ns is None or mtime_ns <= self.older_ns)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
