import random

import pytest

from tallac import buckets
from tallac.vault.marking.hash_set import PART_SIZE, HashSet


@pytest.mark.parametrize("full_size", [64, 1_000, 1 << 14])
def test_a_set_is_a_set(monkeypatch: pytest.MonkeyPatch, full_size: int) -> None:
    """What was added any number of times is there once, in disjoint parts, and can be looked for, however much is on the disk."""
    monkeypatch.setattr(buckets, "FULL_SIZE", full_size)
    chance = random.Random(1)
    hashes = [chance.randbytes(16) for _ in range(5_000)]
    made = HashSet()
    for _ in range(4):
        chance.shuffle(hashes)
        made.update(hashes)
    parts = list(made.parts())
    assert sum(len(part) for part in parts) == len(hashes)
    assert set().union(*parts) == set(hashes)
    others = [chance.randbytes(16) for _ in range(50)]
    assert made.intersection([*hashes[:20], *others]) == set(hashes[:20])
    assert all(made.starting_with(first) == {each for each in hashes if each[0] == first} for first in range(256))


def test_what_comes_again_takes_no_room() -> None:
    """A thousand snapshots of the same tree take little more than one."""
    chance = random.Random(2)
    hashes = [chance.randbytes(16) for _ in range(20_000)]
    made = HashSet()
    for _ in range(50):
        made.update(hashes)
    # 20,000 of them, and what has come since it was united.
    assert made._buckets.size <= 2 * 16 * len(hashes) + 256 * 4096


def test_parts_are_limited() -> None:
    """No part is much larger than was asked for, whatever the set's size."""
    chance = random.Random(3)
    made = HashSet()
    count = PART_SIZE * 2
    made.update(chance.randbytes(16) for _ in range(count))
    sizes = [len(part) for part in made.parts()]
    assert sum(sizes) == count
    assert max(sizes) < PART_SIZE * 1.1
