"""A disk with FAT: files have one name, and a renamed file is empty after a power loss until it is synced again.

As measured on vfat of Linux 6.1 and 6.12: what was written, synced and renamed had length 0 after the power came back, also where
the folder was synced afterwards. And where a renamed file had its former name again, since only the new one's folder was synced,
both led to the same place on the disk: fsck.fat left one of them, and emptied the other.
"""

from __future__ import annotations

import errno
import os

from tallac.testing.crash_disk import CrashDisk, DiskFile, Names
from tallac.testing.file_calls import FileCall


class FatDisk(CrashDisk):
    """See `CrashDisk`."""

    def before(self, call: FileCall) -> None:
        super().before(call)
        if call.name == "link":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), call.path)

    def _log_rename(self, call: FileCall, _data: bytes) -> None:
        super()._log_rename(call, _data)
        # The size is in the name's record, and the new record says 0.
        self._files[call.destination].synced = b""

    def _repair(self, names: Names) -> None:
        """Of two names that lead to one file, empty the second: those of the upper folders come first."""
        seen: set[int] = set()
        for folder in sorted(names, key=lambda folder: (folder.count(os.sep), folder)):
            for name, target in names[folder].items():
                if isinstance(target, DiskFile) and id(target) in seen:
                    names[folder][name] = DiskFile()
                seen.add(id(target))
