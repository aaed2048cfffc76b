"""The options on where a passphrase is read."""

from __future__ import annotations

import click

from tallac.app.secrets.passphrase_reader import PassphraseChoice
from tallac.cli.options.option import option


def passphrase_options(*, file: str = "--password-file", command: str = "--password-command") -> list[click.Parameter]:
    """Make the options on where the passphrase is read; the arguments are what restic calls the first two."""
    return [
        option(
            "--passphrase-file",
            metavar="FILE|-",
            text="Read the passphrase from the first line of a file or of standard input.",
            synonyms=(file,) if file else (),
        ),
        option(
            "--passphrase-command",
            metavar="COMMAND",
            text="Read it from the first line that this command prints.",
            synonyms=(command,) if command else (),
        ),
        option("--passphrase-keyring", metavar="ENTRY", text="Read it from this entry of `tallac` in the system keyring."),
    ]


def choose(passphrase_file: str | None, passphrase_command: str | None, passphrase_keyring: str | None) -> PassphraseChoice:
    """Put what these options say together."""
    return PassphraseChoice(passphrase_file, passphrase_command, passphrase_keyring)
