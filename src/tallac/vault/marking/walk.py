"""Follow links from some roots to everything that hangs from them. A keeper key suffices; no content is opened.

Lists and directories are read in the order in which they lie in packs, some thousand at a time, and each is compared with the
hash in its link. Chunks have nothing below them and are not read: their hashes are collected, and compared with the index at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tallac.errors import DamageError
from tallac.interfaces import Backend, Extent
from tallac.vault.distance import expect
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.keys import LocatorKey
from tallac.vault.format.links import Link, LinkKind, link_from, split_links
from tallac.vault.format.objects import object_name_of
from tallac.vault.index.index import VaultIndex
from tallac.vault.marking.hash_set import HashSet
from tallac.vault.packs.pack import pack_path
from tallac.vault.reading.object_reader import ObjectReader

BATCH_NODES = 8192
PACK_SIZE_SMALL = 1 << 20
_NUMBER_SIZE = 4
_NODE_SIZE = 33
_WAITING_SIZE = _NUMBER_SIZE + _NODE_SIZE


class FixedIndex:
    """The index as it is, without a second look at a fresh one: numbers of records hold meanwhile. A `Finder`."""

    def __init__(self, index: VaultIndex) -> None:
        """Look up in an index that was refreshed, and whose packs were looked at."""
        self._index = index

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """See `tallac.vault.reading.object_reader.Finder`."""
        return self._index.find(name, stored_hash)

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """See `tallac.vault.reading.object_reader.Finder`."""
        return self._index.locations(name, only_present=only_present)

    def search(self) -> None:
        """Do nothing."""


class Bits:
    """One bit for each record of one generation of the index."""

    def __init__(self, count: int) -> None:
        """Clear all of them."""
        self._bits = bytearray(count // 8 + 1)

    @property
    def raw(self) -> bytearray:
        """The bits, eight to a byte, for whoever sets many of them."""
        return self._bits

    def __contains__(self, number: int) -> bool:
        """Whether a record's bit is set."""
        return bool(self._bits[number >> 3] >> (number & 7) & 1)

    def add(self, number: int) -> None:
        """Set a record's bit."""
        self._bits[number >> 3] |= 1 << (number & 7)


class LinkWalk:
    """One walk over one generation of the index. What is shared is looked at once.

    Attributes:
        hashes: The stored hashes of all that links lead to, chunks and nodes.
        files, directories: How many were met: files by their entries in distinct directories, without what lies in its cap itself.
        nodes: How many lists and directories were read.
    """

    def __init__(
        self,
        backend: Backend,
        locator: LocatorKey,
        index: VaultIndex,
        *,
        damaged: Callable[[Link, DamageError], None],
        open_slot: Callable[[Link], bytes] | None = None,
        only_present: bool = False,
    ) -> None:
        """Prepare.

        Args:
            backend: Where packs are read.
            locator: The vault's.
            index: A fresh one, whose packs were looked at.
            damaged: Called with a link behind which no copy has the promised bytes, or no slot; it may raise.
            open_slot: Reads a slot's links; without it links to slots are passed over.
            only_present: Do without packs that seem to be lost or cut, and without damaged packs.
        """
        self._backend = backend
        self._reader = ObjectReader(backend, locator, FixedIndex(index), only_present=only_present)
        self._naming = locator.naming
        self._index = index
        self._damaged = damaged
        self._open_slot = open_slot
        self._seen = Bits(index.count())
        self._directories = Bits(index.count())
        # Nodes that no record has: what is left in damaged packs is followed too.
        self._unknown: set[bytes] = set()
        self._waiting_unknown: list[bytes] = []
        self._waiting = bytearray()
        self._sizes: dict[bytes, int] | None = None
        self._slots_seen: set[bytes] = set()
        self._waiting_slots: list[bytes] = []
        self.hashes = HashSet()
        self.files = 0
        self.directories = 0
        self.nodes = 0

    @property
    def bytes_read(self) -> int:
        """Bytes of packs that were read."""
        return self._reader.bytes_read

    def is_directory(self, number: int) -> bool:
        """Whether a record was met as a directory's."""
        return number in self._directories

    def follow(self, tops: Iterable[bytes], step: Callable[[], None] = lambda: None) -> None:
        """Follow everything from some encoded links; `step` is called now and then.

        Raises:
            What `damaged` raises, and MalformedObjectError where links don't follow the format.
        """
        for links in tops:
            self._take(links, is_directory=True)
        while self._waiting or self._waiting_unknown or self._waiting_slots:
            for raw in self._next_slots():
                self._follow_slot(link_from(raw))
            for raw in self._next_batch():
                self._follow_node(raw)
            step()

    def _take(self, links: bytes, *, is_directory: bool) -> None:
        """Take the links of a directory or slot, or of a list."""
        chunks, nodes, slots = split_links(links)
        self.hashes.update(chunks)
        if is_directory:
            self.files += len(chunks)
        for raw in nodes:
            if is_directory and raw[0] == LinkKind.LIST:
                self.files += 1
            number = self._index.number_of(object_name_of(self._naming, raw[1:17]), raw[17:])
            if number is None:
                if raw not in self._unknown:
                    self._unknown.add(raw)
                    self._waiting_unknown.append(raw)
            elif number not in self._seen:
                self._seen.add(number)
                if raw[0] == LinkKind.DIRECTORY:
                    self._directories.add(number)
                self._waiting += number.to_bytes(_NUMBER_SIZE, "big") + raw
        for raw in slots if self._open_slot is not None else ():
            if raw not in self._slots_seen:
                self._slots_seen.add(raw)
                self._waiting_slots.append(raw)

    def _next_slots(self) -> list[bytes]:
        slots, self._waiting_slots = self._waiting_slots, []
        return slots

    def _next_batch(self) -> Iterator[bytes]:
        """Take the nodes that were found last, and iterate over their links in the order in which they lie in packs."""
        start = max(0, len(self._waiting) - BATCH_NODES * _WAITING_SIZE)
        batch = bytes(self._waiting[start:])
        del self._waiting[start:]
        unknown, self._waiting_unknown = self._waiting_unknown, []
        found = []
        for place in range(0, len(batch), _WAITING_SIZE):
            location = self._index.location_of(int.from_bytes(batch[place : place + _NUMBER_SIZE], "big"))
            found.append((location, batch[place + _NUMBER_SIZE : place + _WAITING_SIZE]))
        found.sort(key=lambda each: each[0][:2])
        expect(self._backend, (self._extent_of(location) for location, _ in found))
        for _, raw in found:
            yield raw
        yield from unknown

    def _extent_of(self, location: ObjectLocation) -> Extent:
        """Return what to read for an object: of a small pack all, since more of it is wanted at the next level."""
        if self._sizes is None:
            self._sizes = self._index.packs()
        size = self._sizes.get(location.pack, PACK_SIZE_SMALL + 1)
        start, stop = (0, size) if size <= PACK_SIZE_SMALL else (location.offset, location.offset + location.size)
        return Extent(pack_path(location.pack), start, stop)

    def _follow_node(self, raw: bytes) -> None:
        link = link_from(raw)
        is_directory = link.kind is LinkKind.DIRECTORY
        self.directories += is_directory
        self.hashes.update((link.hash,))
        try:
            below = self._reader.read_encoded_links(link)
            self._take(below, is_directory=is_directory)
        except DamageError as error:
            self._damaged(link, error)
        else:
            self.nodes += 1

    def _follow_slot(self, link: Link) -> None:
        assert self._open_slot is not None
        self.directories += 1
        try:
            self._take(self._open_slot(link), is_directory=True)
        except DamageError as error:
            self._damaged(link, error)
