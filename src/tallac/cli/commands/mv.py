"""`tallac mv`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define


@define(
    "mv",
    [argument("source", "ALIAS:FROM"), argument("target", "ALIAS:TO")],
    examples=("tallac mv home:shared/notes.txt home:shared/letters/notes.txt",),
)
def command(run: CommandContext, source: str, target: str) -> None:
    """Give an entry another name or directory.

    Both are on the same grid. A target that is a directory takes the entry in under its old name; a file there is replaced.
    """
    new = run.client.mv(source, target)
    if run.output.is_json:
        run.output.record(changed=source, new=str(new))
    else:
        run.output.detail(f"{source} -> {new}")
