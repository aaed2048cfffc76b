"""`tallac unlink`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define


@define("unlink", [argument("place", "ALIAS:PATH")], examples=("tallac unlink home:shared/notes.txt",))
def command(run: CommandContext, place: str) -> None:
    """Take an entry out of its directory.

    A directory goes with all that is below it. What the entry led to stays in the vault while something else leads there, and until
    the vault is pruned. `tallac rm` is the same.
    """
    run.client.unlink(place)
    run.output.changed(place)
