"""`tallac add-passphrase`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define
from tallac.cli.options.passphrases import choose, passphrase_options, tell


@define(
    "add-passphrase",
    [
        argument("vault", "[ALIAS:]", default=""),
        click.Option(["--label"], metavar="TEXT", help="What to call it; by default USER@HOST."),
        *passphrase_options(),
    ],
    examples=("tallac add-passphrase home:", "tallac add-passphrase home: --label safe --passphrase-file words.txt"),
)
def command(
    run: CommandContext,
    vault: str,
    label: str | None,
    passphrase_file: str | None,
    passphrase_command: str | None,
    passphrase_keyring: str | None,
) -> None:
    """Set a passphrase on a vault.

    With the passphrase and the vault's location, `tallac connect` gives you the vault's key and your aliases back on a new machine.
    There may be several, each with a label. It is asked for twice at the terminal, unless an option or the variable
    TALLAC_PASSPHRASE says where it is. Aliases that you make later come behind it by themselves.
    """
    source = run.client.passphrase_source(choose(passphrase_file, passphrase_command, passphrase_keyring))
    tell(run, "set", run.client.add_passphrase(vault, source.read_new, label))
