"""The sample of a drill: fair, bounded, and compared with what has not changed."""

from __future__ import annotations

import os
import random
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from tallac.app.client import Client
from tallac.app.configuration.folders import Folders
from tallac.app.operations.drill import DrillReport, drill
from tallac.dag import LATEST
from tallac.errors import DamageError


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Return a client whose vault has a snapshot of a folder with files of many names and sizes."""
    source = tmp_path / "source"
    for name in ("a", "sub/b", "sub/c [x]", "sub/#d*?", "sub/deep/!e", "sub/deep/ f ", "sub/\\g", os.fsdecode(b"\xff")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode("utf-8", "surrogateescape") * 100)
    (source / "link").symlink_to("a")
    client = Client(Folders.under(tmp_path / "home"))
    client.backups.run(source, "tallac:")
    return client


def run(client: Client, tmp_path: Path, count: int, *, size_max: int = 1 << 30, seed: int = 1) -> DrillReport:
    """Try a restore."""
    grid, target = client.workspace.resolve("tallac:")
    place = target.child(LATEST)
    return drill(grid, place, os.fsencode(tmp_path / "source"), count, size_max=size_max, chance=random.Random(seed))


def test_all_files_come_back(client: Client, tmp_path: Path) -> None:
    """Whatever files are called, each is restored alone and compared; nothing stays in the temporary folder."""
    report = run(client, tmp_path, 100)
    assert (report.files, report.compared, report.changed, report.problems) == (8, 8, 0, [])
    client.close()


def test_the_sample_is_bounded(client: Client, tmp_path: Path) -> None:
    """No more files and bytes than wanted; where every file is larger, the smallest of the sample."""
    assert run(client, tmp_path, 3).files == 3
    assert run(client, tmp_path, 100, size_max=800).bytes <= 800
    assert (run(client, tmp_path, 100, size_max=10).files, run(client, tmp_path, 100, size_max=10).bytes) == (1, 100)
    client.close()


def test_the_sample_is_fair(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many drills, each file is chosen about as often."""
    chosen: Counter[bytes] = Counter()
    monkeypatch.setattr(
        "tallac.app.operations.drill._compare", lambda _restored, _source, file, _report: chosen.update([file.path])
    )
    for seed in range(60):
        run(client, tmp_path, 2, seed=seed)
    assert len(chosen) == 8
    assert min(chosen.values()) >= 5
    client.close()


def test_what_has_changed_is_not_compared(client: Client, tmp_path: Path) -> None:
    """A file that was changed or removed since is checked against its hash alone."""
    (tmp_path / "source" / "a").write_bytes(b"other")
    (tmp_path / "source" / "sub" / "b").unlink()
    report = run(client, tmp_path, 100)
    assert (report.files, report.compared, report.changed, report.problems) == (8, 6, 2, [])
    client.close()


def test_damage_is_reported(client: Client, tmp_path: Path) -> None:
    """Files whose bytes are lost in the vault are problems, one by one; what can't be walked through at all is an error."""
    packs = [path for path in (tmp_path / "home" / "vault" / "packs").rglob("*") if path.is_file()]
    client.close()
    outcomes = []
    for pack, part in product(packs, range(1, 8)):
        sound = pack.read_bytes()
        place = len(sound) * part // 16
        pack.chmod(0o600)
        pack.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        again = Client(Folders.under(tmp_path / "home"))
        try:
            outcomes.append(len(run(again, tmp_path, 100).problems))
        except DamageError:
            outcomes.append(-1)
        again.close()
        pack.write_bytes(sound)
    assert any(count > 0 for count in outcomes), outcomes
