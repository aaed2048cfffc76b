"""Archives that would write elsewhere when they are unpacked, by a program that is not careful (finding 11 of the review).

The attacker has made the snapshot. The unpacker follows links that lie there already, as Python's own tarfile once did.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from itertools import permutations

import pytest
from tests.unit.restore.conftest import FakeGrid

from tallac.caps import ImmutableDirectory, MutableDirectoryRead, MutableFormat
from tallac.dag import Entry, Metadata
from tallac.restore import ArchiveKind, Problem, RestoreObserver, RestoreOptions, write_archive

FILE, DIRECTORY = Metadata(mode=0o100644), Metadata(mode=0o40755)
LINK = Metadata(mode=0o120777, target=b"/etc")
TOP = ImmutableDirectory(b"t" * 16, b"t" * 32, 1, 1, 1)


@pytest.fixture
def grid() -> FakeGrid:
    """Give a grid that keeps directories in any order."""
    return FakeGrid()


def below(grid: FakeGrid, name: bytes) -> Entry:
    """Store a directory with one file."""
    return Entry.of(name, grid.put_directory([Entry(b"passwd", b"Lmine", FILE)]), DIRECTORY)


def written(grid: FakeGrid, entries: list[Entry], kind: ArchiveKind) -> tuple[bytes, list[Problem]]:
    """Write an archive of a directory with these entries in this order."""
    grid.put_at(TOP, entries)
    problems: list[Problem] = []
    stream = BytesIO()
    observer = RestoreObserver(problem=problems.append)
    write_archive(grid, Entry.of(b"", TOP, DIRECTORY), stream, kind, options=RestoreOptions(), observer=observer)
    return stream.getvalue(), problems


def members_of(raw: bytes, kind: ArchiveKind) -> list[tuple[str, bool]]:
    """Return the members of an archive in their order, each with whether it is a symbolic link."""
    if kind is ArchiveKind.TAR:
        with tarfile.open(fileobj=BytesIO(raw)) as archive:
            return [(member.name.removesuffix("/"), member.issym()) for member in archive]
    with zipfile.ZipFile(BytesIO(raw)) as zipped:
        return [(info.filename.removesuffix("/"), info.external_attr >> 28 == 0o12) for info in zipped.infolist()]


def assert_harmless(members: list[tuple[str, bool]], same: Callable[[str], str]) -> None:
    """See that no name is there twice, and nothing lies below a link."""
    names = [name for name, _ in members]
    assert len(set(names)) == len(names)
    links = {same(name) for name, is_link in members if is_link}
    for name in names:
        above = same(name).split("/")
        assert not any("/".join(above[:length]) in links for length in range(1, len(above))), members


@pytest.mark.parametrize("kind", ArchiveKind)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_name_stands_once(grid: FakeGrid, kind: ArchiveKind, order: tuple[int, ...]) -> None:
    """Of a link, a directory and a file of one name, in any order, the first is written, and the others are named."""
    entries = [Entry(b"x", b"L", LINK), below(grid, b"x"), Entry(b"x", b"Lmine", FILE)]
    raw, problems = written(grid, [entries[number] for number in order], kind)
    members = members_of(raw, kind)
    assert_harmless(members, str)
    assert [name for name, _ in members if name in ("x", "x/passwd")] == (["x", "x/passwd"] if order[0] == 1 else ["x"])
    assert [problem.path for problem in problems] == [b"x", b"x"]


@pytest.mark.parametrize("kind", ArchiveKind)
def test_names_out_of_order_are_refused(grid: FakeGrid, kind: ArchiveKind) -> None:
    """A second entry of a name may stand anywhere behind the first one, and deeper down too."""
    deep = Entry.of(b"m", grid.put_directory([]), DIRECTORY)
    assert isinstance(deep.cap, ImmutableDirectory)
    inner = ImmutableDirectory(b"i" * 16, b"i" * 32, 1, 1, 1)
    grid.put_at(inner, [Entry(b"x", b"L", LINK), Entry(b"y", b"Lmine", FILE), below(grid, b"x"), Entry(b"z", b"Lmine", FILE)])
    entries = [below(grid, b"a"), Entry.of(b"m", inner, DIRECTORY), below(grid, b"a"), below(grid, b"n"), Entry(b"b", b"L", LINK)]
    raw, problems = written(grid, entries, kind)
    members = members_of(raw, kind)
    assert_harmless(members, str)
    assert {"a/passwd", "m/x", "m/y", "m/z", "n/passwd"} <= {name for name, _ in members}
    assert [problem.path for problem in problems] == [b"m/x", b"a", b"b"]


@pytest.mark.parametrize("kind", ArchiveKind)
def test_a_directory_that_contains_itself_ends(grid: FakeGrid, kind: ArchiveKind) -> None:
    """A mutable directory can be its own descendant: that is named, and all else is in the archive once."""
    cap = MutableDirectoryRead(bytes(16), bytes(32), MutableFormat.SDMF)
    middle = Entry.of(b"middle", grid.put_directory([Entry.of(b"again", cap, DIRECTORY)]), DIRECTORY)
    grid.put_at(cap, [middle, Entry(b"z", b"Lmine", FILE)])
    raw, problems = written(grid, [Entry.of(b"a", cap, DIRECTORY)], kind)
    assert [name for name, _ in members_of(raw, kind) if name.strip("./")] == ["a", "a/middle", "a/z"]
    assert [problem.path for problem in problems] == [b"a/middle/again"]


ONE_ELSEWHERE = {
    "case": (b"X", b"x"),
    "accents": ("A\u0308".encode(), "\u00c4".encode()),
    "a joiner": (b"x", "x\u200d".encode()),
    "a dot at the end": (b"x", b"x."),
}


@pytest.mark.parametrize("name", ONE_ELSEWHERE)
def test_a_zip_has_nothing_below_a_link_on_other_file_systems(grid: FakeGrid, name: str) -> None:
    """Where a Mac or Windows takes the names of a link and a directory for one, nothing is written into that directory."""
    link, directory = ONE_ELSEWHERE[name]
    entries = sorted([Entry(link, b"L", LINK), below(grid, directory)], key=lambda entry: entry.name)
    raw, problems = written(grid, entries, ArchiveKind.ZIP)
    names = [name for name, _ in members_of(raw, ArchiveKind.ZIP)]
    assert f"{directory.decode()}/passwd" not in names
    assert [problem.path for problem in problems] == [directory + b"/passwd"]
    # On Linux they are two names, and tar is of Linux.
    raw, problems = written(grid, entries, ArchiveKind.TAR)
    assert f"{directory.decode()}/passwd" in [name for name, _ in members_of(raw, ArchiveKind.TAR)]
    assert problems == []


WINDOWS = [
    b"..\\..\\evil",
    b"\\evil",
    b"\\\\host\\share\\evil",
    b"C:evil",
    b"C:\\evil",
    b"c:",
    b"a\\..\\b",
    b"\xff\\evil",
    b"C:\xff",
]


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_a_zip_leads_nowhere_on_windows(grid: FakeGrid, name: bytes, kind: str) -> None:
    """Backslashes and drives are written so that they mean nothing, at the top and further down, and that is said."""
    made = {"file": Entry(name, b"Lmine", FILE), "link": Entry(name, b"L", LINK), "directory": below(grid, name)}[kind]
    deep = Entry.of(b"d", grid.put_directory([made]), DIRECTORY)
    raw, problems = written(grid, sorted([made, deep], key=lambda entry: entry.name), ArchiveKind.ZIP)
    for member, _ in members_of(raw, ArchiveKind.ZIP):
        assert "\\" not in member
        assert not any(re.match("[A-Za-z]:", component) for component in member.split("/"))
    assert {problem.path for problem in problems} >= {name, b"d/" + name}
    assert len(members_of(raw, ArchiveKind.ZIP)) == (5 if kind == "directory" else 3)


def test_an_escaped_name_is_taken_by_nobody_else(grid: FakeGrid) -> None:
    """A link whose own name is what another's is escaped to does not get that one's directory below it."""
    entries = [Entry(b"a%5Cb", b"L", LINK), below(grid, b"a\\b"), Entry(b"c%FF", b"L", LINK), below(grid, b"c\xff")]
    raw, problems = written(grid, entries, ArchiveKind.ZIP)
    members = members_of(raw, ArchiveKind.ZIP)
    assert_harmless(members, str.casefold)
    assert [name for name, _ in members] == ["a%5Cb", "c%FF"]
    assert {problem.path for problem in problems} == {b"a\\b", b"c\xff"}


def test_ordinary_names_stay_as_they_are(grid: FakeGrid) -> None:
    """Colons, percent signs and dots of honest names are not touched, and nothing is said."""
    names = [b"100%", b"2026-01-02_03:04:05Z", b"a.b.", b"ab:c", "\u00e4".encode()]
    raw, problems = written(grid, [Entry(name, b"Lmine", FILE) for name in names], ArchiveKind.ZIP)
    assert [name.encode() for name, _ in members_of(raw, ArchiveKind.ZIP)] == names
    assert problems == []
