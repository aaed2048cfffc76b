"""Damage to a small vault, of whatever file in it: single bits, and what happens to whole files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.damage.test_every_file import Sample, flipped, is_found, is_lost_with, read_all
from tests.torture import scaled

from tallac.backends.memory import MemoryBackend
from tallac.caps import MutableDirectoryWrite
from tallac.errors import DamageError, StoreError
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise
from tallac.vault.vault import create_vault, open_vault

Objects = dict[str, bytes]
Damage = Callable[[Objects, str, random.Random], Objects]

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


def flip(objects: Objects, name: str, chance: random.Random) -> Objects:
    """Change one bit."""
    return {**objects, name: flipped(objects[name], chance.randrange(8 * len(objects[name])))}


def cut(objects: Objects, name: str, chance: random.Random) -> Objects:
    """Lose the end."""
    return {**objects, name: objects[name][: chance.randrange(len(objects[name]))]}


def lose(objects: Objects, name: str, _chance: random.Random) -> Objects:
    """Lose the whole file."""
    return {other: content for other, content in objects.items() if other != name}


def lengthen(objects: Objects, name: str, chance: random.Random) -> Objects:
    """Add bytes at the end."""
    return {**objects, name: objects[name] + chance.randbytes(chance.randrange(1, 100))}


def replace(objects: Objects, name: str, chance: random.Random) -> Objects:
    """Replace the content with that of another file."""
    return {**objects, name: chance.choice([content for content in objects.values() if content != objects[name]])}


def swap(objects: Objects, name: str, chance: random.Random) -> Objects:
    """Swap with another file, of the same kind where there is one."""
    others = [other for other, content in objects.items() if content != objects[name]]
    kind = name.partition("/")[0]
    other = chance.choice([other for other in others if other.startswith(kind)] or others)
    return {**objects, name: objects[other], other: objects[name]}


DAMAGES: tuple[Damage, ...] = (flip, cut, lose, lengthen, replace, swap)


def damage_some(small: Sample, state: Path, chance: random.Random, count: int, damages: Sequence[Damage]) -> None:
    """Damage one file at a time: each as often as any other, whatever its size."""
    names = sorted(small.objects)
    for number in range(count):
        name, damage = chance.choice(names), damages[number % len(damages)]
        message = f"{damage.__name__} {name}, the {number}th"
        shutil.rmtree(state, ignore_errors=True)
        try:
            with open_vault(MemoryBackend(damage(small.objects, name, chance)), small.key, state=state) as vault:
                found = read_all(small, vault)
                for path, expected in small.expected.items():
                    assert found.get(path, expected) == expected or isinstance(found[path], DamageError), message
                    assert path in found or is_lost_with(path, found), message
                assert found.keys() - small.expected.keys() <= {at for at in found if isinstance(found[at], DamageError)}, message
                assert is_found(small, vault), message
        except StoreError as error:
            pytest.fail(f"{message}: {error!r}")


@pytest.mark.slow
def test_some_flips(small: Sample, states: Path, chance: random.Random) -> None:
    """A few of the many."""
    assert sum(map(len, small.objects.values())) < 40_000
    damage_some(small, states / "state", chance, 100, (flip,))


@pytest.mark.slow
def test_some_damage(small: Sample, states: Path, chance: random.Random) -> None:
    """A few of each kind."""
    damage_some(small, states / "state", chance, 120, DAMAGES)


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_flips(small: Sample, states: Path, chance: random.Random, shard: int) -> None:
    """20,000 flips in all: each is found by a check, none gives a wrong byte, and what is hit is named."""
    damage_some(small, states / "state", chance, scaled(FLIPS), (flip,))


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_much_damage(small: Sample, states: Path, chance: random.Random, shard: int) -> None:
    """The same for files that are cut, lost, lengthened, replaced by another one or swapped with it."""
    damage_some(small, states / "state", chance, scaled(FLIPS), DAMAGES[1:])
