"""Packs over a line are read in parts that grow and are shared, and what is given is always what is stored."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.backends.pack_parts import CONTENT_START, FETCH_SIZE_MAX, PART_SIZE, PackParts, _PackFile
from tallac.backends.read_ahead import EXPECTED_SIZE_MAX, STEP_SIZE, ReadAheadBackend
from tallac.errors import ObjectNotFoundError
from tallac.interfaces import Extent
from tallac.testing.recording_backend import RecordingBackend

PACK = random.Random(1).randbytes((10 << 20) + 77)
OTHER = PACK[::-1]


@pytest.fixture
def below() -> RecordingBackend:
    """Give a store with two packs, which records what it is asked."""
    return RecordingBackend(MemoryBackend({"packs/a": PACK, "packs/b": OTHER, "slots/a": PACK}))


@pytest.fixture
def parts(tmp_path: Path) -> PackParts:
    """Give a place for parts."""
    return PackParts(tmp_path / "parts")


@pytest.fixture
def backend(below: RecordingBackend, parts: PackParts) -> ReadAheadBackend:
    """Give the wrapper of it."""
    return ReadAheadBackend(below, parts)


def asked(below: RecordingBackend) -> int:
    """Count what the store was asked."""
    return len(below.events)


def test_reading_on_takes_few_requests(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """A pack that is read from its beginning to its end in small steps takes a handful of requests."""
    step = 60_000
    parts = [backend.get("packs/a", start, start + step) for start in range(0, len(PACK), step)]
    assert b"".join(parts) == PACK
    assert asked(below) <= 8


def test_reading_about_takes_few_requests(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """Packs that are read in small steps in any order, as shuffled objects are, take few requests as well."""
    step = 60_000
    places = [(name, start) for name in ("packs/a", "packs/b") for start in range(0, len(PACK), step)]
    random.Random(3).shuffle(places)
    for name, start in places:
        assert backend.get(name, start, start + step) == (PACK if name == "packs/a" else OTHER)[start : start + step]
    assert asked(below) <= 25


def test_looking_at_one_place_fetches_little(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """One look takes one request, and a second one next to it none."""
    place = 20 * PART_SIZE
    assert backend.get("packs/a", place, place + 100) == PACK[place : place + 100]
    assert backend.get("packs/a", place + 100, place + 200) == PACK[place + 100 : place + 200]
    assert backend.get("packs/a", place + PART_SIZE - 1, place + PART_SIZE) == PACK[place + PART_SIZE - 1 :][:1]
    assert asked(below) == 1


def test_what_is_no_pack_is_read_anew(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """Objects that change, and whole packs, are passed on as they are asked for."""
    for _ in range(2):
        assert backend.get("slots/a", 1, 3) == PACK[1:3]
        assert backend.get("packs/a") == PACK
        assert backend.get("packs/a", 0, FETCH_SIZE_MAX + 1) == PACK[: FETCH_SIZE_MAX + 1]
    assert asked(below) == 6


@pytest.mark.parametrize("size", [10 << 20, (10 << 20) + 77, PART_SIZE, 1, 0])
def test_the_end_of_a_pack(tmp_path: Path, size: int) -> None:
    """Beyond the end there is nothing, kept or not, wherever the end is."""
    backend = ReadAheadBackend(MemoryBackend({"packs/a": PACK[:size]}), PackParts(tmp_path))
    for start in (max(size - 10, 0), size + 3 * PART_SIZE, size, max(size - 10, 0), size + 10, max(size - PART_SIZE, 0)):
        assert backend.get("packs/a", start, start + 500) == PACK[:size][start : start + 500]
        assert backend.get("packs/a", start, start + 2 * PART_SIZE) == PACK[:size][start : start + 2 * PART_SIZE]
    assert backend.get("packs/a", 0, 0) == b""


def test_a_deleted_pack_is_gone(backend: ReadAheadBackend) -> None:
    """What was kept of it goes with it; what is not there is not found."""
    backend.get("packs/a", 0, 10)
    backend.delete("packs/a")
    for _ in range(2):
        with pytest.raises(ObjectNotFoundError):
            backend.get("packs/a", 0, 10)
    assert backend.get("packs/b", 0, 10) == OTHER[:10]


def test_any_reads_give_what_is_stored(below: RecordingBackend, tmp_path: Path) -> None:
    """Whatever several threads read in whatever order, it is right, and what is kept is bounded."""
    kept_max = 6 << 20
    backend = ReadAheadBackend(below, PackParts(tmp_path, kept_size_max=kept_max))

    def read_about(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(100):
            name, content = chance.choice([("packs/a", PACK), ("packs/b", OTHER)])
            start = chance.randrange(len(PACK) + 1000)
            stop = start + chance.choice([1, 100, 70_000, 1_000_000])
            assert backend.get(name, start, stop) == content[start:stop]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read_about, range(4)))
    backend.get("packs/b", 0, 10)
    kept = sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*") if path.is_file())
    assert kept <= len(PACK) + FETCH_SIZE_MAX
    # However many threads begin at the same moment, they have one folder.
    assert len(list(tmp_path.iterdir())) == 1


def test_processes_share_what_was_fetched(backend: ReadAheadBackend, below: RecordingBackend, parts: PackParts) -> None:
    """What one process of a command has fetched, another one does not fetch again."""
    other = ReadAheadBackend(below, pickle.loads(pickle.dumps(parts)))  # noqa: S301 - they are this test's own bytes.
    backend.get("packs/a", 0, 1000)
    assert other.get("packs/a", 500, 2000) == PACK[500:2000]
    assert asked(below) == 1


def test_nothing_is_left(below: RecordingBackend, tmp_path: Path) -> None:
    """The parts go with the object that has made their folder, and not with another process's; nobody else may read them."""
    parts = PackParts(tmp_path)
    other = pickle.loads(pickle.dumps(parts))  # noqa: S301 - as above.
    backend = ReadAheadBackend(below, other)
    backend.get("packs/a", 0, 10)
    paths = list(tmp_path.rglob("*"))
    assert paths
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths)
    del backend, other
    assert list(tmp_path.rglob("*")) == paths
    del parts
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_command_left_goes_with_the_next(below: RecordingBackend, tmp_path: Path) -> None:
    """The folder of a command that was killed is removed by the next one, and that of a command under way is not."""
    code = (
        "import os, sys; from pathlib import Path; from tallac.backends.pack_parts import PackParts; "
        "parts = PackParts(Path(sys.argv[1])); parts.read('packs/a', 0, 10, lambda start, stop: b'x' * 10); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False, env={**os.environ, "PYTHONPATH": "src"})
    left = set(tmp_path.iterdir())
    assert len(left) == 1
    running = ReadAheadBackend(below, PackParts(tmp_path))
    running.get("packs/a", 0, 10)
    assert not left & set(tmp_path.iterdir())
    ReadAheadBackend(below, PackParts(tmp_path)).get("packs/b", 0, 10)
    before = asked(below)
    running.get("packs/a", 0, 10)
    assert asked(below) == before


def test_without_a_place_it_only_takes_longer(below: RecordingBackend, tmp_path: Path) -> None:
    """Where nothing can be kept, as on a disk that may not be written to, reads are passed on as they are."""
    (tmp_path / "file").write_bytes(b"")
    backend = ReadAheadBackend(below, PackParts(tmp_path / "file" / "parts"))
    for _ in range(2):
        assert backend.get("packs/a", 5, 10) == PACK[5:10]
    assert asked(below) == 2


def test_another_process_has_a_wrapper_of_its_own(parts: PackParts) -> None:
    """A wrapper is sent with its backend, and not where that one can't be."""
    with pytest.raises(TypeError):
        pickle.dumps(ReadAheadBackend(MemoryBackend({}), parts))  # As the store in memory, which is this process's alone.


def test_what_is_expected_is_read_before_it_is_asked_for(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """Parts that were announced are there when they are asked for, and no part is fetched twice."""
    wanted = [Extent(name, start, start + 3_000_000) for start in (1_000_000, 7_000_000) for name in ("packs/a", "packs/b")]
    backend.expect(wanted)
    for name, start, stop in wanted:
        for place in range(start, stop, 60_000):
            expected = (PACK if name == "packs/a" else OTHER)[place : place + 60_000]
            assert backend.get(name, place, place + 60_000)[: stop - place] == expected[: stop - place]
    assert asked(below) <= sum(-(-(each.stop - each.start + PART_SIZE) // STEP_SIZE) for each in wanted)


def test_what_is_expected_in_vain_is_no_error(backend: ReadAheadBackend, below: RecordingBackend) -> None:
    """A pack that is not there is missed by who asks for it, and others are read."""
    backend.expect([Extent("packs/none", 0, 10), Extent("packs/a", 0, 10)])
    with pytest.raises(ObjectNotFoundError):
        backend.get("packs/none", 0, 10)
    assert backend.get("packs/a", 0, 10) == PACK[:10]


def test_so_much_is_expected_and_no_more(backend: ReadAheadBackend, below: RecordingBackend, parts: PackParts) -> None:
    """Whoever announces a whole vault does not have it fetched."""
    backend.expect(Extent(f"packs/{number}", 0, 1 << 20) for number in range(2 * (EXPECTED_SIZE_MAX >> 20)))
    backend.expect([Extent("packs/a", 0, 10)])
    assert backend.get("packs/a", 0, 10) == PACK[:10]


def test_parts_that_were_removed_are_not_begun_anew(backend: ReadAheadBackend, parts: PackParts, tmp_path: Path) -> None:
    """What is read ahead when a command ends leaves nothing behind."""
    backend.get("packs/a", 0, 10)
    parts.remove()
    backend.expect([Extent("packs/b", 0, 10)])
    assert backend.get("packs/b", 0, 10) == OTHER[:10]
    assert list((tmp_path / "parts").iterdir()) == []


def spoil(folder: Path) -> None:
    """Flip a bit in each byte of what is kept of packs."""
    for path in folder.rglob("packs-*"):
        with path.open("r+b") as file:
            content = file.read()[CONTENT_START:]
            file.seek(CONTENT_START)
            file.write(bytes(byte ^ 1 for byte in content))


def test_what_the_disk_has_damaged_is_fetched_once_more(backend: ReadAheadBackend, below: RecordingBackend, tmp_path: Path) -> None:
    """A kept part that is not what it was is taken from the store anew, for all who read it afterwards."""
    assert backend.get("packs/a", 1000, 2000) == PACK[1000:2000]
    spoil(tmp_path)
    before = asked(below)
    for start in (1000, 1500, 100_000):
        assert backend.get("packs/a", start, start + 1000) == PACK[start : start + 1000]
    assert asked(below) == before + 1
    end = len(PACK) - 10
    assert backend.get("packs/a", end, end + 100) == PACK[end:]
    spoil(tmp_path)
    assert backend.get("packs/a", end, end + 100) == PACK[end:]


def test_a_disk_that_keeps_nothing_right_costs_requests_alone(
    backend: ReadAheadBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what is written comes back otherwise each time, what the store says counts."""
    write = _PackFile.write

    def write_wrongly(self: _PackFile, first: int, last: int, content: bytes) -> None:
        write(self, first, last, content)
        spoil(tmp_path)

    monkeypatch.setattr(_PackFile, "write", write_wrongly)
    for start in (0, 1000, 3_000_000):
        assert backend.get("packs/a", start, start + 1000) == PACK[start : start + 1000]


def test_what_the_store_has_damaged_stays_so(below: RecordingBackend, backend: ReadAheadBackend) -> None:
    """Nobody is asked again about what came as the store has it: whoever verifies it says that it is damaged."""
    below.put("packs/a", OTHER)
    for _ in range(2):
        assert backend.get("packs/a", 0, 1000) == OTHER[:1000]
    assert asked(below) == 2  # The put, and one request.
