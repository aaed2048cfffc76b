"""Damage and rollback of a vault, seen through the real command."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.end_to_end.comparing import Looks, differences, look


def lose(pack: Path) -> None:
    """Remove a pack."""
    pack.unlink()


def cut(pack: Path) -> None:
    """Cut off the second half of a pack."""
    os.truncate(pack, pack.stat().st_size // 2)


def flip(pack: Path) -> None:
    """Change one bit in the middle of a pack."""
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0x10
    pack.write_bytes(content)


@pytest.fixture
def spread(tmp_path: Path, chance: random.Random) -> Path:
    """Give a source whose content goes to several packs."""
    source = tmp_path / "spread"
    for number in range(12):
        (source / f"{number}").mkdir(parents=True)
        for size in (0, 40, 3_000, 60_000, 900_000):
            (source / f"{number}" / f"of {size}").write_bytes(chance.randbytes(size))
    return source


def largest_pack(vault: Path) -> Path:
    """Give the pack that holds most."""
    return max(vault.rglob("packs/*"), key=lambda path: path.stat().st_size)


def files(found: dict[bytes, Looks]) -> dict[bytes, str]:
    """Give what each file holds."""
    return {path: looks.content for path, looks in found.items() if looks.content}


@pytest.mark.parametrize("damage", [lose, cut, flip], ids=lambda damage: damage.__name__)
def test_a_damaged_pack(tallac: Tallac, spread: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Check and restore name each path that is hit, and only those; the rest comes back, and no wrong byte does."""
    tallac("-q", "backup", spread)
    damage(largest_pack(tallac.vault))
    checked = tallac("check", "--read-data", "tallac:", status=1)
    restored = tallac("-q", "restore", "Latest", tmp_path / "out", status=1)
    wanted, found = files(look(spread)), files(look(tmp_path / "out"))
    lost = wanted.keys() - found.keys()
    assert 0 < len(lost) < len(wanted)
    assert {path: wanted[path] for path in found} == found
    named = {line.removeprefix("tallac: ").split(":")[0] for line in restored.error_lines}
    assert named == {os.fsdecode(path.removeprefix(b"./")) for path in lost}
    for name in named:
        assert f"Latest/{name}: " in checked.err


@pytest.mark.parametrize("damage", [lose, cut], ids=lambda damage: damage.__name__)
def test_the_next_backup_heals(tallac: Tallac, spread: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A pack that is gone or cut is noticed without being read; what the source still has is stored anew."""
    tallac("-q", "backup", spread)
    damage(largest_pack(tallac.vault))
    tallac("-q", "backup", spread)
    assert tallac("check", "--read-data", "Latest").err == ""
    assert tallac("-q", "restore", "Latest", tmp_path / "out").err == ""
    assert differences(look(spread), look(tmp_path / "out")) == {}


def test_a_rolled_back_vault(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Who has seen a newer state refuses the older one, and says what to do; without that memory it is accepted."""
    tallac("-q", "backup", source)
    shutil.copytree(tallac.vault, tmp_path / "older")
    (source / "new").write_text("new " * 100)
    tallac("-q", "backup", source)
    shutil.rmtree(tallac.vault)
    (tmp_path / "older").rename(tallac.vault)
    for line in (
        "ls",
        "snapshots",
        "ls Latest",
        "get Latest/parent/blah.txt",
        f"restore Latest {tmp_path / 'out'}",
        f"backup {source}",
    ):
        message = tallac.fails(*line.split())
        assert "rolled back" in message
        assert "state" in message, message
    assert "rolled back" in tallac("check", status=1).err
    for line in ("put - tallac:x", "mkdir x", "unlink Latest"):
        assert "rolled back" in tallac.fails(*line.split())
    shutil.rmtree(tallac.home / "state")
    assert len(tallac("ls", "Archives").lines) == 1
    tallac("-q", "backup", source)
    assert tallac("get", "Latest/new").out == b"new " * 100
    assert tallac("check", "--read-data", "tallac:").err == ""
