from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tallac"

OLD_WORDS = {
    "aside": "damaged packs",
    "beat": "heartbeat",
    "beats": "heartbeat",
    "figure": "stats",
    "figures": "stats",
    "frame": "structure",
    "gone": "removed, deleted or missing, whichever it is",
    "packed": "encoded cap",
    "piece": "chunk",
    "pieces": "chunk",
    "quarantine": "pending deletions",
    "quarantined": "pending deletion",
    "rehearsal": "dry run",
    "rehearse": "dry run",
    "statistic": "stats",
    "statistics": "stats",
    "stretch": "chunk or range",
    "surroundings": "context",
    "told": "reported",
    "trouble": "warning or error",
    "troubles": "warnings or errors",
    "twin": "duplicate, or name collision",
    "twins": "duplicates, or name collisions",
    "wishes": "arguments",
}
"""Words that the code no longer has in its names, and what stands in their place; docs/terms.md has the reasons."""

ALLOWED = {
    ("app", "_figure"): "the HTML element",
    ("app", "figures"): "HTML elements",
    ("backup", "gone"): "a key of --json",
    ("cli", "_frame"): "the frame of a signal handler",
    ("crypto", "stretch"): "key stretching",
    ("vault", "aside_packs"): "a key of --json",
    ("vault", "trouble"): "a key of --json",
    ("workers", "frame"): "the frame of a signal handler",
} | {("vault", name): "a piece of the reserve" for name in ("piece_sizes", "PIECE_SIZE_MIN", "_pieces", "pieces")}
"""Names in a package that keep an old word, and why."""

# Packages whose names are still being changed; this set only ever shrinks.
NOT_YET: frozenset[str] = frozenset()


def _named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Iterate over the line and the name of everything that a module defines or assigns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname is not None:
            yield node.lineno, node.asname


def _words(name: str) -> set[str]:
    """Split a name at underscores and capitals."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def _offences(path: str, text: str) -> list[str]:
    named = [(1, Path(path).stem), *_named(ast.parse(text))]
    package = Path(path).parts[2]
    changed = [(line, name) for line, name in named if (package, name) not in ALLOWED]
    found = [(line, name, word) for line, name in changed for word in sorted(_words(name) & OLD_WORDS.keys())]
    return [f"{path}:{line}: {name}: not {word}, but {OLD_WORDS[word]}" for line, name, word in found]


PACKAGES = sorted({path.relative_to(SOURCE).parts[0] for path in SOURCE.rglob("*.py")} - NOT_YET)


@pytest.mark.parametrize("package", PACKAGES)
def test_names_have_the_fields_words(package: str) -> None:
    """Nothing is named by a word that was given up for the one of the field; each exception has its reason."""
    paths = [path.relative_to(ROOT).as_posix() for path in sorted(SOURCE.rglob("*.py"))]
    chosen = [path for path in paths if Path(path).parts[2] == package]
    assert [line for path in chosen for line in _offences(path, (ROOT / path).read_text("utf-8"))] == []


def test_old_words_are_found() -> None:
    """Words are found in the names of files, functions, classes, arguments, variables and attributes, also between capitals."""
    text = "class PackTwins:\n    pass\n\ndef f(told_ns):\n    self.heartbeat = told = 1\n"
    lines = [offence.partition(": not")[0] for offence in _offences("src/tallac/none/quarantine.py", text)]
    assert lines == [
        "src/tallac/none/quarantine.py:1: quarantine",
        "src/tallac/none/quarantine.py:1: PackTwins",
        "src/tallac/none/quarantine.py:4: told_ns",
        "src/tallac/none/quarantine.py:5: told",
    ]


def test_every_allowance_is_needed() -> None:
    """No allowance outlives the name that it was made for."""
    named = set()
    for path in SOURCE.rglob("*.py"):
        package = path.relative_to(SOURCE).parts[0]
        named |= {(package, name) for _, name in _named(ast.parse(path.read_text("utf-8")))}
    assert ALLOWED.keys() - named == set()
