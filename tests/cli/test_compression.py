"""How much is compressed: chosen with the vault, changed later, said otherwise for one run, and carried by mirrors and jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Make a folder with 300 KB that compress."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "numbers").write_text(" ".join(str(number * number % 10_007) for number in range(60_000)))
    return tmp_path / "text"


def test_a_vault_remembers_for_all_clients(tallac: Tallac, text: Path, tmp_path: Path) -> None:
    """What `init` is told goes for other machines too; `compression` shows and changes it, and `vault-stats` has it as well."""
    tallac("-q", "init", tmp_path / "vault", "--compression", "off")
    stored = tallac("--json", "backup", text).summary("bytes_stored")
    assert stored > 300_000
    (tmp_path / "kit").write_bytes(tallac("recovery-kit").out)
    other = type(tallac)(tmp_path / "other")
    other("-q", "connect", "--recovery-kit", tmp_path / "kit")
    assert other("compression").out == b"compression is off\n"
    assert other("compression", "-n", "max").err == "compression would be max\n"
    assert other("compression", "tallac:", "max", "-n").err == "compression would be max\n"
    assert other("compression", "tallac:").out == b"compression is off\n"
    other("-q", "compression", "tallac:", "max")
    assert json.loads(tallac("--json", "compression").out) == {"compression": "max", "dry_run": False}
    assert json.loads(tallac("--json", "vault-stats").out)["compression"] == "max"
    assert tallac("check", "--read-data").err == ""


def test_one_run_is_told_otherwise(tallac: Tallac, text: Path) -> None:
    """The option counts for that run alone, and what it stored is not stored again by others."""
    tallac("-q", "init")
    assert tallac("--json", "backup", "--compression", "off", text, "tallac:a").summary("bytes_stored") > 300_000
    assert tallac("--json", "backup", text, "tallac:b").summary("bytes_stored") < 20_000
    (text / "numbers").write_text((text / "numbers").read_text() + " and another")
    assert 20_000 < tallac("--json", "backup", text, "tallac:b").summary("bytes_stored") < 250_000
    assert tallac("compression").out == b"compression is auto\n"


def test_a_job_has_the_key(tallac: Tallac, text: Path, tmp_path: Path) -> None:
    """A job compresses as its key says, and the next job in the same run as the vault says."""
    (tallac.home / "config").mkdir(parents=True, exist_ok=True)
    (text / "other").mkdir()
    (text / "other" / "numbers").write_text((text / "numbers").read_text()[5:])
    (tallac.home / "config" / "jobs.toml").write_text(
        f'[job.a]\nsources = ["{text}"]\ntarget = "tallac:a"\nexclude = ["other"]\ncompression = "off"\n'
        f'[job.b]\nsources = ["{text}/other"]\ntarget = "tallac:b"\n'
    )
    tallac("-q", "init")
    tallac("-q", "run", "a", "b")
    sizes = [json.loads(tallac("--json", "snapshots", f"tallac:{name}").lines[0])["bytes_stored"] for name in "ab"]
    assert sizes[0] > 300_000
    assert sizes[1] < 250_000


def test_a_mirror_has_the_setting(tallac: Tallac, text: Path, tmp_path: Path) -> None:
    """A mirror that takes the vault's place compresses as the vault did, a newer setting follows, and an older one does not."""
    tallac("-q", "init")
    tallac("-q", "backup", text)
    tallac("-q", "compression", "fast")
    tallac("-q", "mirror", "tallac:", tmp_path / "mirror")
    assert tallac("compression", "--vault", tmp_path / "mirror").out == b"compression is fast\n"
    tallac("-q", "compression", "max")
    tallac("-q", "mirror", "tallac:", tmp_path / "mirror")
    assert tallac("compression", "--vault", tmp_path / "mirror").out == b"compression is max\n"


def test_damage_is_named_and_repaired(tallac: Tallac, text: Path) -> None:
    """A damaged register of settings ends a backup with what to do, a check finds it, a repair empties it; a lost one is none."""
    tallac("-q", "init", "--compression", "fast")
    tallac("-q", "backup", text)
    register = tallac.vault / "registers" / "settings"
    register.write_bytes(register.read_bytes()[:-1] + b"x")
    (text / "new").write_bytes(b"new " * 1000)
    assert "tallac repair" in tallac.fails("backup", text, status=1)
    assert "registers/settings is damaged" in tallac("check", status=1).err
    assert tallac("vault-stats", status=1).err.startswith("tallac: the vault's registers/settings is damaged")
    assert b"emptied" in tallac("repair").out
    assert tallac("compression").out == b"compression is auto\n"
    tallac("-q", "backup", text)
    register.unlink()
    assert tallac("compression").out == b"compression is auto\n"
    assert tallac("check").err == ""


@pytest.mark.parametrize(
    "arguments", [("init", "--compression", "best"), ("backup", ".", "--compression", "best"), ("compression", "best")]
)
def test_a_wrong_word_is_refused(tallac: Tallac, arguments: tuple[str, ...]) -> None:
    """What is none of the four is refused with the four, before anything is made."""
    assert "write off, fast, auto or max" in tallac.fails(*arguments, status=2)
    assert not tallac.vault.exists()
