"""What a prune asks of a store, and what it leaves out since it knows the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.vault.prune.test_prune import SECOND, Place

from tallac.testing.recording_backend import RecordingBackend
from tallac.vault.mutable.pending_deletions import PendingDeletions, PendingPack
from tallac.vault.prune.plan import is_all_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault with something to prune."""
    return Place(tmp_path)


def asked(place: Place) -> list[str]:
    """Prune, and return what was asked, in order: operations and what they concern."""
    recording = RecordingBackend(place.backend)
    assert place.prune(backend=recording).repacked_packs
    place.look(s2=SECOND)
    return [
        f"{event.operation} {event.name if event.name.startswith('registers') else event.name.partition('/')[0]}"
        for event in recording.events
    ]


def test_two_marks_are_enough(place: Place) -> None:
    """Where all that was proposed is gone, nothing is marked a third time, and the next prune finds nothing."""
    assert asked(place).count("list slots") == 2
    again = place.prune()
    assert (again.dead_objects, again.deleted_packs) == (0, 0)


def test_sessions_are_read_twice(place: Place) -> None:
    """Before the first mark, and once more before the second one where nobody had to be waited for, by two listings each."""
    assert asked(place).count("list sessions") == 4


def test_packs_are_listed_by_the_marks_alone(place: Place) -> None:
    """What a mark has listed serves the decision and the deletions; each mark reads the pending deletions no more than once."""
    steps = asked(place)
    assert steps.count("list packs") == 2
    # Before each of the three swaps the state is read, as this store remembers none; and before the decision.
    assert steps.count("get registers/quarantine") <= 5


def test_one_swap_of_the_index(place: Place) -> None:
    """Packs that go whole go along with those that are emptied, and what named them with them, once the register names neither."""
    steps = asked(place)
    assert steps.count("put registers/index") == steps.count("put index") == 1
    assert "list index" not in steps
    swapped = steps.index("put registers/index")
    assert set(steps[swapped + 1 : -2]) == {"delete index", "delete packs"}


def test_what_goes_whole_makes_room(place: Place) -> None:
    """Where there is no room to move anything, packs that go whole go first; then there is."""
    whole = {item.name for item in place.backend.list("packs/")}

    class Small(RecordingBackend):
        def room(self) -> int:
            return 1 << 30 if whole - place.packs().keys() else 1 << 10

    recording = Small(place.backend)
    report = place.prune(backend=recording)
    assert report.repacked_packs
    writes = [f"{event.operation} {event.name.partition('/')[0]}" for event in recording.writes]
    assert writes.index("delete packs") < writes.index("commit packs")
    place.look(s2=SECOND)


def entry(pack: bytes, since: int, *, is_decided: bool = False, offsets: frozenset[int] | None = None) -> PendingPack:
    """Make an entry of the pending deletions."""
    return PendingPack(pack, since, is_decided=is_decided, offsets=offsets)


@pytest.mark.parametrize(
    ("others", "gone", "is_all"),
    [
        ([], {b"own", b"part"}, True),
        ([], {b"own"}, False),
        ([entry(b"name", 3, is_decided=True)], {b"own", b"part"}, True),
        ([entry(b"begun", 3, is_decided=True, offsets=frozenset([1]))], {b"own", b"part", b"begun"}, False),
        ([entry(b"proposed", 6)], {b"own", b"part", b"proposed"}, False),
    ],
)
def test_when_another_round_is_due(others: list[PendingPack], gone: set[bytes], is_all: bool) -> None:
    """Where something stays, or where another prune had begun with a pack, of which it is not known what else is unused in it."""
    own = [entry(b"own", 7), entry(b"part", 7, offsets=frozenset([1, 2]))]
    assert is_all_of(PendingDeletions(7, {each.pack: each for each in own + others}), gone) is is_all
