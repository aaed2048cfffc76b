"""Small files are announced in parts of packs, each once, and what waits for them stands between no reader and an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.caps import storage_index_of
from tallac.errors import StoreUnavailableError
from tallac.interfaces import Extent
from tallac.testing.sample_vault import noise
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.objects import object_name_of
from tallac.vault.packs.pack import pack_path
from tallac.vault.reading import announced
from tallac.vault.reading.announced import BULK_PARTS, PART_SIZE, STEP_PARTS, AnnouncedFiles

LOCATOR = WriterKey(bytes(range(32))).locator_key
PACK = noise(1, 32)
SIZE = 10 * PART_SIZE + 100
LARGE_PACK, LARGE_SIZE = noise(2, 32), 100 * PART_SIZE


class Store(ForwardingBackend):
    """A distant store that notes what it is told and asked, and fails when it is told to."""

    worker_uploads = 1

    def __init__(self) -> None:
        super().__init__(MemoryBackend({pack_path(PACK): bytes(SIZE), pack_path(LARGE_PACK): bytes(LARGE_SIZE)}))
        self.expected: list[Extent] = []
        self.asked: list[tuple[str, int, int | None]] = []
        self.is_down = False

    def expect(self, extents: Iterable[Extent]) -> None:
        """Note them."""
        self.expected += extents

    def run_together(self, calls: Sequence[object]) -> list[object]:
        """Be there: this makes it a distant backend."""
        raise NotImplementedError

    def fetched(self, names: Sequence[str] = (), prefixes: Sequence[str] = ()) -> object:
        """Be there, likewise."""
        raise NotImplementedError

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        self.asked.append((name, start, stop))
        if self.is_down:
            raise StoreUnavailableError("down")
        return super().get(name, start, stop)


class Places:
    """An index of files whose number is all that is in their keys, and in whose packs they lie one after the other."""

    def __init__(self, pack: bytes, offsets: Sequence[int], length: int = 100) -> None:
        self.caps = [b"C" + noise(number, 16) + noise(1000 + number, 32) + b"\x64" for number in range(len(offsets))]
        self._places = {
            object_name_of(LOCATOR.naming, storage_index_of(cap[1:17])): ObjectLocation(pack, offset, length, 0, cap[17:33])
            for cap, offset in zip(self.caps, offsets, strict=True)
        }

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """Look one up."""
        return self._places.get(name)

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """Have no other places."""
        return iter(())

    def search(self) -> None:
        """Find nothing more."""


def announcing(store: Store, places: Places) -> AnnouncedFiles:
    """Make what is tested."""
    return AnnouncedFiles(store, LOCATOR, places, {PACK: SIZE, LARGE_PACK: LARGE_SIZE})


def test_parts_are_announced_once() -> None:
    """Of a pack that part is announced in which a file lies, both where it lies in two, and none a second time."""
    store, places = Store(), Places(PACK, [10, 20, 3 * PART_SIZE - 50])
    files = announcing(store, places)
    files.announce(places.caps[:1])
    assert store.expected == [Extent(pack_path(PACK), 0, PART_SIZE)]
    files.announce(places.caps)
    assert store.expected[1:] == [Extent(pack_path(PACK), 2 * PART_SIZE, 4 * PART_SIZE)]


def test_what_waits_asks_for_a_byte_of_each_step() -> None:
    """Parts that follow each other come in steps of four, and a byte of each step tells that it is here."""
    store, places = Store(), Places(PACK, [number * PART_SIZE for number in range(6)])
    announcing(store, places).announce(places.caps)()
    starts = [0, STEP_PARTS * PART_SIZE]
    assert store.asked == [(pack_path(PACK), start, start + 1) for start in starts]


def test_an_error_is_left_to_the_reader() -> None:
    """Where the store is down nothing is raised, and nothing more is asked."""
    store, places = Store(), Places(PACK, [number * PART_SIZE for number in range(6)])
    wait = announcing(store, places).announce(places.caps)
    store.is_down = True
    wait()
    assert len(store.asked) == 1


def test_who_reads_much_is_given_more() -> None:
    """After so many parts whole steps are announced, but never what begins behind the end of a pack."""
    store, places = Store(), Places(LARGE_PACK, [number * PART_SIZE for number in range(BULK_PARTS)])
    ends = Places(PACK, [2 * PART_SIZE, SIZE - 100])
    files = announcing(store, places)
    files.announce(places.caps)
    files._index = ends
    store.expected.clear()
    files.announce(ends.caps)
    assert store.expected == [
        Extent(pack_path(PACK), 0, STEP_PARTS * PART_SIZE),
        Extent(pack_path(PACK), 2 * STEP_PARTS * PART_SIZE, 11 * PART_SIZE),
    ]


def test_what_may_have_been_dropped_is_announced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last parts are remembered, so that memory is bounded."""
    monkeypatch.setattr(announced, "REMEMBERED_MAX", 2)
    store, places = Store(), Places(PACK, [number * PART_SIZE for number in (0, 2, 4)])
    files = announcing(store, places)
    for cap in (*places.caps, places.caps[0], places.caps[2]):
        files.announce([cap])
    assert [extent.start // PART_SIZE for extent in store.expected] == [0, 2, 4, 0]


def test_what_is_no_small_file_is_passed_over() -> None:
    """Caps of other kinds, and files that the index does not know, are left to who reads them."""
    store, places = Store(), Places(PACK, [0])
    announcing(store, places).announce([b"Lcontent", b"", b"D" + bytes(48), b"C" + bytes(48) + b"\x10"])()
    assert not store.expected
    assert not store.asked
