"""Criteria of a search: names, sizes, times and types, parsed from text."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Enum

import msgspec

from tallac.dag import Entry, FileType
from tallac.errors import UsageError
from tallac.look.metadata import kind_of, size_of

_SIZE = re.compile(r"(\d+)(?:\.(\d+))?\s*(?:([kmgt])(i?))?b?", re.ASCII | re.IGNORECASE)
_PLAIN = re.compile(r"[^*?\[/]+")

TYPES = {
    "f": FileType.REGULAR,
    "d": FileType.DIRECTORY,
    "l": FileType.SYMLINK,
    "p": FileType.FIFO,
    "s": FileType.SOCKET,
    "b": FileType.BLOCK_DEVICE,
    "c": FileType.CHARACTER_DEVICE,
}
"""The letters of file types, as in find(1)."""


class PathPattern:
    """A name or glob: `*`, `?` and `[...]` within a name, and `**` for any number of names.

    Without a slash it is compared with the last name of a path. With one it is compared with the end of the path or, if it begins
    with a slash, with the whole path from the snapshot on. Bytes that are not UTF-8 match themselves.
    """

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        """Parse a pattern.

        Raises:
            UsageError: The pattern is empty.
        """
        parts = [part for part in _text(os.fsencode(text)).split("/") if part]
        if not parts:
            raise UsageError(f"{text!r} matches no name: give a name or a pattern, as in '*.txt'")
        if not text.startswith("/"):
            parts.insert(0, "**")
        flags = re.IGNORECASE if ignore_case else 0
        # None represents any number of names.
        self._parts = [None if part == "**" else re.compile(fnmatch.translate(part), flags) for part in parts]
        self._last = self._parts[-1] if len(parts) == 2 and parts[0] == "**" else None
        # Most searches are for one name, which need not be decoded to be compared.
        self._name = os.fsencode(text) if self._last is not None and not ignore_case and _PLAIN.fullmatch(text) else None

    def matches(self, path: bytes) -> bool:
        """Whether a path below a snapshot matches."""
        if self._name is not None:
            return path.endswith(self._name) and path[-len(self._name) - 1 : -len(self._name)] in (b"/", b"")
        if self._last is not None:
            return self._last.match(_text(path[path.rfind(b"/") + 1 :])) is not None
        # The reachable positions in the pattern; each name moves them on by one, or leaves them at a **.
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
        """Add the positions after each `**`, because it also matches no names."""
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
    """A condition on the size of a regular file, in bytes."""

    comparison: Comparison
    size: int

    def holds(self, size: int) -> bool:
        """Whether a size satisfies the condition."""
        match self.comparison:
            case Comparison.AT_LEAST:
                return size >= self.size
            case Comparison.AT_MOST:
                return size <= self.size
            case Comparison.EXACTLY:
                return size == self.size


def parse_types(texts: Iterable[str]) -> frozenset[FileType]:
    """Parse letters of file types, with or without commas between them.

    Raises:
        UsageError: A letter is not a file type.
    """
    letters = [letter for text in texts for part in text.split(",") for letter in (part or " ")]
    for letter in letters:
        if letter not in TYPES:
            raise UsageError(
                f"{letter!r} is not a type: f is a file, d a directory, l a symbolic link; also p, s, b and c, as in find(1)"
            )
    return frozenset(TYPES[letter] for letter in letters)


class Criteria(msgspec.Struct, frozen=True):
    """The criteria of a search. All must hold.

    Attributes:
        patterns: One of these must match the path; empty for all paths.
        sizes: Conditions on the size, which only regular files satisfy.
        newer_ns, older_ns: Bounds, inclusive, of the modification time, in ns since 1970.
        types: The allowed file types; empty for all.
    """

    patterns: Sequence[PathPattern] = ()
    sizes: Sequence[SizeLimit] = ()
    newer_ns: int | None = None
    older_ns: int | None = None
    types: frozenset[FileType] = frozenset()

    def matches_path(self, path: bytes) -> bool:
        """Whether the path matches, regardless of the entry."""
        if len(self.patterns) == 1:
            return self.patterns[0].matches(path)
        return not self.patterns or any(pattern.matches(path) for pattern in self.patterns)

    def matches_entry(self, entry: Entry) -> bool:
        """Whether an entry matches, regardless of its path."""
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


def parse_rate(text: str) -> int:
    """Read a rate in bytes a second: a size with its unit, with or without `/s` behind it, or 0.

    A number alone is refused: elsewhere it means KiB, and a line of 500 bytes a second would be taken for a broken one.

    Raises:
        UsageError: It is no rate.
    """
    size = text.strip().removesuffix("/s")
    if size == "0" or not size.isdecimal():
        with suppress(UsageError):
            return parse_size(size)
    raise UsageError(f"{text!r} is no rate; write bytes a second with a unit, as in 500k, 5M or 2.5M/s")


def parse_size(text: str) -> int:
    """Read a size in bytes: k, M, G and T are powers of 1,000, as in all that Tallac prints; Ki, Mi, Gi and Ti of 1,024.

    Raises:
        UsageError: It is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size; write bytes, or a number with a unit, as in 500k, 1.5G or 64MiB")
    unit: int = (1024 if match[4] else 1000) ** " kmgt".index((match[3] or " ").lower())
    fraction = match[2] or ""
    parts: int = 10 ** len(fraction)
    return int(match[1] + fraction) * unit // parts
