"""The output that the pages quote has the words that the program prints: rows of reports, and messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
ROW = re.compile(r"([a-z][a-z ,-]*?)(?: {2,}\S|$)")
"""A row of a report: its label, and two spaces or more before its value."""
MESSAGE = re.compile(r"tallac: (.+)")
PART_SIZE_MIN = 10


@cache
def _texts() -> frozenset[str]:
    """Give all texts in the package's source, and the parts between the values of those that have values in them."""
    found: set[str] = set()
    for path in sorted((ROOT / "src" / "tallac").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(found)


def _outputs(text: str) -> Iterator[str]:
    """Give the lines that commands of ours have printed, by the pages: those after a prompt with a command, to the block's end."""
    is_ours = False
    for line in text.splitlines():
        code = line[4:] if line.startswith("    ") else None
        if code is None:
            is_ours = is_ours and not line
        elif code.startswith(("$ ", "> ")):
            words = re.split(r"[|;&] *", code[2:])
            is_ours = all(word.startswith("tallac ") for word in words)
        elif is_ours and code.strip():
            yield code


def _wrong(text: str) -> Iterator[str]:
    words = {word for text in _texts() for word in (text, text.removeprefix("would be "), text.strip(" :"))}
    for line in _outputs(text):
        row, message = ROW.match(line), MESSAGE.match(line)
        if message is not None:
            if not any(len(part) >= PART_SIZE_MIN and part in message[1] for part in _texts()):
                yield line
        elif row is not None and " " * 2 in line and not ({row[1], row[1].removeprefix("would be ")} & words):
            yield line


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_quoted_output_is_what_is_printed(page: Path) -> None:
    """Each quoted row has a label, and each quoted message a part, that stands in the source."""
    assert list(_wrong(page.read_text("utf-8"))) == []


def test_stale_output_is_found() -> None:
    """A row and a message that nothing prints are found; what other commands print is not looked at."""
    lines = ("$ tallac prune", "in use    5 objects, 1 kB", "frobbed   2 packs, 1 kB", "tallac: frobnicated beyond recognition")
    quoted = "".join(f"    {line}\n" for line in lines)
    assert [line.split()[0] for line in _wrong(quoted)] == ["frobbed", "tallac:"]
    assert list(_wrong("    $ tar -tv\n    frobbed   2 packs\n")) == []
