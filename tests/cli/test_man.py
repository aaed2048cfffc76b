from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tallac.cli.group import EXAMPLES, group
from tallac.cli.manual import page, page_names
from tallac.cli.table import COMMANDS

if TYPE_CHECKING:
    from tests.command import Tallac

READERS = {
    "groff": ("groff", "-man", "-Tutf8", "-ww", "-z"),
    "mandoc": ("mandoc", "-T", "lint", "-W", "error"),
    "man": ("man", "--warnings", "--encoding=UTF-8", "--local-file"),
}

# A language that a machine's variables name need not be installed there.
ENVIRONMENT = os.environ | {"LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with all pages."""
    folder = tmp_path_factory.mktemp("pages")
    for name in page_names():
        (folder / f"{name}.1").write_text(page(group, name))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("reader", list(READERS))
def test_the_pages_can_be_read(reader: str, pages: Path) -> None:
    """What shows manual pages finds nothing wrong with any of them."""
    if shutil.which(reader) is None:
        pytest.skip(f"there is no {reader} here")
    for path in sorted(pages.iterdir()):
        shown = subprocess.run([*READERS[reader], path], capture_output=True, encoding="utf-8", check=True, env=ENVIRONMENT)
        assert shown.stderr == "", path
        assert reader != "mandoc" or shown.stdout == "", path


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_page_says_what_help_says(name: str) -> None:
    """Every command has a page, with all of its options and examples."""
    text = page(group, f"tallac-{name}").replace("\\-", "-").replace("\\(ti", "~").replace("\\(aq", "'").replace("\\(dq", '"')
    command = group.get_command(click.Context(group), name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert max(parameter.opts, key=len) in text
    for example in getattr(command, "examples", ()):
        assert example in text.replace("\\(ha", "^").replace("\\(ga", "`")


def test_the_page_on_all(tallac: Tallac) -> None:
    """The page on tallac itself names every command, and is what `tallac man` prints."""
    text = tallac("man").out.decode()
    assert text == page(group, "tallac")
    for name in COMMANDS:
        assert f"tallac-{name}(1)".replace("-", "\\-") in text
    for example in EXAMPLES:
        assert example.replace("~", "\\(ti") in text


def test_a_page_on_a_terminal(pages: Path) -> None:
    """A reader sees minus signs and quotation marks that can be copied into a command line."""
    if shutil.which("groff") is None:
        pytest.skip("there is no groff here")
    shown = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-c", pages / "tallac-tag.1"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env=ENVIRONMENT,
    ).stdout
    assert 'tallac tag home:docs@latest --note "as sent to Ann"' in shown.replace("_\b", "")


def test_writing_pages(tallac: Tallac, tmp_path: Path) -> None:
    """`tallac man` writes one page, or all into a folder, and says what it can't do."""
    assert tallac("man", "rm").out.decode() == page(group, "tallac-unlink")
    assert tallac("man", "--all", tmp_path / "new" / "man1").out == b""
    assert sorted(path.name for path in (tmp_path / "new" / "man1").iterdir()) == sorted(f"{name}.1" for name in page_names())
    assert "no such command" in tallac.fails("man", "nonsense", status=2)
    assert "leave out the name" in tallac.fails("man", "ls", "--all", tmp_path, status=2)
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in tallac.fails("man", "--all", tmp_path / "file")
    assert not tallac.home.exists()
