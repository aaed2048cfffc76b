import random
import tracemalloc
from pathlib import Path

import pytest

from tallac import buckets
from tallac.vault.format.footers import FinishedPack, ObjectLocation, encode_body
from tallac.vault.index.sorted_runs import SortedRun, write_run
from tallac.vault.marking.census import Census, locations_in
from tallac.vault.marking.hash_set import HashSet

SIZE = 100


class Records:
    """The part of an index that a census asks, over runs that are written once."""

    def __init__(self, folder: Path, runs: list[dict[bytes, list[tuple[bytes, bytes]]]]) -> None:
        self._runs = [
            write_run(
                folder,
                [],
                [
                    FinishedPack(
                        pack,
                        10_000,
                        encode_body([n for n, _ in objects], [h for _, h in objects], [SIZE] * len(objects), [0] * len(objects)),
                    )
                    for pack, objects in packs.items()
                ],
            )
            for packs in runs
        ]
        self.locations: list[tuple[bytes, ObjectLocation]] = [each for run in self._runs for each in run.entries()]

    def count(self) -> int:
        """See `VaultIndex`."""
        return len(self.locations)

    def runs(self) -> list[SortedRun]:
        """See `VaultIndex`."""
        return self._runs

    def name_of(self, number: int) -> bytes:
        """See `VaultIndex`."""
        return self.locations[number][0]


def census(records: Records, hashes: list[bytes], there: set[bytes], wrong: dict[bytes, set[int]] | None = None) -> Census:
    """Make a census."""
    made = HashSet()
    made.update(hashes)
    return Census(records, made, there, wrong or {})  # type: ignore[arg-type]


@pytest.fixture
def chance() -> random.Random:
    """Give something to make up names with."""
    return random.Random(5)


@pytest.mark.parametrize("full_size", [40, 1 << 14])
def test_records_in_use_are_those_with_the_hashes(
    chance: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_size: int
) -> None:
    """Over several runs, each record with a hash in use is marked, and what has none is missing, however much is on the disk."""
    monkeypatch.setattr(buckets, "FULL_SIZE", full_size)
    packs = [chance.randbytes(32) for _ in range(6)]
    objects = {pack: [(chance.randbytes(16), chance.randbytes(16)) for _ in range(200)] for pack in packs}
    records = Records(tmp_path, [{pack: objects[pack] for pack in packs[:3]}, {pack: objects[pack] for pack in packs[3:]}])
    used = [each for pack in packs for _, each in objects[pack][:100]]
    lost = [chance.randbytes(16) for _ in range(30)]
    found = census(records, used + lost, set(packs))
    assert {location.hash for number, (_, location) in enumerate(records.locations) if number in found.in_use} == set(used)
    assert (found.missing, found.found, found.repeated) == (set(lost), len(used), [])
    # What lies in a pack that is not there is in use, and serves nobody.
    found = census(records, used, set(packs[1:]))
    assert found.missing == {each for _, each in objects[packs[0]][:100]}
    # The same for copies that are known to be wrong.
    found = census(records, used, set(packs), {packs[2]: {0, SIZE}})
    assert found.missing == {each for _, each in objects[packs[2]][:2]}


def test_copies_have_one_name_and_one_hash(chance: random.Random, tmp_path: Path) -> None:
    """Records with one hash are copies of one object only where their names are the same too."""
    packs = [chance.randbytes(32) for _ in range(4)]
    name, other, stored_hash = (chance.randbytes(16) for _ in range(3))
    records = Records(
        tmp_path, [{packs[0]: [(name, stored_hash)], packs[1]: [(name, stored_hash)]}, {packs[2]: [(other, stored_hash)]}]
    )
    found = census(records, [stored_hash], set(packs))
    assert [{records.locations[number][1].pack for number in group} for group in found.repeated] == [set(packs[:2])]
    assert found.missing == set()
    assert census(records, [], set(packs)).repeated == []
    copies = locations_in(records.runs(), {stored_hash})[stored_hash]
    assert sorted(each for each, _ in copies) == sorted([name, name, other])


def test_memory_is_bounded(chance: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A census of 60,000 records more takes less than six bytes more for each, of which one bit stays; they have 48."""
    monkeypatch.setattr(buckets, "FULL_SIZE", 800)
    peaks = []
    for count in (20_000, 80_000):
        pack = chance.randbytes(32)
        hashes = [chance.randbytes(16) for _ in range(count)]
        records = Records(tmp_path, [{pack: [(chance.randbytes(16), each) for each in hashes]}])
        tracemalloc.start()
        try:
            made = census(records, hashes, {pack})
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert made.found == count
    assert peaks[1] - peaks[0] < 60_000 * 6
