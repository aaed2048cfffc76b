"""`tallac backup`."""

from __future__ import annotations

from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.app.operations.backup_sources import check_stream_name
from tallac.app.operations.backup_values import options_of
from tallac.backup import BackupSummary
from tallac.cli.command import CommandContext, count_behind_dashes, define
from tallac.cli.options.backup import backup_options, exclusion_options, source_list_options
from tallac.cli.options.option import Option, argument, flag, option
from tallac.cli.output.progress import ProgressLine
from tallac.cli.output.stderr import show_name, silence
from tallac.cli.reports.backup import dry_run_fields, dry_run_rows, observer, summary_fields, summary_rows
from tallac.cli.reports.new_vault import created_vault, ways_back
from tallac.errors import OutputError, UsageError

INCOMPLETE = 3
STREAM_NAME = "stdin"


@define(
    "backup",
    [
        argument("paths", "[FROM...] [ALIAS:TO]", count=-1, is_optional=True),
        *exclusion_options(),
        *source_list_options(),
        option(
            "--stdin-name",
            metavar="NAME",
            text="Back up standard input as a file of this name.",
            synonyms=("--stdin-filename",),
        ),
        Option(["--stdin", "is_stdin"], is_flag=True, hidden=True),
        flag("--stdin-from-command", text="Back up the output of the command after --; no snapshot is made if it fails."),
        *backup_options(),
        flag("-n", "--dry-run", text="Only show what would be backed up."),
    ],
    examples=(
        "tallac backup ~/Documents",
        "tallac backup ~/Documents home:docs",
        "tallac backup ~/Documents ~/Pictures /etc home:all --exclude-caches --exclude '*.iso'",
        "tallac backup home:db --stdin-from-command --stdin-name mydb.sql -- pg_dump mydb",
    ),
)
def backup(
    context: CommandContext,
    paths: tuple[str, ...],
    files_from: tuple[str, ...],
    files_from0: tuple[str, ...],
    relative_to: str | None,
    stdin_name: str | None,
    is_stdin: bool,
    stdin_from_command: bool,
    dry_run: bool,
    **values: object,
) -> int:
    """Back up files and folders as a new snapshot.

    The snapshot is stored in TO/Archives under its UTC time, and TO/Latest points to it. Unchanged
    files are not opened. The default target is tallac:, which the first backup creates, with a
    vault in your data folder. Files that can't be read are named and left out; the exit status is
    then 3. A .tallacignore file in any folder lists what to leave out there, as a .gitignore file
    does for git. With several sources, each is stored under its absolute path.
    """
    if stdin_name is not None or is_stdin or stdin_from_command:
        if files_from or files_from0 or relative_to or dry_run:
            raise UsageError("standard input or a command's output is backed up alone: leave out lists, folders and --dry-run")
        behind = count_behind_dashes() if stdin_from_command else 0
        return _store_stream(
            context, paths[: len(paths) - behind], paths[len(paths) - behind :], stdin_name, stdin_from_command, values
        )
    sources, target = context.client.backups.split_target(paths)
    found = context.client.backups.find_sources(sources, files_from=files_from, files_from0=files_from0, relative_to=relative_to)
    options = options_of(values, context.standard_input)
    if dry_run:
        with ProgressLine(context.output) as line:
            planned = context.client.backups.dry_run(found, target, options=options, observer=observer(context, line))
        if context.output.is_json:
            context.output.record(type="summary", target=target, **dry_run_fields(planned))
        else:
            context.output.summary(dry_run_rows(planned))
        return INCOMPLETE if planned.unreadable else 0
    made = _prepare(context, target)
    with ProgressLine(context.output) as line:
        summary = context.client.backups.run(found, target, options=options, observer=observer(context, line))
    return _tell(context, summary, target, made)


def _store_stream(
    context: CommandContext,
    paths: tuple[str, ...],
    arguments: tuple[str, ...],
    name: str | None,
    is_command: bool,
    values: dict[str, object],
) -> int:
    if len(paths) > 1:
        raise UsageError("standard input or a command's output is backed up alone: name the target and no folder")
    if is_command and not arguments:
        raise UsageError("no command given: write it after --, as in -- pg_dump mydb")
    _, target = context.client.backups.split_target(["", *paths])
    # Contradictions are reported before a vault is created.
    name = check_stream_name(STREAM_NAME if name is None else name)
    options = options_of(values, context.standard_input)
    made = _prepare(context, target)
    if is_command:
        summary = context.client.backups.run_command(name, arguments, target, options=options)
    else:
        summary = context.client.backups.run_stream(name, context.standard_input, target, options=options)
    return _tell(context, summary, target, made)


def _prepare(context: CommandContext, target: str) -> str:
    made = context.client.backups.prepare(target)
    if made:
        context.output.note(created_vault(context, made, DEFAULT_ALIAS))
    return made


def _tell(context: CommandContext, summary: BackupSummary, target: str, made: str) -> int:
    try:
        if context.output.is_json:
            context.output.record(type="summary", target=target, **summary_fields(summary))
        else:
            context.output.summary(summary_rows(summary, target))
        context.output.flush()
    except OutputError as error:
        # The status tells of the snapshot, whatever became of the summary.
        silence(1)
        done = f"the snapshot {show_name(summary.name)} was made" if summary.name else "no snapshot was needed"
        context.output.warn(f"{error}; {done}")
        return INCOMPLETE
    if made:
        context.output.note(ways_back(DEFAULT_ALIAS))
    return INCOMPLETE if summary.is_incomplete else 0
