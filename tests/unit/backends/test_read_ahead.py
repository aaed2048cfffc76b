"""Packs over a line are read in windows that grow, and what is given is always what is stored."""

from __future__ import annotations

import os
import pickle
import random

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.backends.read_ahead import FIRST_SIZE, KEPT_SIZE_MAX, SIZE_MAX, ReadAheadBackend
from tallac.errors import ObjectNotFoundError
from tallac.testing.recording_backend import RecordingBackend

PACK = os.urandom(10 << 20)


@pytest.fixture
def below() -> RecordingBackend:
    """Give a store with two packs, which records what it is asked."""
    return RecordingBackend(MemoryBackend({"packs/a": PACK, "packs/b": PACK[::-1], "slots/a": PACK}))


@pytest.fixture
def backend(below: RecordingBackend) -> ReadAheadBackend:
    """Give the wrapper of it."""
    return ReadAheadBackend(below)


def asked(below: RecordingBackend) -> int:
    """Count what the store was asked."""
    return len(below.events)


def test_reading_on_takes_few_requests(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """A pack that is read from its beginning to its end in small steps takes a handful of requests."""
    step = 60_000
    parts = [backend.get("packs/a", start, start + step) for start in range(0, len(PACK), step)]
    assert b"".join(parts) == PACK
    assert asked(below) <= 8


def test_looking_at_one_place_fetches_little(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """One look takes one request, and a second one next to it none."""
    assert backend.get("packs/a", 5_000_000, 5_000_100) == PACK[5_000_000:5_000_100]
    assert backend.get("packs/a", 5_000_100, 5_000_200) == PACK[5_000_100:5_000_200]
    assert backend.get("packs/a", 5_000_000 + FIRST_SIZE - 1, 5_000_000 + FIRST_SIZE) == PACK[5_000_000 + FIRST_SIZE - 1 :][:1]
    assert asked(below) == 1


def test_what_is_no_pack_is_read_anew(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """Objects that change, and whole packs, are passed on as they are asked for."""
    for _ in range(2):
        assert backend.get("slots/a", 1, 3) == PACK[1:3]
        assert backend.get("packs/a") == PACK
        assert backend.get("packs/a", 0, SIZE_MAX) == PACK[:SIZE_MAX]
    assert asked(below) == 6


def test_the_end_of_a_pack(backend: ReadAheadBackend) -> None:
    """Beyond the end there is nothing, kept or not."""
    size = len(PACK)
    for _ in range(2):
        assert backend.get("packs/a", size - 10, size + 10) == PACK[-10:]
        assert backend.get("packs/a", size - 5, size + 500) == PACK[-5:]
        assert backend.get("packs/a", size, size + 5) == b""
        assert backend.get("packs/a", size + 10, size + 15) == b""
        assert backend.get("packs/a", 7, 7) == b""


def test_a_deleted_pack_is_gone(backend: ReadAheadBackend) -> None:
    """What was kept of it goes with it; what is not there is not found."""
    backend.get("packs/a", 0, 10)
    backend.delete("packs/a")
    for _ in range(2):
        with pytest.raises(ObjectNotFoundError):
            backend.get("packs/a", 0, 10)
    assert backend.get("packs/b", 0, 10) == PACK[::-1][:10]


def test_any_reads_give_what_is_stored(backend: ReadAheadBackend) -> None:
    """Whatever is read in whatever order, it is right, and what is kept is bounded."""
    chance = random.Random(7)
    packs = [("packs/a", PACK), ("packs/b", PACK[::-1])]
    for _ in range(300):
        name, content = chance.choice(packs)
        start = chance.randrange(len(PACK) + 1000)
        stop = start + chance.choice([1, 100, 70_000, 1_000_000])
        assert backend.get(name, start, stop) == content[start:stop]
    assert backend._kept_size == sum(len(window.content) for window in backend._windows.values())
    assert backend._kept_size <= KEPT_SIZE_MAX


def test_another_process_has_a_wrapper_of_its_own() -> None:
    """What is sent is the backend alone."""
    backend = ReadAheadBackend(MemoryBackend({}))
    with pytest.raises(TypeError):
        pickle.dumps(backend)  # As the store in memory, which is this process's alone.
