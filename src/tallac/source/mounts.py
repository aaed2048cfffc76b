"""The file systems that are mounted: where, and what their kind keeps of a file between two runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")

# FAT has no inode numbers, and FUSE servers hand out theirs in the order in which they are asked: another mount, or pressure on
# the memory, brings others for the same files. Of SMB and the shared folders of virtual machines, some do.
_MOVING_NUMBERS = frozenset({"vfat", "msdos", "exfat", "fuse", "fuseblk", "cifs", "smb3", "vboxsf", "davfs"})

# Their timestamps come from another machine's clock; or they have no time of change that a program could not set.
_FAR_CLOCKS = frozenset({"nfs", "nfs4", "9p", "ceph", "afs"})


class Mounts:
    """What is mounted where.

    Attributes:
        kinds: By device, the file system's kind as the kernel names it.
        names: By folder, the names in it that something is mounted on.
    """

    def __init__(self, kinds: Mapping[int, str] | None = None, names: Mapping[bytes, frozenset[bytes]] | None = None) -> None:
        self.kinds = dict(kinds or {})
        self.names = dict(names or {})
        self._moving = frozenset(device for device, kind in self.kinds.items() if _base(kind) in _MOVING_NUMBERS)
        self._far = self._moving | {device for device, kind in self.kinds.items() if kind in _FAR_CLOCKS}
        self._nfs = frozenset(device for device, kind in self.kinds.items() if kind in ("nfs", "nfs4"))

    @staticmethod
    def read() -> Mounts:
        """Read the table of this process; empty where the system has none."""
        try:
            table = _TABLE.read_bytes()
        except OSError:
            return Mounts()
        return Mounts.of_table(table)

    @staticmethod
    def of_table(table: bytes) -> Mounts:
        """Read a table in the form of `/proc/PID/mountinfo` (proc(5))."""
        kinds: dict[int, str] = {}
        names: dict[bytes, set[bytes]] = {}
        for line in table.splitlines():
            fields, _, source = line.partition(b" - ")
            parts = fields.split(b" ")
            if len(parts) < 5 or not source:
                continue
            major, _, minor = parts[2].partition(b":")
            kinds[os.makedev(int(major), int(minor))] = os.fsdecode(source.split(b" ")[0])
            folder, name = os.path.split(_ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), parts[4]))
            names.setdefault(folder, set()).add(name)
        return Mounts(kinds, {folder: frozenset(found) for folder, found in names.items()})

    def seen_from(self, path: bytes) -> Mounts:
        """Return the same with folders as they are called below a path that may lead through links."""
        real = os.path.realpath(path)
        if real == path:
            return self
        beginning = real.rstrip(b"/") + b"/"
        names = {
            os.path.join(path, folder[len(beginning) :]).rstrip(b"/"): found
            for folder, found in self.names.items()
            if (folder + b"/").startswith(beginning)
        }
        return Mounts(self.kinds, names)

    def has_moving_numbers(self, device: int) -> bool:
        """Whether the same file may have another inode number at another time."""
        return device in self._moving

    def has_far_clock(self, device: int) -> bool:
        """Whether timestamps come from another clock than this machine's, or can be set by programs."""
        return device in self._far

    def is_nfs(self, device: int) -> bool:
        """Whether files that were deleted while open may show as `.nfs` and a number."""
        return device in self._nfs


def _base(kind: str) -> str:
    return kind.partition(".")[0]
