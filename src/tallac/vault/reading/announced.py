"""Small files that are about to be read over a line: what tells the store's reader so, before a worker asks for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from tallac.caps import storage_index_of
from tallac.errors import StoreError
from tallac.interfaces import Backend, Extent
from tallac.vault.distance import expect
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.keys import LocatorKey
from tallac.vault.format.objects import HASH_SIZE, object_name_of
from tallac.vault.packs.pack import pack_path
from tallac.vault.reading.files import small_file_of
from tallac.vault.reading.object_reader import Finder

PART_SIZE = 256 << 10
"""Packs are announced in such parts: a request for less takes as long."""

STEP_PARTS = 4
"""So many parts of a pack that follow each other are one request, and are announced together by who reads much."""

BULK_PARTS = 16
"""Whoever has announced so many parts reads much."""

REMEMBERED_MAX = 1024
"""So many parts are not announced again. Those before them may have been dropped meanwhile, where parts are kept."""


class AnnouncedFiles:
    """Announces small files. Not thread-safe."""

    def __init__(self, backend: Backend, locator: LocatorKey, index: Finder, sizes: Mapping[bytes, int]) -> None:
        """Announce to a distant backend; the index says where files lie, and how large packs are, in bytes."""
        self._sizes = sizes
        self._backend = backend
        self._naming = locator.naming
        self._index = index
        self._announced: OrderedDict[tuple[bytes, int], None] = OrderedDict()
        self._count = 0

    def announce(self, encoded: Sequence[bytes]) -> Callable[[], None]:
        """See `tallac.interfaces.AnnouncingReader`."""
        steps = [Extent(pack_path(pack), first * PART_SIZE, last * PART_SIZE) for pack, first, last in self._steps(encoded)]
        expect(self._backend, steps)
        return partial(self._wait, steps)

    def _steps(self, encoded: Iterable[bytes]) -> list[tuple[bytes, int, int]]:
        """Return what of packs is needed and was not announced lately: each with its first part, and the one behind the last."""
        steps: list[tuple[bytes, int, int]] = []
        for pack, number in sorted({part for place in self._places(encoded) for part in self._parts_of(place)}):
            is_new = (pack, number) not in self._announced
            self._announced[pack, number] = None
            self._announced.move_to_end((pack, number))
            if not is_new:
                continue
            self._count += 1
            last = steps[-1] if steps else None
            if last is not None and last[0] == pack and last[2] == number and number - last[1] < STEP_PARTS:
                steps[-1] = (pack, last[1], number + 1)
            else:
                steps.append((pack, number, number + 1))
        while len(self._announced) > REMEMBERED_MAX:
            self._announced.popitem(last=False)
        return steps

    def _places(self, encoded: Iterable[bytes]) -> Iterable[ObjectLocation]:
        for cap in encoded:
            parts = small_file_of(cap)
            if parts is not None:
                name = object_name_of(self._naming, storage_index_of(parts[0]))
                place = self._index.find(name, parts[1][:HASH_SIZE])
                if place is not None:
                    yield place

    def _parts_of(self, place: ObjectLocation) -> Iterable[tuple[bytes, int]]:
        first, last = place.offset // PART_SIZE, (place.offset + place.length - 1) // PART_SIZE
        if self._count >= BULK_PARTS:
            first = first // STEP_PARTS * STEP_PARTS
            # Nothing begins behind a pack's end. One that has come since this was made may end with this object.
            parts = -(-self._sizes.get(place.pack, 0) // PART_SIZE)
            last = max(last, min(last // STEP_PARTS * STEP_PARTS + STEP_PARTS, parts) - 1)
        return ((place.pack, number) for number in range(first, last + 1))

    def _wait(self, steps: Sequence[Extent]) -> None:
        """Wait until what was announced is here. Where it can't be had, whoever reads it finds that out and says so."""
        for step in steps:
            try:
                # A byte of each is enough: it comes with the rest.
                self._backend.get(step.name, step.start, step.start + 1)
            except StoreError:
                return
