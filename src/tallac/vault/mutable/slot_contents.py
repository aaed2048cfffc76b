"""The content of a slot: the entries of a mutable directory, or one entry that is a mutable file. docs/format.md, "Slots".

A mutable file's one entry has a zero byte for a name, which no directory's entry has. So keepers follow a mutable file as they
follow a directory, and neither can be taken for the other.
"""

from __future__ import annotations

from tallac.caps import FileReadCap, MutableDirectoryRead, MutableFileRead
from tallac.dag import Entry, decode_cap
from tallac.errors import MalformedObjectError, NotADirectoryCapError
from tallac.vault.mutable.slots import Slots

_FILE_NAME = b"\0"


def file_entry(content: FileReadCap) -> Entry:
    """Return the entry of a mutable file with this content."""
    return Entry.of(_FILE_NAME, content)


def require_directory(entries: list[Entry]) -> list[Entry]:
    """Return a slot's entries if they are a directory's.

    Raises:
        NotADirectoryCapError: They are a mutable file's.
    """
    if entries and entries[0].name == _FILE_NAME:
        raise NotADirectoryCapError("this is a mutable file, and no directory")
    return entries


def content_of_entries(entries: list[Entry]) -> FileReadCap:
    """Return the cap of a mutable file's content.

    Raises:
        MalformedObjectError: The slot is no mutable file's.
    """
    if len(entries) == 1 and entries[0].name == _FILE_NAME:
        cap = decode_cap(entries[0].encoded)
        if isinstance(cap, FileReadCap) and not isinstance(cap, MutableFileRead):
            return cap
    raise MalformedObjectError("a slot holds no mutable file")


def content_of(slots: Slots, cap: MutableFileRead) -> FileReadCap:
    """Read the cap of a mutable file's present content. Raises as `Slots.read` does."""
    entries, _ = slots.entries(MutableDirectoryRead(cap.readkey, cap.fingerprint))
    return content_of_entries(entries)
