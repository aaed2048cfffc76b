"""What a user asks a backup for, put in the words of `tallac.backup`, and carried out."""

from __future__ import annotations

import getpass
import os
import platform
from pathlib import Path

from tallac import __version__
from tallac.backup import BackupSummary, Observer
from tallac.backup.run import WORKERS, BackupOrder, back_up
from tallac.caps import DirectoryWriteCap
from tallac.dag import SnapshotFacts
from tallac.errors import AuthorityError, UsageError
from tallac.interfaces import Grid
from tallac.source import Selection
from tallac.sourcedb import SourceDatabase
from tallac.transfer import Place
from tallac.vault import SystemClock

Identity = tuple[int, int]
"""Device and inode: which folder it is, whatever path leads there."""


def back_up_source(
    grid: Grid,
    target: Place,
    source: str | Path,
    *,
    selection: Selection,
    vault: Path | None,
    database: Path,
    observer: Observer,
    workers: int | None,
) -> BackupSummary:
    """Add a snapshot of a folder to a target, which is made where it is missing. A vault that lies in the folder is left out.

    Args:
        grid: Where the target is.
        target: Where the snapshot goes.
        source: A folder.
        selection: What of it is backed up.
        vault: The folder of the grid's vault, if it is in one.
        database: The source database's file.
        observer: Told what happens.
        workers: How many worker processes may be started; None for as many as suit.

    Raises:
        As `make_order` and `back_up`.
    """
    order = make_order(source, target, selection, vault, WORKERS if workers is None else workers)
    with SourceDatabase(database, lambda what: observer.notice(os.fsencode(database), what)) as opened:
        return back_up(grid, order, opened, SystemClock(), observer=observer)


def make_order(source: str | Path, target: Place, selection: Selection, vault: Path | None, workers: int) -> BackupOrder:
    """Say what is to be backed up where, by whom, and what is to be left out.

    Args:
        source: A folder.
        target: Where the snapshot goes.
        selection: What of the source is backed up.
        vault: The folder of the vault that the target is in, if it is in one.
        workers: How many worker processes may be started.

    Raises:
        AuthorityError: The target can't be changed.
        UsageError: The source lies in the vault.
    """
    if not isinstance(target.cap, DirectoryWriteCap):
        raise AuthorityError(f"{target}: its cap ({target.cap.kind}) does not allow to add snapshots; a write cap is needed")
    absolute = os.path.abspath(os.fsencode(source))
    excluded = None if vault is None else _identity(vault)
    if excluded is not None and excluded in _identities_upwards(absolute):
        raise UsageError(f"{source}: this lies in the vault that it would be backed up into; choose another source or vault")
    return BackupOrder(
        root=target.cap,
        path=target.path,
        source=absolute,
        facts=SnapshotFacts(host=platform.node(), user=_user(), version=__version__),
        selection=selection,
        is_excluded=lambda device, inode: (device, inode) == excluded,
        workers=workers,
    )


def _identity(path: str | bytes | Path) -> Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None  # Whoever opens it says what is wrong.
    return status.st_dev, status.st_ino


def _identities_upwards(path: bytes) -> set[Identity]:
    """Give the identities of a folder and of all that it lies in, wherever links lead."""
    path = os.path.realpath(path)
    found = set()
    while True:
        identity = _identity(path)
        if identity is not None:
            found.add(identity)
        parent = os.path.dirname(path)
        if parent == path:
            return found
        path = parent


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""  # Nobody of that number has a name.
