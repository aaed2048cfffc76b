"""`tallac backup`."""

from __future__ import annotations

from typing import Unpack

import click

from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.app.operations.backup import split_target
from tallac.app.operations.backup_sources import check_stream_name
from tallac.backup import BackupSummary
from tallac.cli.command import CommandContext, argument, count_behind_dashes, define, flag, made_vault, ways_back
from tallac.cli.options.exclusions import exclusion_options
from tallac.cli.output.progress import ProgressLine
from tallac.cli.reports.backup import (
    Wishes,
    dry_run_fields,
    dry_run_rows,
    observer,
    options_of,
    summary_fields,
    summary_rows,
    wish_options,
)
from tallac.errors import UsageError

INCOMPLETE = 3
STREAM_NAME = "stdin"


@define(
    "backup",
    [
        argument("paths", "[FROM...] [ALIAS:TO]", count=-1, is_optional=True),
        *exclusion_options(),
        click.Option(["--files-from"], metavar="FILE|-", multiple=True, help="Back up the paths in a file, one a line."),
        click.Option(["--files-from0"], metavar="FILE|-", multiple=True, help="The same, with a zero byte after each path."),
        click.Option(
            ["--relative-to"], metavar="FOLDER", help="Keep sources under their paths from this folder, and not from the root."
        ),
        click.Option(["--stdin-name"], metavar="NAME", help="Back up standard input as a file of this name."),
        flag("--stdin-from-command", text="Back up what the command behind -- writes; if it fails, nothing is entered."),
        *wish_options(),
        flag("-n", "--dry-run", text="Only show what would be stored."),
    ],
    examples=(
        "tallac backup ~/Documents",
        "tallac backup ~/Documents home:docs",
        "tallac backup ~/Documents ~/Pictures /etc home:all --exclude-caches --exclude '*.iso'",
        "tallac backup home:db --stdin-from-command --stdin-name mydb.sql -- pg_dump mydb",
    ),
)
def command(
    run: CommandContext,
    paths: tuple[str, ...],
    files_from: tuple[str, ...],
    files_from0: tuple[str, ...],
    relative_to: str | None,
    stdin_name: str | None,
    stdin_from_command: bool,
    dry_run: bool,
    **wishes: Unpack[Wishes],
) -> int:
    """Add a snapshot of a folder to a target.

    The snapshot goes under TO/Archives, named by its UTC time, and TO/Latest leads to it. Files that have not changed since the
    last time are not even opened. The default target is tallac:, which the first backup makes, with a vault in your data folder.
    What can't be read is named and left out; then the exit status is 3. A .tallacignore file in any folder says what to leave out
    there, as a .gitignore file does for git. Of several sources each lies in the snapshot under its absolute path.
    """
    if stdin_name is not None or stdin_from_command:
        if files_from or files_from0 or relative_to or dry_run:
            raise UsageError("standard input, or a command's output, is backed up by itself: name no lists, folders or --dry-run")
        behind = count_behind_dashes() if stdin_from_command else 0
        return _store_stream(
            run, paths[: len(paths) - behind], paths[len(paths) - behind :], stdin_name, stdin_from_command, wishes
        )
    sources, target = split_target(paths)
    found = run.client.find_sources(sources, files_from=files_from, files_from0=files_from0, relative_to=relative_to)
    options = options_of(run, wishes)
    if dry_run:
        with ProgressLine(run.output) as line:
            planned = run.client.dry_run_backup(found, target, options=options, observer=observer(run, line))
        if run.output.is_json:
            run.output.record(type="summary", target=target, **dry_run_fields(planned))
        else:
            run.output.summary(dry_run_rows(planned))
        return INCOMPLETE if planned.unreadable else 0
    made = _prepare(run, target)
    with ProgressLine(run.output) as line:
        summary = run.client.backup(found, target, options=options, observer=observer(run, line))
    return _tell(run, summary, target, made)


def _store_stream(
    run: CommandContext, paths: tuple[str, ...], arguments: tuple[str, ...], name: str | None, is_command: bool, wishes: Wishes
) -> int:
    if len(paths) > 1:
        raise UsageError("standard input, or a command's output, is backed up by itself: name the target and no folder")
    if is_command and not arguments:
        raise UsageError("no command is given: write it after --, as in -- pg_dump mydb")
    target = paths[0] if paths else f"{DEFAULT_ALIAS}:"
    # Whatever makes no sense is said before a vault is made.
    name = check_stream_name(STREAM_NAME if name is None else name)
    options = options_of(run, wishes)
    made = _prepare(run, target)
    if is_command:
        summary = run.client.backup_command(name, arguments, target, options=options)
    else:
        summary = run.client.backup_stream(name, run.standard_input, target, options=options)
    return _tell(run, summary, target, made)


def _prepare(run: CommandContext, target: str) -> str:
    made: str = run.client.prepare_backup(target)
    if made:
        run.output.note(made_vault(run, made, DEFAULT_ALIAS))
    return made


def _tell(run: CommandContext, summary: BackupSummary, target: str, made: str) -> int:
    if run.output.is_json:
        run.output.record(type="summary", target=target, **summary_fields(summary))
    else:
        run.output.summary(summary_rows(summary, target))
    if made:
        run.output.note(ways_back(DEFAULT_ALIAS))
    return INCOMPLETE if summary.is_incomplete else 0
