"""`tallac webopen`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define, flag


@define(
    "webopen",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("-i", "--info", text="Show what the node knows about it, in place of its content."),
    ],
    examples=("tallac webopen -d ~/.tahoe tahoe:docs/Latest",),
)
def command(run: CommandContext, place: str, info: bool) -> None:
    """Show a place in the web browser, through a Tahoe-LAFS node.

    The browser gets the address from a file that only you can read, and not on its command line, where others could see it. Mind
    that the browser's history keeps it: whoever has it can read what it shows, or change it.
    """
    page = run.client.webopen(place, info=info)
    if run.output.is_json:
        run.output.record(page=str(page))
