"""The table of known losses and the "(row N)" in docstrings of tests say the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "known-losses.md"
ROWS = re.compile(r"\(rows? (\d+(?:(?:, | and )\d+)*)\)")


def _rows_in(docstring: str) -> Iterator[int]:
    for group in ROWS.findall(docstring):
        yield from map(int, re.findall(r"\d+", group))


def _claims() -> set[tuple[int, str, str]]:
    """Find (row, file, test) in the docstrings of all tests."""
    return {
        (row, path.relative_to(ROOT).as_posix(), node.name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        for row in _rows_in(ast.get_docstring(node) or "")
    }


def _table() -> dict[int, set[tuple[str, str]]]:
    """Read the table: each row's (file, test)."""
    table = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0].isdigit():
            assert len(cells) == 5, line
            assert all(cells), line
            table[int(cells[0])] = {(path, name) for name, path in re.findall(r"\[`(\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", cells[4])}
    return table


def test_rows_are_numbered_without_gaps() -> None:
    """The table has rows 1, 2, 3 and so on."""
    assert list(_table()) == list(range(1, len(_table()) + 1))


def test_every_row_has_the_tests_that_name_it() -> None:
    """A row lists exactly the tests whose docstrings name it, by file and name, and at least one."""
    table, claims = _table(), _claims()
    listed = {(row, path, name) for row, tests in table.items() for path, name in tests}
    assert listed - claims == set(), "docs/known-losses.md lists tests that are not there, or do not name the row"
    assert claims - listed == set(), "docs/known-losses.md lacks tests that name a row"
    assert [row for row, tests in table.items() if not tests] == [], "a row without a test"


def test_rows_are_recognised() -> None:
    """The check above reads one row or several, and nothing else."""
    assert list(_rows_in("All is well (row 4).")) == [4]
    assert list(_rows_in("All is well (rows 2 and 3).")) == [2, 3]
    assert list(_rows_in("All is well (rows 12, 13, 15).")) == [12, 13, 15]
    assert list(_rows_in("A table has rows 1 and 2 (and a row more).")) == []
