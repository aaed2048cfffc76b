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
        ("b\t", "b", False, None),
        ("b\t", "b\t", False, True),
        ("b\u00a0", "b\u00a0", False, True),
        ("b\u2028", "b", False, None),
        ("b\\  ", "b ", False, True),
        ("b\\\\  ", "b\\", False, True),
        ("[a\\-c]", "-", False, True),
        ("[a\\-c]", "b", False, None),
        ("[\\a-c]", "b", False, True),
        ("[]a]", "]", False, True),
        ("[!]a]", "b", False, True),
        ("[z-a]", "z", False, True),
        ("[z-a]", "b", False, None),
        ("[a-c-e]", "-", False, True),
        ("[[:upper:]_]", "A", False, True),
        ("[[:upper:]_]", "a", False, None),
        ("[[:a]", ":", False, True),
        ("FO[!/]", "FOO", False, True),
        ("FO[!/]", "x/FOO", False, None),
        ("a\\/b", "a/b", False, True),
        ("**\\/b", "b", False, None),
        ("**\\/b", "a/b", False, True),
        ("a/b**/c", "a/bc", False, True),
        ("a/b**/c", "a/bx/y/c", False, True),
        ("[a]**/c", "ax/c", False, True),
        ("[a]**/c", "ax/y/c", False, None),
        ("/**", "a/b", False, True),
        ("**", "a/b", False, True),
        ("a/**/**/b", "a/b", False, True),
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


@pytest.mark.parametrize("pattern", ["!", "a[", "a[]", "[x\\]", "[[:letters:]]", "a\\"])
def test_what_is_no_pattern(pattern: str) -> None:
    """A text that can't match anything is refused, or told and passed over."""
    with pytest.raises(PatternError):
        Patterns.of([pattern])
    told: list[int] = []
    patterns = Patterns.of(["b", pattern], on_bad=lambda number, _: told.append(number))
    assert told == [2]
    assert patterns.decide("b", "b", False) is True


def test_lines_of_a_file() -> None:
    """A file may begin with a byte order mark, and its lines may end as on Windows; spaces before that end are cut off."""
    patterns = Patterns.of_file(
        b"\xef\xbb\xbfa\r\nb \\ \r\n\r\n#c\r\nd", on_bad=lambda number, error: pytest.fail(f"{number}: {error}")
    )
    assert [patterns.decide(name, name, False) for name in ("a", "b  ", "#c", "d", "b")] == [True, True, None, True, None]


def test_many_exact_patterns_are_looked_up() -> None:
    """Patterns without wildcards are not tried one after the other, and still the last one that matches decides."""
    lines = [f"/d{number}/f{number}" for number in range(5000)] + ["*.keep", "!/d7/f7", "/d8/*", "!/d8/x"]
    patterns = Patterns.of(lines)
    assert patterns.decide("d9/f9", "f9", False) is True
    assert patterns.decide("d7/f7", "f7", False) is False
    assert (patterns.decide("d8/f8", "f8", False), patterns.decide("d8/x", "x", False)) == (True, False)
    assert patterns.decide("d1/f2", "f2", False) is None


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


def test_many_levels() -> None:
    """Neither a deep path nor many `**` make a pattern slow."""
    patterns = Patterns.of(["**/a/" * 40 + "b", "/" + "*/**/" * 40 + "c"])
    path = "a/" * 2000
    assert patterns.decide(f"{path}b", "b", False) is True
    assert patterns.decide(f"{path}x", "x", False) is None
    assert patterns.decide(f"{path}c", "c", False) is True
