"""Patterns as users write them: with whole paths, the home folder, the habits of other programs, and mistakes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def filled(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Give a command with the alias `usb:`, and fill two folders."""
    tallac("-q", "init", tmp_path / "disk", "--alias", "usb")
    for name in ("ann/keys/k", "ann/d/keys/k", "ann/f", "etc/keys/k", "etc/d/x", "etc/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tallac


def kept(tallac: Tallac, *arguments: str | Path) -> set[str]:
    """Back up, and list the files of the snapshot by their last components."""
    tallac("-q", "backup", *arguments, "usb:t")
    listed = tallac("ls", "-R", "usb:t/Latest").out.decode().split()
    names = {"/".join(path.split("/")[path.split("/").index("ann") if "ann" in path else 0 :]) for path in listed}
    tallac("-q", "unlink", "usb:t/Latest")
    return names


@pytest.mark.parametrize("pattern", ["{0}/ann/keys", "{0}/*/keys/", "{0}/**/ann/keys", "/keys", "keys/k", "{0}/ann/keys/**"])
def test_a_whole_path_is_understood(filled: Tallac, tmp_path: Path, pattern: str) -> None:
    """A pattern may name a path as the shell knows it, with wildcards too."""
    names = kept(filled, tmp_path / "ann", "--exclude", pattern.format(tmp_path))
    assert "keys/k" not in names
    assert {"d/keys/k", "f"} <= names


@pytest.mark.parametrize("written", ["~/keys", "$HOME/keys", "${HOME}/keys/", "!/f\n~/keys"])
@pytest.mark.parametrize("in_list", [True, False])
def test_the_home_folder_is_understood(filled: Tallac, tmp_path: Path, written: str, in_list: bool) -> None:
    """No shell writes it out within a list or behind an equals sign."""
    at_home = replace(filled, before=("env", f"HOME={tmp_path / 'ann'}"))
    (tmp_path / "list").write_text(written)
    options = [f"--exclude-from={tmp_path / 'list'}"] if in_list else [f"--exclude={line}" for line in written.split("\n")]
    names = kept(at_home, tmp_path / "ann", *options)
    assert "keys/k" not in names
    assert {"d/keys/k", "f"} <= names


def test_an_anchored_pattern_means_the_same_with_several_sources(filled: Tallac, tmp_path: Path) -> None:
    """`/keys` is at the top of each source, and a whole path of one is of that one."""
    beginning = os.fspath(tmp_path).removeprefix("/")

    def found(*patterns: str) -> set[str]:
        options = [f"--exclude={pattern}" for pattern in patterns]
        filled("-q", "backup", tmp_path / "ann", tmp_path / "etc", "usb:s", *options)
        listed = filled("ls", "-R", "usb:s/Latest").out.decode().split()
        return {path.removeprefix(beginning + "/") for path in listed if path.endswith(("/k", "/x", "/f"))}

    everything = {"ann/keys/k", "ann/d/keys/k", "ann/f", "etc/keys/k", "etc/d/x", "etc/f"}
    assert found("/keys") == everything - {"ann/keys/k", "etc/keys/k"}
    assert found("d/keys") == everything - {"ann/d/keys/k"}
    assert found(f"{tmp_path}/etc/keys") == everything - {"etc/keys/k"}
    assert found(f"{beginning}/ann/f") == everything - {"ann/f"}


@pytest.mark.parametrize("line", ["- /x", "+ *.o", "re:\\.o$", "sh:**/x", "pp:/home", "fm:*.o", "glob:*.o", "syntax: glob"])
def test_lines_of_other_programs_are_refused(filled: Tallac, tmp_path: Path, line: str) -> None:
    """What would match nothing here is refused with what to write, and where it stands."""
    (tmp_path / "list").write_text(f"*.tmp\n{line}\n")
    message = filled.fails("backup", tmp_path / "ann", "usb:t", "--exclude-from", tmp_path / "list", status=2)
    assert f"{tmp_path}/list, line 2: {line} is written as for another program; write " in message
    assert "as for another program" in filled.fails("backup", tmp_path / "ann", "usb:t", f"--exclude={line}", status=2)
    filled("-q", "backup", tmp_path / "ann", "usb:t", f"--exclude=\\{line}")


def test_patterns_that_match_nothing_are_named_once(filled: Tallac, tmp_path: Path) -> None:
    """One line names the first and counts the others; a pattern that another one overrides has matched."""
    options = ["--exclude=keys", "--exclude=/keys", "--exclude=*ey*", "--exclude=/Taxes", "--exclude=*.bak", "--exclude=!/none"]
    previewed = filled("backup", tmp_path / "ann", "usb:t", "--dry-run", *options).err
    shown = filled("backup", tmp_path / "ann", "usb:t", *options).err
    assert previewed == shown
    assert shown == f"{tmp_path}/ann: nothing in it is excluded by '/Taxes' and 1 other pattern\n"
    assert filled("backup", tmp_path / "ann", "usb:t", *options).err == ""
    assert filled("backup", tmp_path / "ann", "usb:t", "--exclude-vcs").err == ""
    assert filled("backup", tmp_path / "ann", "usb:t").err == ""
