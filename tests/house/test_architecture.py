"""The page on the architecture shows the layers that are enforced."""

from __future__ import annotations

import pkgutil
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GROWTH = runpy.run_path(str(ROOT / "scripts" / "draw_growth.py"))
DRAWING = runpy.run_path(str(ROOT / "scripts" / "draw_layers.py"))


@pytest.fixture
def project() -> dict[str, Any]:
    """The project file, which holds the layers contracts."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_picture_is_of_the_layers_contract(project: dict[str, Any]) -> None:
    """Drawing the picture anew from the contract gives the committed one."""
    assert DRAWING["PICTURE"].read_text("utf-8") == DRAWING["draw"](project), "run scripts/draw_layers.py"


def test_the_picture_shows_every_package(project: dict[str, Any]) -> None:
    """Every package of the contract stands in the picture, so an empty drawing fails."""
    layers = DRAWING["read_layers"](project, "tallac")
    assert len(layers) > 5
    picture = DRAWING["PICTURE"].read_text("utf-8")
    assert [name for layer in layers for name in layer.names if f">{name}</text>" not in picture] == []


def test_the_page_shows_the_picture() -> None:
    """The page on the architecture, which CONTRIBUTING names first, has the picture in it."""
    assert "](layers.svg)" in (ROOT / "docs" / "architecture.md").read_text("utf-8")
    first_link = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("](")[2].partition(")")[0]
    assert first_link == "docs/architecture.md"


def test_the_picture_of_growth_is_of_the_tables() -> None:
    """Drawing the picture anew from the page's tables gives the committed one, with a line for each row; the page shows it."""
    page = GROWTH["PAGE"].read_text("utf-8")
    assert GROWTH["PICTURE"].read_text("utf-8") == GROWTH["draw"](page), "run scripts/draw_growth.py"
    tables = GROWTH["read_tables"](page)
    assert len(tables) > 3
    assert all(len(row) > 1 for table in tables for row in table.rows.values())
    assert GROWTH["draw"](page).count("<polyline") == sum(len(table.rows) for table in tables)
    assert "](growth.svg)" in page


SOURCE_PATH = re.compile(r"(?<![\w./:-])((?:[\w-]+/)+[\w-]+\.(?:py|sh))\b")
TEST_FILE = re.compile(r"(?<![\w./-])(test_\w+\.py)\b")
NAMED_MODULE = re.compile(r"`(tallac(?:\.\w+)+)`")
PLACES = (ROOT, ROOT / "src", ROOT / "src" / "tallac")
GUIDE = ROOT / "docs" / "guide"
DECISIONS = ROOT / "docs" / "decisions"
SUPERSEDED = {
    DECISIONS / page
    for page in re.findall(r"\]\(([^)]+)\) \|.* takes its place \|", (DECISIONS / "000-index.md").read_text("utf-8"))
}
# The guide shows users' files, which may have any name. A decision that is not in force any more stays as it was.
PAGES = sorted(path for path in {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - SUPERSEDED if GUIDE not in path.parents)


def _missing(text: str) -> list[str]:
    """Find the paths of sources in a page's text that lead to no file, and the modules and names in them that are not there."""
    paths = [path for path in SOURCE_PATH.findall(text) if not any((place / path).is_file() for place in PLACES)]
    tests = [name for name in TEST_FILE.findall(text) if not list((ROOT / "tests").rglob(name))]
    return paths + tests + [name for name in NAMED_MODULE.findall(text) if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sources_that_a_page_names_exist(page: Path) -> None:
    """Each path of a source that a page names, from the root or from the package, leads to a file, and each module is there."""
    assert _missing(page.read_text("utf-8")) == []


def test_the_architecture_names_sources() -> None:
    """The check above reads the paths on the page on the architecture, in tables, lists and pseudo-code."""
    found = SOURCE_PATH.findall((ROOT / "docs" / "architecture.md").read_text("utf-8"))
    assert len(found) > 40
    assert SUPERSEDED
    text = "see `nowhere/near.py`, `tallac.nowhere`, `test_nowhere.py`, `test_architecture.py` and    backup/run.py"
    assert _missing(text) == ["nowhere/near.py", "test_nowhere.py", "tallac.nowhere"]
