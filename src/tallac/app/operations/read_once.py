"""A grid of which several questions about one place are asked: each directory on the way is read once."""

from __future__ import annotations

from collections.abc import Sequence

from tallac.caps import DirectoryReadCap, FileReadCap
from tallac.interfaces import BinaryReader, CapReader, Directory, FileReader, WorkerRecipe


class ReadOnce:
    """A `CapReader` that remembers directories as they were when they were first read. It is held while questions are asked."""

    def __init__(self, grid: CapReader) -> None:
        """Read from a grid."""
        self._grid = grid
        self._directories: dict[DirectoryReadCap, Directory] = {}

    def read_directory(self, cap: DirectoryReadCap) -> Directory:
        """See `tallac.interfaces.CapReader`."""
        found = self._directories.get(cap)
        if found is None:
            found = self._directories[cap] = self._grid.read_directory(cap)
        return found

    def open_file(self, cap: FileReadCap) -> BinaryReader:
        """See `tallac.interfaces.FileReader`."""
        return self._grid.open_file(cap)

    def read_small_files(self, encoded: Sequence[bytes]) -> list[bytes | None]:
        """See `tallac.interfaces.FileReader`."""
        return self._grid.read_small_files(encoded)

    def reader_recipe(self) -> WorkerRecipe[FileReader] | None:
        """See `tallac.interfaces.CapReader`."""
        return self._grid.reader_recipe()
