"""`tallac connect`."""

from __future__ import annotations

import click

from tallac.app.keys.imported_keys import Connected
from tallac.cli.command import CommandContext, argument, define
from tallac.cli.options.passphrases import choose, passphrase_options
from tallac.errors import UsageError


@define(
    "connect",
    [
        argument("location", "[LOCATION]", default=""),
        click.Option(["--recovery-kit"], metavar="FILE|-", help="Use a recovery kit instead of a passphrase."),
        *passphrase_options(),
    ],
    examples=(
        "tallac connect /media/usb/vault",
        "tallac connect --recovery-kit kit.html",
        "tallac connect /media/usb/vault --recovery-kit kit.txt",
    ),
)
def command(
    run: CommandContext,
    location: str,
    recovery_kit: str | None,
    passphrase_file: str | None,
    passphrase_command: str | None,
    passphrase_keyring: str | None,
) -> None:
    """Take over a vault with its aliases, by passphrase or recovery kit.

    For a new machine, or one that has lost its configuration. LOCATION is the vault's folder or URL; with a recovery kit it is
    needed only where the vault has moved. Afterwards all commands work as they did. What is known here already stays: an alias
    that has the name of another one gets a number after it.
    """
    choice = choose(passphrase_file, passphrase_command, passphrase_keyring)
    if recovery_kit is not None:
        if choice != choose(None, None, None):
            raise UsageError("give a recovery kit or a passphrase; one of them suffices")
        connected = run.client.connect_with_kit(run.client.read_kit(recovery_kit), location or None)
    elif location:
        connected = run.client.connect(location, run.client.passphrase_source(choice).read)
    else:
        raise UsageError("say where the vault is, as in `tallac connect /media/usb/vault`, or give a --recovery-kit, which says it")
    for each in connected:
        _tell(run, each)
    if not connected:
        run.output.note("the vault's key is known here now; no aliases came with it")


def _tell(run: CommandContext, connected: Connected) -> None:
    if run.output.is_json:
        run.output.record(alias=connected.alias, name=connected.name, is_new=connected.is_new)
        return
    renamed = "" if connected.name == connected.alias else f" (elsewhere it is {connected.name}:)"
    run.output.note(f"alias {connected.alias}: is {'ready' if connected.is_new else 'here already'}{renamed}")
