import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
UNEXPLAINED_SECONDS_MAX = 0.1
"""A test that waits for something may look again after so long; a longer sleep says why beside it."""


def _name(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


def _undescribed(tree: ast.Module) -> Iterator[str]:
    """Find the tests without a sentence of their own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            sentence = ast.get_docstring(node) or ""
            if not sentence.endswith(".") or "\n" in sentence:
                yield node.name


def _unexplained_sleeps(text: str) -> Iterator[int]:
    """Find the lines of long sleeps, and of those that take as long as something says, with no comment on the line or above it."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "asyncio.sleep", "sleep"}):
            continue
        seconds = node.args[0]
        is_short = isinstance(seconds, ast.Constant) and isinstance(seconds.value, int | float)
        if is_short and float(ast.unparse(seconds)) <= UNEXPLAINED_SECONDS_MAX:
            continue
        if "#" not in lines[node.lineno - 1] and not lines[node.lineno - 2].strip().startswith("#"):
            yield node.lineno


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("test_")], ids=_name)
def test_every_test_has_a_sentence(path: Path) -> None:
    """A test's docstring is one line that says what holds."""
    assert list(_undescribed(ast.parse(path.read_bytes()))) == []


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_sleep_has_its_reason(path: Path) -> None:
    """A sleep of more than a tenth of a second, or of a time that is calculated, has a comment that gives its reason."""
    assert list(_unexplained_sleeps(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("time.sleep(0.1)\n", []),
        ("x = 1\ntime.sleep(0.11)\n", [2]),
        ("x = 1\ntime.sleep(pause)\n", [2]),
        ("x = 1\ntime.sleep(1.1)  # a new second\n", []),
        ("# A new second.\nawait asyncio.sleep(1.1)\n", []),
        ("# A new second.\nx = 1\nawait asyncio.sleep(1.1)\n", [3]),
        ("clock.sleep(5)\n", []),
    ],
)
def test_sleeps_are_recognised(text: str, lines: list[int]) -> None:
    """The check above finds a long sleep without a reason, and no other."""
    assert list(_unexplained_sleeps(text)) == lines


def test_missing_sentences_are_recognised() -> None:
    """The check above finds a test without a docstring, with half a sentence, and with more than a line."""
    bodies = ["pass", '"""It"""', '"""It.\n\n    Is."""', '"""It is."""']
    text = "".join(f"def test_{number}():\n    {body}\n" for number, body in enumerate(bodies))
    assert list(_undescribed(ast.parse(text))) == ["test_0", "test_1", "test_2"]
