"""What a command loads, because most of a short command is its start; and what the package offers without loading it."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Tallac, clean_environment
from tests.interop.gateway import Gateway, serving

import tallac

ROOT = Path(__file__).parents[2]

NOT_FOR_A_NODE = ("cryptography", "zstandard", "pyfastcdc", "tallac.vault.vault", "tallac.backends.local")
NOT_FOR_LS = (
    "sqlite3",
    "pathspec",
    "rich",
    "asyncio",
    "json",
    "pickle",
    "pyfastcdc",
    "shlex",
    "subprocess",
    "traceback",
    "tallac.backup",
    "tallac.cli.completion",
    "tallac.restore",
    "tallac.retention",
    "tallac.source",
    "tallac.tahoe.grid",
    "tallac.transfer.upload",
    "tallac.vault.check",
    "tallac.vault.mutable.sessions",
    "tallac.vault.writing",
    "tallac.webapi",
    "tallac.look.diff",
    "tallac.look.find",
    "tallac.look.history",
    "tallac.look.stats",
)
NOT_FOR_VERSION = ("msgspec", "rich", "platformdirs", "sqlite3", "cryptography", "blake3", "tallac.app", "tallac.vault")

# The command ends with os._exit, which runs nothing that was registered for the end.
SCRIPT = """
import os, runpy, sys
def end(status, leave=os._exit):
    sys.stderr.flush()
    os.write(2, ("\\n" + " ".join(sys.modules)).encode())
    leave(status)
os._exit = end
sys.argv[0] = "tallac"
try:
    runpy.run_module("tallac", run_name="__main__")
except SystemExit as ended:
    end(ended.code or 0)
"""


def modules_of(tallac: Tallac, *arguments: object) -> set[str]:
    """Run a command in a process of its own, and return what it has loaded at its end."""
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment() | {"TALLAC_HOME": str(tallac.home)},
    )
    loaded = set(finished.stderr.splitlines()[-1].split())
    assert "tallac.cli.run" in loaded
    return loaded


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder with a file."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"content" * 100)
    return tmp_path / "source"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Gateway]:
    """Return something that answers as a Tahoe-LAFS node does."""
    with serving(Tallac(tmp_path / "node")) as gateway:
        yield gateway


@pytest.mark.slow
def test_a_backup_on_a_node_loads_neither_ciphers_nor_the_vault(node: Gateway, source: Path, tmp_path: Path) -> None:
    """Loading them would take a third of the command's start, and a node needs none of it."""
    tallac = Tallac(tmp_path / "home")
    tallac("create-alias", "grid", "--node-url", node.url)
    for _ in range(2):
        loaded = modules_of(tallac, "backup", source, "grid:docs")
        assert "tallac.tahoe.grid" in loaded
        assert "tallac.backup.run" in loaded
        assert not set(NOT_FOR_A_NODE) & loaded


def test_ls_loads_little(source: Path, tmp_path: Path) -> None:
    """Listing a directory in a vault loads nothing that backs up, restores, searches or talks to a node."""
    tallac = Tallac(tmp_path / "home")
    tallac("backup", source)
    loaded = modules_of(tallac, "ls", "tallac:Latest")
    assert "tallac.vault.vault" in loaded
    assert not set(NOT_FOR_LS) & loaded


def test_the_version_loads_next_to_nothing(tmp_path: Path) -> None:
    """The number is printed without the rest of the program."""
    assert not set(NOT_FOR_VERSION) & modules_of(Tallac(tmp_path / "home"), "--version")


def test_the_package_offers_what_it_says() -> None:
    """Each name comes from the module that the type checker is told of, and any other name is missing as in any module."""
    tree = ast.parse((ROOT / "src" / "tallac" / "__init__.py").read_text("utf-8"))
    checked = {
        alias.name: node.module or ""
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted([*checked, "__version__"]) == tallac.__all__
    for name, module in checked.items():
        assert getattr(tallac, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="module 'tallac' has no attribute 'nonsense'"):
        _ = tallac.nonsense
