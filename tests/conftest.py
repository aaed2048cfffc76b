from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import Tallac


@pytest.fixture(scope="session")
def make_tallac() -> Callable[[Path], Tallac]:
    """Give the command for a home."""
    return Tallac


@pytest.fixture
def tallac(tmp_path: Path) -> Tallac:
    """Give the command, with an empty home."""
    return Tallac(tmp_path / "home")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a small source: an empty directory, and files in others."""
    folder = tmp_path / "source"
    (folder / "empty").mkdir(parents=True)
    (folder / "parent" / "subdir").mkdir(parents=True)
    (folder / "parent" / "subdir" / "foo.txt").write_text("foo")
    (folder / "parent" / "subdir" / "bar.txt").write_text("bar\n" * 1000)
    (folder / "parent" / "blah.txt").write_text("blah")
    return folder
