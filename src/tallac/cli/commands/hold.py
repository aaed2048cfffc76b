"""`tallac hold`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.reports.snapshots import tell_marked


@define(
    "hold",
    [
        argument("target", "ALIAS:TO"),
        argument("names", "NAME...", count=-1),
        click.Option(["--reason"], metavar="TEXT", default="", help="Why; it is shown to whoever looks."),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=('tallac hold home:docs 2026-11-23_17:02:11Z --reason "before the move"', "tallac hold home:docs Latest"),
)
def command(run: CommandContext, target: str, names: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Let snapshots never be forgotten.

    Neither rules nor names forget what is held, and rewrite leaves it alone, until it is released. NAME is a name in TO/Archives,
    or Latest.
    """
    tell_marked(run, run.client.hold(target, names, reason, dry_run=dry_run), dry_run=dry_run)
