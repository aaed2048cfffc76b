"""The work of a PUT, a POST with a name or a DELETE on a path. Every function blocks; run it in a worker."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tallac.caps import Cap, FileWriteCap, MutableFileWrite, MutableFormat
from tallac.errors import DamageError, EntryExistsError, EntryNotFoundError, NotADirectoryCapError, RequestError
from tallac.gateway.arguments import Replace
from tallac.gateway.changing import make_directory, make_filled_directory, make_parents, set_children, unlink
from tallac.gateway.children import NewEntry, new_entry, new_entry_from_texts
from tallac.gateway.contents import holds_directory
from tallac.gateway.edge_metadata import Now
from tallac.gateway.names import name_to_text
from tallac.gateway.nodes import Node, Walked, find_node, walk_path
from tallac.gateway.storing import store_directory, store_linked
from tallac.interfaces import FileContent, Grid


class Target(msgspec.Struct, frozen=True):
    """The path that a client wants to store something at.

    Attributes:
        root, path: The cap and the names of the URL.
        replace: Which existing entries may be replaced.
        now: The clock.
    """

    root: Cap
    path: Sequence[str]
    replace: Replace
    now: Now

    def walk(self, grid: Grid) -> Walked:
        """Follow the path as far as its entries exist.

        Raises:
            RequestError: The path goes through a file.
        """
        try:
            return walk_path(grid, self.root, self.path)
        except NotADirectoryCapError:
            raise RequestError("Unable to create directory: a file was in the way", 409) from None


def put_file(
    grid: Grid, target: Target, content: FileContent, mutable_format: MutableFormat | None, offset: int | None
) -> tuple[Cap, bool]:
    """Store a file at a path, creating parents as needed, or change the content of a mutable file.

    Returns its cap, and whether it is new.

    Raises:
        EntryExistsError: An entry is at the path, and may not be replaced.
        RequestError: The node at the path can't be replaced.
    """
    walked = target.walk(grid)
    if walked.missing:
        parent = make_parents(grid, walked.node.cap, walked.missing[:-1], target.now)
        name = walked.missing[-1]
        return store_linked(grid, parent, name, content, mutable_format, target.replace, target.now), True
    return _put_over(grid, target, walked.node, content, mutable_format, offset), False


def post_file(grid: Grid, target: Target, name: bytes | None, content: FileContent, mutable_format: MutableFormat | None) -> Cap:
    """Store the file of a form: under a name in the directory at the path, or in place of the file at the path."""
    walked = target.walk(grid)
    if walked.missing:
        raise EntryNotFoundError(f"No such child: {name_to_text(walked.missing[0])}")
    node = walked.node
    if not node.is_directory:
        return _put_over(grid, target, node, content, mutable_format, None)
    if name is None:
        raise RequestError("upload requires a name")
    walked = walk_path(grid, node.cap, [name_to_text(name)])
    if walked.missing:
        return store_linked(grid, node.cap, name, content, mutable_format, target.replace, target.now)
    if walked.node.is_directory:
        raise EntryExistsError("There was already a directory by that name.")
    return _put_over(grid, target, walked.node, content, mutable_format, None)


def put_cap(grid: Grid, target: Target, text: str) -> str:
    """Link a cap at a path, creating parents as needed, and return its text.

    Raises:
        EntryExistsError: An entry is at the path, and may not be replaced.
    """
    walked = target.walk(grid)
    if walked.missing:
        parent = make_parents(grid, walked.node.cap, walked.missing[:-1], target.now)
        name = walked.missing[-1]
    elif walked.node.parent is None or walked.node.name is None:
        raise RequestError("PUT t=uri needs a name below the cap")
    else:
        parent, name = walked.node.parent, walked.node.name
    child = new_entry_from_texts(name, text, None)
    set_children(grid, parent, [child], target.replace, target.now)
    return child.write or child.read.danger_whole_text()


def put_directory(grid: Grid, target: Target, mutable_format: MutableFormat, children: Sequence[NewEntry] = ()) -> Node:
    """Return the directory at a path; if it is missing, create it with its first entries, and its parents."""
    walked = target.walk(grid)
    if not walked.missing:
        return _required_directory(walked.node)
    parent = make_parents(grid, walked.node.cap, walked.missing[:-1], target.now)
    if not children:
        return make_directory(grid, parent, walked.missing[-1], mutable_format, target.now)
    made = make_filled_directory(grid, children, mutable_format)
    set_children(grid, parent, [new_entry(walked.missing[-1], made)], Replace.NEVER, target.now)
    return Node(made)


def put_immutable_directory(grid: Grid, target: Target, children: Sequence[NewEntry]) -> Node:
    """Return the node at a path; if there is none, store an immutable directory there, and create its parents."""
    walked = target.walk(grid)
    if not walked.missing:
        return _required_directory(walked.node)
    parent = make_parents(grid, walked.node.cap, walked.missing[:-1], target.now)
    made = store_directory(grid, children)
    set_children(grid, parent, [new_entry(walked.missing[-1], made)], Replace.NEVER, target.now)
    return Node(made)


def _required_directory(node: Node) -> Node:
    if not node.is_directory:
        raise RequestError("POST to a file: bad t=mkdir, a directory can't be made in its place")
    return node


def delete(grid: Grid, root: Cap, path: Sequence[str]) -> Cap:
    """Remove the entry at a path from its directory, and return its cap.

    Raises:
        EntryNotFoundError: No entry is at the path.
    """
    node = find_node(grid, root, path)
    if node.parent is None or node.name is None:
        raise RequestError("DELETE needs a name below the cap: a cap can't be deleted")
    unlink(grid, node.parent, node.name)
    return node.cap


def _put_over(
    grid: Grid, target: Target, node: Node, content: FileContent, mutable_format: MutableFormat | None, offset: int | None
) -> Cap:
    if node.is_directory:
        raise RequestError("PUT to a directory")
    if target.replace is Replace.NEVER:
        raise EntryExistsError("There was already a child by that name, and you asked me to not replace it.")
    if node.is_mutable:
        if not isinstance(node.cap, FileWriteCap):
            raise RequestError("PUT to a mutable file: replace or update requested with read-only cap")
        try:
            grid.write_file(node.cap, content, offset=None if offset is None else _place(grid, node.cap, offset))
        except DamageError:
            if holds_directory(grid, node.cap.read_cap):
                raise RequestError("PUT to a mutable file: a directory lies there, whose table can't be replaced") from None
            raise
        return node.cap
    if not node.is_file:
        raise RequestError("PUT to a cap of an unknown kind")
    if offset is not None:
        raise RequestError("PUT to a file: append operation invoked on an immutable cap")
    if node.parent is None or node.name is None:
        raise RequestError("PUT to a file: an immutable file can't be replaced by way of its own cap")
    return store_linked(grid, node.parent, node.name, content, mutable_format, target.replace, target.now)


def _place(grid: Grid, cap: FileWriteCap, offset: int) -> int:
    """Return the offset in bytes to write at. One past the end becomes the end, if the format accepts such an offset.

    Raises:
        RequestError: The offset is past the end, and the format does not accept it.
    """
    with grid.open_file(cap.read_cap) as reader:
        size = reader.seek(0, 2)
    if offset <= size:
        return offset
    if isinstance(cap, MutableFileWrite) and cap.format is MutableFormat.MDMF:
        raise RequestError(f"PUT to a mutable file: Invalid offset, the file ends at {size}")
    return size
