"""`tallac recovery-kit`, `key-source`, `locator-key` and `keeper-key`."""

from __future__ import annotations

from tallac.app.operations.key_source import KeyLocation
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option


@define(
    "recovery-kit",
    [
        argument("vault", "[ALIAS:]", default=""),
        option("-o", "--output", metavar="FILE", text="Write a new file: .html for a page with QR codes, .txt for text."),
    ],
    examples=("tallac recovery-kit home: --output kit.html", "tallac recovery-kit home: > kit.txt"),
)
def recovery_kit(context: CommandContext, vault: str, output: str | None) -> None:
    """Print a recovery kit, to keep in a safe place.

    It has everything that is needed besides the vault's files: the vault's location, its key, and
    your aliases with their caps. Whoever has it and the vault's files can read and change
    everything that you can. Print it, store it safely, and delete the file. `tallac connect
    --recovery-kit` uses it on a new machine. Make a new one after adding an alias; a passphrase
    needs no such renewal.
    """
    kit = context.client.keys.recovery.kit(vault)
    if context.output.is_json:
        lines = [*kit.danger_vault_lines(), *kit.danger_alias_lines()]
        context.output.danger_record(kit=lines)
        return
    if output is None:
        context.output.warn("whoever has this kit can read and change everything below these aliases")
        context.output.write(context.client.keys.recovery.kit_text(kit))
        return
    context.client.keys.recovery.write_kit(kit, output)
    context.output.note(f"{output}: print it, keep it in a safe place, and delete the file; whoever has it can do what you can")


@define(
    "key-source",
    [
        argument("vault", "[ALIAS:]", default=""),
        option("--file", metavar="FILE", text="Keep the key in the first line of this file, which is created if missing."),
        option("--command", metavar="COMMAND", text="Read the key from the output of this command, which must print it already."),
        option("--keyring", metavar="ENTRY", text="Keep the key in this entry of the system keyring."),
        flag("--configuration", text="Keep the key in the configuration, as at first."),
        flag("-n", "--dry-run", text="Only test whether that would work."),
    ],
    examples=(
        "tallac key-source home:",
        "tallac key-source home: --keyring home",
        "tallac key-source home: --command 'pass show tallac/home'",
    ),
)
def key_source(
    context: CommandContext,
    vault: str,
    file: str | None,
    command: str | None,
    keyring: str | None,
    configuration: bool,
    dry_run: bool,
) -> None:
    """Show or change where the key of a vault is kept.

    At first it is in the configuration, in plain text. If it is kept in a file, behind a command or
    in the system keyring, it is read from there every time, and the caps of your aliases are
    encrypted with it, so that the configuration alone opens nothing.
    """
    place = KeyLocation(file, command, keyring, configuration)
    where = context.client.keys.sources.use(vault, None if place == KeyLocation() else place, dry_run=dry_run)
    if context.output.is_json:
        context.output.record(key_source=where)
    elif place == KeyLocation():
        context.output.line(f"the key is in {where}")
    else:
        context.output.note(f"the key {'would be' if dry_run else 'is'} in {where}")


@define("locator-key", [argument("alias", "ALIAS:", default="tallac:")], examples=("tallac locator-key home: > locator.txt",))
def locator_key(context: CommandContext, alias: str) -> None:
    """Print the locator key, needed besides a read cap.

    It finds objects in the alias's vault, and opens nothing without a cap. Hand it over together
    with a cap.
    """
    key = context.client.keys.locator_key(alias)
    context.output.warn("this key finds objects in the vault; without a cap it opens none of them")
    if context.output.is_json:
        context.output.danger_record(locator_key=key.danger_whole_text())
    else:
        context.output.danger_line(key.danger_whole_text())


@define("keeper-key", [argument("alias", "ALIAS:", default="tallac:")], examples=("tallac keeper-key home: > keeper.txt",))
def keeper_key(context: CommandContext, alias: str) -> None:
    """Print the keeper key, for maintenance without reading.

    Whoever has it can check, prune, repair and mirror the whole vault of the alias, and can read
    none of its content.
    """
    key = context.client.keys.keeper_key(alias)
    context.output.warn("whoever has this key can check, prune and copy the whole vault, and read nothing in it")
    if context.output.is_json:
        context.output.danger_record(keeper_key=key.danger_whole_text())
    else:
        context.output.danger_line(key.danger_whole_text())
