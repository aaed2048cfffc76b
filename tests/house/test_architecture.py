"""The page on the architecture shows the layers that are enforced."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
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
