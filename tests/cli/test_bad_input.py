from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def backed_up(tallac: Tallac, source: Path) -> Tallac:
    """Give a command whose default target holds one snapshot."""
    tallac("-q", "backup", source)
    return tallac


@pytest.fixture(scope="module")
def with_alias(make_tallac: Callable[[Path], Tallac], tmp_path_factory: pytest.TempPathFactory) -> Tallac:
    """Give a command with a default alias, for what changes nothing."""
    tallac = make_tallac(tmp_path_factory.mktemp("home"))
    tallac("-q", "create-alias", "tallac")
    return tallac


def everything(folder: Path) -> dict[str, bytes]:
    """Read a whole vault."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_cap_with_a_typo(backed_up: Tallac) -> None:
    """A mistyped cap is said to be one, and is not repeated."""
    cap = backed_up("cap", "Latest").out.decode().strip()
    message = backed_up.fails("ls", cap[:-30] + cap[-29:])
    assert "not a cap" in message
    assert cap[15:30] not in message
    assert "not a cap" in backed_up.fails("add-alias", "x", "nonsense")
    assert "not a cap" in backed_up.fails("ls", "@-", stdin=b"nonsense")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls", "x:"),
        ("get", "x:a"),
        ("put", "-", "x:a"),
        ("mkdir", "x:a"),
        ("cp", "x:a", "."),
        ("mv", "x:a", "x:b"),
        ("ln", "tallac:", "x:b"),
        ("unlink", "x:a"),
        ("check", "x:"),
        ("snapshots", "x:"),
        ("backup", ".", "x:"),
        ("restore", "x:", "out"),
        ("cap", "x:"),
        ("locator-key", "x:"),
        ("keeper-key", "x:"),
    ],
)
def test_an_alias_that_does_not_exist(with_alias: Tallac, arguments: tuple[str, ...]) -> None:
    """Whatever the command, the message names the aliases that there are."""
    assert with_alias.fails(*arguments) == "tallac: no alias 'x': existing ones are tallac; create one with `tallac create-alias x`"


def test_the_first_look(tallac: Tallac) -> None:
    """Where there is nothing yet, looking makes nothing, and says what to do."""
    assert tallac.fails("ls") == "tallac: no alias 'tallac': there are none yet; `tallac backup FOLDER` creates it"
    assert "no aliases found" in tallac("list-aliases").err
    assert not tallac.home.exists()


def test_a_target_that_is_a_file(backed_up: Tallac, source: Path) -> None:
    """A target, or something on the way to it, that is a file or a snapshot is an error that names it."""
    backed_up("put", "-", "tallac:file")
    assert "file" in backed_up.fails("backup", source, "tallac:file")
    assert "file" in backed_up.fails("backup", source, "tallac:file/below")
    assert "Latest" in backed_up.fails("backup", source, "tallac:Latest", status=2)
    assert backed_up("ls").lines == [b"Archives", b"Latest", b"file"]


def test_a_source_that_is_not_there(tallac: Tallac, source: Path) -> None:
    """A source that has vanished is an error that names it; no vault is made for it."""
    assert "nowhere: this can't be backed up (No such file or directory)" in tallac.fails("backup", source / "nowhere")
    assert not tallac.home.exists()


def test_a_vault_that_is_not_one(backed_up: Tallac, tmp_path: Path) -> None:
    """A folder that holds no vault is said to hold none, and no vault is made among other things."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter").write_text("dear")
    cap = backed_up("cap", "Latest").out.decode().strip()
    assert "folder" in backed_up.fails("ls", cap, "--vault", tmp_path / "folder")
    assert "not empty" in backed_up.fails("create-alias", "x", "--vault", tmp_path / "folder")
    assert "nowhere: no vault found" in backed_up.fails("ls", cap, "--vault", tmp_path / "nowhere")
    assert "letter" in backed_up.fails("create-alias", "x", "--vault", tmp_path / "folder" / "letter")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["letter"]
    assert "ftp://" in backed_up.fails("create-alias", "x", "--vault", "ftp://host/folder", status=2)


def test_a_vault_of_a_newer_format(backed_up: Tallac, source: Path) -> None:
    """A vault that a newer Tallac wrote is left alone, and the message says to update."""
    for header in (backed_up.home / "vault").glob("header*"):
        header.write_bytes(header.read_bytes().replace(b"format 2", b"format 9"))
    before = everything(backed_up.home / "vault")
    for arguments in (("ls",), ("backup", source), ("check",), ("create-alias", "x")):
        assert "newer Tallac" in backed_up.fails(*arguments)
    assert everything(backed_up.home / "vault") == before


def test_a_vault_that_is_away(backed_up: Tallac, source: Path) -> None:
    """A vault that is not where it was is not made anew: its disk may not be attached."""
    (backed_up.home / "vault").rename(backed_up.home / "elsewhere")
    for arguments in (("ls",), ("backup", source), ("create-alias", "x")):
        assert "attach its disk" in backed_up.fails(*arguments)
    assert not (backed_up.home / "vault").exists()
    assert backed_up("ls", "--vault", backed_up.home / "elsewhere").lines == [b"Archives", b"Latest"]


def test_a_read_only_vault(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """A vault that can't be written can be looked at, checked and restored from; a backup says that it can't be written."""
    vault = backed_up.home / "vault"
    for path in [vault, *vault.rglob("*")]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    (source / "new").write_text("x" * 1000)
    message = backed_up.fails("backup", source, as_user=True)
    assert str(vault) in message
    assert backed_up("ls", as_user=True).lines == [b"Archives", b"Latest"]
    assert backed_up("get", "Latest/parent/blah.txt", as_user=True).out == b"blah"
    backed_up("check", "--read-data", "tallac:", as_user=True)
    backed_up("restore", "Latest", tmp_path / "out", as_user=True)
    assert (tmp_path / "out" / "parent" / "blah.txt").read_text() == "blah"
    for path in [vault, *vault.rglob("*")]:
        path.chmod(0o700)


def test_a_home_that_can_not_be_written(backed_up: Tallac) -> None:
    """Looking needs no writes to configuration and state either; what needs them names the place."""
    folders = [backed_up.home / "config", backed_up.home / "state", *(backed_up.home / "state").iterdir()]
    for folder in folders:
        folder.chmod(0o500)
    assert backed_up("ls", as_user=True).lines == [b"Archives", b"Latest"]
    assert str(backed_up.home / "config") in backed_up.fails("create-alias", "x", as_user=True)
    for folder in folders:
        folder.chmod(0o700)


@pytest.mark.slow
def test_folders_without_permission(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """Where reading or writing is not allowed, the message names the place."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    for arguments in (
        ("backup", locked),
        ("backup", locked / "below"),
        ("restore", "Latest", locked / "out"),
        ("restore", "Latest", locked),
        ("get", "Latest/parent/blah.txt", locked / "file"),
        ("cp", "tallac:Latest/parent/blah.txt", locked / "file"),
        ("put", locked / "file", "tallac:x"),
        ("create-alias", "x", "--vault", locked),
        ("create-alias", "x", "--vault", locked / "vault"),
    ):
        status = backed_up(*arguments, status=None, as_user=True)
        assert status.status in (1, 2), (arguments, status)
        assert len(status.error_lines) == 1, (arguments, status)
        assert str(locked) in status.err, (arguments, status)
    locked.chmod(0o700)
    assert backed_up("ls").lines == [b"Archives", b"Latest"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 512 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk(tallac: Tallac, source: Path, small_disk: Path, tmp_path: Path) -> None:
    """A full store is an error that names it; nothing is entered, and earlier snapshots are whole."""
    tallac("create-alias", "usb", "--vault", small_disk / "vault")
    tallac("-q", "backup", source, "usb:")
    before = tallac("ls", "usb:Archives").out
    (source / "large").write_bytes(os.urandom(2_000_000))
    assert str(small_disk) in tallac.fails("backup", source, "usb:")
    assert str(small_disk) in tallac.fails("put", source / "large", "usb:large")
    assert tallac("ls", "usb:Archives").out == before
    tallac("restore", "usb:Latest", tmp_path / "out")
    (source / "large").unlink()
    shutil.rmtree(source / "parent")
    tallac("-q", "backup", source, "usb:", "--allow-empty")


def test_a_destination_that_is_full(backed_up: Tallac, source: Path, small_disk: Path) -> None:
    """A full local disk is an error that names it, and leaves no half file."""
    (source / "large").write_bytes(os.urandom(2_000_000))
    backed_up("-q", "backup", source)
    assert str(small_disk) in backed_up.fails("get", "Latest/large", small_disk / "large")
    assert str(small_disk) in backed_up.fails("cp", "tallac:Latest/large", small_disk)
    assert list(small_disk.iterdir()) == []
    result = backed_up("restore", "Latest", small_disk, status=1)
    assert "Traceback" not in result.err


@pytest.mark.parametrize("text", ["", "{", '{"format": 1, "grids": 3}', '{"format": 2}'])
def test_a_configuration_that_is_none(backed_up: Tallac, source: Path, text: str) -> None:
    """A configuration that can't be understood is named, and never replaced."""
    path = backed_up.home / "config" / "tallac.json"
    path.write_text(text)
    for arguments in (("ls",), ("backup", source), ("create-alias", "x"), ("list-aliases",)):
        assert str(path) in backed_up.fails(*arguments)
    assert path.read_text() == text


def test_damaged_secrets(backed_up: Tallac) -> None:
    """A damaged key or cap in the configuration is said to be damaged, and not shown."""
    path = backed_up.home / "config" / "tallac.json"
    whole = json.loads(path.read_text())
    [identity] = whole["grids"]
    key = whole["grids"][identity]["vault_key"]
    path.write_text(json.dumps(whole | {"grids": {identity: whole["grids"][identity] | {"vault_key": key[:-1]}}}))
    message = backed_up.fails("ls")
    assert str(path) in message
    assert key[20:30] not in message
    path.write_text(json.dumps(whole | {"aliases": {"tallac": {"grid": identity, "cap": "URI:DIR2:canary"}}}))
    assert "canary" not in backed_up.fails("ls")
    path.write_text(json.dumps(whole | {"grids": {}}))
    assert f"key of vault {identity} is missing" in backed_up.fails("ls")


def test_wrong_usage(tallac: Tallac) -> None:
    """What makes no sense is answered with the usage, and exit status 2."""
    assert "name a folder" in tallac.fails("backup", status=2)
    for arguments in (("nonsense",), ("restore",), ("ls", "--nonsense"), ("mv", "tallac:a"), ("-q",)):
        result = tallac(*arguments, status=2)
        assert "Usage: tallac" in result.err
        assert "Traceback" not in result.err
    assert tallac.fails("cp", "a", "b", status=2).startswith("tallac: a: neither this nor the target is in a vault")
    assert "give at least two paths" in tallac.fails("cp", "a", status=2)
    assert not tallac.home.exists()


def test_changes_that_are_not_possible(backed_up: Tallac) -> None:
    """What would change a snapshot, or is missing, is an error that names the place."""
    assert "tallac:Latest: a snapshot" in backed_up.fails("put", "-", "tallac:Latest/new")
    assert "tallac:Latest: a snapshot" in backed_up.fails("mkdir", "tallac:Latest/new")
    assert "tallac:Latest: a snapshot" in backed_up.fails("unlink", "tallac:Latest/parent")
    assert "tallac:nowhere: no such entry" in backed_up.fails("get", "tallac:nowhere")
    assert "tallac:Latest/parent: a directory" in backed_up.fails("get", "tallac:Latest/parent")
    assert "tallac:Latest/parent/blah.txt: not a directory" in backed_up.fails("ls", "tallac:Latest/parent/blah.txt/x")
    assert "no snapshots found" in backed_up.fails("snapshots", "tallac:Latest")


def test_a_restore_to_what_is_not_empty(backed_up: Tallac, source: Path) -> None:
    """A restore does not mix with what is there."""
    assert str(source) in backed_up.fails("restore", "Latest", source)
    assert (source / "parent" / "blah.txt").read_text() == "blah"


def test_damage(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """What the vault has lost is named by check and restore, which go on, and give exit status 1."""
    (source / "large").write_bytes(os.urandom(200_000))
    backed_up("-q", "backup", source)
    largest = max((backed_up.home / "vault").rglob("*"), key=lambda path: path.stat().st_size)
    largest.unlink()
    checked = backed_up("check", status=1)
    assert "large" in checked.err
    assert b"damaged" in checked.out
    restored = backed_up("restore", "Latest", tmp_path / "out", status=1)
    assert "large" in restored.err
    assert not (tmp_path / "out" / "large").exists()
    assert (tmp_path / "out" / "parent" / "blah.txt").read_text() == "blah"
    assert "Traceback" not in checked.err + restored.err
