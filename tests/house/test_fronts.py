"""The fronts of packages name things twice: for the type checker, and for the moment when they are asked for."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONTS = ("tallac",)
NOT_FOR_A_NODE = ("cryptography", "zstandard", "pyfastcdc", "tallac.vault.vault", "tallac.backends.local")


def _checked_names(package: str) -> dict[str, str]:
    """Give what the type checker is told: names with the modules that they come from."""
    path = ROOT / "src" / Path(*package.split(".")) / "__init__.py"
    return {
        alias.name: node.module or ""
        for block in ast.parse(path.read_text("utf-8")).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("package", FRONTS)
def test_a_front_offers_what_it_says(package: str) -> None:
    """Each name is what the module that the type checker is told of has under it."""
    front = importlib.import_module(package)
    checked = _checked_names(package)
    assert checked
    for name, home in checked.items():
        assert getattr(front, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("package", FRONTS)
def test_what_a_front_does_not_offer_is_missing_as_in_any_module(package: str) -> None:
    """Asking for anything else is the error that it is with any module."""
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        _ = importlib.import_module(package).nonsense


def test_a_command_on_a_node_loads_neither_ciphers_nor_the_vault() -> None:
    """It would take a third of its start."""
    loaded = "tallac.cli.commands.backup, tallac.tahoe.grid"
    script = f"import sys, {loaded}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    assert "tallac.backup.run" in modules
    assert not set(NOT_FOR_A_NODE) & set(modules)
