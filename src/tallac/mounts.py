"""The kind of file system that a folder lies on, as far as the system says."""

from __future__ import annotations

import os
import re
import sys

MOUNT_TABLE = "/proc/self/mountinfo"

# Their files are reached through this machine's kernel only. What is not listed may be somebody else's disk as well:
# all of FUSE but what is made for a disk ("fuseblk"), and network file systems.
_OF_THIS_MACHINE = frozenset(
    {
        "aufs",
        "bcachefs",
        "btrfs",
        "ecryptfs",
        "erofs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "fuseblk",
        "hfs",
        "hfsplus",
        "iso9660",
        "jfs",
        "minix",
        "msdos",
        "nilfs2",
        "ntfs",
        "ntfs3",
        "overlay",
        "ramfs",
        "reiserfs",
        "rootfs",
        "squashfs",
        "tmpfs",
        "ubifs",
        "udf",
        "ufs",
        "vfat",
        "xfs",
        "zfs",
    }
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def is_of_this_machine(folder: str) -> bool:
    """Whether all that use a folder's file system do so through this machine's kernel; say no where nobody knows.

    On systems other than Linux, which do not say, it is taken to be so.
    """
    if sys.platform != "linux":
        return True
    kind = file_system_kind(folder)
    return kind in _OF_THIS_MACHINE


def file_system_kind(folder: str, table: str = MOUNT_TABLE) -> str | None:
    """Return the kind of the file system that a folder lies on, as mount shows it; None where that can't be found out."""
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as lines:
            mounts = [line.split(" ") for line in lines]
    except OSError:
        return None
    path = os.path.realpath(folder)
    best, kind = -1, None
    for fields in mounts:
        # man 5 proc: the mount point is the fifth field; the kind comes after a field that is "-".
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        # Of several mounts on one point, the last one is seen.
        if is_above and len(point) >= best:
            best, kind = len(point), fields[fields.index("-") + 1]
    return kind
