"""Changes of mutable directories: find a write cap, create directories, link, move and unlink entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tallac.caps import Cap, DirectoryWriteCap, MutableDirectoryRead, MutableFileRead
from tallac.dag import Entry, Metadata, require_not_held
from tallac.errors import AuthorityError, EntryError, EntryExistsError, EntryNotFoundError, NotADirectoryCapError
from tallac.interfaces import CapEditor, Grid
from tallac.transfer.place import Place, find, readable

Edit = Callable[[list[Entry]], list[Entry]]

NAME_LENGTH_MAX = 5000


def strongest_cap(entry: Entry) -> Cap:
    """Return the write cap of an entry if it has one, else its other cap."""
    return entry.write_cap or entry.cap


def writable(cap: Cap, place: Place) -> DirectoryWriteCap:
    """Return the cap if it is the write cap of a directory.

    Raises:
        NotADirectoryCapError: The cap is that of a file.
        AuthorityError: The cap does not allow changing the directory.
    """
    if isinstance(cap, DirectoryWriteCap):
        return cap
    if "DIR" not in cap.kind:
        raise NotADirectoryCapError(f"{place}: not a directory")
    raise AuthorityError(f"{place}: a snapshot or another read-only directory; it can't be changed, only copied from")


def entries_of(editor: CapEditor, directory: DirectoryWriteCap) -> list[Entry]:
    """Read a mutable directory with the write caps of its entries, which a read cap does not reveal."""
    return editor.edit_directory(directory, list)


def find_writable(editor: CapEditor, place: Place) -> DirectoryWriteCap:
    """Follow a path through mutable directories.

    Raises:
        EntryNotFoundError, NotADirectoryCapError, AuthorityError: The path does not lead to a mutable directory.
    """
    return _follow(editor, place, lambda _parent, missing: _raise_missing(missing))


def find_strongest(grid: Grid, place: Place) -> tuple[Cap, Metadata]:
    """Return the strongest known cap of the node at a place, a write cap if there is one, and the metadata of its entry.

    Raises:
        As `find`.
    """
    found = find(grid, place)
    cap: Cap = found.cap
    if place.path and isinstance(cap, MutableDirectoryRead | MutableFileRead):
        # Write caps are known as long as each directory on the way is one that can be changed.
        above: Cap = place.cap
        for name in place.path:
            entry = find_entry(entries_of(grid, above), name) if isinstance(above, DirectoryWriteCap) else None
            if entry is None:
                return cap, found.metadata
            above = strongest_cap(entry)
        return above, found.metadata
    return (cap if place.path else place.cap), found.metadata


def make_directory(editor: CapEditor, place: Place) -> DirectoryWriteCap:
    """Return the mutable directory at a place; if it is missing, create it and its parents. Durable when this returns.

    Raises:
        NotADirectoryCapError, AuthorityError: The path goes through a file, or through a directory that can't be changed.
    """
    return _follow(editor, place, lambda parent, missing: _make_below(editor, parent, missing))


def _follow(
    editor: CapEditor, place: Place, where_missing: Callable[[DirectoryWriteCap, Place], DirectoryWriteCap]
) -> DirectoryWriteCap:
    walked = Place(place.cap, (), place.label)
    directory = writable(place.cap, walked)
    for name in place.path:
        walked = walked.child(name)
        entry = find_entry(entries_of(editor, directory), name)
        directory = where_missing(directory, walked) if entry is None else writable(strongest_cap(entry), walked)
    return directory


def _raise_missing(place: Place) -> DirectoryWriteCap:
    raise EntryNotFoundError(f"{place}: no such entry")


def _make_below(editor: CapEditor, parent: DirectoryWriteCap, place: Place) -> DirectoryWriteCap:
    name = new_name(place)
    made = editor.create_directory()

    def enter(entries: list[Entry]) -> list[Entry]:
        # Another client may have created it first; then its directory is used.
        return entries if find_entry(entries, name) else [*entries, Entry.of(name, made)]

    entry = find_entry(editor.edit_directory(parent, enter), name)
    return made if entry is None else writable(strongest_cap(entry), place)


def find_entry(entries: Iterable[Entry], name: bytes) -> Entry | None:
    """Return the entry of this name; None if there is none."""
    return next((entry for entry in entries if entry.name == name), None)


def new_name(place: Place) -> bytes:
    """Return the name of a new entry at this place.

    Raises:
        EntryError: The name can't be restored to a file system.
    """
    name = place.name
    if name is None:
        raise EntryError(f"{place}: this needs a name after it, as in {place.label}NAME")
    if name in (b".", b"..") or b"\0" in name or b"/" in name or len(name) > NAME_LENGTH_MAX:
        raise EntryError(f"{place}: this can't be the name of an entry")
    return name


def set_entry(entry: Entry, place: Place, *, may_replace: bool = True) -> Edit:
    """Return an edit that sets an entry; it may replace a file of that name but never a directory.

    The edit raises:
        EntryExistsError: A directory has this name or, without `may_replace`, anything.
    """

    def edit(entries: list[Entry]) -> list[Entry]:
        old = find_entry(entries, entry.name)
        if old is not None:
            require_not_held(old)
        if old is not None and old.is_directory:
            raise EntryExistsError(f"{place}: a directory is in the way; unlink it first")
        if old is not None and not may_replace:
            raise EntryExistsError(f"{place}: an entry of this name is in the way; unlink it first")
        return [other for other in entries if other.name != entry.name] + [entry]

    return edit


def link(grid: Grid, cap: Cap, metadata: Metadata, place: Place) -> None:
    """Link a cap at a place, replacing a file. Durable when this returns.

    Raises:
        EntryExistsError: A directory is in the way.
    """
    name = new_name(place)
    parent = find_writable(grid, place.parent)
    with grid.session() as session:
        session.commit([], found=[readable(cap, place)])
        grid.edit_directory(parent, set_entry(Entry.of(name, cap, metadata), place))


def unlink(grid: Grid, place: Place) -> Entry:
    """Remove an entry from its directory and return it. Its content stays until it is pruned.

    Raises:
        EntryNotFoundError: No entry is at the place.
    """
    name = new_name(place)
    removed: list[Entry] = []

    def edit(entries: list[Entry]) -> list[Entry]:
        entry = find_entry(entries, name)
        if entry is None:
            raise EntryNotFoundError(f"{place}: no such entry")
        require_not_held(entry)
        removed[:] = [entry]
        return [other for other in entries if other.name != name]

    grid.edit_directory(find_writable(grid, place.parent), edit)
    return removed[0]


def move(grid: Grid, source: Place, target: Place) -> Place:
    """Move an entry to another name or directory, and return its new place.

    If the target is a directory, the entry keeps its name in it. Within one directory this is a single step; between two, the new
    entry is durable before the old one is removed.

    Raises:
        EntryNotFoundError: No entry is at the source.
        EntryExistsError: A directory is in the way.
    """
    name = new_name(source)
    old_parent = find_writable(grid, source.parent)
    target = _inside_if_directory(grid, target, name)
    if target == source:
        return target
    if target.cap == source.cap and target.path[: len(source.path)] == source.path:
        raise EntryError(f"{target}: can't move {source} below itself")
    new_parent = find_writable(grid, target.parent)
    if new_parent == old_parent:
        grid.edit_directory(old_parent, _rename(name, source, target))
        return target
    moved = find_entry(entries_of(grid, old_parent), name)
    if moved is None:
        raise EntryNotFoundError(f"{source}: no such entry")
    require_not_held(moved)
    link(grid, strongest_cap(moved), moved.metadata, target)
    grid.edit_directory(old_parent, _drop_if_same(moved))
    return target


def _inside_if_directory(grid: Grid, target: Place, name: bytes) -> Place:
    if target.name is None:
        return target.child(name)
    entry = find_entry(entries_of(grid, find_writable(grid, target.parent)), target.name)
    if entry is None or not entry.is_directory:
        return target
    return target.child(name)


def _rename(name: bytes, source: Place, target: Place) -> Edit:
    def edit(entries: list[Entry]) -> list[Entry]:
        entry = find_entry(entries, name)
        if entry is None:
            raise EntryNotFoundError(f"{source}: no such entry")
        require_not_held(entry)
        renamed = Entry(new_name(target), entry.encoded, entry.metadata, entry.write)
        others = [other for other in entries if other.name != name]
        return set_entry(renamed, target)(others)

    return edit


def _drop_if_same(moved: Entry) -> Edit:
    """Return an edit that removes an entry, unless another client has replaced it meanwhile."""
    return lambda entries: [entry for entry in entries if (entry.name, entry.encoded) != (moved.name, moved.encoded)]
