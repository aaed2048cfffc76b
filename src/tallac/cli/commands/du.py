"""`tallac du`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import json_name, show_size
from tallac.cli.reports.inspect import ReadErrors
from tallac.look.usage import Usage


@define(
    "du",
    [
        argument("place", "[ALIAS:PATH]", default=""),
        click.Option(["--max-depth"], metavar="N", type=click.IntRange(min=0), help="Show no more than N levels; 0: only the sum."),
        flag("--human", text="Show sizes with units."),
    ],
    examples=("tallac du home:docs/Latest", "tallac du --human --max-depth 1 home:docs/Latest"),
)
def command(run: CommandContext, place: str, max_depth: int | None, human: bool) -> int:
    """Show how much is in each directory.

    Sizes are those of the files, in bytes, as if they were restored; each name counts, those of hard links too. Directories
    come after what is in them. What the vault takes for it is another question: see stats.
    """
    read_errors = ReadErrors(run)
    for usage in run.client.du(place, read_errors, depth_max=max_depth):
        if run.output.is_json:
            run.output.record(**_fields(usage))
        else:
            size = f"{show_size(usage.size):>8}  " if human else f"{usage.size}\t"
            run.output.name(usage.path or b".", size)
    return read_errors.status


def _fields(usage: Usage) -> dict[str, object]:
    figures = {"bytes": usage.size, "files": usage.files, "directories": usage.directories, "complete": usage.is_whole}
    return json_name(usage.path, "path") | figures
