"""The guide's list of environment variables is what the source reads, no more and no less."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide" / "environment.md"
MAPPINGS = ("environ", "environment")
"""What the environment is called in the source: `os.environ`, and parameters that stand for it."""


def _is_environment(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_") in MAPPINGS


def _reads(tree: ast.AST) -> Iterator[ast.expr]:
    """Find the names of the variables that a module reads, as they are written there."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=mapping, slice=key, ctx=ast.Load()) if _is_environment(mapping):
                yield key
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[mapping]) if _is_environment(mapping):
                yield key
            case ast.Call(func=ast.Attribute(value=mapping, attr="get" | "pop" | "setdefault"), args=[key, *_]) if _is_environment(
                mapping
            ):
                yield key
            case ast.Call(func=ast.Attribute(attr="getenv") | ast.Name(id="getenv"), args=[key, *_]):
                yield key


def _constants(trees: list[ast.Module]) -> dict[str, str]:
    """Give the constants of all modules whose value is a text."""
    found = {}
    for tree in trees:
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                    found[name] = text
    return found


def _read_by(folder: Path) -> set[str]:
    trees = [ast.parse(path.read_text("utf-8")) for path in sorted(folder.rglob("*.py"))]
    constants = _constants(trees)
    found = set()
    for tree in trees:
        for key in _reads(tree):
            match key:
                case ast.Constant(value=str(text)):
                    found.add(text)
                case ast.Name(id=name):
                    found.add(constants[name])
                case _:
                    raise AssertionError(f"which variable is read here can't be told: {ast.unparse(key)}")
    return found


def _listed(heading: str) -> set[str]:
    section = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}


def test_variables_are_listed() -> None:
    """Each variable that the package reads is on the page, and each on the page is read."""
    assert _read_by(ROOT / "src" / "tallac") == _listed("Read by Tallac")


def test_the_other_tables_do_not_repeat_it() -> None:
    """What tests read is listed for those who work in a clone, and no variable has two meanings."""
    clone, libraries = _listed("In a clone"), _listed("Read by the libraries and programs that it uses")
    of_tests = {name for name in _read_by(ROOT / "tests") if name.startswith("TALLAC_")}
    assert of_tests <= clone | _listed("Read by Tallac")
    assert not clone & libraries
    assert not (clone | libraries) & _listed("Read by Tallac")


def test_reading_is_found_however_it_is_written() -> None:
    """A subscript, a look-up, a membership test and `getenv` all count; writing does not."""
    text = """
os.environ["A"]; environment.get("B"); "C" in os.environ; os.getenv("D"); self._environment.get("E", ""); "F" not in environ
os.environ["G"] = "x"; {}.get("H"); other["I"]
"""
    found = [key.value for key in _reads(ast.parse(text)) if isinstance(key, ast.Constant)]
    assert sorted(map(str, found)) == ["A", "B", "C", "D", "E", "F"]
