"""`tallac locator-key`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define


@define("locator-key", [argument("alias", "ALIAS:", default="tallac:")], examples=("tallac locator-key home: > locator.txt",))
def command(run: CommandContext, alias: str) -> None:
    """Print the key that is needed beside a read cap.

    It finds things in the alias's vault, and opens nothing without a cap. Whoever is handed a cap is handed this key with it.
    """
    key = run.client.locator_key(alias)
    run.output.warn("this key tells where things are in the vault; without a cap it opens none of them")
    if run.output.is_json:
        run.output.record(locator_key=key.danger_whole_text())
    else:
        run.output.line(key.danger_whole_text())
