"""A file system that records opens and fails on request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.on_disk import folder_on_disk

from tallac.source import FileSystem


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Make a folder on a disk, where users have what they back up."""
    with folder_on_disk() as folder:
        yield folder


class RefusingEntry(os.PathLike[str]):
    """A listed name whose stat fails."""

    def __init__(self, name: str, error: OSError) -> None:
        self.name = name
        self._error = error

    def __fspath__(self) -> str:
        return self.name

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        raise self._error


class BentFileSystem(FileSystem):
    """Counts what is open and refuses what it is told to."""

    def __init__(self) -> None:
        self.opened: list[bytes] = []
        self.open_now: set[int] = set()
        self.open_most = 0
        self.refused_stats: dict[str, OSError] = {}
        self.refused_xattrs: dict[bytes, OSError] = {}
        self.refused_flags: OSError | None = None
        self.refused_seek: OSError | None = None

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        descriptor = super().open(name, flags, directory)
        self.opened.append(name)
        self.open_now.add(descriptor)
        self.open_most = max(self.open_most, len(self.open_now))
        return descriptor

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self.open_now.discard(descriptor)

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return self._bent_scandir(descriptor)

    @contextmanager
    def _bent_scandir(self, descriptor: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        with os.scandir(descriptor) as listing:
            yield (self._bent(entry) for entry in listing)

    def _bent(self, entry: os.DirEntry[str]) -> os.DirEntry[str]:
        error = self.refused_stats.get(entry.name)
        return entry if error is None else RefusingEntry(entry.name, error)  # type: ignore[return-value]  # As far as it is used.

    def get_xattr(self, place: int | bytes, name: bytes) -> bytes:
        if name in self.refused_xattrs:
            raise self.refused_xattrs[name]
        return super().get_xattr(place, name)

    def get_flags(self, descriptor: int) -> int:
        if self.refused_flags is not None:
            raise self.refused_flags
        return super().get_flags(descriptor)

    def seek(self, descriptor: int, offset: int, whence: int) -> int:
        if self.refused_seek is not None and whence in {os.SEEK_DATA, os.SEEK_HOLE}:
            raise self.refused_seek
        return super().seek(descriptor, offset, whence)


@pytest.fixture
def bent() -> BentFileSystem:
    """A file system that can be bent."""
    return BentFileSystem()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """The test's folder, open."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)
