"""What the commands on passphrases have in common: where one is read, and what is said of it."""

from __future__ import annotations

import click

from tallac.app.secrets.passphrase_reader import PassphraseChoice
from tallac.cli.command import CommandContext


def passphrase_options() -> list[click.Parameter]:
    """Make the options on where the passphrase is read."""
    return [
        click.Option(
            ["--passphrase-file"], metavar="FILE|-", help="Read the passphrase from the first line of a file or of standard input."
        ),
        click.Option(["--passphrase-command"], metavar="COMMAND", help="Take the first line that this command prints."),
        click.Option(["--passphrase-keyring"], metavar="ENTRY", help="Take it from an entry of `tallac` in the system keyring."),
    ]


def choose(passphrase_file: str | None, passphrase_command: str | None, passphrase_keyring: str | None) -> PassphraseChoice:
    """Put what these options say together."""
    return PassphraseChoice(passphrase_file, passphrase_command, passphrase_keyring)


def tell(run: CommandContext, outcome: str, label: str) -> None:
    """Say what became of the passphrase with this label."""
    if run.output.is_json:
        run.output.record(label=label, outcome=outcome)
    else:
        run.output.note(f"passphrase {label!r}: {outcome}")
