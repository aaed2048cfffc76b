"""The threat model's statements and the tests that prove them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
TEXT, _, TABLE = PAGE.partition("## What proves it")
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.*) \|$", flags=re.MULTILINE)
ENTRY = re.compile(r"`(tests/[\w/]+\.py)`: ((?:test_\w+(?:, )?)+)")


def test_each_mark_has_its_tests() -> None:
    """Every mark in the text has a row, every row a mark, and none stands twice."""
    rows = [mark for mark, _ in ROW.findall(TABLE)]
    marks = {mark for group in re.findall(r"\(([A-Z]\d+(?:, [A-Z]\d+)*)\)", TEXT) for mark in group.split(", ")}
    assert len(rows) == len(set(rows)) > 20
    assert marks == set(rows)


def test_each_test_is_there() -> None:
    """What a row names is the name of a test in that file, and a row names nothing else."""
    for mark, tests in ROW.findall(TABLE):
        entries = ENTRY.findall(tests)
        assert entries, mark
        for file, names in entries:
            source = (ROOT / file).read_text("utf-8")
            for name in names.split(", "):
                assert f"def {name}(" in source, f"{mark}: {file} has no {name}"
        assert ENTRY.sub("", tests).strip("; ") == "", mark


def test_the_table_has_no_empty_cell() -> None:
    """Each role has an answer for each goal: marks, or words."""
    table = PAGE.partition("### All of it in one table")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) > 12
    assert {len(row) for row in rows} == {7}
    assert all(cell.strip() for row in rows for cell in row)
