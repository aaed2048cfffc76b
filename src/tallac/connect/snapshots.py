"""The snapshots of a target, as its `Archives/` lists them."""

from __future__ import annotations

from tallac.caps import DirectoryReadCap
from tallac.dag import ARCHIVES, Entry
from tallac.errors import EntryNotFoundError
from tallac.interfaces import CapReader
from tallac.transfer import Place, find, find_or_none


def list_snapshots(reader: CapReader, target: Place) -> list[Entry]:
    """Give the entries of a target's `Archives/` in order of their names, which is that of their times.

    Raises:
        EntryNotFoundError: The target does not exist, or is none.
    """
    archives = find_or_none(reader, target.child(ARCHIVES)) if find(reader, target).is_directory else None
    if archives is None or not isinstance(archives.cap, DirectoryReadCap):
        raise EntryNotFoundError(f"{target}: there are no snapshots here; `tallac backup FROM {target}` makes one")
    return [entry for entry in reader.read_directory(archives.cap) if entry.is_directory]
