"""A guard that keeps a restore away from what is Tallac's own, and from any vault."""

from __future__ import annotations

import os

from tallac.dag import join_path
from tallac.restore.filesystem import DestinationSystem
from tallac.restore.report import Tally
from tallac.source import OwnFiles, SourceEntry


class OwnGuard:
    """A guard over what must stay as it is; the user is told once of each."""

    def __init__(self, own: OwnFiles, system: DestinationSystem, tally: Tally | None) -> None:
        """Look with these calls; without a tally nobody is told."""
        self._own = own
        self._system = system
        self._tally = tally
        self._reported: set[bytes] = set()

    def holds(self, found: SourceEntry, directory: int) -> bool:
        """Whether a name in an open directory is, or leads to, what is Tallac's own: nothing in it may change."""
        place = self._own.find_at(found.name, directory, self._system)
        if place is None:
            return False
        path = join_path(_path_of(directory), found.name)
        if self._tally is not None and path not in self._reported:
            self._reported.add(path)
            self._tally.protect(path, place.kind.value)
        return True


def _path_of(directory: int) -> bytes:
    try:
        return os.readlink(b"/proc/self/fd/%d" % directory)
    except OSError:
        return b""
