"""`tallac schedule`."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option
from tallac.cli.output.stderr import show_name
from tallac.errors import UsageError
from tallac.jobs.schedulers.entry import PlannedFile, Scheduler


@define(
    "schedule",
    [
        argument("action", "install|show|remove"),
        option("--with", "kind", metavar="SCHEDULER", text="systemd, cron or launchd; by default what this system has."),
        flag("--user", text="As root: for root's own jobs, and not for the machine."),
        flag("-y", "--yes", text="Do it without asking."),
    ],
    examples=("tallac schedule show", "tallac schedule install", "tallac schedule remove"),
)
def schedule(context: CommandContext, action: str, kind: str | None, user: bool, yes: bool) -> None:
    """Run jobs on time, by systemd, cron or launchd.

    `show` prints what `install` would write. `install` shows it, asks, writes it and turns it on;
    after a change of jobs.toml, run it again. `remove` takes all of it away. A job that was missed
    runs as soon as the machine is on again.
    """
    scheduling = context.client.scheduling
    scheduler = scheduling.scheduler(kind, is_user=user)
    match action:
        case "install" | "show":
            planned = scheduling.plan(scheduler)
        case "remove":
            planned = scheduler.plan([])
        case _:
            raise UsageError(f"schedule {action}: no such action; write install, show or remove")
    if not planned:
        _tell(context, scheduler, "nothing is installed" if action == "remove" else "all jobs are installed as they should be")
        return
    _show(context, scheduler, planned, is_shown=action == "show")
    if action == "show":
        return
    if not yes:
        if not os.isatty(0):
            raise UsageError("no terminal to ask on; add --yes to do what is shown")
        if not click.confirm("Remove this?" if action == "remove" else "Do this?", default=True, err=True):
            raise UsageError("nothing was changed")
    scheduler.apply(planned)
    for file in planned:
        context.output.changed(str(file.path))
    _tell(context, scheduler, "removed" if action == "remove" else f"installed; {scheduler.remark}")


def _show(context: CommandContext, scheduler: Scheduler, planned: Sequence[PlannedFile], *, is_shown: bool) -> None:
    """Show files as they will be: as the result where that was asked for, otherwise as a message."""
    if context.output.is_json:
        if is_shown:
            for file in planned:
                content = None if file.content is None else file.content.decode("utf-8", "replace")
                context.output.record(scheduler=scheduler.name, path=str(file.path), content=content)
        return
    write = context.output.line if is_shown else context.output.note
    for file in planned:
        write(f"{file.path}: to be removed" if file.content is None else f"{file.path}:")
        for line in (file.content or b"").decode("utf-8", "replace").splitlines():
            write(f"    {show_name(line.expandtabs(2))}")


def _tell(context: CommandContext, scheduler: Scheduler, what: str) -> None:
    context.output.note(f"{scheduler.name}: {what}")
