"""The one place where an errno of the operating system becomes a `StoreError` that a user can act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tallac.errors import SilentStoreError, StoreError, StoreFullError, StorePermissionError, StoreUnavailableError

# EDQUOT and ESTALE do not exist on Windows.
_QUOTA = getattr(errno, "EDQUOT", -1)
_STALE = getattr(errno, "ESTALE", -1)

_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM})
_FAILING_DISK = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV})
_FAILING_NETWORK = frozenset({_STALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTUNREACH, errno.ECONNRESET})

ROOM_FOR_A_NAME = 1 << 20
"""With so many bytes free, it is not for lack of them that a folder takes no further name."""


def printable(path: str) -> str:
    """Show a path on one line, whatever bytes it has: what can't be printed is escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in path)


def store_error(error: OSError, place: str, *, writing: bool) -> StoreError:
    """Return the store's error for a failed call of the operating system.

    Args:
        error: What was raised.
        place: Where the store is, fit for printing.
        writing: Whether the call was part of writing; a reader that lacks permission gets another error than a read-only store.
    """
    code = error.errno
    reason = os.strerror(code) if code is not None else str(error)
    if code == errno.ENOSPC:
        return StoreFullError(f"no space left in {place}: free some space and run this again; earlier snapshots are undamaged")
    if code == _QUOTA:
        return StoreFullError(
            f"the disk quota is used up in {place}: free some space and run this again; earlier snapshots are undamaged"
        )
    if code == errno.EROFS:
        return StorePermissionError(f"{place} lies on a read-only file system: mount it for writing, or use another folder")
    if code in _NO_PERMISSION and writing:
        return StorePermissionError(
            f"{place} can't be written ({reason}): run this as the folder's owner, or change its permissions"
        )
    if code in _NO_PERMISSION:
        return StoreError(f"{place} can't be read ({reason}): run this as the folder's owner, or change its permissions")
    if code == errno.EXDEV:
        return StoreError(f"{place} spans several file systems: keep all of its folders on one")
    if code in _FAILING_NETWORK:
        kind = SilentStoreError if code == errno.ETIMEDOUT else StoreUnavailableError
        return kind(f"{place} does not answer ({reason}): check that it is connected, and run this again")
    if code in _FAILING_DISK:
        return StoreError(f"disk error in {place} ({reason}): check the disk and its cable, then run this again")
    return StoreError(f"{place} can't be {'written' if writing else 'read'} ({reason}): check the folder, and run this again")


def no_name_left(folder: str, room: int) -> StoreError | OSError:
    """Return the error of a file that is stored already and can't be named for lack of space, with so many bytes free."""
    if room < ROOM_FOR_A_NAME:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return StoreFullError(
        f"no more names fit into {folder}, although the disk has room (FAT32 holds 10,922 packs in a folder): "
        "prune joins small packs; or copy the vault to a disk with another file system, such as exFAT"
    )


@contextmanager
def store_errors(place: str, *, writing: bool) -> Iterator[None]:
    """Raise a `StoreError` in place of the OSError that leaves the block."""
    try:
        yield
    except OSError as error:
        raise store_error(error, place, writing=writing) from error
