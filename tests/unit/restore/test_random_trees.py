from __future__ import annotations

import os
import random
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

NAMES = [b"a", b"A", b"\xff", b"new\nline", b"-rf", b" ", "\u00e4".encode(), "a\u0308".encode(), b"n" * 255, b"\\", b"x:y"]
TIMES_NS = [0, -1, 1, 1_700_000_000_123_456_789, 2**31 * 10**9, 2**32 * 10**9 + 1, -(10**18), 13_569_465_600 * 10**9]


class TreeMaker:
    """Makes a tree of everything that section 3 of RELIABILITY.md names, from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._linkable: list[bytes] = []
        self._count = 0

    def fill(self, directory: bytes, depth: int = 0) -> None:
        """Make some files of each kind, directories below, and then all their metadata."""
        makers: list[Callable[[bytes], None]] = [self._file, self._file, self._sparse, self._link, self._fifo, self._hard_link]
        if os.geteuid() == 0:
            makers.append(self._device)
        for name in self._random.sample(NAMES, self._random.randrange(1, len(NAMES))):
            path = directory + b"/" + name
            if depth < 3 and self._random.random() < 0.3:
                os.mkdir(path)
                self.fill(path, depth + 1)
            else:
                self._random.choice(makers)(path)
            self._dress(path)

    def _file(self, path: bytes) -> None:
        size = self._random.choice([0, 1, 55, 56, 4096, 100_001])
        Path(os.fsdecode(path)).write_bytes(self._random.choice([bytes(size), self._random.randbytes(size)]))
        self._linkable.append(path)

    def _sparse(self, path: bytes) -> None:
        with open(path, "wb") as file:
            for _ in range(self._random.randrange(4)):
                file.seek(self._random.randrange(64) * 65_536)
                file.write(self._random.choice([bytes(65_536), b"x" * 65_536]))
            file.truncate(self._random.randrange(1, 64) * 65_536 + self._random.randrange(2))

    def _link(self, path: bytes) -> None:
        os.symlink(self._random.choice([b"a", b"..", b"\xff", b"/nowhere", b"t" * 1000]), path)
        self._linkable.append(path)

    def _fifo(self, path: bytes) -> None:
        os.mkfifo(path)
        self._linkable.append(path)

    def _device(self, path: bytes) -> None:
        os.mknod(path, stat.S_IFCHR, os.makedev(1, 3))
        self._linkable.append(path)

    def _hard_link(self, path: bytes) -> None:
        if self._linkable:
            os.link(self._random.choice(self._linkable), path, follow_symlinks=False)
        else:
            self._file(path)

    def _dress(self, path: bytes) -> None:
        is_link = os.path.islink(path)
        if os.geteuid() == 0:
            os.chown(path, self._random.randrange(3), self._random.randrange(3), follow_symlinks=False)
        if not is_link:
            os.chmod(path, self._random.randrange(0o10000))
            if os.path.isfile(path) or os.path.isdir(path):
                self._attributes(path)
        elif os.geteuid() == 0 and self._random.random() < 0.3:
            os.setxattr(path, b"trusted.\xfe", b"1", follow_symlinks=False)
        time_ns = self._random.choice(TIMES_NS)
        os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)

    def _attributes(self, path: bytes) -> None:
        if os.geteuid() == 0 and self._random.random() < 0.3:
            os.setxattr(path, self._random.choice([b"user.\xff", b"trusted.a"]), self._random.randbytes(20))
        rules = self._random.choice([None, None, None, "u:1:rx", "g:2:-"])
        if rules:
            default = ["-d"] if os.path.isdir(path) and self._random.random() < 0.5 else []
            subprocess.run(["setfacl", *default, "-m", rules, b"./" + path if path[:1] == b"-" else path], check=True)


@pytest.fixture
def reopened(tree: Path) -> Iterator[None]:
    """Make everything accessible again, so that the test's folder can be removed."""
    yield
    subprocess.run(["chmod", "-R", "u+rwx", tree.parent], check=False, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="as a normal user some modes can't be read")
@pytest.mark.parametrize("seed", range(12))
def test_a_random_tree_comes_back(tree: Path, grid: FakeGrid, restored: Restored, reopened: None, seed: int) -> None:
    """Everything at once, in combinations that nobody thought of."""
    TreeMaker(seed).fill(os.fsencode(tree))
    snapshot = grid.snapshot(tree)
    summary = restored(snapshot)
    assert restored.problems == []
    restored.assert_same(snapshot)
    assert summary.is_complete
