"""`tallac mkdir`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define


@define("mkdir", [argument("place", "ALIAS:PATH")], examples=("tallac mkdir home:shared/letters",))
def command(run: CommandContext, place: str) -> None:
    """Make a directory that can be changed.

    Directories above it are made where they are missing; one that is there already is left as it is.
    """
    run.client.mkdir(place)
    run.output.changed(place)
