"""`tallac list-aliases`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, define
from tallac.cli.output.display import table
from tallac.cli.output.stderr import show_name


@define("list-aliases", [], examples=("tallac list-aliases",))
def command(run: CommandContext) -> None:
    """List the aliases.

    Each comes with the place of its vault. The caps are not shown; `tallac cap ALIAS:` prints one.
    """
    aliases = run.client.list_aliases()
    if run.output.is_json:
        for name, location in aliases:
            run.output.record(alias=name, grid=location)
        return
    if not aliases:
        run.output.note("there is no alias yet; `tallac backup FOLDER` makes the first one")
    for line in table([(f"{name}:", location) for name, location in aliases]):
        run.output.line(show_name(line))
