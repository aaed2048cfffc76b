"""Read objects: find them, open them, and believe them only when they are what their cap promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from tallac.caps import storage_index_of
from tallac.dag import Entry
from tallac.errors import DamageError, MalformedObjectError, MissingObjectError
from tallac.interfaces import Backend
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.keys import LocatorKey
from tallac.vault.format.links import OBJECT_KINDS, Link, LinkKind, decode_links, links_of_entries
from tallac.vault.format.nodes import NODE_SIZE_MAX, NodeRef, decode_node, links_of_children
from tallac.vault.format.objects import Kind, check_content, object_name_of, open_content, open_links
from tallac.vault.format.tables import decode_table_object
from tallac.vault.packs.read_cache import PackReadCache
from tallac.vault.packs.verifier import PackVerifier


class Finder(Protocol):
    """Finds stored objects, and can look again."""

    def find(self, name: bytes) -> ObjectLocation | None:
        """Return where an object lies, or None."""
        ...

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """Iterate over all places where an object may lie, the likely ones first."""
        ...

    def search(self) -> None:
        """Look again for what was not found or not whole."""
        ...


class ObjectReader:
    """Read objects with a locator key and a read cap, or their links with a verify cap. Not thread-safe."""

    def __init__(self, backend: Backend, locator: LocatorKey, index: Finder, *, only_present: bool = False) -> None:
        """Read from a backend, by way of the index; `only_present` leaves out what lies in packs that seem to be lost or cut."""
        self._backend = backend
        self._naming = locator.naming
        self._index = index
        self._only_present = only_present
        self._windows = PackReadCache(backend)
        self._whole_packs = PackVerifier(backend)
        self._codec = Codec()
        self.bytes_read = 0

    def read_chunk(self, key: bytes, cap_hash: bytes, size: int) -> bytes:
        """Read a chunk of a known size.

        Raises:
            MissingObjectError, CorruptObjectError: It is lost or damaged.
        """
        content = self._content(Kind.CHUNK, key, size)
        check_content(Kind.CHUNK, key, cap_hash, content, b"")
        if len(content) != size:
            raise MalformedObjectError("a chunk has another size than its cap says")
        return content

    def read_list(self, node: NodeRef) -> tuple[int, list[NodeRef]]:
        """Read a node of a large file's list: its level and children, whose sizes add up to the node's."""
        level, children = self._node(Kind.LIST, node, self._content(Kind.LIST, node.key, NODE_SIZE_MAX))
        return level, children

    def read_table(self, child: NodeRef) -> list[Entry] | list[NodeRef]:
        """Read a directory's object: the entries of a table, or the children of a node."""
        content = self._content(Kind.DIRECTORY, child.key, NODE_SIZE_MAX)
        if content[:1] != b"\0":
            return self._node(Kind.DIRECTORY, child, content)[1]
        _require_level(child, 0)
        entries = decode_table_object(content, child.size)
        check_content(Kind.DIRECTORY, child.key, child.hash, content, links_of_entries(entries))
        return entries

    def read_links(self, link: Link) -> list[Link]:
        """Read what an object refers to, with its verify cap alone; a chunk refers to nothing."""
        if link.kind is LinkKind.CHUNK:
            return []
        kind = OBJECT_KINDS[link.kind]

        def read(location: ObjectLocation) -> bytes:
            return open_links(kind, link.storage_index, link.hash, self._get(location, location.links))

        return list(decode_links(self._first_whole(object_name_of(self._naming, link.storage_index), read)))

    def locate(self, name: bytes) -> ObjectLocation:
        """Find an object, looking a second time at a fresh index before it counts as missing."""
        location = self._index.find(name)
        if location is None:
            self._index.search()
            location = self._index.find(name)
        if location is None:
            raise self._missing(name)
        return location

    def require_whole(self, name: bytes) -> None:
        """Require that an object lies in a pack whose every byte is right: no more can be checked without its read cap.

        Raises:
            MissingObjectError, CorruptObjectError: It is lost, or no pack that holds it is whole.
        """

        def read(location: ObjectLocation) -> bytes:
            self.bytes_read += self._whole_packs.require(location.pack)
            return b""

        self._first_whole(name, read)

    def _first_whole(self, name: bytes, read: Callable[[ObjectLocation], bytes]) -> bytes:
        """Read any copy of an object that is whole; where there is none, look a second time at a fresh index."""
        likely = self._index.find(name)
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
            for location in list(self._index.locations(name, only_present=self._only_present)):
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
        level, children = decode_node(kind, content)
        _require_level(node, level)
        check_content(kind, node.key, node.hash, content, links_of_children(kind, level, children))
        if sum(child.size for child in children) != node.size:
            raise MalformedObjectError("a node's children do not add up to its size")
        return level, children

    def _content(self, kind: Kind, key: bytes, size_max: int) -> bytes:
        storage_index = storage_index_of(key)

        def read(location: ObjectLocation) -> bytes:
            sealed = self._get(location, location.content)
            return open_content(
                kind, key, storage_index, sealed, is_compressed=location.is_compressed, size_max=size_max, codec=self._codec
            )

        content = self._first_whole(object_name_of(self._naming, storage_index), read)
        if not content:
            raise MalformedObjectError("a stored object is empty")
        return content

    def _get(self, location: ObjectLocation, part: slice) -> bytes:
        sealed = self._windows.read(location.pack, part.start, part.stop)
        self.bytes_read += len(sealed)
        return sealed


def _require_level(child: NodeRef, level: int) -> None:
    """Refuse a child of a level that is not its parent's minus one: levels bound how deep a reader has to go."""
    if child.level is not None and child.level != level:
        raise MalformedObjectError("a node of a large file or directory has a child of a wrong level")
