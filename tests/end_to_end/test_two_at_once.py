"""Several commands at the same time: none is in the way of another, and nothing that one enters is lost by another."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.end_to_end.comparing import differences, look
from tests.ticks import settle

AT_ONCE = 4


@pytest.fixture
def sources(tmp_path: Path, chance: random.Random) -> list[Path]:
    """Give four sources that have half of their content in common, as machines of one user have."""
    folders = []
    for number in range(AT_ONCE):
        folder = tmp_path / f"source {number}"
        for each in range(200):
            (folder / f"{each % 10}").mkdir(parents=True, exist_ok=True)
            content = random.Random(each).randbytes(3_000) if each % 2 else chance.randbytes(3_000)
            (folder / f"{each % 10}" / f"{each}").write_bytes(content)
        folders.append(folder)
    return folders


def finish(processes: list[subprocess.Popen[bytes]]) -> list[str]:
    """Wait for commands, all of which are to succeed, and give what each wrote on standard error."""
    said = []
    for process in processes:
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
        said.append(err.decode())
    return said


def names(tallac: Tallac, target: str) -> list[str]:
    """Give the names of a target's snapshots."""
    return [name.decode() for name in tallac("ls", f"{target}Archives").lines]


def test_different_sources(tallac: Tallac, sources: list[Path], tmp_path: Path) -> None:
    """Four sources into one target at once: four snapshots, each one's whole, and `Latest` is the last of them."""
    tallac("-q", "create-alias", "tallac")
    finish([tallac.start("-q", "backup", source, "tallac:all") for source in sources])
    snapshots = names(tallac, "tallac:all/")
    assert len(snapshots) == AT_ONCE
    found = []
    for name in snapshots:
        tallac("-q", "restore", f"tallac:all/Archives/{name}", tmp_path / name)
        found.append(next(source for source in sources if differences(look(source), look(tmp_path / name)) == {}))
    assert sorted(found) == sources
    caps = [tallac("cap", f"tallac:all/Archives/{name}").out for name in snapshots]
    assert tallac("cap", "tallac:all/Latest").out == caps[-1]
    tallac("-q", "check", "--read-data", "tallac:")


def test_the_same_source(tallac: Tallac, sources: list[Path]) -> None:
    """One source four times at once: four snapshots that share everything, and nothing is kept from the next backup."""
    tallac("-q", "create-alias", "tallac")
    settle(sources[0])
    finish([tallac.start("-q", "backup", sources[0]) for _ in range(AT_ONCE)])
    snapshots = names(tallac, "tallac:")
    assert len(snapshots) == AT_ONCE
    assert len({tallac("cap", f"tallac:Archives/{name}").out for name in snapshots}) == 1
    tallac("-q", "check", "--read-data", "tallac:")
    assert tallac("--json", "backup", sources[0]).summary("bytes_read") == 0


def test_machines_at_once(sources: list[Path], tmp_path: Path) -> None:
    """Four clients without common state, into targets of their own and one for all, in one vault."""
    first = Tallac(tmp_path / "client 0", is_warm=False)
    first("-q", "create-alias", "tallac")
    clients = [first]
    for number in range(1, AT_ONCE):
        shutil.copytree(first.home / "config", tmp_path / f"client {number}" / "config")
        clients.append(Tallac(tmp_path / f"client {number}", is_warm=False))
    for target in ("tallac:all", "tallac:own {}"):
        finish(
            [
                client.start("-q", "backup", source, target.format(number))
                for number, (client, source) in enumerate(zip(clients, sources, strict=True))
            ]
        )
    assert len(names(first, "tallac:all/")) == AT_ONCE
    for number in range(AT_ONCE):
        assert len(names(clients[-1], f"tallac:own {number}/")) == 1
    for client in clients:
        client("-q", "check", "--read-data", "tallac:")


def test_two_first_backups(tallac: Tallac, sources: list[Path]) -> None:
    """Where nothing is there yet, one of two makes the vault; both enter their snapshots in it."""
    said = finish([tallac.start("backup", source) for source in sources[:2]])
    assert sorted("created a vault" in each for each in said) == [False, True]
    assert len(names(tallac, "tallac:")) == 2
    assert tallac("list-aliases").out.count(b"\n") == 1
    tallac("-q", "check", "--read-data", "tallac:")


def test_reading_meanwhile(tallac: Tallac, sources: list[Path], tmp_path: Path) -> None:
    """A restore and a check beside a backup see whole snapshots."""
    tallac("-q", "backup", sources[0])
    (sources[1] / "large").write_bytes(random.Random(3).randbytes(40_000_000))
    first = names(tallac, "tallac:")[0]
    processes = [
        tallac.start("-q", "backup", sources[1]),
        tallac.start("-q", "check", "--read-data", "tallac:"),
        tallac.start("-q", "restore", f"tallac:Archives/{first}", tmp_path / "out"),
    ]
    finish(processes)
    assert differences(look(sources[0]), look(tmp_path / "out")) == {}
