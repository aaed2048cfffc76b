"""Replace the file of an object: one of several writers wins, whoever is killed or paused, and lost power costs one state at most.

A writer that expects a state first *claims* to follow it: it links its new file under a name made of the object's name and that
state's hash, which only one can do, and then renames that link to the object's name. So nothing rests on locks, which some network
file systems keep to each machine. A claim that stays belongs to a writer that was killed between the two; the next one enters it
for that writer. A rename takes the claim's name away: a paused writer that wakes up finds its claim entered, and replaces nothing.

Where a file can have no second name, as on FAT, an empty file is the claim. Such file systems have no journal either, and may lose
what was being replaced when the power goes: there the former state of an object is kept beside it, for `repair`.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from tallac.backends.temporary import TemporaryFile
from tallac.crypto.hashing import hash_file_bytes
from tallac.file_calls import READ_FLAGS, FileCalls
from tallac.interfaces import Version

# FAT and some network file systems have no second names for a file.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})

PAUSE_SECONDS = 0.02
TAKEOVER_SECONDS = 2.0
TAKEOVER_SECONDS_REMOTE = 30.0
"""After so long a claim is somebody's who was killed. Where locks reach everybody, its writer would hold the folder's lock."""

_ABSENT = b"absent"


class Takeover:
    """How long claims of others are left alone.

    Attributes:
        seconds: None for as long as suits the file system.
    """

    def __init__(
        self,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait by a clock."""
        self.seconds = seconds
        self.clock = clock
        self.sleep = sleep


def former_path(path: str) -> str:
    """Return the path of an object's former state."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.old")


def claim_path(path: str, expect: Version | None) -> str:
    """Return the path under which the state that follows another one is claimed; None for the first state."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.next-{(expect or _ABSENT)[:16].hex()}")


class Swapper:
    """Replaces files in one backend's folder, where its caller holds the folder's lock. All methods raise OSError."""

    def __init__(self, files: FileCalls, takeover: Takeover) -> None:
        self._files = files
        self._takeover = takeover
        self._has_links: bool | None = None
        self._trusts_locks: bool | None = None

    def note_links(self, *, has_links: bool) -> None:
        """Learn whether files can have second names here."""
        self._has_links = has_links

    def says_no_links(self, error: OSError, folder: str) -> bool:
        """Whether a failed link shows that files can have no second names in a folder.

        rclone says EIO for that. On a disk of this machine it is the disk that fails.
        """
        return error.errno in _NO_LINKS or (error.errno == errno.EIO and not self._files.locks_reach_all(folder))

    def replace(self, file: TemporaryFile, path: str) -> None:
        """Rename a synced file to the name of an object, whatever its state. The folder's sync is the caller's."""
        if self._exists(path) and not self._can_link(file, path):
            self._keep_former(path)
        # Where nobody knows yet, the worst is assumed.
        file.rename_to(path, has_one_name=not self._has_links)

    def swap(self, file: TemporaryFile, path: str, expect: Version | None) -> bool:
        """Rename a synced file to an object's name if the object is in the expected state, None for absent; say whether it was.

        The folder's sync, and removing the temporary name, are the caller's.
        """
        if self.version(path) != expect:
            return False
        if self._can_link(file, path):
            return self._swap_by_link(file, path, expect)
        if self._are_locks_trusted(file, os.path.dirname(path)):
            self._keep_former(path)
            file.rename_to(path, has_one_name=True)
            return True
        return self._swap_by_marker(file, path, expect)

    def version(self, path: str) -> Version | None:
        """Return the state of an object; None where it is absent."""
        content = self._read(path)
        return None if content is None else hash_file_bytes(content)

    def _swap_by_link(self, file: TemporaryFile, path: str, expect: Version | None) -> bool:
        claim = claim_path(path, expect)
        if not self._claim(lambda: file.link_to(claim), claim, path, expect, file):
            return False
        try:
            # Somebody who got the lock of another machine may have been faster, and his claim gone by now.
            if self.version(path) != expect:
                with suppress(FileNotFoundError):
                    self._files.unlink(claim)
                return False
            try:
                self._files.rename(claim, path)
            except FileNotFoundError:
                # Whoever took this claim for a dead writer's has entered it. Where the state is still there, it was removed.
                if self.version(path) == expect:
                    return False
        except OSError:
            # Nobody is to enter what its writer is told to have failed.
            with suppress(OSError):
                self._files.unlink(claim)
            raise
        file.sync_named()
        return True

    def _swap_by_marker(self, file: TemporaryFile, path: str, expect: Version | None) -> bool:
        claim = claim_path(path, expect)
        if not self._claim(lambda: self._make_marker(claim), claim, path, expect, file):
            return False
        try:
            if self.version(path) != expect:
                return False
            self._keep_former(path)
            file.rename_to(path, has_one_name=True)
        finally:
            with suppress(FileNotFoundError):
                self._files.unlink(claim)
        return True

    def _claim(self, make: Callable[[], None], claim: str, path: str, expect: Version | None, file: TemporaryFile) -> bool:
        """Make a claim; say no where somebody else has followed the expected state, or was about to."""
        try:
            make()
        except OSError as error:
            # sshfs says EPERM for all that its server refuses.
            is_taken = isinstance(error, FileExistsError) or (error.errno in _NO_LINKS and self._exists(claim))
            if not is_taken:
                raise
            seconds = TAKEOVER_SECONDS if self._are_locks_trusted(file, os.path.dirname(path)) else TAKEOVER_SECONDS_REMOTE
            self.wait_for(claim, path, expect, seconds)
            return False
        return True

    def wait_for(self, claim: str, path: str, expect: Version | None, seconds: float) -> None:
        """Wait until somebody else's claim is entered; enter it after so many seconds, when its writer must be dead."""
        end = self._takeover.clock() + (seconds if self._takeover.seconds is None else self._takeover.seconds)
        while self._exists(claim) and self.version(path) == expect:
            if self._takeover.clock() >= end:
                with suppress(FileNotFoundError):
                    if self._files.stat(claim).st_size:
                        self._files.rename(claim, path)
                    else:
                        self._files.unlink(claim)
                return
            self._takeover.sleep(PAUSE_SECONDS)
        if self.version(path) != expect:
            # What claims to follow a state that is no more was left by a writer killed in its second look.
            with suppress(FileNotFoundError):
                self._files.unlink(claim)

    def _make_marker(self, claim: str) -> None:
        self._files.close(self._files.open(claim, os.O_RDWR | os.O_CREAT | os.O_EXCL))

    def _keep_former(self, path: str) -> None:
        """Keep a copy of what is about to be replaced, durably."""
        content = self._read(path)
        if not content:
            return  # An empty file is what a lost power has left of one.
        copy = TemporaryFile(os.path.dirname(path), self._files)
        try:
            copy.write(content)
            copy.sync()
            copy.rename_to(former_path(path))
            self._files.sync_folder(os.path.dirname(path))
        finally:
            copy.discard()

    def _can_link(self, file: TemporaryFile, path: str) -> bool:
        if self._has_links is None:
            probe = os.path.join(os.path.dirname(path), f".{os.urandom(8).hex()}.probe")
            try:
                file.link_to(probe)
            except OSError as error:
                if not self.says_no_links(error, os.path.dirname(path)):
                    raise
                self._has_links = False
            else:
                self._files.unlink(probe)
                self._has_links = True
        return self._has_links

    def _are_locks_trusted(self, file: TemporaryFile, folder: str) -> bool:
        """Whether a lock holds off everybody. A file system may take locks and keep none, so that is tried."""
        if self._trusts_locks is None:
            self._trusts_locks = self._files.locks_reach_all(folder) and file.is_lock_seen()
        return self._trusts_locks

    def _exists(self, path: str) -> bool:
        try:
            self._files.stat(path)
        except FileNotFoundError:
            return False
        return True

    def _read(self, path: str) -> bytes | None:
        try:
            descriptor = self._files.open(path, READ_FLAGS)
        except FileNotFoundError:
            return None
        try:
            return read_to_end(self._files, descriptor)
        finally:
            self._files.close(descriptor)


def read_to_end(files: FileCalls, descriptor: int, start: int = 0) -> bytes:
    """Read an open file from a place to its end, wherever that is: the size that a network file system shows may be outdated."""
    status = files.stat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return b""  # Somebody's FIFO has neither a size nor places.
    size = max(status.st_size - start, 0)
    parts: list[bytes] = []
    while part := files.read_at(descriptor, max(size, 4096), start):
        parts.append(part)
        start += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
