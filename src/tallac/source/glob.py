"""Globs by the rules of git's wildmatch (gitignore(5)): text in, a test of paths out.

Two things are not as in git: `?` and brackets stand for a character, where git takes a byte; and where case is ignored, letters
beyond ASCII count too.

No path and no glob takes more than polynomial time, because ignore files are anybody's: what stands between two stars, or two `**`,
is looked for once, at the first place where it fits. A later place could not do better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from tallac.errors import PatternError

_MAGIC = re.compile(r"[*?[\\]")

# Git's classes are those of ASCII; its `space` has neither a form feed nor a vertical tab.
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}

Matches: TypeAlias = Callable[[str], object]
"""Whether a text matches, by the truth of what is returned."""


class _Token(NamedTuple):
    """One step of a glob.

    Attributes:
        regex: What a character has to match; "" for stars.
        literal: The only character that does; "" where there are several.
        stars: How many stars stand here.
    """

    regex: str
    literal: str = ""
    stars: int = 0


_SLASH = _Token("/", "/")
_ESCAPED_SLASH = _Token("\\/", "/")
_STAR = _Token("", stars=1)


def read_glob(text: str, *, is_path: bool, ignores_case: bool) -> str | Matches:
    """Read a glob; return the text itself where it matches that alone, else a test.

    Args:
        text: Without a slash at its beginning or its end.
        is_path: It is matched against paths, and not against single names.
        ignores_case: It is matched against texts in lower case only.

    Raises:
        PatternError: Nothing can match it.
    """
    tokens = _read_tokens(text)
    if all(token.literal for token in tokens):
        literal = "".join(token.literal for token in tokens)
        return literal.lower() if ignores_case else literal
    flags = re.IGNORECASE if ignores_case else 0
    if not is_path:
        return _compiled(tokens, flags)
    # Git compares all that stands before the first special character by itself, and reads the rest as if it began there.
    magic = _MAGIC.search(text)
    length = 0 if magic is None else magic.start()
    prefix = text[:length].lower() if ignores_case else text[:length]
    return _PathGlob(prefix, _groups(tokens[length:], flags)).matches


class _PathGlob:
    """A prefix, and behind it groups of neighbouring names; between two groups lies any number of names."""

    def __init__(self, prefix: str, groups: Sequence[Sequence[Matches]]) -> None:
        self._prefix = prefix
        self._first, *self._middle = groups
        self._last = self._middle.pop() if self._middle else None

    def matches(self, path: str) -> bool:
        """Whether all of a path matches."""
        if not path.startswith(self._prefix):
            return False
        names = path[len(self._prefix) :].split("/")
        start, end = len(self._first), len(names)
        if self._last is None:
            return start == end and _fits(self._first, names, 0)
        end -= len(self._last)
        if end < start or not _fits(self._first, names, 0) or not _fits(self._last, names, end):
            return False
        for group in self._middle:
            while start + len(group) <= end and not _fits(group, names, start):
                start += 1
            start += len(group)
            if start > end:
                return False
        return True


def _fits(group: Sequence[Matches], names: Sequence[str], start: int) -> bool:
    return all(matches(names[place]) for place, matches in enumerate(group, start))


def _groups(tokens: Iterable[_Token], flags: int) -> list[list[Matches]]:
    groups: list[list[Matches]] = [[]]
    component: list[_Token] = []
    for token in (*tokens, None):
        if token is not None and token.literal != "/":
            component.append(token)
            continue
        if len(component) != 1 or component[0].stars < 2:
            groups[-1].append(_compiled(component, flags))
        else:
            # `**/` stands for no name too; a `**` at the end, or before an escaped slash, for one at least.
            if token is not _SLASH:
                groups[-1].append(_compiled([_STAR], flags))
            groups.append([])
        component = []
    return groups


def _compiled(tokens: Sequence[_Token], flags: int) -> Matches:
    """Turn what stands between two slashes into a test of one name."""
    regex, part, has_star = "", "", False
    for token in tokens:
        if not token.stars:
            part += token.regex
        elif part or not has_star:
            # The parts between stars have fixed lengths: the first place where one is found is as good as any.
            regex += f"(?>.*?{part})" if has_star else part
            part, has_star = "", True
    regex += f".*{part}" if has_star else part
    return re.compile(regex, flags | re.DOTALL).fullmatch


def _read_tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    while place < len(text):
        character = text[place]
        place += 1
        if character == "*":
            begin = place - 1
            while text[place : place + 1] == "*":
                place += 1
            tokens.append(_Token("", stars=place - begin))
        elif character == "?":
            tokens.append(_Token("."))
        elif character == "[":
            regex, place = _read_bracket(text, place)
            tokens.append(_Token(regex))
        elif character == "\\":
            if place == len(text):
                raise PatternError("ends in a backslash")
            tokens.append(_ESCAPED_SLASH if text[place] == "/" else _literal(text[place]))
            place += 1
        else:
            tokens.append(_SLASH if character == "/" else _literal(character))
    return tokens


def _literal(character: str) -> _Token:
    return _Token(re.escape(character), character)


def _read_bracket(text: str, place: int) -> tuple[str, int]:
    """Read a bracket from behind its beginning; return it as a regular expression, and the place behind its end."""
    is_negated = text[place : place + 1] in ("!", "^")
    begin = place = place + is_negated
    parts: list[str] = []
    # The character that a range could begin with; none behind a range or a class.
    previous = ""
    while place == begin or text[place : place + 1] != "]":
        character = text[place : place + 1]
        if (found := _read_class(text, place)) is not None:
            part, place = found
            parts.append(part)
            previous = ""
        elif character == "-" and previous and text[place + 1 : place + 2] not in ("", "]"):
            last, place = _read_character(text, place + 1)
            if previous <= last:
                parts.append(f"{re.escape(previous)}-{re.escape(last)}")
            previous = ""
        else:
            previous, place = _read_character(text, place)
            parts.append(re.escape(previous))
    return f"[{'^' if is_negated else ''}{''.join(parts)}]", place + 1


def _read_character(text: str, place: int) -> tuple[str, int]:
    if text[place : place + 1] == "\\":
        place += 1
    if place >= len(text):
        raise PatternError("has a bracket that is not closed")
    return text[place], place + 1


def _read_class(text: str, place: int) -> tuple[str, int] | None:
    """Read a class such as `[:alpha:]` within a bracket; return None where there is none."""
    if not text.startswith("[:", place):
        return None
    end = text.find("]", place + 2)
    if end <= place + 2 or text[end - 1] != ":":
        return None
    name = text[place + 2 : end - 1]
    if name not in _CLASSES:
        raise PatternError(f"has a bracket with the unknown class {name!r}")
    return _CLASSES[name], end + 1
