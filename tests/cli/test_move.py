"""`tallac move-vault`: a vault goes to another place, as a whole, and is used there from then on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.end_to_end.comparing import differences, look

from tallac import Client
from tallac.app.configuration.folders import Folders
from tallac.app.operations.moving import VaultMove
from tallac.app.workspace import Workspace
from tallac.clock import SystemClock
from tallac.errors import ConflictError
from tallac.vault.mutable.sessions import RegisteredSession
from tallac.vault.vault import Vault

if TYPE_CHECKING:
    from tests.command import Tallac


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Give the folder that a vault is to move to, which is not there yet."""
    return tmp_path / "media" / "new place"


def location(tallac: Tallac) -> str:
    """Read where the configuration has the only vault."""
    grids = json.loads((tallac.home / "config" / "tallac.json").read_text())["grids"]
    (grid,) = grids.values()
    return str(grid["location"]).removeprefix("file://").replace("%20", " ")


def test_a_vault_moves(tallac: Tallac, source: Path, new: Path, tmp_path: Path) -> None:
    """All aliases lead to the new place; the old one is as it was, and the printed command deletes it."""
    tallac("-q", "backup", source)
    tallac("-q", "create-alias", "second")
    before = look(tallac.vault)
    foretold = json.loads(tallac("move-vault", "-n", "--json", "tallac:", new).lines[-1])
    assert not new.exists()
    assert foretold["moved"] is False
    result = tallac("move-vault", "tallac", new)
    assert f"in use   {new}, for second:, tallac:" in result.out.decode()
    assert f"`rm -r {tallac.vault}` deletes it" in result.err
    assert "run the same with --no-copy on other machines" in result.err
    assert location(tallac) == str(new)
    assert differences(before, look(tallac.vault)) == {}
    shutil.rmtree(tallac.vault)
    tallac("-q", "restore", "Latest", tmp_path / "out")
    assert differences(look(source), look(tmp_path / "out")) == {}
    (source / "added").write_text("later")
    tallac("-q", "backup", source)
    tallac("check", "--read-data", "tallac:")
    # And back, with what has come since.
    back = json.loads(tallac("move-vault", "--json", "tallac:", tallac.vault).lines[-1])
    assert (back["old"], back["new"], back["moved"], back["same_place"]) == (str(new), str(tallac.vault), True, False)
    assert back["packs"] >= foretold["packs"]
    assert tallac("ls", "Latest").lines.count(b"added") == 1


def test_what_a_killed_move_has_left_is_used_and_distrusted(tallac: Tallac, source: Path, new: Path) -> None:
    """Packs that are there already are not copied again, but read: a torn one is replaced, a missing one copied."""
    for number in range(4):
        (source / "more").write_bytes(os.urandom(100_000))
        tallac("-q", "backup", source)
        assert number < 4
    tallac("mirror", "tallac:", new)
    packs = sorted(new.glob("packs/*"))
    assert len(packs) >= 4
    torn, missing = packs[:2]
    missing.unlink()
    content = bytearray(torn.read_bytes())
    content[len(content) // 2] ^= 1
    torn.chmod(0o600)
    torn.write_bytes(content)
    (new / "registers" / "roots").unlink()
    moved = json.loads(tallac("move-vault", "--json", "tallac:", new).lines[-1])
    assert (moved["packs"], moved["states"], moved["moved"]) == (2, 1, True)
    tallac("check", "--read-data", "tallac:")
    assert location(tallac) == str(new)


def test_a_killed_move_goes_on(tallac: Tallac, source: Path, new: Path) -> None:
    """Killed while it copies, a move leaves the old place in use; run again, it is carried out."""
    for _ in range(3):
        (source / "more").write_bytes(os.urandom(3_000_000))
        tallac("-q", "backup", source)
    process = tallac.start("move-vault", "tallac:", new)
    while process.poll() is None and not list(new.glob("packs/*")):
        pass
    process.kill()
    process.communicate()
    assert location(tallac) == str(tallac.vault)
    tallac("check", "tallac:")
    tallac("move-vault", "tallac:", new)
    assert location(tallac) == str(new)
    shutil.rmtree(tallac.vault)
    tallac("check", "--read-data", "tallac:")


def test_what_is_refused(tallac: Tallac, source: Path, new: Path, tmp_path: Path) -> None:
    """Another vault, a folder with letters, the place itself, an unknown vault: each with one line, and nothing changes."""
    tallac("-q", "backup", source)
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "letter").write_text("dear")
    other = type(tallac)(tmp_path / "other")
    other("-q", "init", tmp_path / "others")
    cases: dict[tuple[str | Path, ...], tuple[str, int]] = {
        ("tallac:", tmp_path / "others"): ("contains another vault: give an empty place", 1),
        ("tallac:", letters): ("not a vault, and not empty; give a new or empty place", 1),
        ("tallac:", tallac.vault): ("the vault is there already", 2),
        (letters, new): ("no vault in your configuration is there; name it by an alias", 2),
        ("--no-copy", "tallac:", new): ("no vault found; leave out --no-copy", 1),
        ("nobody:", new): ("nobody", 1),
    }
    for arguments, (words, status) in cases.items():
        assert words in tallac.fails("move-vault", *arguments, status=status)
    assert not new.exists()
    assert location(tallac) == str(tallac.vault)
    assert [path.name for path in letters.iterdir()] == ["letter"]


def test_one_place_under_two_names(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Nothing is copied, and above all nothing is said to be deleted."""
    tallac("-q", "backup", source)
    link = tmp_path / "link"
    link.symlink_to(tallac.vault)
    result = tallac("move-vault", "tallac:", link)
    assert "the same place, reached in another way" in result.out.decode()
    assert "deletes it" not in result.err
    assert b"copied" not in result.out
    assert location(tallac) == str(link)
    assert not list(tallac.vault.glob("probe/*"))
    tallac("check", "--read-data", "tallac:")


def test_a_damaged_vault_stays(tallac: Tallac, source: Path, new: Path) -> None:
    """What can't be copied whole is named, and the old place stays in use."""
    tallac("-q", "backup", source)
    pack = max(tallac.vault.glob("packs/*"), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    assert "not all of it could be copied" in tallac.fails("move-vault", "tallac:", new)
    assert location(tallac) == str(tallac.vault)


def test_another_machine_follows(tallac: Tallac, source: Path, new: Path, tmp_path: Path) -> None:
    """It copies nothing, and is kept from following where what it has backed up did not come along."""
    tallac("-q", "backup", source)
    tallac("recovery-kit", "tallac:", "--output", tmp_path / "kit.txt")
    other = type(tallac)(tmp_path / "other")
    other("-q", "connect", tallac.vault, "--recovery-kit", tmp_path / "kit.txt")
    late = type(tallac)(tmp_path / "late")
    late("-q", "connect", tallac.vault, "--recovery-kit", tmp_path / "kit.txt")
    other("ls", "Latest")
    tallac("-q", "move-vault", "tallac:", new)
    assert "`rm" not in other("move-vault", "--no-copy", "tallac:", new).err
    assert location(other) == str(new)
    other("-q", "backup", source)
    late("-q", "backup", source, "tallac:late")
    assert "older" in late.fails("move-vault", "--no-copy", "tallac:", new)
    assert "add --no-copy" in tallac.fails("move-vault", "tallac:", tallac.vault)
    assert location(late) == str(tallac.vault)


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_backup_under_way_holds_a_move_up(tallac: Tallac, source: Path, new: Path, *, is_alive: bool) -> None:
    """A session that shows signs of life is waited out by the user; one of a killed backup is not minded."""
    tallac("-q", "backup", source)
    folders = Folders.under(tallac.home)
    with Client(folders) as client:
        grid = client.workspace.default_grid()
        assert isinstance(grid, Vault)
        session = _begin_session(grid)

        def sleep(seconds: float) -> None:
            assert seconds > 20
            if is_alive:
                session.send_heartbeat()

        run = _moving(client.workspace, sleep)
        if is_alive:
            with pytest.raises(ConflictError, match="is writing there; run this again when it has ended"):
                run(str(new))
        else:
            assert run(str(new)) is True
    assert location(tallac) == str(tallac.vault if is_alive else new)


def test_a_copy_that_becomes_the_vault_is_named(tallac: Tallac, source: Path, new: Path, tmp_path: Path) -> None:
    """A job's copy at the new place is none any more: the move says what to edit, the job fails until then, and then goes on."""
    link = tmp_path / "link"
    link.symlink_to(new)
    file = tallac.home / "config" / "jobs.toml"
    file.parent.mkdir(parents=True)

    def write(*copies: Path | str) -> None:
        places = ", ".join(f'"{place}"' for place in copies)
        file.write_text(f'[job.docs]\nsources = ["{source}"]\ntarget = "tallac:docs"\ncopies = [{places}]\n')

    write(new, link, tmp_path / "third", "nobody:")
    tallac("init")
    tallac("-q", "run", "docs", status=1)
    foretold = tallac("move-vault", "--json", "-n", "tallac:", new)
    assert "job docs keeps a copy at" in foretold.err
    moved = tallac("move-vault", "--json", "tallac:", new)
    misplaced = [{"job": "docs", "file": str(file), "place": str(place)} for place in (new, link)]
    assert json.loads(foretold.lines[-1])["misplaced_copies"] == misplaced
    assert json.loads(moved.lines[-1])["misplaced_copies"] == misplaced
    assert f"where the vault itself is from now on: edit `copies` in {file}, and give {tallac.vault} or another" in moved.err
    for place in (new, link):
        write(place)
        assert f"{place}: the vault itself is there" in tallac("run", "docs", status=1).err
    write(tallac.vault)
    (source / "added").write_text("later")
    tallac("-q", "run", "docs")
    shutil.rmtree(new)
    tallac("-q", "move-vault", "--no-copy", "tallac:", tallac.vault)
    assert tallac("ls", "docs/Latest").lines.count(b"added") == 1
    file.write_text("[job.docs")
    assert "is not known: " in tallac("move-vault", "tallac:", new).err
    assert location(tallac) == str(new)


def _begin_session(vault: Vault) -> RegisteredSession:
    parts = vault.components
    assert parts.keeper_key is not None
    return RegisteredSession.register(parts.backend, parts.keeper_key.roots, parts.structure, os.urandom, SystemClock())


def _moving(workspace: Workspace, sleep: Callable[[float], None]) -> Callable[[str], bool]:
    return lambda target: VaultMove(workspace, sleep).run("tallac:", target).is_moved
