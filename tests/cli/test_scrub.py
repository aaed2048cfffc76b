from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.crypto.hashing import hash_file_bytes

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def stranger(tallac: Tallac, tmp_path: Path, source: Path) -> Tallac:
    """Make a vault, and give the command of somebody who has no key of it."""
    tallac("-q", "backup", source)
    return type(tallac)(tmp_path / "stranger")


def self_named(vault: Path) -> list[Path]:
    """Give the files that are named by their hash."""
    return sorted([*vault.glob("packs/*"), *vault.glob("index/*"), *vault.glob("reserve/*")])


def test_a_whole_vault(tallac: Tallac, stranger: Tallac) -> None:
    """Without any key all packs and index objects are read, and nothing is made or changed."""
    before = {path: path.read_bytes() for path in tallac.vault.rglob("*") if path.is_file()}
    result = stranger("scrub", tallac.vault)
    assert result.err == ""
    assert b"no damage found" in result.out
    summary = json.loads(stranger("scrub", "--json", tallac.vault).lines[-1])
    assert summary["healthy"] is True
    assert summary["objects"] == len(self_named(tallac.vault))
    assert summary["bytes_read"] == summary["bytes_total"] == sum(path.stat().st_size for path in self_named(tallac.vault))
    assert not stranger.home.exists()
    assert {path: path.read_bytes() for path in tallac.vault.rglob("*") if path.is_file()} == before
    assert tallac("scrub", "tallac:").out == result.out


def test_each_damaged_object_is_named(tallac: Tallac, stranger: Tallac, chance: random.Random) -> None:
    """A bit that flipped anywhere, or an end that is cut off, is found; exactly what is hit is named, and the status is 1."""
    for path in self_named(tallac.vault):
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        for content in (bytes(flipped), whole[:-1], whole + b"\0"):
            path.write_bytes(content)
            result = stranger("scrub", "--json", tallac.vault, status=1)
            findings = [record for record in map(json.loads, result.lines) if record["type"] == "finding"]
            assert [(record["stored"], record["damaged"]) for record in findings] == [([f"{path.parent.name}/{path.name}"], True)]
            assert result.error_lines == [f"tallac: {findings[0]['what']}"]
        path.write_bytes(whole)
    stranger("scrub", tallac.vault)


def test_damaged_headers(tallac: Tallac, stranger: Tallac) -> None:
    """A header that is damaged or lost is named; where both are, the rest is looked at all the same."""
    (tallac.vault / "header").write_bytes(b"x" * 100)
    assert "header is damaged; the other copy is used" in stranger("scrub", tallac.vault, status=1).err
    (tallac.vault / "header.copy").unlink()
    result = stranger("scrub", tallac.vault, status=1)
    assert "neither header is intact" in result.err
    assert b"objects named by their hash" in result.out


def test_damaged_passphrases(tallac: Tallac, stranger: Tallac) -> None:
    """What a passphrase opens has a check of its own, and is looked at without the passphrase."""
    tallac("add-passphrase", "tallac:", "--passphrase-file", "-", stdin=b"correct horse battery staple\n")
    stranger("scrub", tallac.vault)
    path = next((tallac.vault / "passphrases").iterdir())
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"passphrases/{path.name} is damaged" in stranger("scrub", tallac.vault, status=1).err


def test_what_is_no_vault(stranger: Tallac, tmp_path: Path) -> None:
    """A folder without a vault, a folder that is not there, an unknown alias: an error each, and no result."""
    (tmp_path / "empty").mkdir()
    assert "holds no vault" in stranger.fails("scrub", tmp_path / "empty")
    assert "does not exist" in stranger.fails("scrub", tmp_path / "none")
    assert "no alias 'usb'" in stranger.fails("scrub", "usb:")
    assert "not a supported location" in stranger.fails("scrub", "gopher://x/", status=2)


def test_a_newer_vault_is_left_alone(tallac: Tallac, stranger: Tallac) -> None:
    """A vault of a newer format is not called damaged."""
    for name in ("header", "header.copy"):
        (tallac.vault / name).write_bytes((tallac.vault / name).read_bytes().replace(b"format 2", b"format 9"))
    (tallac.vault / "header").write_bytes(_newer(tallac.vault / "header"))
    assert "needs a newer Tallac" in stranger.fails("scrub", tallac.vault)


def _newer(header: Path) -> bytes:
    before = header.read_bytes().rpartition(b"check ")[0]
    return before + b"check " + hash_file_bytes(before).hex()[:16].encode() + b"\n"


def test_an_unreadable_pack(tallac: Tallac, stranger: Tallac) -> None:
    """A pack that the disk does not give out is named, and the others are read."""
    path = self_named(tallac.vault)[-1]
    os.chmod(path, 0)
    result = stranger("scrub", tallac.vault, status=1, as_user=True)
    assert "can't be read" in result.err
    assert len(result.error_lines) == 1


def test_other_files_are_no_damage(tallac: Tallac, stranger: Tallac) -> None:
    """What is no part of a vault is left alone."""
    shutil.copy(tallac.vault / "header", tallac.vault / "packs" / "notes")
    (tallac.vault / "lost+found").mkdir()
    assert stranger("scrub", tallac.vault).err == ""
