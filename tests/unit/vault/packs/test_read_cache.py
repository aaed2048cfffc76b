import random

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import CorruptObjectError, MissingObjectError
from tallac.testing.frugal_backend import CachingBackend
from tallac.testing.recording_backend import RecordingBackend
from tallac.vault.packs.pack import pack_path
from tallac.vault.packs.read_cache import KEPT_SIZE_MAX, WINDOW_SIZE, PackReadCache

PACK = b"p" * 32
CONTENT = random.Random(1).randbytes(5 * WINDOW_SIZE + 1000)


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
