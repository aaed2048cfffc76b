"""Making what has no content: symbolic links, FIFOs, sockets and devices."""

from __future__ import annotations

import stat
from enum import Enum

from tallac.dag import EncodedCap, Entry, FileType
from tallac.errors import EntryError


class Kind(Enum):
    """The ways in which entries are restored."""

    DIRECTORY = "directory"
    REGULAR = "regular"
    SPECIAL = "special"


def kind_of(entry: Entry) -> Kind:
    """Return the kind of an entry, by its cap and its mode.

    Raises:
        EntryError: They contradict each other, or the mode is none that a file can have.
        MalformedObjectError: The cap is malformed.
    """
    mode = entry.metadata.mode
    if mode is not None and stat.S_ISREG(mode) and EncodedCap(entry.encoded).has_file_size:
        return Kind.REGULAR  # The most frequent case, without a detour.
    try:
        file_type = entry.metadata.file_type
    except (ValueError, OverflowError) as error:
        raise EntryError("its mode belongs to no kind of file") from error
    if entry.is_directory:
        if file_type not in (None, FileType.DIRECTORY):
            raise EntryError("its cap leads to a directory, and its mode says otherwise")
        return Kind.DIRECTORY
    if file_type is FileType.DIRECTORY:
        raise EntryError("its mode says that it is a directory, and its cap says otherwise")
    return Kind.REGULAR if file_type in (None, FileType.REGULAR) else Kind.SPECIAL


def is_device(entry: Entry) -> bool:
    """Whether this is a block or character device."""
    mode = entry.metadata.mode
    return mode is not None and (stat.S_ISBLK(mode) or stat.S_ISCHR(mode))
