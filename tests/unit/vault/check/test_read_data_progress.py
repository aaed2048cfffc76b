from pathlib import Path

import pytest

from tallac.vault.check.options import PackSubset
from tallac.vault.check.read_data_progress import ROUNDS_FILE, ReadDataProgress, choose

SIZES = {bytes((number * 25 % 256, number)) + bytes(30): 1_000 for number in range(40)}


def test_all_packs_are_read_in_order() -> None:
    """Without a share all packs are read, in the order of their names."""
    assert choose(PackSubset(), SIZES, b"", []) == sorted(SIZES)


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_parts_add_up(parts: int) -> None:
    """The parts hold each pack once, whatever was read before."""
    chosen = [name for part in range(1, parts + 1) for name in choose(PackSubset(part, parts), SIZES, max(SIZES), [])]
    assert sorted(chosen) == sorted(SIZES)


def test_percentages_go_round(tmp_path: Path) -> None:
    """One run after the other reads the next packs, until all were read; then it goes on at the beginning."""
    seen: list[bytes] = []
    for _ in range(10):
        round_ = ReadDataProgress(PackSubset(percent=10), tmp_path)
        chosen = round_.begin(SIZES)
        assert len(chosen) == 4
        for pack in chosen:
            round_.note(pack, is_whole=True)
        round_.finish()
        seen += chosen
    assert seen == sorted(SIZES)
    assert ReadDataProgress(PackSubset(percent=10), tmp_path).begin(SIZES) == seen[:4]


def test_a_small_percentage_reads_something() -> None:
    """However small a share is, each run reads a pack."""
    assert len(choose(PackSubset(percent=0.001), SIZES, b"", [])) == 1


@pytest.mark.parametrize("share", [PackSubset(), PackSubset(2, 3)])
def test_an_interrupted_round_goes_on(tmp_path: Path, share: PackSubset) -> None:
    """What was read is not read again, but for what was found damaged; what is new and comes later is read too."""
    round_ = ReadDataProgress(share, tmp_path)
    chosen = round_.begin(SIZES)
    for pack in chosen[:5]:
        round_.note(pack, is_whole=pack != chosen[1])
    resumed = ReadDataProgress(PackSubset(share.part, share.parts, is_resumed=True), tmp_path)
    left = resumed.begin(SIZES)
    assert left == [chosen[1], *chosen[5:]]
    resumed.note(left[0], is_whole=False)
    assert ReadDataProgress(PackSubset(share.part, share.parts, is_resumed=True), tmp_path).begin(SIZES) == left
    for pack in left[1:]:
        resumed.note(pack, is_whole=True)
    resumed.finish()
    assert ReadDataProgress(PackSubset(share.part, share.parts, is_resumed=True), tmp_path).begin(SIZES) == chosen
    assert ReadDataProgress(share, tmp_path).begin(SIZES) == chosen


def test_what_is_remembered_may_be_lost(tmp_path: Path) -> None:
    """A damaged or missing memory only means that all is read."""
    round_ = ReadDataProgress(PackSubset(), tmp_path)
    round_.note(round_.begin(SIZES)[3], is_whole=True)
    (tmp_path / ROUNDS_FILE).write_bytes(b"{")
    assert ReadDataProgress(PackSubset(is_resumed=True), tmp_path).begin(SIZES) == sorted(SIZES)
