"""Salvage: find, with read caps, what is whole in damaged packs, and store it again as it is sealed.

Only a read cap tells whether an object is whole, and each copy is judged by itself: content and sealed links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tallac.caps import (
    Cap,
    ImmutableDirectory,
    ImmutableFile,
    MutableDirectoryRead,
    storage_index_of,
)
from tallac.dag import Entry
from tallac.errors import DamageError, RollbackDetectedError
from tallac.vault.components import VaultComponents
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.links import SMALL_SIZE_MAX, Link, LinkKind
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import object_name_of
from tallac.vault.index.seen_objects import SeenObjects
from tallac.vault.packs.read_cache import PackReadCache
from tallac.vault.prune.repack import Repacking
from tallac.vault.reading.object_reader import ObjectReader


class OneCopy:
    """Finds whatever is asked for at one place. See `tallac.vault.reading.object_reader.Finder`."""

    def __init__(self) -> None:
        """Find nothing yet."""
        self.location: ObjectLocation | None = None

    def find(self, name: bytes) -> ObjectLocation | None:
        """Return the place."""
        return self.location

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """Return the place."""
        if self.location is not None:
            yield self.location

    def search(self) -> None:
        """There is nothing else to look at."""


class Salvage:
    """One walk over what hangs below read caps. The index is fresh, and its packs were looked at."""

    def __init__(self, components: VaultComponents, repacking: Repacking) -> None:
        """Store what is found through a repacking."""
        self._index = components.index
        self._slots = components.slots
        self._naming = components.locator.naming
        self._repacking = repacking
        # It reads any copy that is whole, those in damaged packs included.
        self._reader = ObjectReader(components.backend, components.locator, components.index)
        self._one = OneCopy()
        self._one_reader = ObjectReader(components.backend, components.locator, self._one)
        self._windows = PackReadCache(components.backend)
        self._seen = SeenObjects(components.index)
        self._seen_lost: set[bytes] = set()
        self._slots_seen: set[bytes] = set()
        self.rescued: set[bytes] = set()

    def run(self, cap: Cap) -> None:
        """Look at everything below a cap; what can't be read is passed over."""
        waiting: list[Cap] = [cap]
        while waiting:
            cap = waiting.pop()
            if isinstance(cap, ImmutableFile) and cap.total == 1:
                self._walk_file(NodeRef.root(cap))
            elif isinstance(cap, ImmutableDirectory) and cap.total == 1:
                waiting += self._caps_of(self._tables(NodeRef.root(cap)))
            elif isinstance(cap, MutableDirectoryRead) and cap.verify_cap.storage_index not in self._slots_seen:
                self._slots_seen.add(cap.verify_cap.storage_index)
                try:
                    waiting += self._caps_of(self._slots.entries(cap)[0])
                except (DamageError, RollbackDetectedError):
                    continue

    def _caps_of(self, entries: list[Entry]) -> Iterator[Cap]:
        for entry in entries:
            try:
                yield entry.cap
            except DamageError:
                continue

    def _tables(self, root: NodeRef) -> list[Entry]:
        """Rescue the objects of an immutable directory, and give its entries."""
        entries: list[Entry] = []
        waiting = [root]
        while waiting:
            child = waiting.pop()
            link = Link(LinkKind.DIRECTORY, storage_index_of(child.key), child.hash)
            if not self._rescue(link, _table(child)):
                continue
            try:
                below = self._reader.read_table(child)
            except DamageError:
                continue
            for each in below:
                if isinstance(each, NodeRef):
                    waiting.append(each)
                else:
                    entries.append(each)
        return entries

    def _walk_file(self, root: NodeRef) -> None:
        if root.size <= SMALL_SIZE_MAX:
            self._rescue_chunk(root)
            return
        waiting = [root]
        while waiting:
            node = waiting.pop()
            link = Link(LinkKind.LIST, storage_index_of(node.key), node.hash)
            if not self._rescue(link, _list(node)):
                continue
            try:
                level, children = self._reader.read_list(node)
            except DamageError:
                continue
            if level > 1:
                waiting += children
            else:
                for chunk in children:
                    if not chunk.is_hole:
                        self._rescue_chunk(chunk)

    def _rescue_chunk(self, chunk: NodeRef) -> None:
        link = Link(LinkKind.CHUNK, storage_index_of(chunk.key), b"")
        self._rescue(link, _chunk(chunk))

    def _rescue(self, link: Link, read: Callable[[ObjectReader], object]) -> bool:
        """Store an object again that has no copy but in damaged packs, if one of them is whole; False where it was seen before."""
        name = object_name_of(self._naming, link.storage_index)
        if name in self._seen or name in self._seen_lost:
            return False
        self._seen.add(name)
        if self._index.find(name) is None:
            self._seen_lost.add(name)
            for location in list(self._index.copies_in_damaged_packs(name)):
                if self._is_whole(location, link, read):
                    self._store(name, location)
                    break
        return True

    def _is_whole(self, location: ObjectLocation, link: Link, read: Callable[[ObjectReader], object]) -> bool:
        self._one.location = location
        try:
            read(self._one_reader)
            self._one_reader.read_links(link)
        except DamageError:
            return False
        return True

    def _store(self, name: bytes, location: ObjectLocation) -> None:
        content = self._windows.read(location.pack, location.content.start, location.content.stop)
        links = b""
        if location.links_length:
            links = self._windows.read(location.pack, location.links.start, location.links.stop)
        self._repacking.add(name, content, links, is_compressed=location.is_compressed)
        self.rescued.add(name)


def _chunk(chunk: NodeRef) -> Callable[[ObjectReader], object]:
    return lambda reader: reader.read_chunk(chunk.key, chunk.hash, chunk.size)


def _list(node: NodeRef) -> Callable[[ObjectReader], object]:
    return lambda reader: reader.read_list(node)


def _table(child: NodeRef) -> Callable[[ObjectReader], object]:
    return lambda reader: reader.read_table(child)
