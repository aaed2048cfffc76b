"""Counts look the same in the reports of all commands: with their thousands grouped, which `pluralize` or `:,` does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CLI = Path(__file__).parents[2] / "src" / "tallac" / "cli"
COUNTED = (
    "packs",
    "objects",
    "files",
    "directories",
    "paths",
    "snapshots",
    "sessions",
    "count",
    "unreadable",
    "troubles",
    "removed",
)
FILES = sorted([*(CLI / "commands").glob("*.py"), *(CLI / "reports").glob("*.py")])


def _is_count(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "len"
    if isinstance(node, ast.BinOp):
        return _is_count(node.left)
    name = node.attr if isinstance(node, ast.Attribute) else ""
    return name.rpartition("_")[2] in COUNTED


def _ungrouped(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and node.format_spec is None and _is_count(node.value):
            yield f"line {node.lineno}: {ast.unparse(node.value)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and _is_count(node.args[0]):
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_counts_have_their_thousands_grouped(path: Path) -> None:
    """No count is put into a line as it is."""
    assert list(_ungrouped(ast.parse(path.read_bytes()))) == []


def test_the_test_finds_some() -> None:
    """What would be wrong is found."""
    found = list(_ungrouped(ast.parse("f'{report.files} {len(names)} {n.count - 1} {files} {report.files:,}' + str(facts.files)")))
    assert len(found) == 4
