"""`tallac list-passphrases`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define
from tallac.cli.output.display import show_time, table
from tallac.cli.output.stderr import show_name


@define("list-passphrases", [argument("vault", "[ALIAS:]", default="")], examples=("tallac list-passphrases home:",))
def command(run: CommandContext, vault: str) -> None:
    """List the passphrases that you have set on a vault.

    Each comes with its label and the time at which it was set. Those of other users of the vault are not shown.
    """
    known = run.client.list_passphrases(vault)
    if run.output.is_json:
        for each in known:
            run.output.record(label=each.label, set_ns=each.made_ns)
        return
    for line in table([(each.label, f"set {show_time(each.made_ns // 10**9)}") for each in known]):
        run.output.line(show_name(line))
    if not known:
        run.output.note("you have set no passphrase on this vault; `tallac add-passphrase` sets one")
