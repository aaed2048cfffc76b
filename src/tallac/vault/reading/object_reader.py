"""Read objects: find them, open them, and believe them only when they are what their cap promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from tallac.caps import storage_index_of
from tallac.crypto.hashing import hash_file_bytes
from tallac.dag import Entry
from tallac.errors import DamageError, MalformedObjectError, MissingObjectError
from tallac.interfaces import Backend, ObjectCache
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.keys import LocatorKey
from tallac.vault.format.links import OBJECT_KINDS, Link, LinkKind, decode_links, links_of_entries
from tallac.vault.format.nodes import NODE_SIZE_MAX, NodeRef, decode_node, links_of_children
from tallac.vault.format.objects import (
    CHUNK_SIZE_MAX,
    HASH_SIZE,
    Kind,
    check_content,
    check_stored,
    chunk_hash_of,
    commitment_of,
    object_name_of,
    open_content,
    open_links,
)
from tallac.vault.format.tables import decode_table_object
from tallac.vault.packs.read_cache import PackReadCache


class Finder(Protocol):
    """Finds stored objects, and can look again."""

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """Return where an object with this stored hash lies, or None."""
        ...

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """Iterate over all places where an object may lie, the likely ones first."""
        ...

    def search(self) -> None:
        """Look again for what was not found or not whole."""
        ...


class ObjectReader:
    """Read objects with a locator key and a read cap, or their links with a verify cap. Not thread-safe."""

    def __init__(
        self,
        backend: Backend,
        locator: LocatorKey,
        index: Finder,
        *,
        only_present: bool = False,
        check_links: bool = False,
        cache: ObjectCache | None = None,
    ) -> None:
        """Read from a backend, by way of the index.

        Args:
            backend: Where the packs are.
            locator: The vault's locator key.
            index: Looks objects up.
            only_present: Leave out what lies in packs that seem to be lost or cut.
            check_links: Refuse lists and directories whose sealed links, by which prunes go, are not those of their content.
            cache: Keeps lists and directories on this machine. None where the store itself is to be read.
        """
        self._cache = cache
        self._backend = backend
        self._naming = locator.naming
        self._index = index
        self._only_present = only_present
        self._check_links = check_links
        self._windows = PackReadCache(backend)
        self._codec = Codec()
        self.bytes_read = 0

    def read_chunk(self, key: bytes, cap_hash: bytes, size: int) -> bytes:
        """Read a chunk of a known size.

        Raises:
            MissingObjectError, CorruptObjectError: It is lost or damaged.
        """
        if size > CHUNK_SIZE_MAX:
            raise MalformedObjectError("a chunk would be larger than the format allows")
        content = self._content(Kind.CHUNK, key, cap_hash, size)
        if len(content) != size:
            raise MalformedObjectError("a chunk has another size than its cap says")
        return content

    def read_chunks(self, wanted: Sequence[tuple[bytes, bytes, int]]) -> list[bytes | None]:
        """Read chunks of known sizes, given (key, hash, size) of each; every step is done for all of them before the next one.

        None stands for a chunk that is not right where it lies first: `read_chunk` tries all places, or says what is wrong.
        """
        indexes = [storage_index_of(key) for key, _, _ in wanted]
        names = [object_name_of(self._naming, index) for index in indexes]
        places = [self._index.find(name, cap_hash[:HASH_SIZE]) for name, (_, cap_hash, _) in zip(names, wanted, strict=True)]
        read = self._read_in_order(places)
        right = [(number, sealed) for number, sealed in read if chunk_hash_of(sealed) == wanted[number][1][:HASH_SIZE]]
        opened: list[tuple[int, bytes]] = []
        for number, sealed in right:
            key, _, size = wanted[number]
            try:
                content = open_content(Kind.CHUNK, key, indexes[number], sealed, size_max=size, codec=self._codec)
            except DamageError:
                continue
            opened.append((number, content))
        contents: list[bytes | None] = [None] * len(wanted)
        for number, content in opened:
            key, cap_hash, size = wanted[number]
            if len(content) == size and commitment_of(Kind.CHUNK, key, hash_file_bytes(content)) == cap_hash[HASH_SIZE:]:
                contents[number] = content
        return contents

    def _read_in_order(self, places: Sequence[ObjectLocation | None]) -> list[tuple[int, bytes]]:
        """Read the content of objects pack by pack, as they lie; give each with its number among the places.

        Of lost packs nothing is given, and of what is cut short too little: the stored hash shows it.
        """
        packs: dict[bytes, list[tuple[int, int, int]]] = {}
        for number, place in enumerate(places):
            if place is not None:
                packs.setdefault(place.pack, []).append((place.offset, place.offset + place.length, number))
        found: list[tuple[int, bytes]] = []
        for pack, wanted in packs.items():
            wanted.sort()
            try:
                contents = self._windows.read_several(pack, [(start, stop) for start, stop, _ in wanted])
            except MissingObjectError:
                continue
            self.bytes_read += sum(map(len, contents))
            found += [(number, sealed) for (_, _, number), sealed in zip(wanted, contents, strict=True)]
        return found

    def read_list(self, node: NodeRef) -> tuple[int, list[NodeRef]]:
        """Read a node of a large file's list: its level and children, whose sizes add up to the node's."""
        level, children = self._node(Kind.LIST, node, self._content(Kind.LIST, node.key, node.hash, NODE_SIZE_MAX))
        return level, children

    def read_table(self, child: NodeRef) -> list[Entry] | list[NodeRef]:
        """Read a directory's object: the entries of a table, or the children of a node."""
        content = self._content(Kind.DIRECTORY, child.key, child.hash, NODE_SIZE_MAX)
        if content[:1] != b"\0":
            return self._node(Kind.DIRECTORY, child, content)[1]
        _require_level(child, 0)
        entries = decode_table_object(content, child.size)
        _require_names(child, entries[0].name, entries[-1].name)
        if self._check_links:
            self._require_links(LinkKind.DIRECTORY, child, links_of_entries(entries))
        return entries

    def read_links(self, link: Link) -> list[Link]:
        """Verify an object's stored bytes and read what it refers to, with its link alone; a chunk refers to nothing.

        Raises:
            MissingObjectError, CorruptObjectError: No copy has the bytes that the link promises.
        """
        return list(decode_links(self.read_encoded_links(link)))

    def read_encoded_links(self, link: Link) -> bytes:
        """Do as `read_links` does, and return the links as they are encoded, with what fills them up."""
        if link.kind is LinkKind.CHUNK:
            return b""
        kind = OBJECT_KINDS[link.kind]

        def read(location: ObjectLocation) -> bytes:
            return open_links(kind, link.storage_index, self._stored(kind, link.hash, location)[1])

        return self._first_whole(object_name_of(self._naming, link.storage_index), link.hash, read)

    def locate(self, name: bytes, stored_hash: bytes) -> ObjectLocation:
        """Find an object, looking a second time at a fresh index before it counts as missing."""
        location = self._index.find(name, stored_hash)
        if location is None:
            self._index.search()
            location = self._index.find(name, stored_hash)
        if location is None:
            raise self._missing(name)
        return location

    def _first_whole(self, name: bytes, stored_hash: bytes, read: Callable[[ObjectLocation], bytes]) -> bytes:
        """Read any copy of an object that is right; where there is none, look a second time at a fresh index.

        Copies of which their makers say that they have another stored hash are tried last: it is the bytes that count.
        """
        likely = self._index.find(name, stored_hash)
        damage: DamageError | None = None
        if likely is not None:
            try:
                return read(likely)
            except DamageError as error:
                damage = error
        tried = {likely}
        for is_second_look in (False, True):
            if is_second_look:
                self._index.search()
            copies = list(self._index.locations(name, only_present=self._only_present))
            for location in sorted(copies, key=lambda copy: copy.hash != stored_hash):
                if location not in tried:
                    tried.add(location)
                    try:
                        return read(location)
                    except DamageError as error:
                        damage = damage or error
        raise damage or self._missing(name)

    def _missing(self, name: bytes) -> MissingObjectError:
        return MissingObjectError(f"object {name.hex()[:12]} is missing in {self._backend.location()}")

    def _node(self, kind: Kind, node: NodeRef, content: bytes) -> tuple[int, list[NodeRef]]:
        level, children = decode_node(kind, content, node.bound)
        _require_level(node, level)
        if kind is Kind.DIRECTORY:
            _require_names(node, children[0].first, children[-1].first)
        if sum(child.size for child in children) != node.size:
            raise MalformedObjectError("a node's children do not add up to its size")
        if self._check_links:
            link_kind = LinkKind.DIRECTORY if kind is Kind.DIRECTORY else LinkKind.LIST
            self._require_links(link_kind, node, links_of_children(kind, level, children))
        return level, children

    def _require_links(self, kind: LinkKind, node: NodeRef, links: bytes) -> None:
        """Compare sealed links with those of the content. Only who made the object could exchange them: a cap commits to both."""
        sealed = self.read_encoded_links(Link(kind, storage_index_of(node.key), node.hash[:HASH_SIZE]))
        if not sealed.startswith(links) or sealed[len(links) :].strip(b"\xff"):
            raise MalformedObjectError(
                "a list or directory has other links for keepers than its content has: a prune would delete what is in it; "
                "back it up again, or copy it elsewhere and forget this one"
            )

    def _content(self, kind: Kind, key: bytes, cap_hash: bytes, size_max: int) -> bytes:
        storage_index = storage_index_of(key)
        cache = None if kind is Kind.CHUNK else self._cache

        def opened(sealed: bytes) -> bytes:
            content = open_content(kind, key, storage_index, sealed, size_max=size_max, codec=self._codec)
            check_content(kind, key, cap_hash, content)
            return content

        def read(location: ObjectLocation) -> bytes:
            sealed, sealed_links = self._stored(kind, cap_hash, location)
            content = opened(sealed)
            if cache is not None:
                cache.put(cap_hash[:HASH_SIZE], sealed, sealed_links)
            return content

        kept = None if cache is None else cache.get(cap_hash[:HASH_SIZE])
        if cache is not None and kept is not None:
            try:
                check_stored(kind, cap_hash, *kept)
                return opened(kept[0])
            except DamageError:
                cache.drop(cap_hash[:HASH_SIZE])
        content = self._first_whole(object_name_of(self._naming, storage_index), cap_hash[:HASH_SIZE], read)
        if not content:
            raise MalformedObjectError("a stored object is empty")
        return content

    def _stored(self, kind: Kind, cap_hash: bytes, location: ObjectLocation) -> tuple[bytes, bytes]:
        """Read an object as it is stored, its content and its links, and compare it with the stored hash of a cap or link."""
        whole = self._windows.read(location.pack, location.offset, location.offset + location.size)
        self.bytes_read += len(whole)
        sealed, sealed_links = (whole[: location.length], whole[location.length :]) if location.links_length else (whole, b"")
        check_stored(kind, cap_hash, sealed, sealed_links)
        return sealed, sealed_links


def _require_level(child: NodeRef, level: int) -> None:
    """Refuse a child of a level that is not its parent's minus one: levels bound how deep a reader has to go."""
    if child.level is not None and child.level != level:
        raise MalformedObjectError("a node of a large file or directory has a child of a wrong level")


def _require_names(child: NodeRef, first: bytes, last: bytes) -> None:
    """Refuse names that do not ascend over a whole directory: of two entries of one name, two readers would see different ones."""
    if (child.level is not None and first != child.first) or (child.bound is not None and last >= child.bound):
        raise MalformedObjectError("the names of a large directory do not ascend")
