from __future__ import annotations

import pytest

from tallac.errors import PatternError
from tallac.source import Patterns


@pytest.mark.parametrize(
    ("pattern", "path", "is_directory", "decision"),
    [
        ("*.o", "a/b.o", False, True),
        ("*.o", "a/b.oo", False, None),
        ("b", "a/b", False, True),
        ("b/", "a/b", False, None),
        ("b/", "a/b", True, True),
        ("/b", "a/b", False, None),
        ("/b", "b", False, True),
        ("a/b", "a/b", False, True),
        ("a/b", "x/a/b", False, None),
        ("a/b", "a/b/c", False, None),
        ("**/b/c", "x/y/b/c", False, True),
        ("a/**", "a/x/y", False, True),
        ("a/**", "a", True, None),
        ("a/**/b", "a/b", False, True),
        ("a/[!x]b", "a//b", False, None),
        ("*", ".hidden", False, True),
        ("!b", "b", False, False),
        ("\\!b", "!b", False, True),
        ("\\#b", "#b", False, True),
        ("!#b", "#b", False, False),
        ("b\\ ", "b ", False, True),
        ("b ", "b", False, True),
        ("b /", "b ", True, True),
        ("b", "b\n", False, None),
        ("b*", "b\nc", False, True),
        ("#b", "#b", False, None),
        ("/", "b", True, None),
        ("gr\udcfcn?", "gr\udcfcn!", False, True),
    ],
)
def test_what_a_pattern_says(pattern: str, path: str, is_directory: bool, decision: bool | None) -> None:
    """A pattern leaves out, keeps, or says nothing of a path, as gitignore(5) has it."""
    assert Patterns.of([pattern]).decide(path, path.rpartition("/")[2], is_directory) is decision


def test_the_last_pattern_that_matches_decides() -> None:
    """Also among plain names, which are looked up together."""
    patterns = Patterns.of(["a", "b", "!b", "!c", "c", "b*"])
    assert [patterns.decide(name, name, False) for name in ("a", "b", "c", "d")] == [True, True, True, None]
    assert (Patterns.of(["*"]) + Patterns.of(["!b"])).decide("b", "b", False) is False


def test_case() -> None:
    """Capitals and small letters match each other where that is wanted, those beyond ASCII too."""
    patterns = Patterns.of(["*.JPG", "Übung"], ignores_case=True)
    assert patterns.decide("a.jpg", "a.jpg", False) is True
    assert patterns.decide("ÜBUNG", "ÜBUNG", False) is True
    assert Patterns.of(["*.JPG"]).decide("a.jpg", "a.jpg", False) is None


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "a[", "a\\"])
def test_what_is_no_pattern(pattern: str) -> None:
    """A text that can't match anything is refused, or told and passed over."""
    with pytest.raises(PatternError):
        Patterns.of([pattern])
    told: list[int] = []
    patterns = Patterns.of(["b", pattern], on_bad=lambda number, _: told.append(number))
    assert told == [2]
    assert patterns.decide("b", "b", False) is True


def test_odd_brackets() -> None:
    """Pairs of characters that Python may give a meaning one day are themselves, without a warning."""
    assert Patterns.of(["[a&&b]"]).decide("&", "&", False) is True


@pytest.mark.parametrize(
    ("pattern", "name", "decision"),
    [
        ("*a" * 40 + "b", "a" * 250, None),
        ("*a" * 40 + "*", "a" * 250, True),
        ("*ab*ba*", "abba", True),
        ("*ab*ba*", "aba", None),
        ("a*b*c", "abbbcbc", True),
        ("*?a*?", "xab", True),
        ("*?a*?", "xxa", None),
        ("*[ab]*[!c]", "ac", None),
        ("*[ab]*[!c]", "acd", True),
    ],
)
def test_many_stars(pattern: str, name: str, decision: bool | None) -> None:
    """Stars find what there is to find, however many there are, and do not try for ever."""
    assert Patterns.of([pattern]).decide(name, name, False) is decision
    assert Patterns.of([f"d/{pattern}"]).decide(f"d/{name}", name, False) is decision
