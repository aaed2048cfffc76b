"""Store files and immutable directories for clients. All of it blocks, and runs in a lane."""

from __future__ import annotations

from collections.abc import Sequence

from tallac.caps import Cap, DirectoryReadCap, FileReadCap, MutableFormat, ReadCap
from tallac.gateway.arguments import Replace
from tallac.gateway.changing import setting, stored_caps
from tallac.gateway.children import Child, child_of_cap, require_immutable
from tallac.gateway.edge_metadata import Now
from tallac.gateway.nodes import require_writable
from tallac.interfaces import FileContent, Grid, Session


def store_unlinked(grid: Grid, content: FileContent, mutable_format: MutableFormat | None) -> Cap:
    """Store a file that nothing links to yet; an immutable one is kept for 30 days unless it is linked."""
    if mutable_format is not None:
        return grid.create_file(content, mutable_format)
    with grid.session() as session:
        with session.writing() as writer:
            cap = writer.put_file(content)
        _keep(session, cap)
    return cap


def store_linked(
    grid: Grid,
    parent: Cap,
    name: bytes,
    content: FileContent,
    mutable_format: MutableFormat | None,
    replace: Replace,
    now: Now,
) -> Cap:
    """Store a file and enter it in a directory; durable when this returns.

    Raises:
        EntryExistsError: An entry is in the way.
        AuthorityError: The directory can't be changed.
    """
    directory = require_writable(parent)
    if mutable_format is not None:
        made = grid.create_file(content, mutable_format)
        grid.edit_directory(directory, setting([child_of_cap(name, made)], replace, now))
        return made
    with grid.session() as session:
        with session.writing() as writer:
            cap: FileReadCap = writer.put_file(content)
        session.commit([cap])
        grid.edit_directory(directory, setting([child_of_cap(name, cap)], replace, now))
    return cap


def store_directory(grid: Grid, children: Sequence[Child]) -> DirectoryReadCap:
    """Store an immutable directory that nothing links to yet; it is kept for 30 days unless it is linked.

    Raises:
        RequestError: One of the children may change.
    """
    require_immutable(children)
    with grid.session() as session:
        with session.writing() as writer:
            cap = writer.put_directory([child.entry_as_given() for child in children])
        found = stored_caps(child.read for child in children)
        if found:
            session.commit([], found=found)
        _keep(session, cap)
    return cap


def _keep(session: Session, cap: ReadCap) -> None:
    """Keep what was stored, unless its cap holds all of it."""
    stored = stored_caps([cap])
    if stored:
        session.keep(stored)
