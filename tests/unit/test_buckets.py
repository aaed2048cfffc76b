import errno
import os
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from tallac import buckets
from tallac.buckets import COUNT, ROOM_MIN, Buckets, Spill
from tallac.errors import LocalStateError
from tallac.file_calls import Buffer, RealFileCalls

SIZE = 8


class Disk(RealFileCalls):
    """A disk with some room, which gives back what it has as a test wants it.

    Attributes:
        left: So many bytes may still be written.
        mask: Each byte that is read comes with these bits turned.
        cut: So many bytes are missing from what is read.
        is_broken: Whether reading fails.
        free: What the disk says of its room.
    """

    def __init__(self) -> None:
        self.left = 1 << 30
        self.mask = 0
        self.cut = 0
        self.is_broken = False
        self.free = 1 << 40

    def room(self, folder: str) -> int:
        """See `FileCalls`."""
        return self.free

    def write(self, descriptor: int, data: Buffer) -> int:
        """See `FileCalls`."""
        if not self.left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(descriptor, data[: min(self.left, 100)])
        self.left -= written
        return written

    def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
        """See `FileCalls`."""
        if self.is_broken:
            raise OSError(errno.EIO, "Input/output error")
        content = super().read_at(descriptor, size - self.cut, offset)
        return bytes(byte ^ self.mask for byte in content)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little be in memory."""
    monkeypatch.setattr(buckets, "FULL_SIZE", 10 * SIZE)
    monkeypatch.setattr(buckets, "_UNITED_SIZE_MIN", 4_000 * SIZE)


@pytest.fixture
def disk() -> Disk:
    """Give a disk with room."""
    return Disk()


def records_of(seed: int, count: int) -> Iterator[bytes]:
    """Make up records."""
    chance = random.Random(seed)
    return (chance.randbytes(SIZE) for _ in range(count))


def add_all(made: Buckets, records: Iterator[bytes] | list[bytes]) -> None:
    """Add records as every caller does."""
    for record in records:
        made.recent[record[0]] += record
        if len(made.recent[record[0]]) >= made.full_size:
            made.settle()


def all_in(made: Buckets) -> list[bytes]:
    """Give all records, sorted, once each has proved to lie in the right bucket."""
    found = []
    for first in range(COUNT):
        text = made.starting_with(first)
        found += [text[place : place + SIZE] for place in range(0, len(text), SIZE)]
        assert all(each[0] == first for each in found[-(len(text) // SIZE) :] if text)
    return sorted(found)


def distinct(records: bytes) -> bytes:
    """Leave out what comes again."""
    return b"".join({records[place : place + SIZE]: None for place in range(0, len(records), SIZE)})


@pytest.mark.parametrize("count", [0, 100, 2_000, 30_000])
def test_what_was_added_comes_back(disk: Disk, count: int) -> None:
    """Of any number of records each is in its bucket, also while more are added."""
    made = Buckets(calls=disk)
    for part in range(3):
        add_all(made, records_of(part, count))
        assert all_in(made) == sorted(each for before in range(part + 1) for each in records_of(before, count))
    assert made.size == 3 * count * SIZE
    assert (disk.left < 1 << 30) == (count > 1_000)


@pytest.mark.parametrize("skew", [1, 3, 256])
def test_what_comes_again_takes_no_room(disk: Disk, skew: int) -> None:
    """A few records that come again and again are there once or twice, wherever they lie."""
    records = [bytes((each[0] % skew,)) + each[1:] for each in records_of(1, 3_000)]
    made = Buckets(distinct, calls=disk)
    for seed in range(30):
        random.Random(seed).shuffle(records)
        add_all(made, records)
    assert sorted({*all_in(made)}) == sorted(records)
    assert made.size <= max(2 * 3_000, 4_000) * SIZE + 2 * COUNT * buckets.FULL_SIZE


@pytest.mark.parametrize("room", [0, 1, 50, 5_000, 40_000])
@pytest.mark.parametrize("is_united", [False, True])
def test_a_full_disk_stops_nobody(disk: Disk, room: int, is_united: bool) -> None:
    """Where the disk is full at any point, what it did not take is in memory; with room again, the rest goes there."""
    disk.left = room
    made = Buckets(distinct if is_united else None, calls=disk)
    add_all(made, records_of(1, 10_000))
    assert all_in(made) == sorted(records_of(1, 10_000))
    disk.left = 1 << 30
    add_all(made, records_of(2, 20_000))
    assert all_in(made) == sorted([*records_of(1, 10_000), *records_of(2, 20_000)])
    assert sum(map(len, made.recent)) <= 2 * COUNT * buckets.FULL_SIZE


def test_others_have_room(disk: Disk) -> None:
    """A disk is not filled to its end: what is left is for others, such as the prune that is about to make room."""
    disk.free = ROOM_MIN
    made = Buckets(calls=disk)
    add_all(made, records_of(1, 10_000))
    assert disk.left == 1 << 30
    disk.free = ROOM_MIN + (1 << 20)
    add_all(made, records_of(2, 20_000))
    assert disk.left < 1 << 30
    assert all_in(made) == sorted([*records_of(1, 10_000), *records_of(2, 20_000)])


def test_what_failed_takes_no_room(disk: Disk) -> None:
    """What a full disk did not take as a whole takes nothing of it."""
    spill = Spill(disk)
    place = spill.add([b"a" * 1000])[0]
    disk.left = 300
    with pytest.raises(OSError, match="No space left"):
        spill.add([b"b" * 1000])
    assert os.fstat(spill._descriptor).st_size == 1000
    assert spill.read(place) == b"a" * 1000


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> None:
    """Where no temporary file can be made all stays in memory."""
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    made = Buckets(calls=disk)
    add_all(made, records_of(1, 10_000))
    assert all_in(made) == sorted(records_of(1, 10_000))


@pytest.mark.parametrize(("mask", "cut", "is_broken"), [(1, 0, False), (128, 0, False), (0, 1, False), (0, 0, True)])
def test_what_comes_back_wrong_is_an_error(disk: Disk, mask: int, cut: int, is_broken: bool) -> None:
    """Other bytes than were written, fewer or none are an error that names the folder, also when what comes again is united."""
    made, united = Buckets(calls=disk), Buckets(distinct, calls=disk)
    for each in (made, united):
        add_all(each, records_of(1, 3_500))
    disk.mask, disk.cut, disk.is_broken = mask, cut, is_broken
    with pytest.raises(LocalStateError, match=r"temporary file there .* TMPDIR"):
        made.starting_with(7)
    with pytest.raises(LocalStateError, match="temporary file there"):
        add_all(united, records_of(2, 3_500))


def test_places_are_told_apart(disk: Disk) -> None:
    """A place gives back what was put there, and two together give both."""
    spill = Spill(disk)
    parts = [b"", b"a", b"bc" * 500]
    places = spill.add(parts)
    more = spill.add([b"d"])
    assert [spill.read(place) for place in places + more] == [*parts, b"d"]
    assert spill.read(b"".join(more + places)) == b"d" + b"".join(parts)
    spill.close()


def test_memory_hardly_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What 120,000 records more take of memory is less than a byte for each: where they are, and their hashes."""
    monkeypatch.setattr(buckets, "FULL_SIZE", 100 * SIZE)
    taken = []
    for count in (40_000, 160_000):
        made = Buckets()
        records = list(records_of(1, count))
        tracemalloc.start()
        try:
            add_all(made, records)
            taken.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert taken[1] - taken[0] < 120_000
