"""Backing up: what a user says of a backup becomes a `BackupRequest`, which is carried out."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from tallac import __version__
from tallac.app.configuration.folders import host_name
from tallac.app.locations.grid_path import DEFAULT_ALIAS, AliasName, is_remote, parse_grid_path, write_alias
from tallac.app.operations.aliases import Aliases
from tallac.app.operations.backup_sources import (
    Sources,
    command_output,
    find_sources,
    require_not_own,
    require_outside,
    stream_source,
)
from tallac.app.operations.exclusions import read_list
from tallac.app.operations.user_envelopes import UserEnvelopes
from tallac.app.operations.vault_settings import choose_compression
from tallac.app.workspace import Workspace
from tallac.backup import BackupSummary, Observer
from tallac.backup.decide import UNCHANGED_BY
from tallac.backup.request import BackupRequest, workers_here
from tallac.backup.run import back_up
from tallac.backup.stream import back_up_stream
from tallac.caps import DirectoryWriteCap, MutableDirectoryWrite
from tallac.clock import SystemClock
from tallac.dag import ARCHIVES, LATEST, SnapshotFacts, display_path
from tallac.errors import AuthorityError, UsageError
from tallac.interfaces import FileContent, Grid
from tallac.interfaces.compressing import Compression
from tallac.source import NOTHING_OWN, REAL, OwnFiles, Selection
from tallac.sourcedb import SourceDatabase, SourceRecord, last_backup
from tallac.transfer.directory_edits import new_name
from tallac.transfer.place import Place

if TYPE_CHECKING:
    from tallac.backup.dry_run import DryRunSummary
    from tallac.backup.look_ahead import LookAhead

LOOK_AHEAD_FILES_MIN = 5_000
"""A source that had fewer files in its last backup is looked at by one process: another takes as long as a thousand names."""

_DEFAULT_TARGET = f"{DEFAULT_ALIAS}:"
_NOWHERE = MutableDirectoryWrite(bytes(16), bytes(32))


class BackupOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to back up; the defaults suit most.

    Attributes:
        selection: Which files of the sources are backed up; `Exclusions` makes one.
        tags: The snapshot's tags.
        host: The host name in the snapshot; None for the machine's own.
        time_ns: What the snapshot is named by, nanoseconds since 1970, UTC; None for the time at which it is made.
        ignore_timestamps: Read all files, also those that look as they did.
        unchanged_by: By which of `UNCHANGED_BY` files are recognised; `size` and `mtime` have to be among them.
        skip_if_unchanged: Make no snapshot if the latest one has the very same files.
        allow_empty: Make a snapshot also where a source is empty that had files before.
        removed_share_max: The share of the files of before that may have been removed, from 0 to 1; None for any.
        include_own: Back up Tallac's own keys, configuration, state and vaults as well, save for the vault that this goes into.
        compression: How much to compress; None for what the vault's settings say.
        counts_ahead: Count a source of which nothing is known while it is backed up, if an observer is told the progress.
    """

    selection: Selection = msgspec.field(default_factory=Selection)
    tags: tuple[str, ...] = ()
    host: str | None = None
    time_ns: int | None = None
    ignore_timestamps: bool = False
    unchanged_by: tuple[str, ...] = UNCHANGED_BY
    skip_if_unchanged: bool = False
    allow_empty: bool = False
    removed_share_max: float | None = None
    include_own: bool = False
    compression: Compression | None = None
    counts_ahead: bool = True

    def require_sense(self, now_ns: int) -> None:
        """Refuse options that make no sense.

        Raises:
            UsageError: The snapshot is to have no host, or a time before 1970, or one that has not come yet: nothing newer would
                ever become the latest one.
        """
        if not {"size", "mtime"} <= set(self.unchanged_by) <= set(UNCHANGED_BY):
            fields = ",".join(self.unchanged_by)
            raise UsageError(f"--unchanged-by {fields}: give size,mtime, and as far as they stay the same ctime and inode")
        if self.time_ns is not None and self.time_ns > now_ns:
            raise UsageError("a snapshot can't have a time in the future; give an earlier one")
        if self.time_ns is not None and self.time_ns < 0:
            raise UsageError("a snapshot can't have a time before 1970; give a later one")
        if self.host == "":
            raise UsageError("a snapshot's host can't be empty; leave out --host for this machine's name")


class Backups:
    """Makes snapshots."""

    def __init__(
        self, workspace: Workspace, aliases: Aliases, standard_input: BinaryIO | None, warn: Callable[[str], None]
    ) -> None:
        self._workspace = workspace
        self._aliases = aliases
        self._standard_input = standard_input
        self._envelopes = UserEnvelopes(workspace, warn)

    def prepare(self, target: str) -> str:
        """Make the default alias if the target lies below it and it is missing; return where a vault was made, "" if none was."""
        self.check_target(target)
        return self._aliases.ensure_default() if _is_default(target) else ""

    def check_target(self, target: str) -> None:
        """Refuse a target that can't be meant.

        Raises:
            EntryError: A component of it can't be the name of an entry.
            UsageError: It lacks a colon.
        """
        self._workspace.require_colon(target)
        path = parse_grid_path(target).path
        _require_no_snapshots(target, path)
        for length in range(1, len(path) + 1):
            new_name(Place(_NOWHERE, path[:length], f"{target.partition(':')[0]}:"))

    def split_target(self, paths: Sequence[str]) -> tuple[Sequence[str], str]:
        """Split the arguments of `backup` into sources and the target, as it is written with its alias.

        The last one is the target if it has a colon before its first slash, or is one of two and is not there as a local path.

        Raises:
            UsageError: The last one may be either, or lacks its colon; or the others are no sources.
        """
        self._require_sources_first(paths)
        if paths and not os.path.lexists(paths[-1]):
            self._workspace.require_colon(paths[-1])
        sources, target = _split_target(paths)
        self.check_target(target)
        return sources, write_alias(target)

    def _require_sources_first(self, paths: Sequence[str]) -> None:
        """Refuse arguments that are not sources with the target behind them, with what to write instead."""
        targets = [path for path in paths if is_remote(path)]
        if "-" in paths:
            target = targets[0] if targets else f"{DEFAULT_ALIAS}:db"
            raise UsageError(
                f"-: standard input is backed up with --stdin-name, as in `tallac backup {target} --stdin-name mydb.sql`; "
                "a file of this name is written ./-"
            )
        for path in paths[:-1]:
            if is_remote(path) and not os.path.lexists(path):
                if is_remote(paths[-1]):
                    raise UsageError(
                        f"{path}: there is one target, {paths[-1]}, the last argument; a folder of this name is ./{path}"
                    )
                raise UsageError(f"{path}: the target comes last: write `tallac backup {paths[-1]} {path}`")
        if paths and is_remote(paths[-1]) and os.path.lexists(paths[-1]):
            alias = self._workspace.alias_of_vault(paths[-1])
            if alias is not None and not self._workspace.has_alias(alias):
                raise UsageError(
                    f"{paths[-1]}: a colon makes it a target, and there is no alias {alias}:; the folder is ./{paths[-1]}"
                )

    def find_sources(
        self,
        paths: Sequence[str | Path],
        *,
        files_from: Sequence[str] = (),
        files_from0: Sequence[str] = (),
        relative_to: str | Path | None = None,
    ) -> Sources:
        """Find what is to be backed up: one folder, or several sources that lie in the snapshot under their absolute paths.

        Args:
            paths: Folders and files.
            files_from: Files that list paths, one a line; `-` is standard input.
            files_from0: The same, with a zero byte after each path.
            relative_to: A folder that the paths in the snapshot begin at, in place of the file system's root.

        Raises:
            SourceError: One of `paths` is not there, or the lists name nothing that is.
            UsageError: Nothing is named, or a list can't be read.
        """
        listed: list[bytes] = []
        for files, separator in ((files_from, b"\n"), (files_from0, b"\0")):
            for file in files:
                listed.extend(path for path in read_list(file, self._standard_input).split(separator) if path)
        if not paths and not (files_from or files_from0):
            raise UsageError(
                "nothing to back up: name a folder, before the target if there is one, as in `tallac backup ~/Documents`"
            )
        return find_sources(paths, listed, relative_to)

    def run(
        self,
        sources: str | Path | Sources,
        target: str = _DEFAULT_TARGET,
        *,
        options: BackupOptions | None = None,
        observer: Observer | None = None,
        workers: int | None = None,
        elsewhere: Callable[[bytes], bytes] | None = None,
    ) -> BackupSummary:
        """Add a snapshot of a folder, or of other sources, to a target, which is made where it is missing.

        A vault that lies in a source is left out.

        Args:
            sources: What to back up.
            target: Where the snapshot goes.
            options: How.
            observer: Told what happens.
            workers: How many worker processes may be started; None for what the machine's processors are good for.
            elsewhere: Returns where an absolute path of the sources is really read, as in a snapshot of its file system.

        Raises:
            AuthorityError: The target can't be changed.
            UsageError: A source lies in the vault, or the snapshot is to have a time that has not come yet.
            As `back_up`.
        """
        found = self._sources(sources)
        self.prepare(target)
        observer, options = observer or Observer(), options or BackupOptions()
        # Before the target is opened: once a store was used there may be threads, and then nothing is forked.
        is_plain = elsewhere is None and not options.ignore_timestamps
        with self._look_ahead(found, options) if is_plain else nullcontext() as ahead:
            grid, located = self._resolve(target, options)
            own, filesystem = self._own(grid, options), REAL
            if elsewhere is not None:
                from tallac.source.elsewhere import ElsewhereFileSystem  # lazy import: few backups read a source elsewhere

                own = own.seen_at(elsewhere)
                filesystem = ElsewhereFileSystem(found.root, elsewhere(found.real_root))
            count = workers_here() if workers is None else workers
            request = _request(found, located, options, own=own, vault=self._workspace.folder_of(grid), workers=count)
            with SourceDatabase(self._database, _notice(observer, self._database)) as database:
                summary = back_up(grid, request, database, SystemClock(), observer=observer, filesystem=filesystem, ahead=ahead)
        self._envelopes.refresh(grid.identity)
        return summary

    def dry_run(
        self,
        sources: str | Path | Sources,
        target: str = _DEFAULT_TARGET,
        *,
        options: BackupOptions | None = None,
        observer: Observer | None = None,
    ) -> DryRunSummary:
        """Report what `run` would come to; nothing is stored or made."""
        from tallac.backup.dry_run import dry_run  # lazy import: a backup does without it

        found = self._sources(sources)
        self.check_target(target)
        observer = observer or Observer()
        if _is_default(target) and not self._aliases.has_default:
            # Nothing is looked up in a target that is not there yet.
            nowhere = Place(_NOWHERE, parse_grid_path(target).path, _DEFAULT_TARGET)
            request = _request(found, nowhere, options, own=self._own(None, options), vault=None, workers=0)
            return dry_run(None, request, _no_record(request), SystemClock(), observer=observer)
        grid, located = self._workspace.resolve(target)
        request = _request(found, located, options, own=self._own(grid, options), vault=self._workspace.folder_of(grid), workers=0)
        if not self._database.exists():
            return dry_run(grid, request, _no_record(request), SystemClock(), observer=observer)
        with SourceDatabase(self._database, _notice(observer, self._database)) as database:
            record = database.record(grid.identity, *request.named_sources)
            return dry_run(grid, request, record, SystemClock(), observer=observer)

    def run_stream(
        self, name: str, content: FileContent, target: str = _DEFAULT_TARGET, *, options: BackupOptions | None = None
    ) -> BackupSummary:
        """Add a snapshot that holds a stream as its only file."""
        source = stream_source(name)
        self.prepare(target)
        grid, located = self._resolve(target, options)
        request = _request(source, located, options, own=NOTHING_OWN, vault=None, workers=0)
        summary = back_up_stream(grid, request, os.fsencode(name), content, SystemClock())
        self._envelopes.refresh(grid.identity)
        return summary

    def run_command(
        self, name: str, command: Sequence[str], target: str = _DEFAULT_TARGET, *, options: BackupOptions | None = None
    ) -> BackupSummary:
        """Add a snapshot that holds the output of a command; no snapshot is made where the command fails."""
        if not command:
            raise UsageError("no command given: write it after --, as in -- pg_dump mydb")
        with command_output(command) as content:
            return self.run_stream(name, content, target, options=options)

    def _resolve(self, target: str, options: BackupOptions | None) -> tuple[Grid, Place]:
        """Find the target, and choose how much its grid compresses in this backup."""
        grid, located = self._workspace.resolve(target)
        choose_compression(grid, None if options is None else options.compression)
        return grid, located

    def _look_ahead(self, found: Sources, options: BackupOptions) -> AbstractContextManager[LookAhead | None]:
        if (last := last_backup(self._database, found.named or (found.root,))).files < LOOK_AHEAD_FILES_MIN:
            return nullcontext()
        from tallac.app.operations.looking_ahead import looking_ahead  # lazy import: a small source does without

        return looking_ahead(found, options.selection, self._own(None, options), last.read_ns)

    def _own(self, grid: Grid | None, options: BackupOptions | None) -> OwnFiles:
        return self._workspace.own_files(grid, includes_own=options is not None and options.include_own)

    @property
    def _database(self) -> Path:
        return self._workspace.folders.state / "source.db"

    def _sources(self, sources: str | Path | Sources) -> Sources:
        return self.find_sources([sources]) if isinstance(sources, str | Path) else sources


def _split_target(paths: Sequence[str]) -> tuple[Sequence[str], str]:
    if paths and is_remote(paths[-1]):
        return paths[:-1], paths[-1]
    if len(paths) < 2:
        return paths, _DEFAULT_TARGET
    last = paths[-1]
    if os.path.lexists(last) or len(paths) > 2:
        raise UsageError(
            f"{last}: can't tell whether this is a source or the target: write "
            f"{DEFAULT_ALIAS}:{last} if it is the target, or add the target"
        )
    return paths[:-1], last


def _require_no_snapshots(target: str, path: Sequence[bytes]) -> None:
    """Refuse a target among the snapshots of another.

    Raises:
        UsageError: It lies there.
    """
    for name in (ARCHIVES, LATEST):
        if name in path:
            above = path[: path.index(name)]
            meant = f"{target.partition(':')[0] if is_remote(target) else DEFAULT_ALIAS}:{display_path(b'/'.join(above))}"
            raise UsageError(f"{target}: this is among the snapshots of {meant}; to add one, write {meant}")


def _is_default(target: str) -> bool:
    return parse_grid_path(target).root == AliasName(DEFAULT_ALIAS)


def _request(
    sources: Sources, target: Place, options: BackupOptions | None, *, own: OwnFiles, vault: Path | None, workers: int
) -> BackupRequest:
    if not isinstance(target.cap, DirectoryWriteCap):
        raise AuthorityError(f"{target}: its cap ({target.cap.kind}) does not allow adding snapshots; a write cap is needed")
    if ARCHIVES in target.path:
        raise UsageError(f"{target}: this is a snapshot; name the target, without an @")
    options = options or BackupOptions()
    require_outside(sources, vault)
    require_not_own(sources, own)
    options.require_sense(SystemClock().now_ns())
    return BackupRequest(
        root=target.cap,
        path=target.path,
        source=sources.root,
        scope=sources.scope,
        sources=sources.named,
        missing=sources.missing,
        remarks=sources.remarks,
        facts=SnapshotFacts(
            host=host_name() if options.host is None else options.host, user=_user(), tags=options.tags, version=__version__
        ),
        selection=options.selection,
        own=own,
        workers=workers,
        time_ns=options.time_ns,
        trusts_timestamps=not options.ignore_timestamps,
        skips_unchanged=options.skip_if_unchanged,
        allows_empty=options.allow_empty,
        removed_share_max=options.removed_share_max,
        unchanged_by=frozenset(options.unchanged_by),
        counts_ahead=options.counts_ahead,
    )


def _no_record(request: BackupRequest) -> SourceRecord:
    return SourceRecord(None, "", request.named_sources, lambda _: None)


def _notice(observer: Observer, database: Path) -> Callable[[str], None]:
    return lambda message: observer.notice(os.fsencode(database), message)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""  # Nobody of that number has a name.
