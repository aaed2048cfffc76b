"""A walk through a source from its end on, which yields the directories that have no subdirectories."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tallac.backup.quick_look import Looked, LookTask
from tallac.source import FileSystem, SourceEntry

DIRECTORY_NAMES_MAX = 9_000
"""A longer directory, and what is below it, is passed over: its listing would go to disk twice, where there may be no room."""

_PATH_SIZE_MAX = 3_000


class ShortListings(FileSystem):
    """The real file system, in which a long directory can't be listed."""

    @contextmanager
    def scandir(self, descriptor: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        """See `FileSystem`; the listing raises OSError where it is too long."""
        with super().scandir(descriptor) as listing:
            yield _at_most(listing, DIRECTORY_NAMES_MAX)


def _at_most(listing: Iterator[os.DirEntry[str]], count_max: int) -> Iterator[os.DirEntry[str]]:
    for number, listed in enumerate(listing):
        if number >= count_max:
            raise OSError(errno.EFBIG, "the directory is too long")
        yield listed


_SHORT = ShortListings()


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """A directory without subdirectories, as it was when it was looked at.

    Attributes:
        path: Its absolute path.
        rules: The digest of the rules of the directory above, as far as they hold in it.
        signature: See `ChosenScan.signature`.
        count: How many names it has.
        looked_ns: When its listing began, by the monotonic clock that all processes share.
    """

    path: bytes
    rules: bytes
    signature: bytes
    count: int
    looked_ns: int


class LeafTask(LookTask, frozen=True):
    """The task of the process that looks for directories without subdirectories."""

    def leaves(self, filesystem: FileSystem = _SHORT) -> Iterator[Leaf]:
        """Go through the source backwards and yield its directories without subdirectories.

        What can't be looked at, or is Tallac's own, is passed over, with all that is below it.
        """
        found: list[Leaf] = []

        def look(looked: Looked) -> Iterator[SourceEntry]:
            directories = list(looked.chosen.directories())
            if not directories and looked.is_ordinary and len(looked.path) <= _PATH_SIZE_MAX:
                signature = looked.chosen.signature()
                if signature is not None:
                    found.append(Leaf(looked.path, looked.above.digest, signature, looked.names_count, looked.looked_ns))
            return reversed(directories)

        for _ in self.walk(look, filesystem):
            yield from found
            found.clear()
