"""`tallac hold`, `release` and `tag`: what is written beside snapshots."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, as_typed, flag, option, several
from tallac.cli.reports.snapshots import report_marked
from tallac.errors import UsageError
from tallac.retention.marks import TagChange
from tallac.retention.rules import parse_tags


@define(
    "hold",
    [
        argument("target", "ALIAS:TO[@WHEN]"),
        argument("names", "[NAME...]", count=-1, is_optional=True),
        click.Option(["--reason"], metavar="TEXT", default="", help="The reason, shown in lists."),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=('tallac hold home:docs 2026-11-23_17:02:11Z --reason "before the move"', "tallac hold home:docs@latest"),
)
def hold(context: CommandContext, target: str, names: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Protect snapshots from being forgotten.

    A held snapshot is not forgotten, by rules or by name, and not rewritten until it is released.
    WHEN and NAME are a snapshot's name, the beginning of one, latest, yesterday or an age as in 3d.
    """
    report_marked(context, context.client.snapshots.hold(target, names, reason, dry_run=dry_run), dry_run=dry_run)


@define(
    "release",
    [
        argument("target", "ALIAS:TO[@WHEN]"),
        argument("names", "[NAME...]", count=-1, is_optional=True),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=("tallac release home:docs@2026-11-23",),
)
def release(context: CommandContext, target: str, names: tuple[str, ...], dry_run: bool) -> None:
    """Remove the hold from snapshots.

    WHEN and NAME are a snapshot's name, the beginning of one, latest, yesterday or an age as in 3d.
    """
    report_marked(context, context.client.snapshots.release(target, names, dry_run=dry_run), dry_run=dry_run)


@define(
    "tag",
    [
        argument("target", "ALIAS:TO[@WHEN]"),
        argument("names", "[NAME...]", count=-1, is_optional=True),
        several("--add", metavar="TAG[,TAG...]", text="Add these tags.", parse=as_typed),
        several("--remove", metavar="TAG[,TAG...]", text="Remove these tags.", parse=as_typed),
        option("--set", "replacement", metavar="TAG[,TAG...]", text='Replace all tags by these; "" for none.', parse=as_typed),
        option("--note", metavar="TEXT", text='Set the note; "" for none.', parse=as_typed),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=("tallac tag home:docs 2026-11-23_17:02:11Z --add taxes", 'tallac tag home:docs@latest --note "as sent to Ann"'),
)
def tag(
    context: CommandContext,
    target: str,
    names: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    replacement: str | None,
    note: str | None,
    dry_run: bool,
) -> None:
    """Change the tags and notes of snapshots.

    WHEN and NAME are a snapshot's name, the beginning of one, latest, yesterday or an age as in 3d.
    """
    if replacement is not None and (add or remove):
        raise UsageError("--set replaces all tags, --add and --remove change them: use one or the other")
    if not (add or remove or note is not None or replacement is not None):
        raise UsageError("nothing to change: give --add, --remove, --set or --note")
    change = TagChange(_joined(add), _joined(remove), None if replacement is None else _joined([replacement]), note)
    report_marked(context, context.client.snapshots.tag(target, names, change, dry_run=dry_run), dry_run=dry_run)


def _joined(texts: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(tag for text in texts if text for tag in parse_tags(text))
