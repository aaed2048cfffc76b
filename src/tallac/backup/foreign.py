"""A snapshot that another program has added to the target, and whose directories do for unchanged ones."""

from __future__ import annotations

from functools import cached_property

from tallac.backup.target import Target
from tallac.caps import DirectoryReadCap
from tallac.dag import Components, Entry, snapshots_by_time
from tallac.errors import DamageError
from tallac.interfaces import CapReader

_DIRECTORIES_MAX = 256
"""Of so many directories the names below are remembered; directories are finished near those that they lie in."""


class ForeignSnapshot:
    """The newest snapshot, if it is none of Tallac's: one of `tahoe backup`, which has its own directories.

    Nothing is read before a directory is asked for: an unchanged backup does without.
    """

    def __init__(self, grid: CapReader, target: Target) -> None:
        self._grid = grid
        self._target = target
        self._below: dict[Components, dict[bytes, bytes]] = {}

    def directory(self, components: Components) -> bytes | None:
        """Return the encoded cap of the directory that these names lead to from its root; None where there is none."""
        encoded = self._root
        for length in range(len(components)):
            if encoded is None:
                return None
            encoded = self._directories_in(components[:length], encoded).get(components[length])
        return encoded

    @cached_property
    def _root(self) -> bytes | None:
        # `Latest` does not tell: where another program points it at its snapshot, a node keeps the metadata of the one before.
        snapshots = snapshots_by_time(self._grid.read_directory(self._target.archives.read_cap))
        newest = snapshots[-1][1] if snapshots else None
        return None if newest is None or newest.metadata.snapshot is not None else newest.encoded

    def _directories_in(self, components: Components, encoded: bytes) -> dict[bytes, bytes]:
        if components not in self._below:
            if len(self._below) >= _DIRECTORIES_MAX:
                self._below.clear()
            cap = Entry(b"", encoded).cap
            try:
                entries = list(self._grid.read_directory(cap)) if isinstance(cap, DirectoryReadCap) else []
            except DamageError:
                entries = []  # What can't be read is stored anew.
            self._below[components] = {entry.name: entry.encoded for entry in entries if entry.is_directory}
        return self._below[components]
