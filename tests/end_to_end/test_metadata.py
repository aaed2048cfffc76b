"""What was backed up comes back: every kind of file with all its metadata, judged by a comparison that is not Tallac's own."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Tallac, as_normal_user
from tests.end_to_end import hostile_tree
from tests.end_to_end.comparing import differences, look
from tests.end_to_end.hostile_tree import HostileTree
from tests.torture import SCALE

USER = 65_534
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """Give an empty folder for a hostile tree, and remove the tree and what was restored of it afterwards."""
    folder = tmp_path / "tree"
    folder.mkdir()
    mask = os.umask(0o022)
    yield folder
    os.umask(mask)
    # Neither what may not be changed nor what is too deep for Python may stay behind.
    subprocess.run(["chattr", "-R", "-f", "-ia", tmp_path], check=False, capture_output=True)
    subprocess.run(["chmod", "-R", "u+rwx", tmp_path], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


@pytest.fixture
def as_user(as_root: None) -> list[str]:
    """Start a command as a normal user."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing")
    return as_normal_user(USER)


def assert_comes_back(tallac: Tallac, tree: Path, out: Path) -> None:
    """Back up, restore without a word on standard error, and compare."""
    tallac("-q", "backup", tree)
    restored = tallac("-q", "restore", "Latest", out)
    assert restored.err == ""
    assert differences(look(tree), look(out)) == {}
    tallac("-q", "check", "--read-data", "tallac:")


def test_a_hostile_tree(tallac: Tallac, tree: Path, tmp_path: Path, chance: random.Random) -> None:
    """Everything that a file can have comes back; as root, that is everything there is."""
    HostileTree(os.fsencode(tree), chance, is_root=IS_ROOT).make_everything()
    found = look(tree)
    assert max(map(len, found)) > 4096
    assert_comes_back(tallac, tree, tmp_path / "out")
    compared = subprocess.run(
        ["diff", "-r", "--no-dereference", *(folder / "names" for folder in (tree, tmp_path / "out"))], check=False
    )
    assert compared.returncode == 0
    again = tallac("--json", "backup", tree)
    assert again.summary("files_changed") == again.summary("files_new") == 0


def test_the_comparison_can_fail(tree: Path, tmp_path: Path, chance: random.Random) -> None:
    """A copy by other means has lost something, and the comparison says what."""
    HostileTree(os.fsencode(tree), chance, is_root=IS_ROOT).make_random()
    (tree / "file").write_text("content")
    (tree / "hole").write_bytes(b"")
    os.truncate(tree / "hole", 1 << 20)
    shutil.copytree(tree, tmp_path / "copy", symlinks=True, ignore_dangling_symlinks=True, ignore=_specials)
    (tmp_path / "copy" / "hole").write_bytes(bytes(1 << 20))
    told = differences(look(tree), look(tmp_path / "copy"))
    assert "holes" in told[b"./hole"]
    (tmp_path / "copy" / "file").write_text("Content")
    assert "content" in differences(look(tree), look(tmp_path / "copy"))[b"./file"]


def _specials(folder: str, names: list[str]) -> list[str]:
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}
    return [name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))]


def test_a_normal_users_own_tree(tmp_path: Path, tree: Path, as_user: list[str]) -> None:
    """Who is not root loses nothing of what he can make himself."""
    for folder in (tree, tmp_path / "home", tmp_path / "out"):
        folder.mkdir(exist_ok=True)
        os.chown(folder, USER, USER)
    subprocess.run([*as_user, sys.executable, hostile_tree.__file__, tree, "0"], check=True)
    assert look(tree)[b"./modes/file 4755"].uid == USER
    assert_comes_back(Tallac(tmp_path / "home", as_user), tree, tmp_path / "out")


def test_a_normal_user_restores_roots_tree(
    tallac: Tallac, tree: Path, tmp_path: Path, as_user: list[str], chance: random.Random
) -> None:
    """What only root may set is named; everything else comes back, and nothing gains rights."""
    HostileTree(os.fsencode(tree), chance, is_root=True).make_everything()
    tallac("-q", "backup", tree)
    (tmp_path / "out").mkdir()
    os.chown(tmp_path / "out", USER, USER)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", tallac.home], check=True)
    result = Tallac(tallac.home, as_user)("restore", "Latest", tmp_path / "out")
    assert "owners were not set: not root" in result.err
    for name, message in (
        ("kinds/device0", "Operation not permitted"),
        ("xattrs/trusted regular", "extended attribute"),
        ("flags/append", "inode flags"),
        ("modes/file 4755", "setuid"),
    ):
        assert [line for line in result.error_lines if name in line and message in line], (name, result.err)
    wanted, found = look(tree), look(tmp_path / "out")
    lost = {path for path in wanted if b"device" in path.rpartition(b"/")[2]}
    assert wanted.keys() - found.keys() <= lost
    assert found.keys() <= wanted.keys()
    whole = {path: looks for path, looks in wanted.items() if path in found}
    assert differences(whole, found, "uid", "gid", "mode", "xattrs", "flags") == {}
    for path, looks in found.items():
        assert looks.mode & 0o777 == wanted[path].mode & 0o777, path
        assert not (stat.S_ISREG(looks.mode) and looks.mode & 0o6000), path
        own = {name for name in wanted[path].xattrs if not name.startswith("trusted.")}
        assert own == looks.xattrs.keys(), path


@pytest.mark.torture
@pytest.mark.parametrize("number", range(200 * SCALE))
def test_a_random_tree(tallac: Tallac, tree: Path, tmp_path: Path, chance: random.Random, number: int) -> None:
    """Whatever is in a tree, and in whichever combination: it comes back."""
    HostileTree(os.fsencode(tree), chance, is_root=IS_ROOT).make_random()
    assert_comes_back(tallac, tree, tmp_path / "out")


def test_some_random_trees(tallac: Tallac, tree: Path, tmp_path: Path, chance: random.Random) -> None:
    """The same, for five trees at once."""
    for number in range(5):
        (tree / f"{number}").mkdir()
        HostileTree(os.fsencode(tree / f"{number}"), chance, is_root=IS_ROOT).make_random()
    assert_comes_back(tallac, tree, tmp_path / "out")
