"""Immutable directories in a vault: their tables, cut where the names decide, and the trees above them.

docs/format.md, "Directories". A table is a level byte 0 and the canonical bytes of its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter, ge
from typing import Protocol, cast

from tallac.caps import DirectoryReadCap, ImmutableDirectory, LiteralDirectory
from tallac.crypto.hashing import keyed
from tallac.dag import EncodedEntries, Entry, decode_table, encode_entries, encode_entry, table_of_encoded
from tallac.errors import MalformedObjectError, StoreError
from tallac.vault.format.links import links_of_caps, links_of_encoded, links_of_entries
from tallac.vault.format.nodes import NODE_SIZE_MAX, NodeRef, TreeBuilder
from tallac.vault.format.objects import Kind, Stored

TABLE_SIZE_MIN = 1 << 15
TABLE_SIZE_MAX = 1 << 19
CUT_MASK = 0x1FF
BLOCK_COUNT = 64
"""So many entries are encoded at a time, as long as the table is too short to end with any of them."""
LEVEL_TABLE = b"\0"
_WRITE_OF = attrgetter("write")


class TableDirectoryBuilder:
    """Build one directory, in memory bounded by one table and one node a level."""

    def __init__(self, cut_key: bytes, store: Callable[[Kind, bytes, bytes], Stored]) -> None:
        """Begin an empty directory; store stores one object."""
        self._cut_key = cut_key
        self._store = store
        self._tree: TreeBuilder | None = None
        self._encoded: list[bytes] = []
        self._count = 0
        self._links: list[bytes] = []
        self._size = 0
        self._first = b""
        self._last = b""

    def add(self, entry: Entry) -> None:
        """See `tallac.interfaces.DirectoryBuilder`."""
        name = entry.name
        if name <= self._last:
            raise ValueError(f"entry {name!r} does not come after {self._last!r}")
        self._last = name
        if not self._encoded:
            self._first = name
        encoded = encode_entry(entry)
        if len(encoded) > NODE_SIZE_MAX // 2:
            raise StoreError(f"the metadata of {name!r} is larger than a directory can hold")
        self._append(encoded, 1, links_of_encoded(entry.encoded))
        if self._size >= TABLE_SIZE_MIN and (self._size >= TABLE_SIZE_MAX or self._is_cut(name)):
            self._close()

    def extend(self, entries: Sequence[Entry]) -> None:
        """See `tallac.interfaces.DirectoryBuilder`."""
        for start in range(0, len(entries), BLOCK_COUNT):
            block = entries[start : start + BLOCK_COUNT]
            encoded = encode_entries(block)
            if self._size + len(encoded) < TABLE_SIZE_MIN:
                self._append_several([entry.name for entry in block], encoded, links_of_entries(block))
                continue
            # The table may end with one of them.
            for entry in block:
                self.add(entry)

    def extend_encoded(self, entries: EncodedEntries) -> None:
        """See `tallac.interfaces.DirectoryBuilder`."""
        encoded = entries.encoded
        if self._size + len(encoded) < TABLE_SIZE_MIN:
            self._append_several(entries.names, encoded, links_of_caps(entries.caps))
        else:
            self.extend(entries.decode())

    def _append_several(self, names: Sequence[bytes], encoded: bytes, links: bytes) -> None:
        if any(map(ge, chain((self._last,), names), names)):
            raise ValueError(f"one of the entries from {names[0]!r} to {names[-1]!r} does not come after the one before it")
        if not self._encoded:
            self._first = names[0]
        self._last = names[-1]
        self._append(encoded, len(names), links)

    def _append(self, encoded: bytes, count: int, links: bytes) -> None:
        self._encoded.append(encoded)
        self._count += count
        self._links.append(links)
        self._size += len(encoded)

    def finish(self) -> DirectoryReadCap:
        """See `tallac.interfaces.DirectoryBuilder`."""
        if self._tree is None and not self._encoded:
            return LiteralDirectory(b"")
        if self._encoded:
            self._close()
        assert self._tree is not None
        root = self._tree.finish()
        return ImmutableDirectory(root.key, root.hash, 1, 1, root.size)

    def _is_cut(self, name: bytes) -> bool:
        return int.from_bytes(keyed(self._cut_key, name, 2), "big") & CUT_MASK == 0

    def _close(self) -> None:
        content = LEVEL_TABLE + table_of_encoded(self._encoded, self._count)
        stored = self._store(Kind.DIRECTORY, content, b"".join(self._links))
        if self._tree is None:
            self._tree = TreeBuilder(Kind.DIRECTORY, self._store)
        self._tree.add(NodeRef(self._first, stored.key + stored.hash, len(content)))
        self._encoded, self._links, self._count, self._size = [], [], 0, 0


class NodeReader(Protocol):
    """Reads the nodes of trees, verified."""

    def read_table(self, child: NodeRef) -> list[Entry] | list[NodeRef]:
        """Read a directory's object: the entries of a table or the children of a node."""
        ...


class TableDirectory:
    """An immutable directory, read as it is needed."""

    def __init__(self, reader: NodeReader, root: NodeRef) -> None:
        """Nothing is read yet."""
        self._reader = reader
        self._root = root

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries in order, holding one table at a time."""
        return chain.from_iterable(self._tables())

    def get(self, name: bytes) -> Entry | None:
        """Find one entry by way of the first names in the nodes."""
        child: NodeRef | None = self._root
        while child is not None:
            below, child = self._reader.read_table(child), None
            for each in below:
                if isinstance(each, NodeRef):
                    child = each if each.first <= name else child
                elif each.name == name:
                    return each
        return None

    def _tables(self) -> Iterator[list[Entry]]:
        waiting = [self._root]
        while waiting:
            below = self._reader.read_table(waiting.pop())
            if below and isinstance(below[0], NodeRef):
                waiting += reversed(below)
            else:
                yield cast("list[Entry]", below)


def decode_table_object(content: bytes, size: int) -> list[Entry]:
    """Read a table object's content of the given size.

    Raises:
        MalformedObjectError: It does not follow the format, or has another size, or no entries, or one with a write cap.
    """
    if len(content) != size:
        raise MalformedObjectError("a directory's table has another size than its cap says")
    entries = decode_table(content[1:])
    if not entries or any(map(_WRITE_OF, entries)):
        raise MalformedObjectError("a directory's table is empty, or has a write cap, which only mutable directories have")
    return entries
