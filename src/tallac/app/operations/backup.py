"""What a user says of backups, put in the words of `tallac.backup`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tallac.app.locations.grid_path import DEFAULT_ALIAS, AliasName, is_remote, parse_place
from tallac.app.operations.passphrases import Unlocking
from tallac.backup import BackupSummary, Observer
from tallac.caps import MutableDirectoryWrite
from tallac.errors import UsageError
from tallac.interfaces import FileContent
from tallac.transfer import Place

if TYPE_CHECKING:
    from tallac.app.operations.backup_options import BackupOptions
    from tallac.app.operations.backup_sources import Sources
    from tallac.backup.dry_run import DryRunSummary

_DEFAULT_TARGET = f"{DEFAULT_ALIAS}:"


class BackingUp(Unlocking):
    """The part of `tallac.Client` that makes snapshots."""

    # Imports are late throughout, because what looks at snapshots does without the half of the program that makes them.

    standard_input: BinaryIO | None

    def prepare_backup(self, target: str) -> str:
        """Make the default alias if the target lies below it and it is missing; say where a vault was made for it, else ""."""
        return (self.connection.ensure_default_alias() or "") if _is_default(target) else ""

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
        from tallac.app.operations.backup_sources import find_sources  # late import: see above
        from tallac.app.operations.exclusions import read_list  # late import: see above

        listed: list[bytes] = []
        for files, separator in ((files_from, b"\n"), (files_from0, b"\0")):
            for file in files:
                listed.extend(path for path in read_list(file, self.standard_input).split(separator) if path)
        if not paths and not (files_from or files_from0):
            raise UsageError("nothing to back up: name a folder")
        return find_sources(paths, listed, relative_to)

    def backup(
        self,
        sources: str | Path | Sources,
        target: str = _DEFAULT_TARGET,
        *,
        options: BackupOptions | None = None,
        observer: Observer | None = None,
        workers: int | None = None,
    ) -> BackupSummary:
        """Add a snapshot of a folder, or of other sources, to a target, which is made where it is missing.

        A vault that lies in a source is left out.
        """
        from tallac.app.operations.backing_up import back_up_sources, make_order  # late import: see above
        from tallac.app.operations.backup_options import BackupOptions  # late import: see above

        options = options or BackupOptions()
        found = self._sources(sources)
        self.prepare_backup(target)
        grid, located = self.connection.resolve(target)
        vault = self.connection.folder_of(grid)
        order = make_order(found, located, options, vault=vault, workers=workers)
        database = self.connection.folders.state / "source.db"
        summary = back_up_sources(grid, order, database=database, observer=observer or Observer())
        self.seal_aliases(grid.identity)
        return summary

    def dry_run_backup(
        self,
        sources: str | Path | Sources,
        target: str = _DEFAULT_TARGET,
        *,
        options: BackupOptions | None = None,
        observer: Observer | None = None,
    ) -> DryRunSummary:
        """Say what `backup` would come to; nothing is stored or made."""
        from tallac.app.operations.backing_up import dry_run_sources, make_order  # late import: see above
        from tallac.app.operations.backup_options import BackupOptions  # late import: see above

        options = options or BackupOptions()
        found = self._sources(sources)
        database = self.connection.folders.state / "source.db"
        if _is_default(target) and not self.connection.has_default_alias:
            # Nothing is looked up in a target that is not there yet.
            nowhere = Place(MutableDirectoryWrite(bytes(16), bytes(32)), parse_place(target).path, _DEFAULT_TARGET)
            order = make_order(found, nowhere, options, vault=None, workers=0)
            return dry_run_sources(None, order, database=database, observer=observer or Observer())
        grid, located = self.connection.resolve(target)
        order = make_order(found, located, options, vault=self.connection.folder_of(grid), workers=0)
        return dry_run_sources(grid, order, database=database, observer=observer or Observer())

    def backup_stream(
        self, name: str, content: FileContent, target: str = _DEFAULT_TARGET, *, options: BackupOptions | None = None
    ) -> BackupSummary:
        """Add a snapshot that holds a stream as its only file."""
        from tallac.app.operations.backing_up import make_order  # late import: see above
        from tallac.app.operations.backup_options import BackupOptions  # late import: see above
        from tallac.app.operations.backup_sources import stream_source  # late import: see above
        from tallac.backup.stream import back_up_stream  # late import: see above
        from tallac.clock import SystemClock  # late import: see above

        source = stream_source(name)
        self.prepare_backup(target)
        grid, located = self.connection.resolve(target)
        options = options or BackupOptions()
        order = make_order(source, located, options, vault=None, workers=0)
        summary = back_up_stream(grid, order, os.fsencode(name), content, SystemClock())
        self.seal_aliases(grid.identity)
        return summary

    def backup_command(
        self, name: str, command: Sequence[str], target: str = _DEFAULT_TARGET, *, options: BackupOptions | None = None
    ) -> BackupSummary:
        """Add a snapshot that holds what a command writes; where the command fails, nothing is entered."""
        from tallac.app.operations.command_output import running  # late import: see above

        if not command:
            raise UsageError("no command is given: write it after --, as in -- pg_dump mydb")
        with running(command) as content:
            return self.backup_stream(name, content, target, options=options)

    def _sources(self, sources: str | Path | Sources) -> Sources:
        return self.find_sources([sources]) if isinstance(sources, str | Path) else sources


def split_target(paths: Sequence[str]) -> tuple[Sequence[str], str]:
    """Split the arguments of `backup` into sources and the target.

    The last one is the target if it has a colon before its first slash, or is one of two and is not there as a local path.

    Raises:
        UsageError: It can't be told which is meant.
    """
    if paths and is_remote(paths[-1]):
        return paths[:-1], paths[-1]
    if len(paths) < 2:
        return paths, _DEFAULT_TARGET
    last = paths[-1]
    if os.path.lexists(last) or len(paths) > 2:
        raise UsageError(
            f"{last}: is this a source or the target? Write {DEFAULT_ALIAS}:{last} if it is the target, or add the target"
        )
    return paths[:-1], last


def _is_default(target: str) -> bool:
    return parse_place(target).root == AliasName(DEFAULT_ALIAS)
