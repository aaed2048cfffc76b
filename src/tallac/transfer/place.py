"""Places: paths below a cap, and following them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import msgspec

from tallac.caps import Cap, DirectoryReadCap, FileReadCap, ReadCap, WriteCap
from tallac.dag import Ancestors, Components, Entry, FileType, Metadata, display_path, encode_cap
from tallac.errors import AuthorityError, EntryError, EntryNotFoundError, NotADirectoryCapError
from tallac.interfaces import CapReader

_KIND_NAMES = {
    FileType.DIRECTORY: "directory",
    FileType.FIFO: "FIFO",
    FileType.SOCKET: "socket",
    FileType.BLOCK_DEVICE: "block device",
    FileType.CHARACTER_DEVICE: "character device",
}


class Place(msgspec.Struct, frozen=True):
    """A path below a cap.

    Attributes:
        cap: The cap that the path begins at.
        path: The components, in order; none of them is empty.
        label: The beginning as shown to the user, such as `home:`; without secrets.
    """

    cap: Cap
    path: tuple[bytes, ...]
    label: str

    def __str__(self) -> str:
        return self.label + os.fsdecode(b"/".join(self.path))

    @property
    def name(self) -> bytes | None:
        """The last component; None if the place is the cap itself."""
        return self.path[-1] if self.path else None

    @property
    def parent(self) -> Place:
        """The directory that holds the last component.

        Raises:
            EntryError: The place is the cap itself.
        """
        if not self.path:
            raise EntryError(f"{self}: this needs a name after it, as in {self.label}NAME")
        return Place(self.cap, self.path[:-1], self.label)

    def child(self, *names: bytes) -> Place:
        """The place below this one."""
        return Place(self.cap, self.path + names, self.label)


class Found(msgspec.Struct, frozen=True):
    """The read cap at a place, and the metadata of its entry, empty if the place is the cap itself."""

    place: Place
    cap: ReadCap
    metadata: Metadata

    @property
    def is_directory(self) -> bool:
        """Whether it can have entries."""
        return isinstance(self.cap, DirectoryReadCap)


def readable(cap: Cap, place: Place) -> ReadCap:
    """Return the read cap that a cap attenuates to.

    Raises:
        AuthorityError: The cap does not allow reading.
    """
    if isinstance(cap, WriteCap):
        return cap.read_cap
    if isinstance(cap, ReadCap):
        return cap
    raise AuthorityError(f"{place}: its cap ({cap.kind}) does not allow reading; use its read cap")


def find(reader: CapReader, place: Place) -> Found:
    """Follow a path, entry by entry.

    Raises:
        EntryNotFoundError: An entry of the path is missing.
        NotADirectoryCapError: The path goes through something that is not a directory.
        AuthorityError: A cap on the path does not allow reading.
        DamageError: The store has lost or damaged a directory on the path.
    """
    walked = Place(place.cap, (), place.label)
    cap = readable(place.cap, walked)
    metadata = Metadata()
    for name in place.path:
        directory = directory_of(cap, walked)
        walked = walked.child(name)
        entry = reader.read_directory(directory).get(name)
        if entry is None:
            raise EntryNotFoundError(f"{walked}: no such entry")
        cap, metadata = readable(entry.cap, walked), entry.metadata
    return Found(place, cap, metadata)


def find_or_none(reader: CapReader, place: Place) -> Found | None:
    """Follow a path; return None if an entry of it is missing. Otherwise raises as `find` does."""
    try:
        return find(reader, place)
    except EntryNotFoundError:
        return None


def directory_of(cap: ReadCap, place: Place) -> DirectoryReadCap:
    """Return the cap if it is that of a directory.

    Raises:
        NotADirectoryCapError: The cap is not that of a directory.
    """
    if not isinstance(cap, DirectoryReadCap):
        raise NotADirectoryCapError(f"{place}: not a directory")
    return cap


def file_of(found: Found) -> FileReadCap:
    """Return the cap if it is that of a regular file.

    Raises:
        EntryError: The cap is that of a directory, or the entry is that of a link, FIFO, socket or device.
    """
    if not isinstance(found.cap, FileReadCap):
        raise EntryError(f"{found.place}: a directory, and this takes a file; use cp -r or restore for directories")
    kind = found.metadata.file_type
    if kind is FileType.SYMLINK:
        target = found.metadata.target
        where = "" if target is None else f" to {display_path(target)}"
        raise EntryError(f"{found.place}: a symbolic link{where}; give the path that it leads to, or restore the link itself")
    if kind not in (None, FileType.REGULAR, FileType.UNKNOWN):
        raise EntryError(f"{found.place}: a {_KIND_NAMES[kind]}, which has no content; `tallac restore` creates it again")
    return found.cap


def list_directory(reader: CapReader, place: Place) -> Iterator[Entry]:
    """Iterate over the entries of a directory in order of their names; for a file, over its own entry.

    Raises:
        As `find`.
    """
    found = find(reader, place)
    if isinstance(found.cap, DirectoryReadCap):
        yield from reader.read_directory(found.cap)
    else:
        yield Entry.of(place.name or b"-", found.cap, found.metadata)


def walk(
    reader: CapReader,
    place: Place,
    directory: DirectoryReadCap,
    arrange: Callable[[Iterable[Entry]], Iterable[Entry]] = iter,
    leads_back: Callable[[Place], None] = lambda _: None,
) -> Iterator[tuple[Components, Entry]]:
    """Iterate over everything below a directory, each directory before its entries.

    Entries whose cap can't be read are yielded and not followed.

    Args:
        reader: Where it is.
        place: The place of the directory.
        directory: Its cap.
        arrange: Sorts the entries of each directory.
        leads_back: Called with each directory that the walk is in already; it has been yielded, and is not entered again.

    Returns:
        The names that lead from the place to the entry's directory, and the entry.
    """
    # Iterators and not lists, so that a directory of any size is listed in bounded memory.
    levels: list[tuple[Components, Iterator[Entry]]] = [((), iter(arrange(reader.read_directory(directory))))]
    ancestors = Ancestors()
    ancestors.enter(encode_cap(directory))
    while levels:
        components, entries = levels[-1]
        for entry in entries:
            yield components, entry
            # Most entries are files, whose caps nobody asks for here.
            if not entry.is_directory:
                continue
            below = (*components, entry.name)
            cap = entry.cap
            if entry.encoded in ancestors:
                leads_back(place.child(*below))
            elif isinstance(cap, DirectoryReadCap):
                levels.append((below, iter(arrange(reader.read_directory(cap)))))
                ancestors.enter(entry.encoded)
                break
        else:
            levels.pop()
            ancestors.leave()
