from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.end_to_end.comparing import differences, look

if TYPE_CHECKING:
    from tests.command import Tallac


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """Give the folder for a mirror, which is not there yet."""
    return tmp_path / "media" / "mirror"


def test_a_mirror_restores(tallac: Tallac, source: Path, mirror: Path, tmp_path: Path) -> None:
    """A mirror is made by location alone, follows incrementally, and restores once the vault is gone."""
    tallac("-q", "backup", source)
    stranger = type(tallac)(tmp_path / "stranger")
    foretold = json.loads(stranger("mirror", "--json", "-n", tallac.vault, mirror).out)
    assert not mirror.exists()
    copied = json.loads(stranger("mirror", "--json", tallac.vault, mirror).out)
    assert copied | {"dry_run": True} == foretold
    assert copied["packs"] > 0
    (source / "new").write_bytes(b"new " * 100)
    tallac("-q", "backup", source)
    again = stranger("mirror", tallac.vault, mirror)
    assert again.err == ""
    assert again.out.startswith(b"copied   ")
    shutil.rmtree(tallac.vault)
    assert tallac("check", "--read-data", "--vault", mirror).err == ""
    tallac("-q", "restore", "--vault", mirror, "tallac:Latest", tmp_path / "out")
    assert differences(look(source), look(tmp_path / "out")) == {}


@pytest.mark.slow
def test_a_keeper_mirrors_and_deletes(tallac: Tallac, source: Path, mirror: Path, tmp_path: Path) -> None:
    """With the keeper key a mirror follows a prune, and can be pruned, checked and copied itself."""
    tallac("-q", "backup", source)
    (tmp_path / "key").write_bytes(tallac("keeper-key").out)
    tallac("mirror", "tallac:", mirror)
    (source / "parent" / "subdir" / "bar.txt").write_text("other\n" * 1000)
    tallac("-q", "backup", source)
    tallac("-q", "forget", "tallac:", "--keep-last", "1")
    tallac("-q", "prune", "--max-unused", "0")
    keeper = type(tallac)(tmp_path / "keeper")
    with_key = ("--vault-key", tmp_path / "key")
    assert keeper("mirror", "--json", "--delete", *with_key, tallac.vault, mirror).summary("deleted_packs") > 0
    assert {path.name for path in mirror.glob("packs/*")} == {path.name for path in tallac.vault.glob("packs/*")}
    assert keeper("check", "--read-data", "--vault", mirror, *with_key).err == ""
    assert b"0 packs" in keeper("prune", "--vault", mirror, *with_key).out


def test_what_is_refused(tallac: Tallac, source: Path, mirror: Path, tmp_path: Path) -> None:
    """The vault itself, another vault, a folder with letters, a deletion without a key: each is refused with one line."""
    tallac("-q", "backup", source)
    other = type(tallac)(tmp_path / "other")
    other("-q", "backup", source)
    assert "can't be its own copy" in tallac.fails("mirror", "tallac:", tallac.vault, status=2)
    assert "another vault" in tallac.fails("mirror", "tallac:", other.vault)
    assert "other than a vault" in tallac.fails("mirror", "tallac:", source / "parent")
    assert "keeper key" in other.fails("mirror", "--delete", tallac.vault, mirror)
    assert "no alias" in tallac.fails("mirror", "home:", mirror)


def test_damage_is_said(tallac: Tallac, source: Path, mirror: Path) -> None:
    """A damaged pack is named, the mirror stays as it was, and the status is 1."""
    tallac("-q", "backup", source)
    pack = next(tallac.vault.glob("packs/*"))
    pack.write_bytes(bytes(pack.stat().st_size))
    result = tallac("mirror", "tallac:", mirror, status=1)
    assert f"pack {pack.name[:12]} in {tallac.vault} is damaged" in result.err
    assert not (mirror / "slots").exists()


def test_a_partial_mirror(tallac: Tallac, source: Path, mirror: Path, tmp_path: Path) -> None:
    """With the keeper key and a verify cap alone a keeper copies one target; the owner restores it from there, and nothing else."""
    tallac("-q", "backup", source, "tallac:mine")
    tallac("-q", "backup", source / "parent", "tallac:theirs")
    (tmp_path / "key").write_bytes(tallac("keeper-key").out)
    (tmp_path / "cap").write_bytes(tallac("cap", "--verify", "tallac:mine").out)
    keeper = type(tallac)(tmp_path / "keeper")
    with_key = ("--vault-key", tmp_path / "key")
    copied = keeper("mirror", "--json", "--only", f"@{tmp_path / 'cap'}", *with_key, tallac.vault, mirror)
    assert copied.summary("objects") > 0
    assert copied.summary("states") == 2
    assert keeper("check", "--read-data", "--vault", mirror, *with_key).err == ""
    cap = tallac("cap", "tallac:mine").out.decode().strip()
    tallac("-q", "restore", "--vault", mirror, f"{cap}/Latest", tmp_path / "out")
    assert differences(look(source), look(tmp_path / "out")) == {}
    other = tallac("cap", "tallac:theirs").out.decode().strip()
    # Who has seen the directory is told that the mirror is behind.
    assert "older copy" in tallac.fails("ls", "--vault", mirror, other)
    assert "keeper key" in keeper.fails("mirror", "--only", f"@{tmp_path / 'cap'}", tallac.vault, tmp_path / "x")
    assert "leave out" in tallac.fails("mirror", "--only", "tallac:mine", "--delete", "tallac:", mirror, status=2)
