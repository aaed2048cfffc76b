"""Nodes: files and directories found by a cap and a path, each with the strongest cap that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from tallac.caps import (
    IMMUTABLE_PREFIX,
    READ_ONLY_PREFIX,
    Cap,
    DirectoryReadCap,
    DirectoryWriteCap,
    FileReadCap,
    FileWriteCap,
    MutableDirectoryRead,
    MutableFileRead,
    ReadCap,
    UnknownCap,
    WriteCap,
    parse_lenient,
)
from tallac.dag import Entry, Metadata
from tallac.errors import AuthorityError, EntryNotFoundError, MalformedObjectError, NotADirectoryCapError
from tallac.gateway.names import name_from_text, name_to_text
from tallac.interfaces import Grid


@dataclass(frozen=True, slots=True)
class Node:
    """The file or directory that a path leads to.

    Attributes:
        cap: The strongest cap that is known of it.
        weaker: Its read cap where `cap` is a write cap of unknown kind, from which no read cap can be derived.
        name: The name of its entry; None for the cap that the path begins with.
        parent: The strongest cap of the directory that holds it.
        metadata: That of its entry.
    """

    cap: Cap
    weaker: Cap | None = None
    name: bytes | None = None
    parent: Cap | None = None
    metadata: Metadata | None = field(default=None, repr=False)

    @property
    def read_cap(self) -> ReadCap | None:
        """The cap that reads it; None for a verify cap or a cap of unknown kind."""
        return read_cap_of(self.cap)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return isinstance(self.cap, DirectoryReadCap | DirectoryWriteCap)

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return isinstance(self.cap, FileReadCap | FileWriteCap)

    @property
    def is_mutable(self) -> bool:
        """Whether its content can change."""
        return isinstance(self.read_cap, MutableFileRead | MutableDirectoryRead)


class Walked(msgspec.Struct, frozen=True):
    """How far a path could be followed: to its end, or to the directory that lacks the first of the missing names."""

    node: Node
    missing: tuple[bytes, ...] = ()


def cap_of_text(text: str) -> Cap:
    """Parse a cap as a client sends it; a line break at its end does not count, as for a node: commands print one there."""
    return parse_lenient(text.removesuffix("\n"))


def read_cap_of(cap: Cap) -> ReadCap | None:
    """Return the read cap that a cap attenuates to; None for a verify cap or a cap of unknown kind."""
    if isinstance(cap, WriteCap):
        return cap.read_cap
    return cap if isinstance(cap, ReadCap) else None


def node_of_entry(entry: Entry, parent: Cap) -> Node:
    """Return the node of an entry with the authority that the cap of its directory gives."""
    cap = entry.cap
    if isinstance(cap, UnknownCap):
        cap = _alleged(cap, parent)
    try:
        write = entry.write_cap
    except MalformedObjectError:
        # It leads elsewhere than its read cap does: nobody is let write there, and the rest of the directory is listed.
        write = None
    if write is None:
        return Node(cap, None, entry.name, parent, entry.metadata)
    return Node(write, cap, entry.name, parent, entry.metadata)


def entries_of(grid: Grid, directory: Cap) -> list[Entry]:
    """Read all entries of a directory, with their write caps if the directory's own write cap is known."""
    if isinstance(directory, DirectoryWriteCap):
        return grid.edit_directory(directory, list)
    return list(grid.read_directory(require_directory(directory)))


def walk_path(grid: Grid, cap: Cap, path: Sequence[str]) -> Walked:
    """Follow a path as far as its entries exist.

    Raises:
        NotADirectoryCapError: The path goes through a file.
    """
    node = Node(cap)
    names = [name_from_text(text) for text in path]
    for place, name in enumerate(names):
        if not node.is_directory and not node.is_file:
            raise EntryNotFoundError(f"No such child: {name_to_text(name)}, below a cap of an unknown kind")
        if not node.is_directory:
            raise NotADirectoryCapError(f"Files have no children named {name_to_text(name)!r}")
        entry = _find(grid, node.cap, name)
        if entry is None:
            return Walked(node, tuple(names[place:]))
        node = node_of_entry(entry, node.cap)
    return Walked(node)


def find_node(grid: Grid, cap: Cap, path: Sequence[str]) -> Node:
    """Follow a path to its end and return its node.

    Raises:
        NotADirectoryCapError: The path goes through a file.
        EntryNotFoundError: An entry of the path is missing.
    """
    walked = walk_path(grid, cap, path)
    if walked.missing:
        raise EntryNotFoundError(f"No such child: {name_to_text(walked.missing[0])}")
    return walked.node


def require_directory(cap: Cap) -> DirectoryReadCap:
    """Return the read cap of a directory.

    Raises:
        NotADirectoryCapError: The cap is not that of a directory.
    """
    read = read_cap_of(cap)
    if not isinstance(read, DirectoryReadCap):
        raise NotADirectoryCapError("this is not a directory")
    return read


def require_writable(cap: Cap) -> DirectoryWriteCap:
    """Return the write cap of a directory.

    Raises:
        NotADirectoryCapError: The cap is not that of a directory.
        AuthorityError: The cap does not allow changing the directory.
    """
    if isinstance(cap, DirectoryWriteCap):
        return cap
    require_directory(cap)
    raise AuthorityError("NotWriteableError: this directory can't be changed with this cap")


def _find(grid: Grid, directory: Cap, name: bytes) -> Entry | None:
    if isinstance(directory, DirectoryWriteCap):
        return next((entry for entry in entries_of(grid, directory) if entry.name == name), None)
    return grid.read_directory(require_directory(directory)).get(name)


def _alleged(cap: UnknownCap, parent: Cap) -> UnknownCap:
    """Return an unknown cap with the prefix (`ro.` or `imm.`) that its place in a directory promises."""
    bare = cap.text.removeprefix(READ_ONLY_PREFIX).removeprefix(IMMUTABLE_PREFIX)
    if not isinstance(read_cap_of(parent), MutableDirectoryRead) or cap.text.startswith(IMMUTABLE_PREFIX):
        return UnknownCap(IMMUTABLE_PREFIX + bare)
    return UnknownCap(READ_ONLY_PREFIX + bare)
