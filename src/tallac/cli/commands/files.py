"""`tallac get`, `put`, `mkdir`, `cp`, `mv`, `ln` and `unlink`: single files and directories."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from tallac.app.locations.grid_path import is_remote, require_local_path
from tallac.cli.command import CommandContext, define
from tallac.cli.options.newest import in_newest, newest_options
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import show_size
from tallac.cli.output.progress import ProgressLine, copy_progress
from tallac.cli.output.stderr import show_name
from tallac.cli.output.terminal_sink import TerminalSink
from tallac.errors import SnapshotsLostError, UsageError
from tallac.transfer.report import CopyReport
from tallac.wording import pluralize

_Outcome = TypeVar("_Outcome")
_FORCE = flag("-f", "--force", text="Also if snapshots are dropped by it, without asking.")


@define(
    "get",
    [
        argument("place", "ALIAS:PATH"),
        argument("file", "[FILE|-]", default="-"),
        flag("-f", "--force", text="Replace FILE if it exists, and write binary content to a terminal."),
        *newest_options(),
    ],
    examples=("tallac get home:docs/Latest/Letters/rent.txt rent.txt", "tallac get home:docs/Latest/notes.txt -"),
)
def get(context: CommandContext, place: str, file: str, force: bool, host: tuple[str, ...], source: tuple[str, ...]) -> None:
    """Write a file to a local file or standard output.

    A local file appears when it is complete; in a folder it gets its own name. An existing one is
    replaced only with --force. On standard output, everything written before an error is correct;
    binary content is not written to a terminal.
    """
    require_local_path(file, place)
    place = in_newest(context.client, place, host, source)
    context.output.carries_content = file == "-"
    if file == "-" and (context.output.is_terminal or context.output.is_json):
        # A progress line would spoil the content on the terminal, and a JSON object would be taken for content.
        is_guarded = context.output.is_terminal and not force
        context.client.files.get(place, TerminalSink(context.output, place) if is_guarded else context.output)
        return
    with ProgressLine(context.output) as line:
        report = CopyReport(progress=copy_progress(line))
        if file == "-":
            context.client.files.get(place, context.output, report)
        else:
            context.client.files.download(place, file, report, replaces_existing=force)
    if file != "-" and context.output.is_json:
        context.output.record(type="summary", files=report.files, bytes=report.bytes)
    elif file != "-":
        context.output.detail(file)


@define(
    "put",
    [argument("file", "FILE|-"), argument("place", "[ALIAS:PATH]", is_optional=True)],
    examples=("tallac put notes.txt home:shared/notes.txt", "date | tallac put - home:shared/date.txt"),
)
def put(context: CommandContext, file: str, place: str | None) -> None:
    """Store a local file or standard input.

    It is stored under the given name, in a mutable directory; missing directories are created, and
    a file of that name is replaced. Without ALIAS:PATH the read cap is printed, and the file is
    deleted by a later prune unless it is linked within 30 days.
    """
    if place is not None and is_remote(file) and not is_remote(place):
        raise UsageError(f"{file}: what is stored comes first, and then where it goes: write `tallac put {place} {file}`")
    with ProgressLine(context.output) as line:
        report = CopyReport(progress=copy_progress(line))
        if file == "-":
            cap = context.client.files.put(context.standard_input, place, name="standard input", report=report)
        else:
            cap = context.client.files.put_path(file, place, report)
    context.output.carries_content = place is None
    context.output.detail(file)
    if context.output.is_json:
        printed = {"cap": cap.danger_whole_text()} if place is None else {}
        context.output.danger_record(type="summary", bytes=report.bytes, **printed)
    elif place is None:
        context.output.danger_line(cap.danger_whole_text())


@define("mkdir", [argument("place", "ALIAS:PATH")], examples=("tallac mkdir home:shared/letters",))
def mkdir(context: CommandContext, place: str) -> None:
    """Create a mutable directory.

    Missing directories above it are created too; an existing directory is left as it is.
    """
    context.client.files.mkdir(place)
    context.output.changed(place)


@define(
    "cp",
    [argument("paths", "FROM... TO", count=-1), flag("-r", "-R", "--recursive", text="Also copy directories.")],
    examples=("tallac cp letter.txt home:shared/", "tallac cp -r home:docs/Latest/Letters ."),
)
def cp(context: CommandContext, paths: tuple[str, ...], recursive: bool) -> int:
    """Copy files and directories, to and from local paths.

    A name with a colon before its first slash is in a vault, as in home:docs; anything else is a
    local path. A directory is copied into the target under its own name, whether the target exists
    or not; an alias's root or a bare cap has no name, so its content is copied straight into the
    target. What is in the vault already is linked rather than copied.
    """
    if len(paths) < 2:
        raise UsageError("give at least two paths, as in `tallac cp FROM... TO`")
    with ProgressLine(context.output) as line:
        report = CopyReport(notice=context.output.detail, progress=copy_progress(line))
        context.client.files.cp(paths[:-1], paths[-1], recursive=recursive, report=report)
    for skipped in report.skipped:
        context.output.warn(f"{skipped.path}: {skipped.why}")
    if context.output.is_json:
        context.output.record(
            type="summary", files=report.files, directories=report.directories, bytes=report.bytes, skipped=len(report.skipped)
        )
    elif len(paths) > 2 or recursive:
        files, directories = pluralize(report.files, "file"), pluralize(report.directories, "directory")
        context.output.note(f"{files}, {directories}, {show_size(report.bytes)}")
    return 0 if report.is_complete else 1


@define(
    "mv",
    [argument("source", "ALIAS:FROM"), argument("target", "ALIAS:TO"), _FORCE],
    examples=("tallac mv home:shared/notes.txt home:shared/letters/notes.txt",),
)
def mv(context: CommandContext, source: str, target: str, force: bool) -> None:
    """Move or rename an entry.

    Both names are in the same vault. If the target is a directory, the entry is moved into it under
    its old name; an existing file is replaced. A held snapshot is never moved out of its target,
    and another one only if you confirm it.
    """
    new = _confirmed(lambda is_forced: context.client.files.mv(source, target, force=is_forced), force=force)
    if context.output.is_json:
        context.output.record(changed=source, new=str(new))
    else:
        context.output.detail(f"{source} -> {new}")


@define(
    "ln",
    [argument("source", "ALIAS:FROM"), argument("target", "ALIAS:TO")],
    examples=("tallac ln home:docs/Archives/2026-11-23_17:02:11Z home:shared/as-of-november",),
)
def ln(context: CommandContext, source: str, target: str) -> None:
    """Link a file or directory under a second name.

    Nothing is copied: both names refer to the same object. Both are in the same vault; FROM may be
    a cap.
    """
    context.client.files.ln(source, target)
    context.output.changed(target)


@define(
    "unlink",
    [
        argument("place", "ALIAS:PATH"),
        _FORCE,
        flag("--free", text="Empty the directories that nothing of yours leads to any more, so that prune frees them."),
    ],
    examples=("tallac unlink home:shared/notes.txt", "tallac unlink --free home:old-laptop"),
)
def unlink(context: CommandContext, place: str, force: bool, free: bool) -> None:
    """Remove an entry from its directory.

    A directory is removed with everything below it. The data stays in the vault as long as
    something else refers to it, and until the vault is pruned. A held snapshot is never removed,
    and others only if you confirm it; `tallac forget --undo` with the same path restores them.

    Directories that can change, as targets are, stay in the vault all the same: somebody may have
    a cap of them. With --free they are emptied, if none of your aliases leads to them by another
    path: whoever has a cap of one, or an alias on another machine, finds nothing in it, and the
    next prune frees the space. It works on what was removed before, too.
    """
    if free:
        given_up = _confirmed(lambda is_forced: context.client.files.free(place, force=is_forced), force=force)
        for kept in given_up.kept:
            context.output.warn(f"{show_name(kept.encode())} leads there too: it stays as it is")
    else:
        _confirmed(lambda is_forced: context.client.files.unlink(place, force=is_forced), force=force)
    context.output.changed(place)


def _confirmed(act: Callable[[bool], _Outcome], *, force: bool) -> _Outcome:
    """Carry something out; where snapshots would go by it, ask whoever sits at a terminal."""
    try:
        return act(force)
    except SnapshotsLostError as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        question = f"tallac: {show_name(str(error).partition(';')[0].encode())}. Go on?"
        if not click.confirm(question, err=True):
            raise
        return act(True)
