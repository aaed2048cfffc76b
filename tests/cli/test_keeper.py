"""What the keeper key does, and what it does not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

CANARY = "canary-4711"


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Give a source whose names, contents, link texts and attributes all hold the same word."""
    source = tmp_path / f"source {CANARY}"
    (source / f"folder {CANARY}").mkdir(parents=True)
    (source / f"folder {CANARY}" / f"file {CANARY}").write_text(f"content {CANARY} " * 500)
    (source / f"small {CANARY}").write_text(CANARY)
    (source / "link").symlink_to(f"to {CANARY}")
    (source / "large").write_bytes(f"{CANARY} {os.urandom(30).hex()} ".encode() * 20_000)
    return source


class Keeper:
    """Somebody with the keeper key and the vault's place."""

    def __init__(self, tallac: Tallac, folder: Path) -> None:
        key = folder / "keeper.txt"
        key.write_bytes(tallac("keeper-key").out)
        self.tallac = type(tallac)(folder / "keeper")
        self.given = ("--vault", tallac.vault, "--vault-key", key)
        self.shown: list[bytes] = []

    def __call__(self, *arguments: str | Path, status: int | None = 0) -> bytes:
        """Run a command with the key, and keep what it shows."""
        result = self.tallac(*arguments, *self.given, status=status)
        self.shown += [result.out, os.fsencode(result.err)]
        return result.out


@pytest.mark.slow
def test_everything_without_reading_anything(tallac: Tallac, told: Path, tmp_path: Path) -> None:
    """A keeper checks, scrubs, counts, prunes, copies and repairs, and neither what is shown nor what is kept tells a word."""
    tallac("-q", "backup", told, "--", f"tallac:target {CANARY}")
    (told / f"folder {CANARY}" / f"file {CANARY}").write_text("other\n" * 1000)
    tallac("-q", "backup", told, f"tallac:target {CANARY}")
    tallac("-q", "forget", f"tallac:target {CANARY}", "--keep-last", "1")
    keeper = Keeper(tallac, tmp_path)
    keeper("check", "--read-data", "-v")
    assert json.loads(keeper("vault-stats", "--json"))["objects"]["unused"]["count"] > 0
    keeper("prune", "-v", "--max-unused", "0")
    assert json.loads(keeper("vault-stats", "--json"))["objects"]["unused"]["count"] == 0
    keeper("mirror", "-v", tallac.vault, tmp_path / "mirror")
    pack = max(tallac.vault.glob("packs/*"), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    keeper("check", "--read-data", "-v", status=1)
    keeper("scrub", tallac.vault, status=1)
    keeper("repair", "-v", "--from", tmp_path / "mirror")
    keeper("check", "--read-data", "-v")
    kept = [path.read_bytes() for folder in (keeper.tallac.home, tallac.vault, tmp_path / "mirror") for path in _files(folder)]
    for text in keeper.shown + kept:
        assert CANARY.encode() not in text
    assert CANARY in os.fsdecode(tallac("ls", "-R", "tallac:").out)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_keeper_opens_nothing(tallac: Tallac, told: Path, tmp_path: Path) -> None:
    """Neither what a keeper holds nor a verify cap beside it opens a directory, a file or a snapshot's facts."""
    tallac("-q", "backup", told)
    keeper = Keeper(tallac, tmp_path)
    verify_cap = tallac("cap", "--verify", "tallac:").out.decode().strip()
    snapshot_cap = tallac("cap", "--verify", "tallac:Latest").out.decode().strip()
    (tmp_path / "cap").write_text(verify_cap)
    for cap in (verify_cap, snapshot_cap):
        for arguments in (("ls", cap), ("get", f"{cap}/large"), ("restore", cap, tmp_path / "out"), ("snapshots", cap)):
            keeper(*arguments, status=None)
            assert CANARY.encode() not in b"".join(keeper.shown)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
    keeper("check", "--read-data", verify_cap)
    refused = keeper.tallac("put", "-", *keeper.given, stdin=b"x" * 100, status=1)
    assert "writer key" in refused.err


def test_stats_of_what_is_no_vault_alias(tallac: Tallac, told: Path, tmp_path: Path) -> None:
    """A path below an alias names the same vault; damage is said, with what can be counted; a killed writer's session is listed."""
    tallac("-q", "backup", told)
    figures = json.loads(tallac("vault-stats", "--json", "tallac:").out)
    assert json.loads(tallac("vault-stats", "--json", "tallac:Latest").out) == figures
    assert figures["roots"] == figures["stored"]["slots"]["count"] == 2
    assert figures["sessions"] == []
    assert figures["objects"]["directories"]["count"] == 2
    for pack in tallac.vault.glob("packs/*"):
        pack.write_bytes(bytes(pack.stat().st_size))
    result = tallac("vault-stats", status=1)
    assert "`tallac check` names what is damaged" in result.err
    assert b"packs" in result.out
