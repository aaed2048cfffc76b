"""A batch begins with one listing of a store that tells versions, and is as safe as one that reads everything."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.remembering import KeptStates, remembering
from tests.unit.vault.prune.test_prune import FIRST, SECOND, Place

from tallac.dag import Entry
from tallac.errors import FencedError
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import back_up, noise, put_tree
from tallac.vault.vault import Vault


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault with something to prune."""
    return Place(tmp_path)


def test_what_is_asked_for_the_same_once_more(place: Place) -> None:
    """Beside the listing: the session in three writes, two looks at the pending deletions, and two swaps, unread."""
    asked, memory, listings = RecordingBackend(place.backend), KeptStates(), list[int]()
    for _ in range(2):
        with place.open(remembering(asked, place.backend, memory)) as vault:
            back_up(vault, place.target, b"3", SECOND)
    listings.clear()
    before = len(asked.events)
    with place.open(remembering(asked, place.backend, memory, listings=listings)) as vault, vault.session() as session:
        place.archives(vault)
        with session.writing() as writer:
            cap = put_tree(writer, SECOND)
        session.commit([cap])
        vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"4", cap)])
    assert len(listings) == 1
    events = [f"{event.operation} {event.name.partition('/')[0]}" for event in asked.events[before:]]
    # The second look for Archives is this test's. The state folder is a new one, which knows neither the index nor its own packs.
    of_new_state = {"get header", "get index", "get packs"}
    expected = ["put sessions", "put sessions", "get registers", "get slots", "put slots", "get registers", "delete sessions"]
    assert [event for event in events if event not in of_new_state] == expected
    place.look(s2=SECOND, s3=SECOND, s4=SECOND)


def write_beside(place: Place, vault: Vault, between: Callable[[], object]) -> None:
    """Store the first tree again, and let something happen between the batch and the commit."""
    with vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, FIRST)
        between()
        session.commit([cap])
        vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])


def test_a_prune_after_the_listing_is_noticed(place: Place) -> None:
    """What the listing showed was there; a prune that has taken it since fences the writer, which stores it again."""
    memory = KeptStates()
    with place.open(remembering(place.backend, place.backend, memory)) as vault:
        back_up(vault, place.target, b"4", SECOND)
        with pytest.raises(FencedError):
            write_beside(place, vault, place.prune)
        write_beside(place, vault, lambda: None)
    place.look(s2=SECOND, s3=FIRST, s4=SECOND)


def test_a_listing_of_long_ago_is_no_harm(place: Place) -> None:
    """A store whose listings lag shows packs that a prune has taken: the second look, which is a read, finds that out."""
    memory = KeptStates()
    backend = remembering(place.backend, place.backend, memory)
    fresh = backend._list_versions
    assert fresh is not None
    with place.open(backend) as vault:
        back_up(vault, place.target, b"4", noise_tree(1))
        stale = fresh()
        assert place.prune().deleted_packs
        backend._list_versions = lambda: stale
        with pytest.raises(FencedError):
            write_beside(place, vault, lambda: None)
        backend._list_versions = fresh
        write_beside(place, vault, lambda: None)
    place.look(s2=SECOND, s3=FIRST, s4=noise_tree(1))


def noise_tree(seed: int) -> dict[bytes, bytes]:
    """Return a tree like no other."""
    return {b"x": noise(seed, 1000 + random.Random(seed).randrange(100))}


def test_what_others_have_stored_is_found(place: Place) -> None:
    """A writer whose memory is behind finds the index that somebody else has written since, and stores nothing twice."""
    memory = KeptStates()
    with place.open(remembering(place.backend, place.backend, memory)) as vault:
        back_up(vault, place.target, b"3", SECOND)
    with place.open() as other:
        back_up(other, place.target, b"4", FIRST)
    packs = place.packs()
    with place.open(remembering(place.backend, place.backend, memory)) as vault:
        back_up(vault, place.target, b"5", FIRST)
    assert place.packs() == packs
    place.look(s2=SECOND, s3=SECOND, s4=FIRST, s5=FIRST)
