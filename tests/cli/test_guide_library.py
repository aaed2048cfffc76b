"""The page on the library: its examples run, and its tables name what there is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import pytest
from tests.command import clean_environment

from tallac import Client, Folders, errors

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "library.md"


def _examples() -> list[str]:
    """Return the indented blocks of code."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return ["".join(f"{line[4:]}\n" for line in block.strip("\n").splitlines()) for block in blocks]


def _table(heading: str) -> list[list[list[str]]]:
    """Return the names in each cell of each row of the table below a heading."""
    section = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| `")]
    return [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]


@pytest.mark.slow
def test_examples_run(tmp_path: Path) -> None:
    """Each example ends well as a script of its own, in the order of the page."""
    for folder in ("Documents", "Pictures"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rent.txt").write_text("rent" * 1000)
    environment = clean_environment() | {"TALLAC_HOME": str(tmp_path / "home")}
    examples = _examples()
    assert len(examples) == 8
    printed = ""
    for example in examples:
        (tmp_path / "example.py").write_text(example)
        finished = subprocess.run(
            [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (finished.returncode, finished.stderr) == (0, ""), (example, finished.stdout)
        printed += finished.stdout
    assert (tmp_path / "restored" / "rent.txt").read_text() == "rent" * 1000
    assert (tmp_path / "try" / "vault" / "header").is_file()
    # The last one shows an error, and no other does.
    assert printed.count("tallac: ") == 1
    assert printed.splitlines()[-1].startswith("tallac: ")


def test_services_are_listed(tmp_path: Path) -> None:
    """The last table has every public method and property of every service, and no other."""
    with Client(Folders.under(tmp_path)) as client:
        listed = {service: methods for (service,), methods in _table("All services")}
        found = {}
        for service in listed:
            value: object = client
            for name in service.split(".")[1:]:
                value = getattr(value, name)
            members = {name: member for name, member in inspect.getmembers(type(value)) if not name.startswith("_")}
            # A service within a service has a row of its own.
            members = {name: member for name, member in members.items() if not isinstance(member, cached_property)}
            found[service] = sorted(
                name for name, member in members.items() if inspect.isroutine(member) or isinstance(member, property)
            )
    assert {service: sorted(names) for service, names in listed.items()} == found
    services = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert {service.split(".")[1] for service in listed} == services


def test_arguments_are_listed() -> None:
    """The table of arguments has all that a client takes."""
    arguments = [name for names, *_ in _table("Its own folders and other vaults") for name in names]
    assert arguments == list(inspect.signature(Client).parameters)


def test_errors_exist() -> None:
    """Each error on the page is one, and a user's."""
    names = [name for row in _table("Errors") for cell in row for name in cell]
    assert len(names) > 8
    for name in names:
        assert issubclass(getattr(errors, name), errors.TallacError)
