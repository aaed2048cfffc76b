"""Decisions are numbered without gaps, and the index names each of them once, in order."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
INDEX = DECISIONS / "000-index.md"


def _pages() -> list[str]:
    return sorted(path.name for path in DECISIONS.glob("*.md") if path != INDEX)


def test_numbers_have_no_gaps() -> None:
    """Pages are numbered from 001 on, each number once."""
    pages = _pages()
    assert [page[:4] for page in pages] == [f"{number:03}-" for number in range(1, len(pages) + 1)]


def test_the_index_names_each_in_order() -> None:
    """The index has one row for each page, in the order of the numbers, and the link goes to the page of that number."""
    rows = re.findall(r"^\| \[(\d{3})\]\(([^)]+)\) \| \S", INDEX.read_text("utf-8"), flags=re.MULTILINE)
    assert rows == [(page[:3], page) for page in _pages()]


def test_a_page_begins_with_its_number() -> None:
    """The heading of a page has the number of its file."""
    for page in _pages():
        assert (DECISIONS / page).read_text("utf-8").startswith(f"# {page[:3]}: "), page


def test_references_lead_to_decisions_that_exist() -> None:
    """Where a page or a source speaks of decision NNN, there is one of that number."""
    numbers = {page[:3] for page in _pages()}
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    named = {
        (path.relative_to(ROOT).as_posix(), number)
        for path in files
        if path.is_file()
        for number in re.findall(r"\b[Dd]ecision\s+\[?(\d{3})\b", path.read_text("utf-8"))
    }
    assert named
    assert {(path, number) for path, number in named if number not in numbers} == set()
