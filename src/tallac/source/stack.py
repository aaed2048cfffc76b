"""The directories from the root down to where a walk is, with few descriptors whatever the depth."""

from __future__ import annotations

import errno
import os
from typing import Self

from tallac.source.descriptors import DIRECTORY_FLAGS, open_beneath, open_directory, open_passage
from tallac.source.filesystem import REAL, FileSystem

OPEN_COUNT_MAX = 128


class _Level:
    """One directory on the way down; its descriptor is None while it is closed to save descriptors."""

    __slots__ = ("descriptor", "identity", "name", "status")

    def __init__(self, name: bytes, descriptor: int, status: os.stat_result) -> None:
        self.name = name
        self.descriptor: int | None = descriptor
        self.status = status
        self.identity = (status.st_dev, status.st_ino)


class DirectoryStack:
    """The way from a root directory to the present one.

    At most `open_count_max` directories are open. One that was closed is opened again when the walk comes back to it, from its
    child through `..` or from the root, and must be the same (device, inode) as before. Close the stack at the end; the root's
    descriptor stays the caller's.
    """

    def __init__(self, root: int, *, filesystem: FileSystem = REAL, open_count_max: int = OPEN_COUNT_MAX) -> None:
        """Begin at an open directory."""
        self._filesystem = filesystem
        self._open_count_max = max(2, open_count_max)
        self._levels = [_Level(b"", root, filesystem.fstat(root))]
        self._identities = {self._levels[0].identity}
        # Levels between the root and this one are closed, those from this one on are open.
        self._first_open = 1

    @property
    def depth(self) -> int:
        """How many levels the present directory is below the root."""
        return len(self._levels) - 1

    @property
    def components(self) -> tuple[bytes, ...]:
        """The names that lead from the root to the present directory."""
        return tuple(level.name for level in self._levels[1:])

    @property
    def status(self) -> os.stat_result:
        """The stat fields of the present directory, as they were when it was entered."""
        return self._levels[-1].status

    @property
    def descriptor(self) -> int:
        """The present directory, open; it stays the stack's.

        Raises:
            OSError: It had been closed and can't be opened again; ESTALE where another directory has taken its place.
        """
        level = self._levels[-1]
        if level.descriptor is None:
            self._reopen_from_root(level)
        assert level.descriptor is not None
        return level.descriptor

    def holds(self, device: int, inode: int) -> bool:
        """Whether this directory is the present one or above it: entering it again would be a loop."""
        return (device, inode) in self._identities

    def enter(self, name: bytes, *, to_pass: bool = False) -> int:
        """Go down into a directory of the present one and give its descriptor, which stays the stack's.

        Args:
            name: The directory's.
            to_pass: Whether it need not be listed.

        Raises:
            OSError: It can't be read, or is no directory (any more); ELOOP where it lies above. The stack is as before.
        """
        descriptor = (open_passage if to_pass else open_directory)(self.descriptor, name, filesystem=self._filesystem)
        try:
            level = _Level(name, descriptor, self._filesystem.fstat(descriptor))
            if level.identity in self._identities:
                raise OSError(errno.ELOOP, "the directory contains itself")
        except BaseException:
            self._filesystem.close(descriptor)
            raise
        self._levels.append(level)
        self._identities.add(level.identity)
        if len(self._levels) - self._first_open >= self._open_count_max:
            self._close_level(self._levels[self._first_open])
            self._first_open += 1
        return descriptor

    def leave(self) -> None:
        """Go up to the directory above. Where that can't be opened again, `descriptor` says so when it is asked for."""
        level = self._levels.pop()
        self._identities.discard(level.identity)
        self._first_open = min(self._first_open, len(self._levels))
        above = self._levels[-1]
        if above.descriptor is None and level.descriptor is not None:
            self._reopen_from_child(above, level.descriptor)
        self._close_level(level)

    def close(self) -> None:
        """Close all but the root."""
        while len(self._levels) > 1:
            self._close_level(self._levels.pop())
        self._identities = {self._levels[0].identity}
        self._first_open = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _close_level(self, level: _Level) -> None:
        if level.descriptor is not None:
            descriptor, level.descriptor = level.descriptor, None
            self._filesystem.close(descriptor)

    def _reopen_from_child(self, level: _Level, child: int) -> None:
        try:
            descriptor = self._filesystem.open(b"..", DIRECTORY_FLAGS, child)
        except OSError:
            return  # The way from the root is tried next, and its error is the one to report.
        if not self._adopt(level, descriptor):
            self._filesystem.close(descriptor)

    def _reopen_from_root(self, level: _Level) -> None:
        root = self._levels[0].descriptor
        assert root is not None
        descriptor = open_beneath(root, self.components, filesystem=self._filesystem)
        if not self._adopt(level, descriptor):
            self._filesystem.close(descriptor)
            raise OSError(errno.ESTALE, "another directory has taken its place meanwhile")

    def _adopt(self, level: _Level, descriptor: int) -> bool:
        status = self._filesystem.fstat(descriptor)
        if (status.st_dev, status.st_ino) != level.identity:
            return False
        level.descriptor = descriptor
        self._first_open = min(self._first_open, len(self._levels) - 1)
        return True
