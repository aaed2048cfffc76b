"""Replace a file of this machine as a whole, one at a time: configuration, index copy, what a client remembers of a vault.

And what is shared by those who change one in places: locks, and SQLite's log.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tallac.file_calls import REAL, FileCalls

if TYPE_CHECKING:
    import sqlite3

_BLOCK_PARTS = 4096

_RETRY_SECONDS = 0.01


class Durability(IntEnum):
    """The contents that a replaced file may have after a power loss; if only the program is killed, it is the old or the new one.

    NONE: Anything. For what can be had again, and is read with distrust.
    CONTENT: The old file or the new one, and never a part.
    FULL: The new file, once the call has returned.

    On FAT a power loss between the rename and the sync behind it may leave an empty file, whatever was asked for.
    """

    NONE = 0
    CONTENT = 1
    FULL = 2


def replace(
    path: Path,
    content: bytes | Iterable[bytes],
    durability: Durability,
    *,
    temporary: Path | None = None,
    calls: FileCalls = REAL,
) -> None:
    """Make this the content of a file that only the user can read; whoever reads it meanwhile sees the old one or the new one.

    Args:
        path: The file, in a folder that exists. A symbolic link is replaced itself.
        content: All of it, or its parts in order.
        durability: What has survived a power loss.
        temporary: The name under which it is written first: for callers that hold a lock, so that killed runs leave one such file
            and not many. None for a random one.
        calls: The operating system; a test counts the calls, or loses power between two.

    Raises:
        OSError: It could not be written. The file is as it was, unless the last flush of its folder has failed.
    """
    temporary = temporary or path.with_name(f".tmp-{os.urandom(8).hex()}")
    if os.path.lexists(temporary):
        # What a killed run left may have other rights; the mode counts at creation only.
        calls.unlink(str(temporary))
    try:
        _write(temporary, content, calls, is_synced=durability >= Durability.CONTENT)
        calls.rename(str(temporary), str(path))
    except BaseException:
        with contextlib.suppress(OSError):
            calls.unlink(str(temporary))
        raise
    if durability >= Durability.CONTENT:
        _sync_again(path, calls)
    if durability is Durability.FULL:
        calls.sync_folder(str(path.parent))


def _sync_again(path: Path, calls: FileCalls) -> None:
    """Sync a renamed file: on FAT its size is in the record of its name, which says 0 until then. Elsewhere it costs nothing."""
    try:
        descriptor = calls.open(str(path), os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return  # Somebody has replaced it meanwhile, and syncs that.
    try:
        calls.fsync(descriptor)
    finally:
        calls.close(descriptor)


def make_private_folders(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that only the user can enter any of them from its first moment.

    Folders that exist are left as they are.

    Raises:
        OSError: One can't be made.
    """
    missing = [folder]
    while not missing[-1].parent.is_dir() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        # pathlib's `parents` makes the upper ones with the usual rights, which under a loose umask are everybody's.
        each.mkdir(mode=0o700, exist_ok=True)


def create(path: Path, content: bytes, *, calls: FileCalls = REAL) -> None:
    """Make a file that only the user can read; it and its name are durable when this returns.

    Raises:
        FileExistsError: There is such a file.
        OSError: It could not be written.
    """
    _write(path, content, calls, is_synced=True)
    calls.sync_folder(str(path.parent))


def _write(path: Path, content: bytes | Iterable[bytes], calls: FileCalls, *, is_synced: bool) -> None:
    descriptor = calls.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0))
    try:
        parts = iter((content,) if isinstance(content, bytes) else content)
        while block := list(islice(parts, _BLOCK_PARTS)):
            left = memoryview(b"".join(block))
            while left:
                left = left[calls.write(descriptor, left) :]
        if is_synced:
            calls.fsync(descriptor)
    finally:
        calls.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def wait_for_lock(descriptor: int) -> None:
        """Lock an open file; wait while another process or thread has it. It is free again when it is closed."""
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def wait_for_lock(descriptor: int) -> None:
        """Lock an open file; wait while another process or thread has it. It is free again when it is closed."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that this file stands for; wait while another process or thread has it.

    The file is made where it is missing, readable by the user alone, and stays: to remove it would let two have the lock.

    Raises:
        OSError: The file can't be made or opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def write_ahead(connection: sqlite3.Connection, timeout_seconds: float) -> None:
    """Write changes of a database to a log first from now on, so that nobody who reads waits for them. It stays so in the file.

    SQLite itself does not wait here for another process that has just made the file and writes to it, whatever its time-out is:
    findings/sqlite-the-switch-to-a-log-waits-for-a-reader-and-not-for-a-writer.sh.

    Raises:
        sqlite3.Error: Others were writing all the time, or it can't be done.
    """
    import sqlite3  # lazy import: most files are no databases

    end = time.monotonic() + timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return
