"""Patterns as in a `.gitignore` file (gitignore(5)), asked about one name at a time on the way down.

A pattern is matched against a path itself and never against what is below it: who is told that a directory is left out does not
go into it. That is how git itself decides, so `!` brings back what an earlier pattern left out, save below what is left out whole.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from tallac.errors import PatternError

_STAR = "[^/]*"
"""What the library writes for a star."""

_MAGIC = re.compile(r"[*?\[\\]")


class _Rule(Protocol):
    """One pattern, or several that say the same of different names.

    Attributes:
        is_excluding: Whether what matches is left out; else it is kept.
        wants_path: Whether `matches` looks at the path and not at the name alone.
    """

    @property
    def is_excluding(self) -> bool: ...

    @property
    def wants_path(self) -> bool: ...

    def matches(self, path: str, name: str, is_directory: bool) -> bool: ...


class _Names(NamedTuple):
    """Plain names, at any depth."""

    is_excluding: bool
    is_for_directories: bool
    names: frozenset[str]
    wants_path: bool = False

    def matches(self, path: str, name: str, is_directory: bool) -> bool:
        return name in self.names and (is_directory or not self.is_for_directories)


class _Glob(NamedTuple):
    """A pattern with wildcards, or with a slash in it.

    Attributes:
        regex: What all of the path, or of the name, has to match.
        slashes: How many slashes such a path has; None for any number.
    """

    is_excluding: bool
    is_for_directories: bool
    regex: re.Pattern[str]
    wants_path: bool
    slashes: int | None

    def matches(self, path: str, name: str, is_directory: bool) -> bool:
        if self.is_for_directories and not is_directory:
            return False
        # A range such as [!a] would take in a slash, were it not for the count.
        if self.slashes is not None and path.count("/") != self.slashes:
            return False
        return self.regex.fullmatch(path if self.wants_path else name) is not None


class Patterns:
    """Patterns of one origin, in their order: the last one that matches decides.

    Attributes:
        wording: Their lines as they were read, each with whether it ignores case; equal wordings decide alike.
        wants_path: Whether any of them looks at more than a name.
    """

    def __init__(self, rules: Sequence[_Rule] = (), wording: tuple[tuple[str, bool], ...] = ()) -> None:
        self._rules = tuple(reversed(_merged(rules)))
        self.wording = wording
        self.wants_path = any(rule.wants_path for rule in rules)

    @staticmethod
    def of(
        lines: Iterable[str], *, ignores_case: bool = False, on_bad: Callable[[int, PatternError], None] | None = None
    ) -> Patterns:
        """Read patterns, one a line; what is blank or a comment says nothing.

        Args:
            lines: With surrogates in the places of bytes that are not UTF-8.
            ignores_case: Whether capitals and small letters match each other.
            on_bad: Told the number of a line that is no pattern, and why; that line then says nothing.

        Raises:
            PatternError: A line is no pattern, and nobody else wants to know.
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
                rules.append(rule)
                wording.append((line, ignores_case))
        return Patterns(rules, tuple(wording))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __add__(self, later: Patterns) -> Patterns:
        """Put others behind these."""
        return Patterns([*reversed(self._rules), *reversed(later._rules)], self.wording + later.wording)

    def decide(self, path: str, name: str, is_directory: bool) -> bool | None:
        """Tell whether a name is left out (True) or kept (False); None where no pattern matches.

        Args:
            path: From the directory that the patterns belong to; not looked at unless `wants_path`.
            name: The last component of it.
            is_directory: Whether it is a directory.
        """
        for rule in self._rules:
            if rule.matches(path, name, is_directory):
                return rule.is_excluding
        return None


def _read(line: str, *, ignores_case: bool) -> _Rule | None:
    text = line if line.endswith("\\ ") else line.rstrip()
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
    if not wants_path and not ignores_case and not _MAGIC.search(body):
        return _Names(is_excluding, is_for_directories, frozenset((body,)))
    slashes = body.lstrip("/").count("/") if wants_path and "**" not in body else None
    regex = _translate(body, line, ignores_case=ignores_case)
    return _Glob(is_excluding, is_for_directories, regex, wants_path, slashes)


def _translate(body: str, line: str, *, ignores_case: bool) -> re.Pattern[str]:
    """Turn a pattern without its `!` and without a slash at its end into what all of a path, or name, has to match."""
    # late import: it takes longer than all the rest of the command's start, and most backups have no pattern.
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    # What is within a directory at any depth, named so that it is the whole path that matches.
    body = f"{body}/*" if body.endswith("/**") else body
    body = f"\\{body}" if body.startswith(("#", "!")) else body
    body = f"{body[:-1]}\\ " if body.endswith(" ") and not body.endswith("\\ ") else body
    try:
        text, _ = GitIgnoreSpecPattern.pattern_to_regex(body)
        if text is None:
            raise PatternError(f"{line!r} has a bracket that is not closed")
        with warnings.catch_warnings():
            # Python reserves some pairs of characters in brackets for the future; in a pattern they are themselves.
            warnings.simplefilter("ignore", FutureWarning)
            # The library writes a dot for "anything at all".
            return re.compile(".+" if text == "." else _tamed(text), re.DOTALL | (re.IGNORECASE if ignores_case else 0))
    except (ValueError, re.error) as error:
        raise PatternError(f"{line!r} is no pattern as in a .gitignore file") from error


def _tamed(text: str) -> str:
    """Let no star be tried again once what stands between it and the next star was found: the first place is as good as any.

    Otherwise a name of 255 letters and a pattern with ten stars take years, and ignore files are anybody's.
    """
    first, *rest = text.split(_STAR)
    tamed = [first]
    for number, part in enumerate(rest, 1):
        # A slash ends what a star stands for; what lies between two stars without one has a fixed length.
        is_fixed = number < len(rest) and "/" not in part.replace("[^/]", "")
        tamed.append(f"(?>[^/]*?{part})" if is_fixed else f"{_STAR}{part}")
    return "".join(tamed)


def _merged(rules: Sequence[_Rule]) -> list[_Rule]:
    """Join neighbouring plain names, so that a long list of them costs one look."""
    merged: list[_Rule] = []
    for rule in rules:
        last = merged[-1] if merged else None
        if isinstance(rule, _Names) and isinstance(last, _Names) and rule[:2] == last[:2]:
            merged[-1] = last._replace(names=last.names | rule.names)
        else:
            merged.append(rule)
    return merged
