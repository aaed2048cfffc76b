"""What a user asks a backup for, put in the words of `tallac.backup`, and carried out."""

from __future__ import annotations

import getpass
import os
import platform
from contextlib import ExitStack
from pathlib import Path

from tallac import __version__
from tallac.app.operations.backup_options import BackupOptions
from tallac.app.operations.backup_sources import Sources
from tallac.backup import BackupSummary, Observer
from tallac.backup.dry_run import DryRunSummary, dry_run
from tallac.backup.run import WORKERS, BackupRequest, back_up
from tallac.caps import DirectoryWriteCap
from tallac.clock import SystemClock
from tallac.dag import SnapshotFacts, display_path
from tallac.errors import AuthorityError, UsageError
from tallac.interfaces import Grid
from tallac.sourcedb import SourceDatabase, SourceRecord
from tallac.transfer import Place

Identity = tuple[int, int]
"""Device and inode: which folder it is, whatever path leads there."""


def back_up_sources(grid: Grid, order: BackupRequest, *, database: Path, observer: Observer) -> BackupSummary:
    """Carry an order out.

    Args:
        grid: Where the target is.
        order: What to do.
        database: The source database's file.
        observer: Told what happens.

    Raises:
        As `back_up`.
    """
    with SourceDatabase(database, lambda message: observer.notice(os.fsencode(database), message)) as opened:
        return back_up(grid, order, opened, SystemClock(), observer=observer)


def dry_run_sources(grid: Grid | None, order: BackupRequest, *, database: Path, observer: Observer) -> DryRunSummary:
    """Say what carrying an order out would come to; nothing is changed.

    Args:
        grid: Where the target would be; None where there is none yet.
        order: What would be done.
        database: The source database's file, which is not made where it is missing.
        observer: Told what would happen.

    Raises:
        As `dry_run`.
    """
    with ExitStack() as stack:
        if grid is not None and database.exists():
            opened = stack.enter_context(SourceDatabase(database, lambda message: observer.notice(os.fsencode(database), message)))
            record = opened.record(grid.identity, *order.named_sources)
        else:
            record = SourceRecord(None, "", order.named_sources, lambda _: None)
        return dry_run(grid, order, record, SystemClock(), observer=observer)


def make_order(
    sources: Sources, target: Place, options: BackupOptions, *, vault: Path | None, workers: int | None
) -> BackupRequest:
    """Say what is to be backed up where, by whom, and what is to be left out.

    Args:
        sources: What is backed up.
        target: Where the snapshot goes.
        options: How.
        vault: The folder of the vault that the target is in, if it is in one.
        workers: How many worker processes may be started; None for as many as suit.

    Raises:
        AuthorityError: The target can't be changed.
        UsageError: A source lies in the vault, or the snapshot is to have a time that has not come yet.
    """
    if not isinstance(target.cap, DirectoryWriteCap):
        raise AuthorityError(f"{target}: its cap ({target.cap.kind}) does not allow to add snapshots; a write cap is needed")
    excluded = None if vault is None else _identity(vault)
    for place in sources.places:
        if excluded is not None and excluded in _identities_upwards(place):
            shown = display_path(place)
            raise UsageError(f"{shown}: this lies in the vault that it would be backed up into; choose another source or vault")
    options.require_sense(SystemClock().now_ns())
    return BackupRequest(
        root=target.cap,
        path=target.path,
        source=sources.root,
        scope=sources.scope,
        sources=sources.named,
        missing=sources.missing,
        facts=SnapshotFacts(
            host=platform.node() if options.host is None else options.host, user=_user(), tags=options.tags, version=__version__
        ),
        selection=options.selection,
        is_excluded=lambda device, inode: (device, inode) == excluded,
        workers=WORKERS if workers is None else workers,
        time_ns=options.time_ns,
        trusts_timestamps=not options.ignore_timestamps,
        skips_unchanged=options.skip_if_unchanged,
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
