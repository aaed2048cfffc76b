"""A guard that keeps a restore away from what is Tallac's own, and from any vault."""

from __future__ import annotations

import os

from tallac.dag import join_path
from tallac.restore.filesystem import DestinationSystem
from tallac.restore.report import Tally
from tallac.source import DIRECTORY_FLAGS, OwnFiles, OwnPlace, SourceEntry


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
        place = self._own.find(found, directory, self._system) or self._own.find_way(found)
        if place is None and found.is_directory:
            place = self._recognise(found.name, directory)
        if place is None:
            return False
        path = join_path(_path_of(directory), found.name)
        if self._tally is not None and path not in self._reported:
            self._reported.add(path)
            self._tally.protect(path, place.kind.value)
        return True

    def _recognise(self, name: bytes, directory: int) -> OwnPlace | None:
        try:
            descriptor = self._system.open(name, DIRECTORY_FLAGS, directory)
        except OSError:
            return None  # Whoever is to enter it says what is wrong.
        try:
            return self._own.recognise_any(descriptor, self._system)
        finally:
            self._system.close(descriptor)


def _path_of(directory: int) -> bytes:
    try:
        return os.readlink(b"/proc/self/fd/%d" % directory)
    except OSError:
        return b""
