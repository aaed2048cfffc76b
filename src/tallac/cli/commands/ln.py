"""`tallac ln`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define


@define(
    "ln",
    [argument("source", "ALIAS:FROM"), argument("target", "ALIAS:TO")],
    examples=("tallac ln home:docs/Archives/2026-11-23_17:02:11Z home:shared/as-of-november",),
)
def command(run: CommandContext, source: str, target: str) -> None:
    """Give what is at one place a second name.

    Nothing is copied: both names lead to the same thing. Both are on the same grid; FROM may be a cap.
    """
    run.client.ln(source, target)
    run.output.changed(target)
