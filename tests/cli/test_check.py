from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac


@pytest.fixture
def spread(tmp_path: Path, chance: random.Random) -> Path:
    """Give a source of several packs."""
    source = tmp_path / "spread"
    source.mkdir()
    for number in range(60):
        (source / f"file {number}").write_bytes(chance.randbytes(1_000_000))
    return source


def packs(vault: Path) -> list[Path]:
    """Give the packs, the largest last."""
    return sorted(vault.glob("packs/*"), key=lambda path: path.stat().st_size)


def flip(pack: Path, offset: int) -> None:
    """Change one bit of a pack."""
    with pack.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes((byte[0] ^ 1,)))


def records(lines: list[bytes], kind: str) -> list[dict[str, object]]:
    """Give the records of one kind."""
    return [record for record in map(json.loads, lines) if record["type"] == kind]


def keeper_of(tallac: Tallac, folder: Path) -> tuple[Tallac, list[str | Path]]:
    """Give the command of somebody who has the keeper key alone, and the options that say so."""
    key = folder / "keeper.txt"
    key.write_bytes(tallac("keeper-key").out)
    return type(tallac)(folder / "keeper"), ["--vault", tallac.vault, "--vault-key", key]


def test_damage_that_hits_nothing_in_use(tallac: Tallac, tmp_path: Path, chance: random.Random) -> None:
    """Of a damaged pack that no file needs any more this is said, whatever is asked and with whichever key; else it is not."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(chance.randbytes(1_000_000))
    tallac("-q", "backup", source, "tallac:docs")
    (unused,) = packs(tallac.vault)[-1:]
    (source / "large").write_bytes(chance.randbytes(2_000_000))
    tallac("-q", "backup", source, "tallac:docs")
    flip(unused, 500_000)
    name = unused.name[:12]
    hit = tallac("check", "--read-data", "tallac:", status=1).err
    assert "docs/Archives/" in hit
    assert "affected" not in hit
    tallac("-q", "forget", "tallac:docs", "--keep-last", "1")
    keeper, options = keeper_of(tallac, tmp_path)
    for result in (
        tallac("check", "--read-data", "tallac:", status=1),
        keeper("check", "--read-data", *options, status=1),
    ):
        (line,) = [line for line in result.error_lines if f"pack {name} is damaged" in line]
        assert line.endswith(("; no file or directory is affected", "; nothing below what was checked is affected"))


@pytest.mark.slow
def test_all_snapshots_that_are_hit_are_named(tallac: Tallac, spread: Path) -> None:
    """A damaged object's file is named once, with every snapshot that holds it, also from far above."""
    tallac("-q", "backup", spread, "tallac:docs")
    (spread / "new").write_text("x" * 100)
    tallac("-q", "backup", spread, "tallac:docs")
    flip(packs(tallac.vault)[-1], 5_000_000)
    snapshots = [line.decode() for line in tallac("ls", "tallac:docs/Archives").lines]
    lines = tallac("check", "--read-data", "tallac:", status=1).error_lines
    hit = [line for line in lines if "docs/Latest/file" in line]
    assert len(hit) == 1
    assert hit[0].endswith(f"; also in docs/Archives/{snapshots[0]}, docs/Archives/{snapshots[1]}")
    findings = records(tallac("check", "--json", "--read-data", "tallac:docs", status=1).lines, "finding")
    assert [len(finding["stored"]) for finding in findings if "path" in finding] == [1]  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_part_of_the_packs(tallac: Tallac, spread: Path) -> None:
    """The parts read each pack once between them, and the damage comes to light in one of them, with its path."""
    tallac("-q", "backup", spread)
    flip(packs(tallac.vault)[-1], 5_000_000)
    tallac("check", "tallac:")
    total, found = 0, 0
    for part in range(1, 4):
        result = tallac("check", "--json", "--read-data-subset", f"{part}/3", "tallac:", status=None)
        total += result.summary("bytes_total")
        found += result.status
        assert result.status == ("Latest/file" in result.err)
    assert found == 1
    assert total == sum(path.stat().st_size for path in packs(tallac.vault))


@pytest.mark.slow
def test_percentages_come_to_all_packs(tallac: Tallac, spread: Path) -> None:
    """Runs of so many percent each come to every pack in turn; a damaged one is named in each run after that."""
    tallac("-q", "backup", spread)
    flip(packs(tallac.vault)[-1], 5_000_000)
    statuses = [tallac("check", "--read-data-subset", "25%", "tallac:", status=None).status for _ in range(5)]
    assert statuses[-1] == 1
    assert statuses == sorted(statuses)


@pytest.mark.slow
def test_an_interrupted_check_goes_on(tallac: Tallac, spread: Path) -> None:
    """After an interruption --resume reads the rest, and what was found damaged."""
    tallac("-q", "backup", spread)
    total = tallac("check", "--json", "--read-data", "tallac:").summary("bytes_total")
    first = min(packs(tallac.vault), key=lambda path: path.name)
    remembered = next(tallac.home.rglob("checked.json"))
    remembered.write_text(json.dumps({"1/1": {"last": first.name, "damaged": []}}))
    resumed = tallac("check", "--json", "--read-data", "--resume", "tallac:")
    assert resumed.summary("bytes_total") == total - first.stat().st_size
    assert tallac("check", "--json", "--read-data", "--resume", "tallac:").summary("bytes_total") == total


@pytest.mark.slow
def test_a_keeper_checks_without_any_cap(tallac: Tallac, spread: Path, tmp_path: Path) -> None:
    """With the keeper key and the location alone everything is checked; the pack and the one object that are hit are named."""
    tallac("-q", "backup", spread)
    keeper, given = keeper_of(tallac, tmp_path)
    whole = keeper("check", "--json", "--read-data", *given)
    assert whole.err == ""
    assert whole.summary("directories") >= 3
    assert keeper("check", "--json", "--read-data-subset", "1/1", *given).summary("findings") == 0
    pack = packs(tallac.vault)[-1]
    flip(pack, 5_000_000)
    keeper("check", *given)
    result = keeper("check", "--json", "--read-data", *given, status=1)
    findings = records(result.lines, "finding")
    assert len(findings) == len(result.error_lines) == 2
    stored = [each["stored"] for each in findings]
    assert [f"packs/{pack.name}"] in stored
    (damaged,) = (each for each in stored if each != [f"packs/{pack.name}"])
    assert isinstance(damaged, list)
    assert [len(name) for name in damaged] == [32]
    assert all("path" not in each for each in findings)
    assert b"file " not in result.out
    os.unlink(pack)
    assert "is missing" in keeper("check", *given, status=1).err


def test_a_locator_key_checks_the_frame(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """With a locator key and no cap the vault's own parts are checked, and what was not is said."""
    tallac("-q", "backup", source)
    (tmp_path / "key").write_bytes(tallac("locator-key").out)
    stranger = type(tallac)(tmp_path / "stranger")
    result = stranger("check", "--read-data", "--vault", tallac.vault, "--vault-key", tmp_path / "key")
    assert result.error_lines == ["roots and sessions were not checked: that requires a keeper key"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("--read-data-subset", "0/3"),
        ("--read-data-subset", "4/3"),
        ("--read-data-subset", "0%"),
        ("--read-data-subset", "101%"),
        ("--read-data-subset", "x"),
        ("--read-data-subset", "1/2", "--read-data"),
        ("--resume",),
    ],
)
def test_wrong_usage(tallac: Tallac, source: Path, arguments: tuple[str, ...]) -> None:
    """A share that makes no sense is refused before anything is read."""
    tallac("-q", "backup", source)
    tallac.fails("check", *arguments, status=2)
