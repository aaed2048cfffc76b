"""`tallac tag`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.reports.snapshots import tell_marked
from tallac.errors import UsageError
from tallac.retention.marks import TagChange
from tallac.retention.rules import parse_tags


@define(
    "tag",
    [
        argument("target", "ALIAS:TO"),
        argument("names", "NAME...", count=-1),
        click.Option(["--add"], metavar="TAG[,TAG...]", multiple=True, help="Give it these tags as well."),
        click.Option(["--remove"], metavar="TAG[,TAG...]", multiple=True, help="Take these tags away."),
        click.Option(["--set", "replacement"], metavar="TAG[,TAG...]", help='Let it have these and no others; "" for none.'),
        click.Option(["--note"], metavar="TEXT", help='Keep a note with it; "" for none.'),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=("tallac tag home:docs 2026-11-23_17:02:11Z --add taxes", 'tallac tag home:docs Latest --note "as sent to Ann"'),
)
def command(
    run: CommandContext,
    target: str,
    names: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    replacement: str | None,
    note: str | None,
    dry_run: bool,
) -> None:
    """Change the tags and notes of snapshots.

    NAME is a name in TO/Archives, or Latest.
    """
    if replacement is not None and (add or remove):
        raise UsageError("--set says all tags there are to be; --add and --remove change those there are: use one or the other")
    if not (add or remove or note is not None or replacement is not None):
        raise UsageError("say what to change: --add, --remove, --set or --note")
    change = TagChange(_joined(add), _joined(remove), None if replacement is None else _joined([replacement]), note)
    tell_marked(run, run.client.tag(target, names, change, dry_run=dry_run), dry_run=dry_run)


def _joined(texts: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(tag for text in texts if text for tag in parse_tags(text))
