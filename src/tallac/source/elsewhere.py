"""A source that is read at another place than it is named by, as in a snapshot of its file system."""

from __future__ import annotations

from tallac.source.filesystem import FastFileSystem, Mounts


class ElsewhereFileSystem(FastFileSystem):
    """The real file system, in which one absolute path leads to another place.

    Everything below it is read relative to its descriptor, so one path suffices.
    """

    def __init__(self, path: bytes, place: bytes) -> None:
        """Lead the path to the place."""
        self._path = path
        self._place = place

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        """See `FileSystem`."""
        return super().open(self._place if directory is None and name == self._path else name, flags, directory)

    def mounts(self) -> Mounts:
        """Return the kinds of what is mounted. Where that is says nothing here, for names are those of the source."""
        return Mounts(super().mounts().kinds)
