"""A walk through a source from its end on, which yields the directories that have no subdirectories.

Of a directory in which something has changed since the last backup the listing is given, too: it will be gone through name by name.
The times of change tell, or guess: where they don't, the walk lists the directory again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from tallac.backup.decide import is_recorded_safely
from tallac.backup.quick_look import Looked, LookTask
from tallac.interfaces import Clock
from tallac.source import EncodedListing, EncodedScan, FastFileSystem, FileSystem, Scan, SourceEntry

if TYPE_CHECKING:
    from tallac.native import Listing

DIRECTORY_NAMES_MAX = 9_000
"""A longer directory, and what is below it, is passed over: its listing would go to disk twice, where there may be no room."""

LISTINGS_SIZE_MAX = 16 << 20
"""So many bytes of listings are given in all, some 300,000 names; they may all wait in memory at once."""

_PATH_SIZE_MAX = 3_000


class ShortListings(FastFileSystem):
    """The real file system, in which a long directory can't be listed."""

    def list_at_once(self, descriptor: int, count_max: int) -> Listing | None:
        """See `FileSystem`."""
        return super().list_at_once(descriptor, min(count_max, DIRECTORY_NAMES_MAX))

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


class LeafListing(msgspec.Struct, frozen=True, array_like=True):
    """The listing of a directory, all of whose names could be looked at.

    Attributes:
        device, inode: The directory's.
        changed_ns: Its ctime, from before it was listed.
        read_ns: Wall clock, taken before it was listed: any change earlier than this is included.
        listing: All that is in it, whatever is left out.
    """

    device: int
    inode: int
    changed_ns: int
    read_ns: int
    listing: EncodedListing

    def scan(self, status: os.stat_result, mounted: Collection[bytes]) -> Scan | None:
        """Return this as a scan of the open directory with these stat fields.

        None where it is of another directory, or something is mounted on names in it by now; or where names have come, gone or
        changed since: a file that was renamed would be looked for under its former name, and be missing from the snapshot. So where
        they had changed just before, since another change may have left the same time.
        """
        is_same = (self.device, self.inode, self.changed_ns) == (status.st_dev, status.st_ino, status.st_ctime_ns)
        is_settled = is_recorded_safely(self.changed_ns, self.read_ns)
        if not is_same or not is_settled or mounted:
            return None
        return EncodedScan(self.listing)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LeafListing).decode


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """A directory without subdirectories, as it was when it was looked at.

    Attributes:
        path: Its absolute path.
        rules: The digest of the rules of the directory above, as far as they hold in it.
        signature: See `ChosenScan.signature`.
        count: How many names it has.
        looked_ns: When its listing began, by `since_start_ns`.
        encoded_listing: The listing, where it was wanted; else empty.
    """

    path: bytes
    rules: bytes
    signature: bytes
    count: int
    looked_ns: int
    encoded_listing: bytes = b""

    @property
    def listing(self) -> LeafListing | None:
        """The listing, if there is one."""
        return _decode(self.encoded_listing) if self.encoded_listing else None


class LeafTask(LookTask, frozen=True):
    """The task of the process that looks for directories without subdirectories.

    Attributes:
        changed_after_ns: Listings are wanted of directories in which something has changed later than this, by the wall clock.
        clock: The wall clock.
    """

    changed_after_ns: int
    clock: Clock

    def leaves(self, filesystem: FileSystem = _SHORT) -> Iterator[Leaf]:
        """Go through the source backwards and yield its directories without subdirectories.

        What can't be looked at, or is Tallac's own, is passed over, with all that is below it.
        """
        found: list[Leaf] = []
        room = LISTINGS_SIZE_MAX

        def look(looked: Looked) -> Iterator[SourceEntry]:
            nonlocal room
            directories = list(looked.chosen.directories())
            if not directories and looked.is_ordinary and len(looked.path) <= _PATH_SIZE_MAX:
                signature = looked.chosen.signature()
                if signature is not None:
                    listing = self._listing(looked) if room > 0 else b""
                    room -= len(listing)
                    count = len(looked.listing)
                    found.append(Leaf(looked.path, looked.above.digest, signature, count, looked.looked_ns, listing))
            return reversed(directories)

        for _ in self.walk(look, filesystem, self.clock):
            yield from found
            found.clear()

    def _listing(self, looked: Looked) -> bytes:
        """Encode a directory's listing, if something has changed and all of it is known; else return b""."""
        listing = looked.listing
        status = looked.status
        if max(status.st_ctime_ns, listing.changed_ns()) <= self.changed_after_ns or listing.failures or listing.waiting:
            return b""
        try:
            encoded = EncodedListing.of(listing)
        except OverflowError:
            return b""  # Some file systems keep times that MessagePack's integers can't hold.
        return _encode(LeafListing(status.st_dev, status.st_ino, status.st_ctime_ns, looked.read_ns, encoded))
