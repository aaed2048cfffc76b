"""`tallac release`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.reports.snapshots import tell_marked


@define(
    "release",
    [
        argument("target", "ALIAS:TO"),
        argument("names", "NAME...", count=-1),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=("tallac release home:docs 2026-11-23_17:02:11Z",),
)
def command(run: CommandContext, target: str, names: tuple[str, ...], dry_run: bool) -> None:
    """Let snapshots be forgotten again that were held."""
    tell_marked(run, run.client.release(target, names, dry_run=dry_run), dry_run=dry_run)
