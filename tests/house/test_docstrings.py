from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tallac"
REFUSED = re.compile(r"(Gives?|Says?|Tells?|Lets?|Have|What|Yes)\b|See (that|to)\b")
"""A docstring begins with an imperative as `Return`, with `Whether`, or with a noun phrase."""

# Packages whose docstrings are still being gone through; this set only ever shrinks.
NOT_YET: frozenset[str] = frozenset()


def _docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Iterate over the line and the text of every docstring, also those of constants and of members of enumerations."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def _refused(path: Path, text: str) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    return [f"{name}:{line}: {found.splitlines()[0]}" for line, found in _docstrings(ast.parse(text)) if REFUSED.match(found)]


def _package(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


PACKAGES = sorted({_package(path) for path in SOURCE.rglob("*.py")} - NOT_YET)


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_begin_as_a_python_reader_expects(package: str) -> None:
    """No docstring begins with Give, Say, Tell, Let, Have, What or See that: a function returns, reports, sets or removes."""
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if _package(path) == package]
    assert [line for path in paths for line in _refused(path, path.read_text("utf-8"))] == []


def test_refused_words_are_found() -> None:
    """Docstrings of modules, classes, functions and constants are read, and the place of a refused one is named."""
    text = '"""What it is."""\nSIZE = 1\n"""Whether."""\n\nclass A:\n    """An A."""\n\n    def b(self):\n        """Give it."""\n'
    assert _refused(SOURCE / "a.py", text) == ["src/tallac/a.py:1: What it is.", "src/tallac/a.py:9: Give it."]
