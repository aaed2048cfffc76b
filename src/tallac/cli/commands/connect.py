"""`tallac connect`."""

from __future__ import annotations

from tallac.app.keys.imported_keys import ImportedAlias
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, option
from tallac.cli.options.passphrases import choose, passphrase_options
from tallac.errors import UsageError


@define(
    "connect",
    [
        argument("location", "[LOCATION]", default=""),
        option("--recovery-kit", metavar="FILE|-", text="Use a recovery kit instead of a passphrase."),
        *passphrase_options(),
    ],
    examples=(
        "tallac connect /media/usb/vault",
        "tallac connect --recovery-kit kit.html",
        "tallac connect /media/usb/vault --recovery-kit kit.txt",
    ),
)
def connect(
    context: CommandContext,
    location: str,
    recovery_kit: str | None,
    passphrase_file: str | None,
    passphrase_command: str | None,
    passphrase_keyring: str | None,
) -> None:
    """Connect to a vault, by passphrase or recovery kit.

    For a new machine, or one that has lost its configuration. LOCATION is the vault's folder or
    URL; with a recovery kit it is needed only if the vault has moved. Afterwards all commands work
    as before. Existing aliases on this machine are kept: a new one whose name is taken gets a
    number after it.
    """
    choice = choose(passphrase_file, passphrase_command, passphrase_keyring)
    if recovery_kit is not None:
        if choice != choose(None, None, None):
            raise UsageError("give a recovery kit or a passphrase, not both")
        recovery = context.client.keys.recovery
        connected = recovery.connect_with_kit(recovery.read_kit(recovery_kit), location or None)
    elif location:
        connected = context.client.keys.recovery.connect(location, context.client.keys.passphrases.source(choice).read)
    else:
        raise UsageError("give the vault's location, as in `tallac connect /media/usb/vault`, or a --recovery-kit")
    for each in connected:
        _report(context, each)
    if not connected:
        context.output.note("the vault's key is now in your configuration; it came without aliases")


def _report(context: CommandContext, connected: ImportedAlias) -> None:
    if context.output.is_json:
        context.output.record(alias=connected.alias, name=connected.name, is_new=connected.is_new)
        return
    renamed = "" if connected.name == connected.alias else f" (elsewhere it is {connected.name}:)"
    context.output.note(f"alias {connected.alias}: {'is ready' if connected.is_new else 'existed already'}{renamed}")
