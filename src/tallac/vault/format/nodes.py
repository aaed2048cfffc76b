"""Trees of stored objects, as large files and large directories need them. docs/format.md, "Lists" and "Directories".

A node's content is one byte with its level and a MessagePack array of its children: `[key and hash, size]` in a file's list,
`[first name, key and hash, size]` in a directory. Where a node ends is decided by its children's hashes, so that a change in the
middle changes the nodes above it and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import msgspec

from tallac.caps import ImmutableDirectory, ImmutableFile
from tallac.dag import EncodedCap
from tallac.errors import MalformedObjectError, StoreError
from tallac.vault.format.links import chunk_link, directory_link, list_link
from tallac.vault.format.objects import CHUNK_SIZE_MAX, Kind, Stored

CHILDREN_MIN = 128
CHILDREN_MAX = 4096
CUT_MASK = 0x1FF
NODE_SIZE_MAX = 64 << 20
LEVEL_MAX = 16
SIZE_MAX = (1 << 62) - 1
KEY_AND_HASH_SIZE = 48

_FileChild = tuple[bytes, int]
_DirectoryChild = tuple[bytes, bytes, int]
_file_decoder = msgspec.msgpack.Decoder(list[_FileChild])
_directory_decoder = msgspec.msgpack.Decoder(list[_DirectoryChild])


class NodeRef(NamedTuple):
    """One child of a node.

    Attributes:
        first: In a directory: the first name below the child; in a list b"".
        key_and_hash: Its read key and cap hash; empty for a hole in a file.
        size: Content below it in bytes.
        level: What its own level has to be, as its parent says; None for a root, whose level nobody knows before it is read.
        bound: In a directory: all names below come before this one; None where nothing bounds them.
    """

    first: bytes
    key_and_hash: bytes
    size: int
    level: int | None = None
    bound: bytes | None = None

    @classmethod
    def root(cls, cap: ImmutableFile | ImmutableDirectory | EncodedCap) -> NodeRef:
        """Return the root of a file's list or of a directory's tables; of a small file its only chunk."""
        return cls(b"", cap.key + cap.hash, cap.size)

    @property
    def key(self) -> bytes:
        """The read key."""
        return self.key_and_hash[:16]

    @property
    def hash(self) -> bytes:
        """The cap hash."""
        return self.key_and_hash[16:]

    @property
    def is_hole(self) -> bool:
        """Whether this is a hole: zeros, of which nothing is stored."""
        return not self.key_and_hash


def links_of_children(kind: Kind, level: int, children: list[NodeRef]) -> bytes:
    """Encode the links of a node."""
    if kind is Kind.DIRECTORY:
        return b"".join([directory_link(child.key, child.hash) for child in children])
    if level > 1:
        return b"".join([list_link(child.key, child.hash) for child in children])
    return b"".join([chunk_link(child.hash) for child in children if not child.is_hole])


def encode_node(kind: Kind, level: int, children: list[NodeRef]) -> bytes:
    """Encode a node's content."""
    if kind is Kind.DIRECTORY:
        return bytes((level,)) + msgspec.msgpack.encode([child[:3] for child in children])
    return bytes((level,)) + msgspec.msgpack.encode([child[1:3] for child in children])


def decode_node(kind: Kind, content: bytes, bound: bytes | None = None) -> tuple[int, list[NodeRef]]:
    """Read a node's content; give its level and its children. The names of a directory's last child come before the bound.

    Raises:
        MalformedObjectError: It does not follow the format.
    """
    if not content:
        raise MalformedObjectError("a node of a large file or directory is empty")
    below = content[0] - 1
    try:
        if kind is Kind.DIRECTORY:
            decoded = _directory_decoder.decode(content[1:])
            bounds = [*(child[0] for child in decoded[1:]), bound]
            children = [NodeRef(*child, below, before) for child, before in zip(decoded, bounds, strict=True)]
        else:
            children = [NodeRef(b"", *child, below) for child in _file_decoder.decode(content[1:])]
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedObjectError("a node of a large file or directory is malformed") from error
    level = content[0]
    lengths = {len(child.key_and_hash) for child in children} - {KEY_AND_HASH_SIZE}
    may_have_holes = kind is Kind.LIST and level == 1
    sizes_fit = all(child.size > 0 for child in children)
    if not 1 <= level <= LEVEL_MAX or not children or not sizes_fit or (lengths and not (may_have_holes and lengths == {0})):
        raise MalformedObjectError("a node of a large file or directory has impossible children")
    if kind is Kind.LIST and level == 1 and any(child.size > CHUNK_SIZE_MAX and not child.is_hole for child in children):
        raise MalformedObjectError("a large file has a chunk above 4 MiB")
    if sum(child.size for child in children) > SIZE_MAX:
        raise MalformedObjectError("a large file or directory has an impossible size")
    if kind is Kind.DIRECTORY and any(before.first >= after.first for before, after in pairwise(children)):
        raise MalformedObjectError("the names of a large directory do not ascend")
    if encode_node(kind, level, children) != content:
        raise MalformedObjectError("a node of a large file or directory is not in canonical form")
    return level, children


class TreeBuilder:
    """Build the nodes above stored leaves, in memory bounded by one node a level."""

    def __init__(self, kind: Kind, store: Callable[[Kind, bytes, bytes], Stored]) -> None:
        """Begin a tree of lists or of directories; store stores one object."""
        self._kind = kind
        self._store = store
        self._levels: list[list[NodeRef]] = [[]]

    def add(self, child: NodeRef) -> None:
        """Append a leaf: a chunk of a file, or a table of a directory."""
        self._add(0, child)

    def finish(self) -> NodeRef:
        """Store what is left; give the root. A directory of one table is that table; a file is always at least one list."""
        level = 0
        while True:
            is_top = level == len(self._levels) - 1
            if is_top and len(self._levels[level]) == 1 and (level > 0 or self._kind is Kind.DIRECTORY):
                return self._levels[level][0]
            if self._levels[level]:
                self._close(level)
            level += 1

    def _add(self, level: int, child: NodeRef) -> None:
        if level == len(self._levels):
            self._levels.append([])
        children = self._levels[level]
        children.append(child)
        is_cut = len(children) >= CHILDREN_MIN and int.from_bytes(child.key_and_hash[-2:], "big") & CUT_MASK == 0
        if is_cut or len(children) == CHILDREN_MAX:
            self._close(level)

    def _close(self, level: int) -> None:
        if level >= LEVEL_MAX:
            raise StoreError("a file or directory is larger than this format can hold")
        children = self._levels[level]
        self._levels[level] = []
        links = links_of_children(self._kind, level + 1, children)
        stored = self._store(self._kind, encode_node(self._kind, level + 1, children), links)
        size = sum(child.size for child in children)
        self._add(level + 1, NodeRef(children[0].first, stored.key + stored.hash, size))
