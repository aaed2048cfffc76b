"""Random changes of a tree, for tests of what a backup makes of them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path


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
