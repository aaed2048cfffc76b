"""The result of one lstat: a name with its stat fields."""

from __future__ import annotations

import os
import stat

import msgspec


class SourceEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A name in a directory of the source, with the stat fields that are kept or compared.

    A struct of msgspec because a first backup makes one a file: it costs a third of a NamedTuple.

    Attributes:
        name: One component.
        mode: `st_mode`, the file type's bits included.
        mtime_ns, ctime_ns: Nanoseconds since 1970, of any size and sign.
        links: `st_nlink`.
        rdev: `st_rdev`, undivided.
        blocks: Allocated blocks of 512 bytes. It may change after a write without any change of the file.
    """

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    links: int
    rdev: int
    blocks: int

    @staticmethod
    def of(name: bytes, status: os.stat_result) -> SourceEntry:
        """Make an entry of a result of `stat`."""
        return SourceEntry(
            name,
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            status.st_dev,
            status.st_nlink,
            status.st_rdev,
            status.st_blocks,
        )

    @property
    def is_directory(self) -> bool:
        """Whether this is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_regular(self) -> bool:
        """Whether this is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Whether this is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_device(self) -> bool:
        """Whether this is a block or character device."""
        return stat.S_ISBLK(self.mode) or stat.S_ISCHR(self.mode)

    @property
    def may_have_holes(self) -> bool:
        """Whether less is allocated than the size takes; a compressing file system does that, too."""
        return self.is_regular and self.blocks * 512 < self.size


def unseen_entry(name: bytes, kind: int = stat.S_IFDIR) -> SourceEntry:
    """Return an entry for a name of which only the kind is known, if that."""
    return SourceEntry(name, kind, 0, 0, 0, 0, 0, 0, -1, 1, 0, 0)
