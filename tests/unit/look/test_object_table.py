from __future__ import annotations

import random
import tracemalloc

import pytest

from tallac import buckets
from tallac.look.object_table import IS_FILE, IS_OWNED, NAME_SIZE, OF_DIRECTORY, SHARED, ObjectTable, owner_of, size_of


@pytest.mark.parametrize(("part_size", "full_size"), [(1, 100), (100, 500), (100, 1 << 14), (1 << 17, 1 << 14)])
def test_a_table_holds_what_sets_hold(
    chance: random.Random, monkeypatch: pytest.MonkeyPatch, part_size: int, full_size: int
) -> None:
    """Whatever is added how often, an object has its size, its only owner if there is one, and all of its flags."""
    monkeypatch.setattr(buckets, "FULL_SIZE", full_size)
    # Three first bytes, so that arrays grow long enough to be cleaned.
    names = [bytes((chance.randrange(3),)) + chance.randbytes(NAME_SIZE - 1) for _ in range(2_000)]
    sizes = {name: chance.randrange(1 << 30) for name in names}
    owners: dict[bytes, set[int]] = {}
    flags: dict[bytes, int] = {}
    table = ObjectTable(part_size)
    for _ in range(60):
        owner, flag = chance.choice([SHARED, 0, 1, 9_999]), chance.choice([0, IS_FILE, OF_DIRECTORY])
        chosen = chance.sample(names, 100)
        table.add({name: sizes[name] for name in chosen}, owner, flag)
        for name in chosen:
            owners.setdefault(name, set()).add(owner)
            flags[name] = flags.get(name, 0) | flag
    parts = list(table.parts())
    assert sum(map(len, parts)) == len(owners)
    found = {name: fact for part in parts for name, fact in part.items()}
    assert {name: size_of(fact) for name, fact in found.items()} == {name: sizes[name] for name in owners}
    assert {name: fact & (IS_FILE | OF_DIRECTORY) for name, fact in found.items()} == flags
    for name, fact in found.items():
        assert owner_of(fact) == (next(iter(owners[name])) if len(owners[name]) == 1 else SHARED)
        assert bool(fact & IS_OWNED) == (owner_of(fact) != SHARED)


def test_parts_are_small() -> None:
    """A long table comes in parts, which differ in length by one first byte at most."""
    table = ObjectTable(1_000)
    table.add({bytes((number % 256, number >> 8)) + bytes(NAME_SIZE - 2): number for number in range(10_000)}, 0, IS_FILE)
    lengths = [len(part) for part in table.parts()]
    assert sum(lengths) == 10_000
    assert max(lengths) < 1_100
    assert min(lengths[:-1]) >= 1_000


def test_memory_is_bounded(chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 90,000 objects more, added and taken part by part, each takes less than two bytes more: where they are on the disk."""
    monkeypatch.setattr(buckets, "FULL_SIZE", 2_800)
    peaks = []
    for count in (30_000, 120_000):
        names = [chance.randbytes(NAME_SIZE) for _ in range(count)]
        table = ObjectTable(1_000)
        tracemalloc.start()
        try:
            for start in range(0, count, 500):
                table.add(dict.fromkeys(names[start : start + 500], 7), 0, IS_FILE)
            assert sum(map(len, table.parts())) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] - peaks[0] < 90_000 * 2
