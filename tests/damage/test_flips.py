"""Single bits of a small vault, of whatever file in it."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.damage.test_every_file import Sample, flipped, is_found, is_lost_with, read_all
from tests.torture import SCALE

from tallac.backends.memory import MemoryBackend
from tallac.caps import MutableDirectoryWrite
from tallac.errors import DamageError, StoreError
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise
from tallac.vault import create_vault, open_vault

SHARDS = 20
FLIPS = 1_000

# Everything that a format has, in few bytes: a literal, a chunk, a list of several chunks and a hole, tables, an empty directory.
TREE: Tree = {
    b"empty": {},
    b"large": noise(1, 300) + b"line of text\n" * 50_000 + bytes(1 << 20) + b"another line\n" * 50_000,
    b"deep": {b"deeper": {b"small": noise(3, 60), b"literal": b"foo"}},
}
CHANGED: Tree = {**TREE, b"new": noise(4, 500)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Make a vault of some kilobytes, with two snapshots."""
    backend = MemoryBackend()
    key = create_vault(backend, randomness=SeededRandomness(1))
    with open_vault(backend, key, state=tmp_path_factory.mktemp("state"), randomness=SeededRandomness(2)) as vault:
        target = create_target(vault)
        assert isinstance(target, MutableDirectoryWrite)
        back_up(vault, target, b"1", TREE)
        back_up(vault, target, b"2", CHANGED)
    expected = {b"Archives/1/" + path: content for path, content in flatten(TREE)}
    for above in (b"Archives/2/", b"Latest/"):
        expected |= {above + path: content for path, content in flatten(CHANGED)}
    return Sample(backend.snapshot(), key, target, expected)


@pytest.fixture
def state() -> Iterator[Path]:
    """Give a folder for a client's state; nothing of it has to last."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder) / "state"


def flip_some(small: Sample, state: Path, chance: random.Random, count: int) -> None:
    """Flip one bit at a time: each file as often as any other, whatever its size."""
    names = sorted(small.objects)
    for _ in range(count):
        name = chance.choice(names)
        bit = chance.randrange(8 * len(small.objects[name]))
        what = f"bit {bit} of {name}"
        shutil.rmtree(state, ignore_errors=True)
        objects = {**small.objects, name: flipped(small.objects[name], bit)}
        try:
            with open_vault(MemoryBackend(objects), small.key, state=state) as vault:
                found = read_all(small, vault)
                for path, expected in small.expected.items():
                    assert found.get(path, expected) == expected or isinstance(found[path], DamageError), what
                    assert path in found or is_lost_with(path, found), what
                assert found.keys() - small.expected.keys() <= {at for at in found if isinstance(found[at], DamageError)}, what
                assert is_found(small, vault), what
        except StoreError as error:
            pytest.fail(f"{what}: {error!r}")


def test_some_flips(small: Sample, state: Path, chance: random.Random) -> None:
    """A few of the many."""
    assert sum(map(len, small.objects.values())) < 40_000
    flip_some(small, state, chance, 100)


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_flips(small: Sample, state: Path, chance: random.Random, shard: int) -> None:
    """20,000 flips in all: each is found by a check, none gives a wrong byte, and what is hit is named."""
    flip_some(small, state, chance, FLIPS * SCALE)
