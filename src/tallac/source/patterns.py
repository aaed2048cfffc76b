"""Patterns as in a `.gitignore` file (gitignore(5)), asked about one name at a time on the way down.

A pattern is matched against a path itself and never against what is below it: a directory that is left out is not entered. That is
how git itself decides, so `!` brings back what an earlier pattern left out, except below a directory that is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tallac.errors import PatternError
from tallac.source.glob import Matches, read_glob

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Rule(NamedTuple):
    """One pattern.

    Attributes:
        is_excluding: Whether what matches is left out; else it is kept.
        is_for_directories: Whether nothing else matches.
        wants_path: Whether it is about the path and not about the name alone.
        ignores_case: Whether it is about the path, or name, in lower case.
        glob: What matches; a text matches itself.
        line: The number of the line in `Patterns.wording` that it comes from.
    """

    is_excluding: bool
    is_for_directories: bool
    wants_path: bool
    ignores_case: bool
    glob: str | Matches
    line: int = 0

    @property
    def subject(self) -> int:
        """The text that it is matched against: 0 the name, 1 the path, 2 and 3 the same in lower case."""
        return self.wants_path + 2 * self.ignores_case


class Patterns:
    """Patterns of one origin, in their order: the last one that matches decides.

    Patterns without wildcards are looked up, however many there are; the others are tried one after the other.

    Attributes:
        wording: Their lines as they were read, each with whether it ignores case; equal wordings decide alike.
        wants_path: Whether any of them is about more than a name.
    """

    def __init__(
        self, rules: Sequence[_Rule] = (), wording: tuple[tuple[str, bool], ...] = (), hits: set[int] | None = None
    ) -> None:
        self._rules = tuple(rules)
        self._hits = hits
        self.wording = wording
        self.wants_path = any(rule.wants_path for rule in rules)
        self._ignores_case = any(rule.ignores_case for rule in rules)
        # For each subject and each text: the numbers of the rules without wildcards that are about it, the last one first.
        self._literal: tuple[dict[str, list[int]], ...] = ({}, {}, {}, {})
        self._globs: list[tuple[int, bool, int, Matches]] = []
        for number in reversed(range(len(self._rules))):
            rule = self._rules[number]
            if isinstance(rule.glob, str):
                self._literal[rule.subject].setdefault(rule.glob, []).append(number)
            else:
                self._globs.append((number, rule.is_for_directories, rule.subject, rule.glob))
        self._globs_waiting = [] if hits is None else list(self._globs)

    @staticmethod
    def of(
        lines: Iterable[str], *, ignores_case: bool = False, on_bad: Callable[[int, PatternError], None] | None = None
    ) -> Patterns:
        """Read patterns, one a line; what is blank or a comment is passed over.

        Args:
            lines: With surrogates in place of bytes that are not UTF-8.
            ignores_case: Whether capitals and small letters match each other.
            on_bad: Called with the number of a line that nothing can match, and the reason; that line is passed over.

        Raises:
            PatternError: Nothing can match a line, and `on_bad` is None.
        """
        rules: list[_Rule] = []
        wording: list[tuple[str, bool]] = []
        for number, line in enumerate(lines, 1):
            try:
                rule = _read(line, ignores_case=ignores_case)
            except PatternError as error:
                if on_bad is None:
                    raise
                on_bad(number, error)
                continue
            if rule is not None:
                rules.append(rule._replace(line=len(wording)))
                wording.append((line, ignores_case))
        return Patterns(rules, tuple(wording))

    @staticmethod
    def of_file(content: bytes, *, on_bad: Callable[[int, PatternError], None]) -> Patterns:
        """Read the content of a file of patterns. Lines end in LF or CR LF; see `of`."""
        text = content.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
        return Patterns.of((line.removesuffix("\r") for line in text.split("\n")), on_bad=on_bad)

    @staticmethod
    def of_options(texts: Iterable[str], *, ignores_case: bool = False) -> Patterns:
        """Read patterns from a command line.

        Raises:
            PatternError: Nothing can match one, or it is what a file would have as a blank line or a comment.
        """
        lines = [os.fsencode(text).decode("utf-8", "surrogateescape") for text in texts]
        for line in lines:
            if _read(line, ignores_case=ignores_case) is None:
                raise PatternError(f"{line!r} matches nothing: give a pattern as in a .gitignore file")
        return Patterns.of(lines, ignores_case=ignores_case)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __add__(self, later: Patterns) -> Patterns:
        """Put others behind these."""
        moved = tuple(rule._replace(line=rule.line + len(self.wording)) for rule in later._rules)
        return Patterns(self._rules + moved, self.wording + later.wording)

    def at_source(self, places: Iterable[bytes], roots: Iterable[bytes], hits: set[int]) -> Patterns:
        """Return the same for a source: a pattern may also begin with the source's own path.

        Args:
            places: Absolute paths of the source. A pattern with a slash in front may begin with one.
            roots: Paths of the source below the snapshot's root, with a slash in front. Any pattern of paths may begin with one.
            hits: Gets the numbers of the lines that match something.
        """
        prefixes = [(_components(path), False) for path in places] + [(_components(path), True) for path in roots]
        rules: list[_Rule] = []
        for rule in self._rules:
            rules.append(rule)
            line, ignores_case = self.wording[rule.line]
            if rule.wants_path:
                for rest in _from_source(_trimmed(line).removeprefix("!"), prefixes, ignores_case):
                    below = _read(f"{'' if rule.is_excluding else '!'}/{rest}", ignores_case=ignores_case)
                    if below is not None:
                        rules.append(below._replace(line=rule.line))
        return Patterns(rules, self.wording, hits)

    def unmatched(self, hits: set[int]) -> list[str]:
        """Return the lines that were to leave something out and are not among those that matched."""
        return [line for number, (line, _) in enumerate(self.wording) if number not in hits and not line.startswith("!")]

    def decide(self, path: str, name: str, is_directory: bool) -> bool | None:
        """Return whether a name is left out (True) or kept (False); None where no pattern matches.

        Args:
            path: From the directory that the patterns belong to; not looked at unless `wants_path`.
            name: The last component of it.
            is_directory: Whether it is a directory.
        """
        subjects = (name, path, name.lower(), path.lower()) if self._ignores_case else (name, path)
        decisive = -1
        for text, numbers in zip(subjects, self._literal, strict=False):
            for number in numbers.get(text, ()):
                if is_directory or not self._rules[number].is_for_directories:
                    decisive = max(decisive, number)
                    break
        for number, is_for_directories, subject, matches in self._globs:
            if number < decisive:
                break
            if (is_directory or not is_for_directories) and matches(subjects[subject]):
                decisive = number
                break
        if decisive < 0:
            return None
        if self._hits is not None:
            self._note(subjects, is_directory, decisive)
        return self._rules[decisive].is_excluding

    def _note(self, subjects: Sequence[str], is_directory: bool, decisive: int) -> None:
        """Remember which lines matched, also where a later one decided."""
        assert self._hits is not None
        self._hits.add(self._rules[decisive].line)
        for text, numbers in zip(subjects, self._literal, strict=False):
            for number in numbers.get(text, ()):
                if is_directory or not self._rules[number].is_for_directories:
                    self._hits.add(self._rules[number].line)
        waiting = []
        for glob in self._globs_waiting:
            number, is_for_directories, subject, matches = glob
            is_hit = number == decisive or ((is_directory or not is_for_directories) and matches(subjects[subject]))
            if is_hit:
                self._hits.add(self._rules[number].line)
            else:
                waiting.append(glob)
        self._globs_waiting = waiting

    def matches(self, path: bytes, is_directory: bool) -> bool:
        """Return whether the last pattern that is about a path below the patterns' directory is not a `!`.

        The directories on the way are the caller's to ask about: nothing lies below one that is left out.
        """
        if not self._rules:
            return False
        # A name that is no UTF-8 is matched with surrogates in place of its odd bytes.
        text = path.decode("utf-8", "surrogateescape")
        return self.decide(text, text[text.rfind("/") + 1 :], is_directory) is True


def _read(line: str, *, ignores_case: bool) -> _Rule | None:
    text = _trimmed(line)
    if not text or text.startswith("#"):
        return None
    is_excluding = not text.startswith("!")
    body = text if is_excluding else text[1:]
    if not body:
        raise PatternError(f"{line!r} says nothing after its `!`")
    is_for_directories = body.endswith("/")
    body = body.removesuffix("/")
    if not body:
        return None  # A slash alone matches nothing (git check-ignore).
    wants_path = "/" in body
    try:
        glob = read_glob(body.removeprefix("/"), is_path=wants_path, ignores_case=ignores_case)
    except PatternError as error:
        raise PatternError(f"{line!r} {error}") from error
    return _Rule(is_excluding, is_for_directories, wants_path, ignores_case, glob)


def _components(path: bytes) -> list[str]:
    return [name for name in path.decode("utf-8", "surrogateescape").split("/") if name]


def _from_source(pattern: str, prefixes: Iterable[tuple[Sequence[str], bool]], ignores_case: bool) -> list[str]:
    """Return what is left of a pattern behind a path that it begins with, for each way to read it so."""
    is_absolute = pattern.startswith("/")
    names = pattern.removeprefix("/").split("/")
    found: dict[str, None] = {}
    for path, takes_any in prefixes:
        if path and (is_absolute or takes_any):
            for start in _starts_behind(names, path, ignores_case):
                if start and "".join(names[start:]):
                    found["/".join(names[start:])] = None
    return list(found)


def _starts_behind(names: Sequence[str], path: Sequence[str], ignores_case: bool) -> list[int]:
    """Return the places in a pattern's components from which on it is about what lies below a path."""
    places = {0}
    for name in path:
        reached = set()
        for place in _with_skipped_stars(names, places):
            if place < len(names) and names[place] == "**":
                reached.add(place)
            elif place < len(names) and _is_named(names[place], name, ignores_case):
                reached.add(place + 1)
        places = reached
    return sorted(places)


def _with_skipped_stars(names: Sequence[str], places: set[int]) -> set[int]:
    found = set(places)
    for start in places:
        place = start
        while place < len(names) and names[place] == "**":
            place += 1
            found.add(place)
    return found


def _is_named(pattern: str, name: str, ignores_case: bool) -> bool:
    if not pattern:
        return False
    name = name.lower() if ignores_case else name
    try:
        glob = read_glob(pattern, is_path=False, ignores_case=ignores_case)
    except PatternError:
        return False  # A slash within brackets: it is no pattern of single names.
    return glob == name if isinstance(glob, str) else bool(glob(name))


def _trimmed(line: str) -> str:
    """Return a line without the spaces at its end; one behind a backslash stays."""
    kept = line.rstrip(" ")
    is_escaped = len(kept) < len(line) and (len(kept) - len(kept.rstrip("\\"))) % 2 == 1
    return f"{kept} " if is_escaped else kept
