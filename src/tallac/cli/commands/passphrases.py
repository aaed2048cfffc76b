"""`tallac add-passphrase`, `list-passphrases`, `change-passphrase` and `remove-passphrase`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option
from tallac.cli.options.passphrases import choose, passphrase_options
from tallac.cli.output.display import show_time, table
from tallac.cli.output.stderr import show_name
from tallac.wording import of_vault

_WHICH = "Which passphrase, if there are several."


@define(
    "add-passphrase",
    [
        argument("vault", "[ALIAS:]", default=""),
        option("--label", metavar="TEXT", text="Its label; by default USER@HOST."),
        *passphrase_options(file="--new-password-file", command=""),
    ],
    examples=("tallac add-passphrase home:", "tallac add-passphrase home: --label safe --passphrase-file words.txt"),
)
def add_passphrase(
    context: CommandContext,
    vault: str,
    label: str | None,
    passphrase_file: str | None,
    passphrase_command: str | None,
    passphrase_keyring: str | None,
) -> None:
    """Add a passphrase to a vault.

    With the passphrase and the vault's location, `tallac connect` recovers the vault's key and your
    aliases on a new machine. There may be several passphrases, each with a label. You are asked for
    it twice, unless an option or the variable TALLAC_PASSPHRASE says where it is. Aliases that you
    create later are added automatically.
    """
    source = context.client.keys.passphrases.source(choose(passphrase_file, passphrase_command, passphrase_keyring))
    _report(context, "set", context.client.keys.passphrases.add(vault, source.read_new, label))


@define("list-passphrases", [argument("vault", "[ALIAS:]", default="")], examples=("tallac list-passphrases home:",))
def list_passphrases(context: CommandContext, vault: str) -> None:
    """List your passphrases on a vault.

    Each is shown with its label and the time at which it was set. Those of other users of the vault
    are not shown.
    """
    known = context.client.keys.passphrases.list(vault)
    if context.output.is_json:
        for each in known:
            context.output.record(label=each.label, set_ns=each.made_ns)
        return
    for line in table([(each.label, f"set {show_time(each.made_ns // 10**9)}") for each in known]):
        context.output.line(show_name(line))
    if not known:
        context.output.note(f"no passphrase of yours found on this vault; `{of_vault('tallac add-passphrase', vault)}` adds one")


@define(
    "change-passphrase",
    [
        argument("vault", "[ALIAS:]", default=""),
        option("--label", metavar="TEXT", text=_WHICH),
        *passphrase_options(file="--new-password-file", command=""),
    ],
    examples=("tallac change-passphrase home: --label safe",),
)
def change_passphrase(
    context: CommandContext,
    vault: str,
    label: str | None,
    passphrase_file: str | None,
    passphrase_command: str | None,
    passphrase_keyring: str | None,
) -> None:
    """Replace a passphrase.

    You are asked for the new one twice, unless an option says where to read it. The old one is not
    needed, because this machine already has what it protects.
    """
    source = context.client.keys.passphrases.source(choose(passphrase_file, passphrase_command, passphrase_keyring))
    _report(context, "changed", context.client.keys.passphrases.change(vault, source.read_new, label))


@define(
    "remove-passphrase",
    [
        argument("vault", "[ALIAS:]", default=""),
        option("--label", metavar="TEXT", text=_WHICH),
        flag("--allow-none", text="Also remove the last one."),
        flag("-n", "--dry-run", text="Only show which one would be removed."),
    ],
    examples=("tallac remove-passphrase home: --label safe",),
)
def remove_passphrase(context: CommandContext, vault: str, label: str | None, allow_none: bool, dry_run: bool) -> None:
    """Remove a passphrase.

    Whoever knew it and copied the vault's files before can still open that copy;
    `docs/guide/keys.md` says what to do then.
    """
    removed = context.client.keys.passphrases.remove(vault, label, allow_none=allow_none, dry_run=dry_run)
    _report(context, "would be removed" if dry_run else "removed", removed)


def _report(context: CommandContext, outcome: str, label: str) -> None:
    if context.output.is_json:
        context.output.record(label=label, outcome=outcome)
    else:
        context.output.note(f"passphrase {label!r}: {outcome}")
