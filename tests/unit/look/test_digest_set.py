import random
import tracemalloc

import pytest
from hypothesis import given, strategies as st
from tests.unit.test_buckets import Disk

from tallac.buckets import ROOM_MIN
from tallac.errors import LocalStateError
from tallac.look.digest_set import DIGEST_SIZE, DigestSet

DIGESTS = st.lists(st.binary(min_size=1, max_size=2).map(lambda part: (part * DIGEST_SIZE)[:DIGEST_SIZE]), max_size=60)


@given(DIGESTS)
def test_it_answers_as_a_set_does(digests: list[bytes]) -> None:
    """Each digest is new once, also where the end of one and the beginning of the next look like a third."""
    assert_answers_as_a_set_does(DigestSet(), digests)


def assert_answers_as_a_set_does(found: DigestSet, digests: list[bytes]) -> None:
    """Add digests to both, and then again."""
    model = set[bytes]()
    for digest in digests:
        assert found.add(digest) == (digest not in model)
        model.add(digest)
    assert not any(found.add(digest) for digest in model)


def test_it_takes_little_more_than_the_digests() -> None:
    """Of 60,000 digests the second half takes less than 40 bytes each; with more of them it is less."""
    chance, found = random.Random(1), DigestSet()
    tracemalloc.start()
    try:
        for _ in range(30_000):
            found.add(chance.randbytes(DIGEST_SIZE))
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(30_000):
            found.add(chance.randbytes(DIGEST_SIZE))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 30_000 < 40


def some_digests(count: int) -> list[bytes]:
    """Make digests, many of which come again, and many of which begin alike."""
    chance = random.Random(1)
    beginnings = [b"ab", b"ab", b"ac", b"ba", b"zz"]
    return [chance.choice(beginnings) + chance.randrange(count // 2).to_bytes(10, "big") for _ in range(count)]


@pytest.mark.parametrize("recent_max", [1, 7, 100])
def test_it_answers_as_a_set_does_from_a_file(recent_max: int) -> None:
    """What has gone to a file, and from that to a larger one, is known as well."""
    assert_answers_as_a_set_does(DigestSet(recent_max), some_digests(300))


@pytest.mark.parametrize("size", [0, 1_000, 2_000_000, 9_000_000])
def test_a_full_disk(size: int) -> None:
    """Wherever a disk has no more room, for a new file or a part of a text, nothing is forgotten nor found twice."""
    disk = Disk()
    disk.left = size
    found = DigestSet(50, disk)
    assert_answers_as_a_set_does(found, some_digests(400))
    assert disk.left < 9_000_000
    disk.left = 1 << 30
    assert_answers_as_a_set_does(DigestSet(50, disk), some_digests(400))


def test_little_room() -> None:
    """Of a disk with little room none is taken."""
    disk = Disk()
    disk.free = ROOM_MIN + 1
    before = disk.left
    assert_answers_as_a_set_does(DigestSet(50, disk), some_digests(400))
    assert disk.left == before


@pytest.mark.parametrize("what", ["mask", "cut", "is_broken"])
def test_a_disk_that_fails(what: str) -> None:
    """A text that can't be read, is short or another one is an error, and no answer."""
    disk = Disk()
    found = DigestSet(50, disk)
    digest, *others = some_digests(400)
    for each in (digest, *others):
        found.add(each)
    setattr(disk, what, 1)
    with pytest.raises(LocalStateError, match="temporary file"):
        found.add(digest)


def test_memory_of_many() -> None:
    """Of digests in a file memory holds no more than their pages take, however many there are."""
    chance, found = random.Random(1), DigestSet(20_000)
    tracemalloc.start()
    try:
        peaks = []
        for _ in range(3):
            for _ in range(40_000):
                found.add(chance.randbytes(DIGEST_SIZE))
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[2] < 1.1 * peaks[1]
