"""Change directories: set, remove and move entries, by the rules of Tahoe-LAFS on which entry may replace which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from tallac.caps import Cap, DirectoryWriteCap, ImmutableDirectory, ImmutableFile, MutableFormat, ReadCap
from tallac.dag import Entry, decode_cap, require_not_held
from tallac.errors import EntryExistsError, EntryNotFoundError, NotADirectoryCapError
from tallac.gateway.arguments import Replace
from tallac.gateway.children import NewEntry, new_entry
from tallac.gateway.edge_metadata import Now, linked, metadata_to_json
from tallac.gateway.names import name_to_text
from tallac.gateway.nodes import Node, node_of_entry, require_writable
from tallac.interfaces import Grid

Edit = Callable[[list[Entry]], list[Entry]]


def stored_caps(caps: Iterable[Cap]) -> list[ReadCap]:
    """Return those of some caps that refer to stored immutable objects, which a prune could delete."""
    return [cap for cap in caps if isinstance(cap, ImmutableFile | ImmutableDirectory)]


@contextmanager
def linking(grid: Grid, caps: Iterable[Cap]) -> Iterator[None]:
    """Protect what the block links from a prune that runs at the same time."""
    found = stored_caps(caps)
    if not found:
        yield
        return
    with grid.session() as session:
        session.commit([], found=found)
        yield


def setting(children: Sequence[NewEntry], replace: Replace, now: Now) -> Edit:
    """Return an edit that sets entries of a directory.

    The edit raises:
        EntryExistsError: An entry is in the way.
    """
    moment = now()

    def edit(entries: list[Entry]) -> list[Entry]:
        by_name = {entry.name: entry for entry in entries}
        for child in children:
            old = by_name.get(child.name)
            if old is not None:
                _require_replaceable(old, replace)
            by_name[child.name] = child.entry(linked(None if old is None else old.metadata, child.metadata, moment))
        return list(by_name.values())

    return edit


def set_children(grid: Grid, directory: Cap, children: Sequence[NewEntry], replace: Replace, now: Now) -> None:
    """Set entries of a directory; durable when this returns. Raises what `setting` raises, and AuthorityError."""
    writable = require_writable(directory)
    with linking(grid, [child.read for child in children]):
        grid.edit_directory(writable, setting(children, replace, now))


def unlink(grid: Grid, directory: Cap, name: bytes) -> None:
    """Remove an entry from its directory; durable when this returns.

    Raises:
        EntryNotFoundError: No entry has this name.
    """

    def edit(entries: list[Entry]) -> list[Entry]:
        for entry in entries:
            if entry.name == name:
                require_not_held(entry)
        kept = [entry for entry in entries if entry.name != name]
        if len(kept) == len(entries):
            raise EntryNotFoundError(f"No such child: {name_to_text(name)}")
        return kept

    grid.edit_directory(require_writable(directory), edit)


def relink(grid: Grid, source: Cap, name: bytes, target: Cap, new_name: bytes, replace: Replace, now: Now) -> None:
    """Move an entry to another name or directory; durable when this returns.

    It is linked at its new place before it is removed from the old one, so that it is never in neither.

    Raises:
        EntryNotFoundError: The source has no entry of this name.
        EntryExistsError: The target has an entry of the new name that may not be replaced.
    """
    old, new = require_writable(source), require_writable(target)
    if old == new:
        if name != new_name:
            grid.edit_directory(old, lambda entries: _renamed(entries, name, new_name, replace, now))
        return
    found = _require(grid.edit_directory(old, list), name)
    require_not_held(found)
    moved = Entry(new_name, found.encoded, found.metadata, found.write)
    with linking(grid, [decode_cap(found.encoded)]):
        grid.edit_directory(new, lambda entries: _entered(entries, moved, replace, now))
        grid.edit_directory(old, lambda entries: [e for e in entries if (e.name, e.encoded) != (name, found.encoded)])


def make_directory(grid: Grid, parent: Cap, name: bytes, mutable_format: MutableFormat, now: Now) -> Node:
    """Return the directory of this name; create it if it is missing.

    Raises:
        NotADirectoryCapError: A file is in the way.
    """
    writable = require_writable(parent)
    made = grid.create_directory(mutable_format)
    edit = setting([new_entry(name, made)], Replace.ALWAYS, now)
    # Another client may have created it first; then its directory is used.
    after = grid.edit_directory(writable, lambda entries: entries if any(e.name == name for e in entries) else edit(entries))
    node = node_of_entry(_require(after, name), parent)
    if not node.is_directory:
        raise NotADirectoryCapError(f"Unable to create directory {name_to_text(name)!r}: a file was in the way")
    return node


def make_parents(grid: Grid, directory: Cap, names: Sequence[bytes], now: Now) -> Cap:
    """Create missing directories, each in the one before, and return the cap of the last."""
    for name in names:
        directory = make_directory(grid, directory, name, MutableFormat.SDMF, now).cap
    return directory


def make_filled_directory(grid: Grid, children: Sequence[NewEntry], mutable_format: MutableFormat) -> DirectoryWriteCap:
    """Create a mutable directory with its first entries; their metadata are stored as given."""
    made = grid.create_directory(mutable_format)
    if children:
        with linking(grid, [child.read for child in children]):
            grid.edit_directory(made, lambda _entries: [child.entry_as_given() for child in children])
    return made


def _require_replaceable(old: Entry, replace: Replace) -> None:
    require_not_held(old)
    if replace is Replace.NEVER or (replace is Replace.ONLY_FILES and old.is_directory):
        raise EntryExistsError("There was already a child by that name, and you asked me to not replace it.")


def _require(entries: Iterable[Entry], name: bytes) -> Entry:
    for entry in entries:
        if entry.name == name:
            return entry
    raise EntryNotFoundError(f"No such child: {name_to_text(name)}")


def _entered(entries: list[Entry], moved: Entry, replace: Replace, now: Now) -> list[Entry]:
    old = next((entry for entry in entries if entry.name == moved.name), None)
    if old is not None:
        _require_replaceable(old, replace)
    metadata = linked(None if old is None else old.metadata, metadata_to_json(moved.metadata), now())
    others = [entry for entry in entries if entry.name != moved.name]
    return [*others, Entry(moved.name, moved.encoded, metadata, moved.write)]


def _renamed(entries: list[Entry], name: bytes, new_name: bytes, replace: Replace, now: Now) -> list[Entry]:
    found = _require(entries, name)
    require_not_held(found)
    others = [entry for entry in entries if entry.name != name]
    return _entered(others, Entry(new_name, found.encoded, found.metadata, found.write), replace, now)
