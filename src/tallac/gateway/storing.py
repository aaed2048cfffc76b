"""Store files and immutable directories for clients. Every function blocks; run it in a worker."""

from __future__ import annotations

from collections.abc import Sequence

from tallac.caps import Cap, DirectoryReadCap, FileReadCap, MutableFormat, ReadCap
from tallac.dag.literal_table import literal_directory
from tallac.gateway.arguments import Replace
from tallac.gateway.changing import setting, stored_caps
from tallac.gateway.children import NewEntry, new_entry, require_immutable
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
    """Store a file and link it in a directory; durable when this returns.

    Raises:
        EntryExistsError: An entry has this name, and may not be replaced.
        AuthorityError: The cap does not allow changing the directory.
    """
    directory = require_writable(parent)
    if mutable_format is not None:
        made = grid.create_file(content, mutable_format)
        grid.edit_directory(directory, setting([new_entry(name, made)], replace, now))
        return made
    with grid.session() as session:
        with session.writing() as writer:
            cap: FileReadCap = writer.put_file(content)
        session.commit([cap])
        grid.edit_directory(directory, setting([new_entry(name, cap)], replace, now))
    return cap


def store_directory(grid: Grid, children: Sequence[NewEntry]) -> DirectoryReadCap:
    """Store an immutable directory that nothing links to yet; it is kept for 30 days unless it is linked.

    A small one is stored nowhere: its cap holds it, as on a node.

    Raises:
        RequestError: One of the entries is mutable, or of unknown kind.
    """
    require_immutable(children)
    entries = [child.entry_as_given() for child in children]
    small = literal_directory(entries)
    if small is not None:
        return small
    with grid.session() as session:
        with session.writing() as writer:
            cap = writer.put_directory(entries)
        found = stored_caps(child.read for child in children)
        if found:
            session.commit([], found=found)
        _keep(session, cap)
    return cap


def _keep(session: Session, cap: ReadCap) -> None:
    """Protect a stored object from prunes for 30 days; a literal cap needs no protection."""
    stored = stored_caps([cap])
    if stored:
        session.keep(stored)
