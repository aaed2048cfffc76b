import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

LONG_FILES: dict[str, str] = {}
"""Files that may be longer, each with the reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""Functions that may be longer, as path:name, each with the reason."""

EMPTY_WORDS = {"common", "data", "helper", "helpers", "manager", "misc", "util", "utils"}
EMPTY_VERBS = ("do_", "handle_", "process_")
LAZY_IMPORT = re.compile(r"# lazy imports?: \w+")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _local_imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield node


def _is_marked(lines: list[str], node: ast.stmt) -> bool:
    """Tell whether the statement's own line, or the comment above it, gives the reason of a lazy import."""
    if LAZY_IMPORT.search(lines[node.lineno - 1]):
        return True
    above = node.lineno - 2
    # One comment may speak for several imports, and for several lines.
    while above >= 0 and lines[above].strip().startswith(("#", "import ", "from ")):
        if LAZY_IMPORT.search(lines[above]):
            return True
        above -= 1
    return False


@pytest.fixture(params=SOURCES, ids=_name)
def source(request: pytest.FixtureRequest) -> Path:
    """Give each source file in turn."""
    path = request.param
    assert isinstance(path, Path)
    return path


@pytest.fixture
def tree(source: Path) -> ast.Module:
    """Give the file's syntax tree."""
    return ast.parse(source.read_bytes(), filename=str(source))


def test_there_are_sources() -> None:
    """The tests below look at something."""
    assert len(SOURCES) > 5


def test_a_module_says_what_it_is(tree: ast.Module) -> None:
    """Every module begins with a docstring."""
    assert ast.get_docstring(tree)


def test_a_file_has_one_subject(source: Path) -> None:
    """A file is short, or is listed with its reason."""
    length = len(source.read_text("utf-8").splitlines())
    assert length <= FILE_LINES_MAX or _name(source) in LONG_FILES, f"{length} lines"


def test_functions_are_short(source: Path, tree: ast.Module) -> None:
    """A function fits on a screen, or is listed with its reason."""
    long = {}
    for function in _functions(tree):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_LINES_MAX:
            long[f"{_name(source)}:{function.name}"] = length
    assert not long.keys() - LONG_FUNCTIONS.keys(), long


def test_imports_stand_at_the_top(source: Path, tree: ast.Module) -> None:
    """An import inside a function says why it is lazy; an unmarked one hides a cycle."""
    lines = source.read_text("utf-8").splitlines()
    unmarked = [node.lineno for node in _local_imports(tree) if not _is_marked(lines, node)]
    assert not unmarked, f"lines {unmarked}: move them up, or say `# lazy import: REASON`"


def test_names_say_something(source: Path, tree: ast.Module) -> None:
    """No file, class or function has a name that fits anything."""
    assert source.stem not in EMPTY_WORDS
    classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert not [name for name in classes if re.search(r"(Util|Helper|Manager|Common)s?$", name)]
    assert not [function.name for function in _functions(tree) if function.name.lstrip("_").startswith(EMPTY_VERBS)]


def test_listed_exceptions_are_needed() -> None:
    """What is listed as too long is still there, and still too long."""
    for name in LONG_FILES:
        assert len((ROOT / name).read_text("utf-8").splitlines()) > FILE_LINES_MAX, name
    for entry in LONG_FUNCTIONS:
        path, _, function_name = entry.partition(":")
        found = [node for node in _functions(ast.parse((ROOT / path).read_bytes())) if node.name == function_name]
        assert any((node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX for node in found), entry


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("def f():\n    import os\n", False),
        ("def f():\n    import os  # lazy import: slow to load\n", True),
        ("def f():\n    # lazy import: slow to load\n    import os\n", True),
        ("def f():\n    # lazy import: slow to load,\n    # and seldom used\n    import os\n    import re\n", True),
        ("def f():\n    # lazy import: slow to load\n    x = 1\n    import re\n", False),
    ],
)
def test_lazy_imports_are_recognised(text: str, *, marked: bool) -> None:
    """The check above takes a reason where one is given, and only there."""
    nodes = list(_local_imports(ast.parse(text)))
    assert nodes
    assert all(_is_marked(text.splitlines(), node) for node in nodes) is marked
