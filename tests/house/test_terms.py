"""The page on terms has the words that the source uses."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _terms() -> list[str]:
    """Read the words of the first table, several of which may share a row."""
    page = (ROOT / "docs" / "terms.md").read_text("utf-8").partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", page, flags=re.MULTILINE)[1:]
    return [term.strip() for row in rows for term in row.split(",") if not row.startswith("-")]


def _pattern(term: str) -> re.Pattern[str]:
    """Match a term as running text, as a name with underscores, or as a class's name; in the singular or the plural."""
    return re.compile(r"[\s_]*".join(re.escape(word) for word in term.removesuffix("s").split()), re.IGNORECASE)


def test_the_source_uses_every_term() -> None:
    """No term is on the page that the source does not say any more."""
    source = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    assert len(_terms()) > 30
    assert [term for term in _terms() if not _pattern(term).search(source)] == []


def test_a_term_is_found_however_it_is_written() -> None:
    """The check above finds a term as text and as a name, and nothing else."""
    for text in ("two pending deletions", "PendingDeletions", "pending_deletion"):
        assert _pattern("pending deletions").search(text)
    assert not _pattern("pending deletions").search("deletions that are pending")
