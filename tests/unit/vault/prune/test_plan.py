"""Which packs a prune empties: as few as it takes to leave no more unused than is put up with."""

from __future__ import annotations

from array import array

import pytest

from tallac.vault.prune.plan import PackUse, propose


def use(alive: int, dead: int) -> PackUse:
    """Make the use of a pack with so many bytes in use and not, each object of one byte."""
    return PackUse(alive, dead, alive, dead, array("I", range(dead)))


@pytest.mark.parametrize(
    ("unused_max", "proposed"),
    [
        (0.0, {b"dead", b"half", b"tenth", b"little"}),
        # Of 400 bytes, 61 are dead; without those of the half, 11 of 350; without those of the tenth, one of 340.
        (0.002, {b"dead", b"half", b"tenth", b"little"}),
        (0.01, {b"dead", b"half", b"tenth"}),
        (0.05, {b"dead", b"half"}),
        (0.3, {b"dead"}),
        (1.0, {b"dead"}),
    ],
)
def test_as_few_packs_as_it_takes(unused_max: float, proposed: set[bytes]) -> None:
    """Packs with the largest share of unused bytes are emptied until the share of all is small; wholly unused ones go anyhow."""
    uses = {b"dead": use(0, 500), b"half": use(50, 50), b"tenth": use(90, 10), b"little": use(99, 1), b"all": use(100, 0)}
    found = {entry.pack: entry for entry in propose(uses, unused_max, 7)}
    assert found.keys() == proposed
    assert found[b"dead"].offsets is None
    assert all(len(entry.offsets or ()) == uses[pack].dead for pack, entry in found.items() if pack != b"dead")


def test_no_more_copies_are_named_than_one_round_takes() -> None:
    """With a limit the packs with the largest share come first, and what is wholly unused in any case."""
    uses = {b"dead": use(0, 500), b"half": use(50, 50), b"tenth": use(90, 10)}
    assert [entry.pack for entry in propose(uses, 0, 7, count_max=50)] == [b"dead", b"half"]
