"""Which files of a snapshot are hard links of one another, and where the first of them is."""

from __future__ import annotations

from tallac.dag import Components, Entry


class LinkTable:
    """Remembers files with several links until the last one is there, so its size does not grow with the snapshot's."""

    def __init__(self) -> None:
        """Begin with none."""
        self._firsts: dict[tuple[int, int, int | None, bytes], _First] = {}

    def first_of(self, entry: Entry) -> tuple[Components, bytes] | None:
        """Return the directory (components) and name of the file that an entry is another link of; None where it is the first."""
        key = _key(entry)
        first = self._firsts.get(key) if key is not None else None
        return None if first is None else (first.components, first.name)

    def is_new(self, entry: Entry) -> bool:
        """Whether the first one of an entry's links has been made, so that no other name can be a link of it yet."""
        key = _key(entry)
        first = self._firsts.get(key) if key is not None else None
        return first is not None and first.is_new

    def add_first(self, entry: Entry, components: Components, *, is_new: bool = False) -> None:
        """Remember that a file with several links is there, or has been made."""
        key = _key(entry)
        if key is not None:
            self._firsts[key] = _First(components, entry.name, entry.metadata.links - 1, is_new=is_new)

    def earlier(self, entry: Entry) -> list[tuple[Components, bytes]]:
        """Return the directories and names of those of an entry's links that are there, the first one at the beginning."""
        key = _key(entry)
        first = self._firsts.get(key) if key is not None else None
        return [] if first is None else [(first.components, first.name), *first.others]

    def replace_first(self, entry: Entry, components: Components) -> None:
        """Take an entry, which has been made anew, for the first one, and the others for links of it."""
        key = _key(entry)
        first = self._firsts.get(key) if key is not None else None
        if first is not None:
            first.others.append((first.components, first.name))
            first.components, first.name = components, entry.name

    def count_link(self, entry: Entry, components: Components = ()) -> None:
        """Count another link that has been made; after the last one the file is forgotten."""
        key = _key(entry)
        first = self._firsts.get(key) if key is not None else None
        if first is None or key is None:
            return
        if (components, entry.name) != (first.components, first.name):
            first.others.append((components, entry.name))
        first.missing -= 1
        if first.missing <= 0:
            del self._firsts[key]


class _First:
    __slots__ = ("components", "is_new", "missing", "name", "others")

    def __init__(self, components: Components, name: bytes, missing: int, *, is_new: bool) -> None:
        self.components = components
        self.name = name
        self.missing = missing
        self.is_new = is_new
        self.others: list[tuple[Components, bytes]] = []


def _key(entry: Entry) -> tuple[int, int, int | None, bytes] | None:
    """Return a key that all links of one file share.

    Kind and content belong to it: a file that changed between two looks at it has two contents, and neither must be lost.
    """
    metadata = entry.metadata
    if metadata.links < 2 or metadata.inode is None or metadata.device is None:
        return None
    return metadata.device, metadata.inode, metadata.mode, metadata.target or entry.encoded
