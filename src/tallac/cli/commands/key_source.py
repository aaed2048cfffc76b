"""`tallac key-source`."""

from __future__ import annotations

import click

from tallac.app.operations.key_source import KeyPlace
from tallac.cli.command import CommandContext, argument, define, flag


@define(
    "key-source",
    [
        argument("vault", "[ALIAS:]", default=""),
        click.Option(
            ["--file"], metavar="FILE", help="Keep the key in the first line of this file, which is made if it is missing."
        ),
        click.Option(["--command"], metavar="COMMAND", help="Take the key from what this command prints, as it does already."),
        click.Option(["--keyring"], metavar="ENTRY", help="Keep the key in this entry of the system keyring."),
        flag("--configuration", text="Keep the key in the configuration, as at first."),
        flag("-n", "--dry-run", text="Only find out whether that would work."),
    ],
    examples=(
        "tallac key-source home:",
        "tallac key-source home: --keyring home",
        "tallac key-source home: --command 'pass show tallac/home'",
    ),
)
def command(
    run: CommandContext, vault: str, file: str | None, command: str | None, keyring: str | None, configuration: bool, dry_run: bool
) -> None:
    """Say where the key of a vault is kept, or keep it elsewhere.

    At first it is in the configuration, in plain text. Kept in a file, behind a command or in the system keyring, it is asked for
    each time. The caps of your aliases are then sealed under it, so that the configuration alone opens nothing.
    """
    place = KeyPlace(file, command, keyring, configuration)
    where = run.client.key_source(vault, None if place == KeyPlace() else place, dry_run=dry_run)
    if run.output.is_json:
        run.output.record(key_source=where)
    elif place == KeyPlace():
        run.output.line(f"the key is in {where}")
    else:
        run.output.note(f"the key {'would be' if dry_run else 'is'} in {where}")
