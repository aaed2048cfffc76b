import random
from pathlib import Path

import pytest

from tallac.backends.descriptors import AHEAD_SIZE
from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.errors import CorruptObjectError, MissingObjectError
from tallac.testing.file_calls import RecordingFileCalls
from tallac.testing.frugal_backend import CachingBackend
from tallac.testing.recording_backend import RecordingBackend
from tallac.vault.packs.damaged import damaged_path
from tallac.vault.packs.pack import pack_path
from tallac.vault.packs.read_cache import KEPT_SIZE_MAX, WINDOW_SIZE, PackReadCache

PACK = b"p" * 32
CONTENT = random.Random(1).randbytes(5 * WINDOW_SIZE + 1000)


class Reads(RecordingFileCalls):
    """Note which ranges are read, and which the system is told of before."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[int, int]] = []
        self.ahead: list[tuple[int, int]] = []

    def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
        self.ranges.append((offset, offset + size))
        return super().read_at(descriptor, size, offset)

    def read_ahead(self, descriptor: int, start: int, stop: int) -> None:
        assert not self.ranges
        self.ahead.append((start, stop))
        super().read_ahead(descriptor, start, stop)


def backend_of(*packs: bytes) -> RecordingBackend:
    """Make a backend that has these packs."""
    return RecordingBackend(MemoryBackend({pack_path(pack): CONTENT for pack in packs}))


def gets(backend: RecordingBackend) -> int:
    """Count the reads so far."""
    return sum(event.operation == "get" for event in backend.events)


def test_reads_in_any_order_fetch_each_window_once() -> None:
    """Small reads all over a pack, also across the ends of windows, give its bytes and read each window once."""
    chance, backend = random.Random(2), backend_of(PACK)
    windows = PackReadCache(backend)
    for _ in range(1000):
        start = chance.randrange(len(CONTENT))
        stop = min(len(CONTENT), start + chance.randrange(1, 9000))
        assert windows.read(PACK, start, stop) == CONTENT[start:stop]
    assert gets(backend) == 6


def test_a_large_read_is_one_read() -> None:
    """What is as large as a window is read at once, and not kept."""
    backend = backend_of(PACK)
    windows = PackReadCache(backend)
    for _ in range(2):
        assert windows.read(PACK, 100, 100 + 3 * WINDOW_SIZE) == CONTENT[100 : 100 + 3 * WINDOW_SIZE]
    assert gets(backend) == 2


def test_a_far_store_is_read_in_larger_windows() -> None:
    """What answers as fast with a mebibyte as with a few bytes is asked for a mebibyte."""
    store = backend_of(PACK)
    windows = PackReadCache(CachingBackend(store, store))
    for start in range(0, len(CONTENT) - 5, 5000):
        assert windows.read(PACK, start, start + 5) == CONTENT[start : start + 5]
    assert gets(store) == 1


def test_only_so_many_windows_are_kept() -> None:
    """The window that was used longest ago is let go."""
    packs = [number.to_bytes(32, "big") for number in range(KEPT_SIZE_MAX // WINDOW_SIZE + 1)]
    backend = backend_of(*packs)
    windows = PackReadCache(backend)
    for pack in packs:
        windows.read(pack, 0, 10)
    windows.read(packs[-1], 0, 10)
    assert gets(backend) == len(packs)
    windows.read(packs[0], 0, 10)
    assert gets(backend) == len(packs) + 1


@pytest.mark.parametrize("start", [len(CONTENT) - 5, len(CONTENT), 9 * WINDOW_SIZE])
def test_a_pack_that_ends_before(start: int) -> None:
    """A read beyond the end says that the pack is cut short, and a pack that is not there that it is missing."""
    windows = PackReadCache(backend_of(PACK))
    with pytest.raises(CorruptObjectError):
        windows.read(PACK, start, start + 10)
    with pytest.raises(MissingObjectError):
        windows.read(b"q" * 32, 0, 10)


def test_several_reads_of_a_folder_are_of_these_bytes_alone(tmp_path: Path) -> None:
    """In a folder each range is read by itself, and nothing beside it; elsewhere windows are."""
    files = Reads()
    local, far = LocalBackend(tmp_path, files=files), backend_of(PACK)
    local.put(pack_path(PACK), CONTENT)
    ranges = [(10, 500), (500, 9000), (2 * WINDOW_SIZE - 5, 2 * WINDOW_SIZE + 5), (len(CONTENT) - 9, len(CONTENT))]
    wanted = [CONTENT[start:stop] for start, stop in ranges]
    assert PackReadCache(local).read_several(PACK, ranges) == PackReadCache(far).read_several(PACK, ranges) == wanted
    assert files.ranges == ranges
    # The system hears of what lies around them first.
    assert files.ahead == [(number * AHEAD_SIZE, (number + 1) * AHEAD_SIZE) for number in (0, 1)]
    assert gets(far) == 4


def test_the_system_hears_of_a_stretch_once(tmp_path: Path) -> None:
    """What was told is not told again while the pack is open."""
    files = Reads()
    local = LocalBackend(tmp_path, files=files)
    local.put(pack_path(PACK), CONTENT)
    windows = PackReadCache(local)
    for start in (5, 50, AHEAD_SIZE - 1):
        windows.read_several(PACK, [(start, start + 1)])
        files.ranges.clear()
    assert files.ahead == [(0, AHEAD_SIZE)]


def test_several_reads_where_not_all_is_there(tmp_path: Path) -> None:
    """What lies behind the end comes out short, what lies before it is there; a pack that was moved away is read where it lies."""
    local, far = LocalBackend(tmp_path), backend_of(PACK)
    local.put(damaged_path(PACK), CONTENT)
    ranges = [(10, 500), (len(CONTENT) - 9, len(CONTENT) + 1), (len(CONTENT), len(CONTENT) + 9)]
    for windows in (PackReadCache(local), PackReadCache(far)):
        whole, *short = windows.read_several(PACK, ranges)
        assert whole == CONTENT[10:500]
        assert [len(part) < stop - start for part, (start, stop) in zip(short, ranges[1:], strict=True)] == [True, True]
        with pytest.raises(MissingObjectError):
            windows.read_several(b"q" * 32, ranges)
