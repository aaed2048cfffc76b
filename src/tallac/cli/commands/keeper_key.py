"""`tallac keeper-key`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define


@define("keeper-key", [argument("alias", "ALIAS:", default="tallac:")], examples=("tallac keeper-key home: > keeper.txt",))
def command(run: CommandContext, alias: str) -> None:
    """Print the key for whoever looks after a vault without reading it.

    With it one can check, prune, repair and copy all of the alias's vault, and read none of its content.
    """
    key = run.client.keeper_key(alias)
    run.output.warn("whoever has this key can check, prune and copy the whole vault, and read nothing in it")
    if run.output.is_json:
        run.output.record(keeper_key=key.danger_whole_text())
    else:
        run.output.line(key.danger_whole_text())
