"""Making what has no content: symbolic links, FIFOs, sockets and devices."""

from __future__ import annotations

import stat
from enum import Enum

from tallac.dag import FILE_SIZE_FORMS, Entry, FileType
from tallac.errors import EntryError

NO_KIND = "its mode belongs to no kind of file; `tallac get` writes its content"


_REGULAR = stat.S_IFREG >> 12


class Kind(Enum):
    """The ways in which entries are restored."""

    DIRECTORY = "directory"
    REGULAR = "regular"
    SPECIAL = "special"


def is_plain_file(mode: int | None, encoded: bytes) -> bool:
    """Whether this is the mode of a regular file, and the cap of one that has a size."""
    return mode is not None and mode >> 12 == _REGULAR and encoded[:1] in FILE_SIZE_FORMS


def kind_of(entry: Entry) -> Kind:
    """Return the kind of an entry, by its cap and its mode.

    Raises:
        EntryError: They contradict each other, or the mode is none that a file can have.
        MalformedObjectError: The cap is malformed.
    """
    if is_plain_file(entry.metadata.mode, entry.encoded):
        return Kind.REGULAR  # The most frequent case, without a detour.
    file_type = entry.metadata.file_type
    if file_type is FileType.UNKNOWN:
        raise EntryError(NO_KIND)
    if entry.is_directory:
        if file_type not in (None, FileType.DIRECTORY):
            raise EntryError("its cap leads to a directory, and its mode says otherwise")
        return Kind.DIRECTORY
    if file_type is FileType.DIRECTORY:
        raise EntryError("its mode says that it is a directory, and its cap says otherwise")
    return Kind.REGULAR if file_type in (None, FileType.REGULAR) else Kind.SPECIAL


def is_device(entry: Entry) -> bool:
    """Whether this is a block or character device."""
    return entry.metadata.file_type in (FileType.BLOCK_DEVICE, FileType.CHARACTER_DEVICE)
