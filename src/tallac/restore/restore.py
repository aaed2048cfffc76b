"""The operation: restore a snapshot, or a file or directory of one, into a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress

from tallac.caps import ReadCap
from tallac.dag import Entry, Metadata, display_path, join_path
from tallac.errors import DestinationError, EntryError
from tallac.interfaces import CapReader
from tallac.restore.count import expect
from tallac.restore.destination import Folder, open_folder, open_folder_if_there
from tallac.restore.filesystem import DESTINATION, DestinationSystem
from tallac.restore.options import PLAIN, Overwrite, RestoreOptions, RestoreSettings, absence_at_top
from tallac.restore.owners import Owners
from tallac.restore.parallel.process_pool import WORKERS
from tallac.restore.parallel.runner import BatchRunner
from tallac.restore.path_filter import Scope
from tallac.restore.read_only.dry_run import DryRun
from tallac.restore.read_only.verify import Verification
from tallac.restore.report import RestoreObserver, RestoreSummary, Tally
from tallac.restore.safe_names import is_safe_component
from tallac.restore.walk import Level, Walk

RunnerFactory = Callable[[int, RestoreSettings], BatchRunner]
"""Makes a runner, given the destination's descriptor and the settings."""


def restore(
    grid: CapReader,
    root: Entry | ReadCap,
    destination: bytes | str | os.PathLike[str],
    *,
    options: RestoreOptions = PLAIN,
    observer: RestoreObserver | None = None,
    make_runner: RunnerFactory | None = None,
    workers: int | None = None,
    system: DestinationSystem = DESTINATION,
) -> RestoreSummary:
    """Restore what a cap leads to.

    A directory's entries go into the destination, which gets the directory's metadata; it is made, or must be empty unless the
    options say what becomes of what is there. Anything else goes into the destination under its entry's name, beside what is
    there; then the folder keeps its own metadata. Nothing is written outside the destination. Files are not forced to disk.

    Over what is there, each file is written under another name and takes its own when it is whole; so a restore that was killed
    is finished by the next one with the same options.

    Args:
        grid: Where to read.
        root: An entry with its metadata, or a directory's cap.
        destination: A folder's path, of any length. Symbolic links in it are followed, since it is the user's own word.
        options: What of it is wanted, and how.
        observer: Called with what happens.
        make_runner: Gives what restores batches of regular files, in place of worker processes.
        workers: How many worker processes may be started; None for as many as suit, 0 for none.
        system: The calls that write.

    Raises:
        DestinationError: The folder can't be used, or failed later on, as with a full disk. What was written stays.
        EntryError: A file has no name that it could get.
        UsageError: A rule names an owner whom this machine does not know.
        StoreError: The store failed, other than by damage, which is reported and left out.
    """
    entry = root if isinstance(root, Entry) else Entry.of(b"", root)
    if not entry.is_directory and not is_safe_component(entry.name):
        raise EntryError(f"{display_path(entry.name)!r}: a file can't be restored under this name; give it another one")
    # A rule that names nobody is an error before anything is made.
    Owners(numeric=options.numeric_owners, user_rules=options.user_rules, group_rules=options.group_rules)
    path = os.fsencode(destination)
    must_be_empty = entry.is_directory and options.overwrite is None
    tally = Tally(observer or RestoreObserver(), reported=set() if options.verify else None)
    expect(tally, grid, entry, options.selection)
    if entry.is_directory:
        entry = tally.take_root(entry, is_foreign=options.is_foreign)
    _guard_own(path, options)
    tally.summary.directories = int(entry.is_directory)
    if options.dry_run:
        with open_folder_if_there(path, must_be_empty=must_be_empty, system=system) as there:
            if there is not None:
                _guard(there, path, entry, options, system)
            settings = _settings(options, there, path, entry, system)
            DryRun(grid, there.descriptor if there else None, options, settings, tally).run(entry, absence_at_top(options, entry))
        return tally.summary
    with open_folder(path, must_be_empty=must_be_empty, system=system) as folder:
        _guard(folder, path, entry, options, system)
        if must_be_empty:
            _stop_inheritance(folder, path)
        settings = _settings(options, folder, path, entry, system)
        runner = make_runner(folder.descriptor, settings) if make_runner else None
        # Workers use the real calls; whoever bends them wants to see them all.
        count = (WORKERS if system is DESTINATION else 0) if workers is None else workers
        walk = Walk(grid, folder.descriptor, settings, system, tally, runner=runner, workers=count, options=options)
        walk.run(_top_level(walk, entry, folder, options))
        if options.verify:
            system.sync()
            Verification(grid, folder.descriptor, options, settings, system, tally).run(entry)
    return tally.summary


def _settings(
    options: RestoreOptions, folder: Folder | None, path: bytes, entry: Entry, system: DestinationSystem
) -> RestoreSettings:
    is_in_place = options.overwrite is not None
    return RestoreSettings(
        destination=path,
        numeric_owners=options.numeric_owners,
        user_rules=options.user_rules,
        group_rules=options.group_rules,
        # What is there already may have whatever children inherit.
        inherits_acls=is_in_place or (folder is not None and folder.inherits_acls),
        inherits_flags=is_in_place or (folder is not None and folder.inherits_flags),
        replaces=is_in_place,
        is_beside_others=not is_in_place and not entry.is_directory,
        root=-1 if folder is None else folder.descriptor,
        system=system,
    )


def _top_level(walk: Walk, entry: Entry, folder: Folder, options: RestoreOptions) -> Level:
    top = options.selection.top
    if not entry.is_directory:
        return Level(iter((entry,)), None, None, top)
    keeps_own = options.overwrite is not None and (top is Scope.TRAVERSE_ONLY or options.overwrite is Overwrite.NEVER)
    metadata = folder.final_metadata(Metadata() if keeps_own and not folder.is_new else entry.metadata)
    level = walk.level_of(entry, metadata, top)
    level.absence = absence_at_top(options, entry)
    if level.absence is not None and level.stored is not None:
        level.absence.take_in(walk.grid, level.stored)
    if folder.is_new:
        level.stored = None  # Nothing is to be done about what it holds.
    return level


def _guard_own(path: bytes, options: RestoreOptions) -> None:
    place = options.own.find_above(path)
    if place is not None:
        raise DestinationError(f"{display_path(path)}: nothing is restored here: it is {place.kind.value}, or is inside it")


def _guard(folder: Folder, path: bytes, entry: Entry, options: RestoreOptions, system: DestinationSystem) -> None:
    """Refuse what nobody means. Raises DestinationError."""
    _guard_home(folder, path, options)
    _guard_device(folder, path, entry, system)


def _guard_device(folder: Folder, path: bytes, entry: Entry, system: DestinationSystem) -> None:
    """Refuse to put a single file in the place of a device, FIFO or socket that the user has named, as in `/dev/null`."""
    if entry.is_directory:
        return
    with suppress(OSError):  # Nothing is there, or it can't be looked at: then nothing is replaced either.
        kind = stat.S_IFMT(system.lstat(entry.name, folder.descriptor).st_mode)
        wanted = stat.S_IFMT(entry.metadata.mode or stat.S_IFREG)
        if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, wanted):
            place = display_path(join_path(path, entry.name))
            raise DestinationError(f"{place}: a device, FIFO or socket is there, and stays; `tallac get` writes into it")


def _guard_home(folder: Folder, path: bytes, options: RestoreOptions) -> None:
    if not options.delete or options.allow_delete_home:
        return
    try:
        is_refused = folder.lies_above_home()
    except OSError as error:
        raise DestinationError(f"{display_path(path)}: can't be read: {error.strerror}; choose another folder") from error
    if is_refused:
        advice = "if that is meant, add --allow-delete-home"
        raise DestinationError(f"{display_path(path)}: --delete would empty your home folder, or a folder above it; {advice}")


def _stop_inheritance(folder: Folder, path: bytes) -> None:
    try:
        folder.stop_inheritance()
    except OSError as error:
        raise DestinationError(f"{display_path(path)}: can't be written: {error.strerror}; choose another folder") from error
