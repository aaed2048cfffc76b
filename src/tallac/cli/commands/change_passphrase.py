"""`tallac change-passphrase`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define
from tallac.cli.options.passphrases import choose, passphrase_options, tell


@define(
    "change-passphrase",
    [
        argument("vault", "[ALIAS:]", default=""),
        click.Option(["--label"], metavar="TEXT", help="Which one, where you have set several."),
        *passphrase_options(),
    ],
    examples=("tallac change-passphrase home: --label safe",),
)
def command(
    run: CommandContext,
    vault: str,
    label: str | None,
    passphrase_file: str | None,
    passphrase_command: str | None,
    passphrase_keyring: str | None,
) -> None:
    """Set another passphrase in place of one.

    The new one is asked for twice, or read where the options say. The old one is not needed: this machine has what it leads to.
    """
    source = run.client.passphrase_source(choose(passphrase_file, passphrase_command, passphrase_keyring))
    tell(run, "changed", run.client.change_passphrase(vault, source.read_new, label))
