"""`tallac cp`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import show_size
from tallac.cli.output.progress import ProgressLine, copy_progress
from tallac.errors import UsageError
from tallac.transfer import CopyReport
from tallac.wording import pluralize


@define(
    "cp",
    [argument("paths", "FROM... TO", count=-1), flag("-r", "-R", "--recursive", text="Copy directories as well.")],
    examples=("tallac cp letter.txt home:shared/", "tallac cp -r home:docs/Latest/Letters ."),
)
def command(run: CommandContext, paths: tuple[str, ...], recursive: bool) -> int:
    """Copy files and directories, within a grid and to and from local paths.

    What has a colon before its first slash is on a grid, as in home:docs; all else is a local path. A directory goes into the
    target under its own name, whether the target exists or not; an alias's root or a bare cap has no name, so what is in it goes
    straight into the target. On a grid, what is there already is linked rather than copied.
    """
    if len(paths) < 2:
        raise UsageError("cp needs something to copy, and a target: tallac cp FROM... TO")
    with ProgressLine(run.output) as line:
        report = CopyReport(notice=run.output.detail, progress=copy_progress(line))
        run.client.cp(paths[:-1], paths[-1], recursive=recursive, report=report)
    for skipped in report.skipped:
        run.output.warn(f"{skipped.path}: {skipped.why}")
    if run.output.is_json:
        run.output.record(
            type="summary", files=report.files, directories=report.directories, bytes=report.bytes, skipped=len(report.skipped)
        )
    elif len(paths) > 2 or recursive:
        files, directories = pluralize(report.files, "file"), pluralize(report.directories, "directory")
        run.output.note(f"{files}, {directories}, {show_size(report.bytes)}")
    return 0 if report.is_complete else 1
