from __future__ import annotations

from stat import S_IFDIR, S_IFLNK, S_IFREG

import pytest

from tallac.caps import ImmutableDirectory, ImmutableFile
from tallac.dag import Entry, FileType, Metadata
from tallac.errors import UsageError
from tallac.look.criteria import Comparison, Criteria, PathPattern, SizeLimit, parse_types


@pytest.mark.parametrize(
    ("pattern", "path", "is_meant"),
    [
        ("*.txt", "a/b.txt", True),
        ("*.txt", "a.txt/b", False),
        ("b.tx?", "a/b.txt", True),
        ("[!a].txt", "b.txt", True),
        ("B.txt", "b.txt", False),
        ("a/b", "a/b", True),
        ("a/b", "x/a/b", True),
        ("a/b", "xa/b", False),
        ("a/b", "a/b/c", False),
        ("/a/b", "x/a/b", False),
        ("/a", "a", True),
        ("a/*", "a/b/c", False),
        ("a/**", "a/b/c", True),
        ("a/**/d", "a/d", True),
        ("a/**/d", "x/a/b/c/d", True),
        ("/a/**/d", "x/a/d", False),
        ("**/a/**/b/**/c", "a/a/b/x/b/y/z", False),
        ("*", ".hidden", True),
        ("a\nb", "a\nb", True),
    ],
)
def test_patterns(pattern: str, path: str, is_meant: bool) -> None:
    """Names and parts of paths are matched name by name; no star crosses a slash, two do."""
    assert PathPattern(pattern).matches(path.encode()) is is_meant


def test_patterns_of_bytes_and_letters() -> None:
    """Bytes that are no text match themselves; case is ignored for all letters."""
    assert PathPattern("*\udcff").matches(b"a/b\xff")
    assert PathPattern("ÄRGER*", ignore_case=True).matches("x/ärgerlich".encode())
    assert not PathPattern("ÄRGER*").matches("x/ärgerlich".encode())
    for text in ("", "/", "//"):
        with pytest.raises(UsageError):
            PathPattern(text)


def test_a_costly_pattern() -> None:
    """Many stars and a long path take no time that grows with their combinations."""
    pattern = PathPattern("/".join(["**", "a"] * 30))
    assert not pattern.matches(b"/".join([b"a"] * 29))
    assert pattern.matches(b"/".join([b"a"] * 300))


def test_types() -> None:
    """Letters stand for types, as in find(1)."""
    assert parse_types(["f,d", "l"]) == {FileType.REGULAR, FileType.DIRECTORY, FileType.SYMLINK}
    for text in ("x", "", "f,,d"):
        with pytest.raises(UsageError):
            parse_types([text])


def test_all_at_a_time() -> None:
    """An entry has to fulfil everything; sizes are files' alone, and what has no time is neither newer nor older."""
    file = Entry.of(b"f", ImmutableFile(bytes(16), bytes(32), 1, 1, 500), Metadata(mode=S_IFREG, mtime=(10, 0)))
    link = Entry.of(b"l", ImmutableFile(bytes(16), bytes(32), 1, 1, 500), Metadata(mode=S_IFLNK, mtime=(10, 0)))
    folder = Entry.of(b"d", ImmutableDirectory(bytes(16), bytes(32), 1, 1, 500), Metadata(mode=S_IFDIR))
    large = Criteria(sizes=[SizeLimit(Comparison.AT_LEAST, 500)])
    assert [large.matches_entry(entry) for entry in (file, link, folder)] == [True, False, False]
    recent = Criteria(newer_ns=10**10, older_ns=10**10)
    assert [recent.matches_entry(entry) for entry in (file, link, folder)] == [True, True, False]
    assert not Criteria(newer_ns=10**10 + 1).matches_entry(file)
    assert not Criteria(older_ns=10**10 - 1).matches_entry(file)
    assert not Criteria(sizes=[SizeLimit(Comparison.AT_LEAST, 500)], types=parse_types("d")).matches_entry(file)
    both = Criteria([PathPattern("a"), PathPattern("b")])
    assert both.matches_path(b"x/b")
    assert not both.matches_path(b"x/c")
