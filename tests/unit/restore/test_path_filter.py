from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tallac.dag import Entry, Metadata
from tallac.errors import UsageError
from tallac.restore import PathFilter, RestoreOptions, parse_owner_rules
from tallac.restore.owners import Owners
from tallac.restore.path_filter import Scope

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

FILE = Metadata(mode=0o100644)
DIRECTORY = Metadata(mode=0o40755)


def store(grid: FakeGrid, tree: dict[str, object]) -> Entry:
    """Store a tree of dicts; all else is a file."""

    def entries(part: dict[str, object]) -> list[Entry]:
        return [
            Entry.of(os.fsencode(name), grid.put_directory(entries(below)), DIRECTORY)
            if isinstance(below, dict)
            else Entry(os.fsencode(name), b"Lx", FILE)
            for name, below in sorted(part.items())
        ]

    return Entry.of(b"s", grid.put_directory(entries(tree)), DIRECTORY)


TREE: dict[str, object] = {
    "a.txt": 1,
    "b.TXT": 1,
    "deep": {"deeper": {"c.txt": 1, "d": 1}, "e": 1},
    "empty": {},
    "letters": {"f": 1, "old": {"g": 1}},
    "odd\udcff.txt": 1,
}
EVERY_PATH = (
    "a.txt b.TXT deep deep/deeper deep/deeper/c.txt deep/deeper/d deep/e empty "
    "letters letters/f letters/old letters/old/g odd\udcff.txt"
)


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (PathFilter(), EVERY_PATH),
        (PathFilter(["*.txt"]), "a.txt deep deep/deeper deep/deeper/c.txt odd\udcff.txt"),
        (PathFilter(iinclude=["*.TxT"]), "a.txt b.TXT deep deep/deeper deep/deeper/c.txt odd\udcff.txt"),
        (PathFilter(["/letters"], ["old/"]), "letters letters/f"),
        (PathFilter(["letters"], ["*.txt"]), "letters letters/f letters/old letters/old/g"),
        (PathFilter(["/a.txt", "empty/"]), "a.txt empty"),
        (PathFilter(exclude=["deep", "letters/*", "!letters/f"]), "a.txt b.TXT empty letters letters/f odd\udcff.txt"),
        (PathFilter(iexclude=["B.txt", "DEEP", "EMPTY/", "letters"]), "a.txt odd\udcff.txt"),
        (PathFilter(["nothing"]), ""),
    ],
)
def test_what_is_wanted_comes_back(grid: FakeGrid, restored: Restored, selection: PathFilter, wanted: str) -> None:
    """Patterns choose files and directories; directories on the way are made, others are not."""
    restored.options = RestoreOptions(selection=selection)
    summary = restored(store(grid, TREE))
    found = {
        os.path.relpath(os.path.join(top, name), restored.out)
        for top, directories, files in os.walk(restored.out)
        for name in (*directories, *files)
    }
    assert found == set(wanted.split())
    assert summary.files + summary.directories == len(found) + 1
    assert {os.fsdecode(path) for change, path in restored.changes} == found
    assert {change for change, path in restored.changes} <= {"new"}
    assert restored.problems == []


def test_directories_on_the_way_get_their_metadata(grid: FakeGrid, restored: Restored) -> None:
    """What is made only for what lies below comes back as it was."""
    inner = grid.put_directory([Entry(b"file", b"Lx", FILE)])
    outer = grid.put_directory([Entry.of(b"inner", inner, Metadata(mode=0o40751, mtime=(5, 0)))])
    restored.options = RestoreOptions(selection=PathFilter(["file"]))
    restored(Entry.of(b"s", grid.put_directory([Entry.of(b"outer", outer, Metadata(mode=0o40710, mtime=(7, 0)))])))
    for name, mode, mtime in (("outer", 0o710, 7), ("outer/inner", 0o751, 5)):
        status = (restored.out / name).stat()
        assert (status.st_mode & 0o777, status.st_mtime) == (mode, mtime)


def test_what_is_not_wanted_is_not_read(grid: FakeGrid, restored: Restored) -> None:
    """Damage in what is left out is nobody's trouble."""
    tree = grid.put_directory([Entry(b"file", b"Lx", FILE)])
    grid.forget_directory(tree)
    restored.options = RestoreOptions(selection=PathFilter(exclude=["lost"]))
    entries = [Entry(b"a", b"Lx", FILE), Entry.of(b"lost", tree, DIRECTORY)]
    assert restored(Entry.of(b"s", grid.put_directory(entries))).is_complete


def test_a_single_file_is_chosen_too(grid: FakeGrid, restored: Restored) -> None:
    """Patterns go for the file that was asked for by itself."""
    restored.options = RestoreOptions(selection=PathFilter(["*.txt"]))
    assert restored(Entry(b"a.txt", b"Lx", FILE)).files == 1
    assert restored(Entry(b"a.pdf", b"Lx", FILE)).files == 0
    assert os.listdir(restored.out) == ["a.txt"]


@pytest.mark.parametrize("pattern", ["", "  ", "# comment"])
def test_a_pattern_that_matches_nothing_is_an_error(pattern: str) -> None:
    """A mistake is told, and never taken for "everything"."""
    with pytest.raises(UsageError, match="matches nothing"):
        PathFilter([pattern])
    with pytest.raises(UsageError, match="matches nothing"):
        PathFilter(iexclude=[pattern])


def test_nothing_is_below_what_is_left_out() -> None:
    """As in git, what lies in an excluded directory can't be included again."""
    selection = PathFilter(["*"], ["/a/"])
    assert selection.scope(b"a", is_directory=True, parent=selection.top) is Scope.OUT
    assert selection.scope(b"a/b", is_directory=False, parent=Scope.OUT) is Scope.OUT


def test_owners_go_where_rules_say() -> None:
    """A name comes before a number, a rule before this machine's own names, and what no rule names stays."""
    rules = parse_owner_rules(["ann:1234", "77:root", "5:6"])
    owners = Owners(numeric=True, user_rules=rules, group_rules=parse_owner_rules(["5:60"]))
    assert owners.owner_of(Metadata(user="ann", uid=77, gid=5)) == (1234, 60)
    assert owners.owner_of(Metadata(user="bob", uid=77, gid=1)) == (0, 1)
    assert owners.owner_of(Metadata(uid=5, gid=1)) == (6, 1)
    assert owners.owner_of(Metadata(user="bob", uid=8, gid=1)) == (8, 1)


@pytest.mark.parametrize("text", ["", "a", "a:", ":b", "a:b:c"])
def test_a_rule_that_is_no_pair_is_an_error(text: str) -> None:
    """And is told before anything is done."""
    with pytest.raises(UsageError, match="not a pair"):
        parse_owner_rules([text])


def test_a_rule_needs_an_owner_that_exists(grid: FakeGrid, restored: Restored) -> None:
    """Before anything is made."""
    restored.options = RestoreOptions(user_rules=parse_owner_rules(["ann:nobody-has-this-name"]))
    with pytest.raises(UsageError, match="no such user"):
        restored(store(grid, TREE))
    assert not restored.out.exists()
