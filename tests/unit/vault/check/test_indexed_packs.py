import random
import tracemalloc

import pytest

from tallac.vault.check import indexed_packs
from tallac.vault.check.indexed_packs import IndexedPacks
from tallac.vault.format.footers import FinishedPack


def packs_of(seed: int, count: int, size: int) -> list[FinishedPack]:
    """Make up packs."""
    chance = random.Random(seed)
    return [FinishedPack(chance.randbytes(32), chance.randrange(1 << 30), chance.randbytes(size)) for _ in range(count)]


@pytest.mark.parametrize("held", [0, 3_000, 1 << 20])
def test_packs_are_what_was_added(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    """Each pack comes back with its footer, wherever that lies, and of one that comes again the last one."""
    monkeypatch.setattr(indexed_packs, "HELD_SIZE_MAX", held)
    made, first, second = IndexedPacks(), packs_of(1, 20, 400), packs_of(2, 20, 400)
    other = FinishedPack(first[3].name, 7, b"other")
    for some in (first, second, [other]):
        made.add(some)
    expected = {each.name: each for each in [*first, *second, other]}
    assert {each.name: each for each in made} == expected
    assert made.sizes() == {name: each.size for name, each in expected.items()}
    assert made.get(second[0].name) == second[0]
    assert made.get(bytes(32)) is None
    assert not made.has_other_footer(other)
    assert made.has_other_footer(first[3])
    assert not made.has_other_footer(FinishedPack(bytes(32), 1, b""))


def test_without_room_all_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary file can be made, packs come back all the same."""
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    monkeypatch.setattr(indexed_packs, "HELD_SIZE_MAX", 1_000)
    made, packs = IndexedPacks(), packs_of(1, 40, 400)
    for each in packs:
        made.add([each])
    assert list(made) == packs


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 packs the footers are not in memory, which holds 100,000 bytes of them and some hundred for each."""
    monkeypatch.setattr(indexed_packs, "HELD_SIZE_MAX", 100_000)
    tracemalloc.start()
    try:
        made = IndexedPacks()
        for number in range(200):
            made.add(packs_of(number, 1, 20_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000 + 20_000 + 200 * 1_000
