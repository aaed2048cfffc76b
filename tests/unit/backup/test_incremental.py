from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


class Gardener:
    """Changes a tree at random, in all the ways that people and programs do."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._random = random.Random(seed)
        self._serial = 0

    def work(self, count: int) -> None:
        """Make some changes."""
        for _ in range(count):
            self._random.choice(
                [
                    self._write,
                    self._write,
                    self._write,
                    self._append,
                    self._chmod,
                    self._rename,
                    self._remove,
                    self._grow,
                    self._link,
                ]
            )()

    def _places(self, *, folders: bool) -> list[Path]:
        found = [path for path in sorted(self._root.rglob("*")) if not path.is_symlink() and path.is_dir() == folders]
        return [*found, self._root] if folders else found

    def _new_name(self) -> Path:
        self._serial += 1
        name = self._random.choice(["a", "b", "m.txt", "z", "\udcff", "same"]) + str(self._serial % 5)
        return self._random.choice(self._places(folders=True)) / name

    def _write(self) -> None:
        path = self._new_name()
        self._clear(path)
        path.write_bytes(self._random.randbytes(self._random.choice([0, 3, 60, 5000, 150_000])))

    def _append(self) -> None:
        for path in self._places(folders=False)[:3]:
            with path.open("ab") as opened:
                opened.write(b"more")

    def _chmod(self) -> None:
        self._random.choice(self._places(folders=True)).chmod(self._random.choice([0o700, 0o755, 0o750]))

    def _rename(self) -> None:
        files = self._places(folders=False)
        if files:
            target = self._new_name()
            self._clear(target)
            source = self._random.choice(files)
            if source.exists() and target.parent.exists():
                source.rename(target)

    def _remove(self) -> None:
        places = self._places(folders=False) + self._places(folders=True)[:-1]
        if len(places) > 8:
            self._clear(self._random.choice(places))

    def _grow(self) -> None:
        path = self._new_name()
        self._clear(path)
        (path / "below").mkdir(parents=True)
        (path / "below" / "leaf").write_bytes(self._random.randbytes(100))

    def _link(self) -> None:
        path = self._new_name()
        self._clear(path)
        path.symlink_to(self._random.choice(["here", "nowhere", "../up"]))

    def _clear(self, path: Path) -> None:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)


@pytest.mark.parametrize("seed", range(6))
def test_an_incremental_backup_equals_a_full_one(bench: Bench, seed: int) -> None:
    """Whatever changed, a backup that reuses what it can gives the very cap of one that reads everything, and tells what went."""
    gardener = Gardener(bench.source, seed)
    full_path = bench.database_path.with_name("full.db")
    before: dict[Path, bool] = {}
    for round_number in range(12):
        gardener.work(bench.grid.small_size_max % 7 + round_number % 4 * 3)
        bench.grid.has_losses = round_number % 5 == 4
        incremental = bench.back_up()
        kept, bench.database_path = bench.database_path, full_path
        full = bench.back_up(path=(b"full", b"%d" % round_number))
        bench.database_path.unlink()
        bench.database_path = kept
        assert incremental.cap == full.cap
        assert full.files.new == full.files.total == incremental.files.total
        assert incremental.directories.total == full.directories.total == full.directories.new
        assert (incremental.size, incremental.files.total) == (full.size, _count(bench.source))
        after = _kinds(bench.source)
        gone = [is_directory for path, is_directory in before.items() if after.get(path) is not is_directory]
        assert (incremental.files.removed, incremental.directories.removed) == (gone.count(False), gone.count(True))
        assert full.files.removed == full.directories.removed == 0
        before = after


def _kinds(source: Path) -> dict[Path, bool]:
    """List all paths, each with whether it is a directory."""
    return {path: path.is_dir() and not path.is_symlink() for path in source.rglob("*")}


def _count(source: Path) -> int:
    return sum(
        len(files) + sum(os.path.islink(os.path.join(top, name)) for name in folders) for top, folders, files in os.walk(source)
    )


def test_what_is_removed_of_a_lost_directory(bench: Bench) -> None:
    """A directory that went and is lost in the grid as well counts by itself, and stops nothing."""
    (bench.source / "kept").write_bytes(b"kept")
    for name in ("whole", "lost"):
        (bench.source / name / "below").mkdir(parents=True)
        (bench.source / name / "below" / "file").write_bytes(name.encode())
    bench.back_up()
    del bench.grid.tables[bench.entry(b"backups", b"Latest", b"lost", b"below").packed]
    shutil.rmtree(bench.source / "whole")
    shutil.rmtree(bench.source / "lost")
    summary = bench.back_up()
    assert (summary.files.removed, summary.directories.removed) == (1, 4)
    assert bench.names(b"backups", b"Latest") == [b"kept"]
