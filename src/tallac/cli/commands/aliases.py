"""`tallac init`, `create-alias`, `add-alias`, `list-aliases` and `remove-alias`."""

from __future__ import annotations

from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option
from tallac.cli.output.display import table
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.new_vault import created_vault, ways_back
from tallac.interfaces.compressing import COMPRESSIONS, Compression, parse_compression


@define(
    "init",
    [
        argument("location", "[LOCATION]", is_optional=True),
        option("--alias", metavar="NAME", text="Create this alias instead of the default one."),
        option("--compression", metavar="HOW", text=f"How much every client compresses: {COMPRESSIONS}. Default: auto."),
    ],
    examples=("tallac init", "tallac init /media/usb/vault --alias usb", "tallac init s3://bucket/vault --compression max"),
)
def init(context: CommandContext, location: str | None, alias: str | None, compression: str | None) -> None:
    """Create a vault and the default alias.

    LOCATION is a folder or URL; without it the vault is created in your data folder, as the first
    backup does too. The alias names a new mutable directory in the vault; the default alias is
    tallac:. A vault that exists already is left alone.
    """
    name = DEFAULT_ALIAS if alias is None else alias
    how = Compression.AUTO if compression is None else parse_compression(compression)
    _report_created(context, name, context.client.aliases.init(location, name, compression=how))


@define(
    "create-alias",
    [argument("name", "NAME")],
    examples=("tallac create-alias photos", "tallac create-alias usb --vault /media/usb/vault"),
)
def create_alias(context: CommandContext, name: str) -> None:
    """Create a directory and an alias for it.

    The directory is empty and mutable. It is created in the vault that --vault names, which is
    created too if it does not exist, or else in the default vault.
    """
    _report_created(context, name, context.client.aliases.create(name))


def _report_created(context: CommandContext, name: str, made: str) -> None:
    alias = name.removesuffix(":")
    if made:
        context.output.note(created_vault(context, made, alias))
    if context.output.is_json:
        context.output.record(alias=alias, made_vault=made or None)
    else:
        context.output.note(f"alias {alias}: is ready")
    if made:
        context.output.note(ways_back(alias))


@define(
    "add-alias",
    [argument("name", "NAME"), argument("cap", "CAP|@FILE|@-")],
    examples=("tallac add-alias letters @cap.txt --vault /media/usb/vault --vault-key locator.txt",),
)
def add_alias(context: CommandContext, name: str, cap: str) -> None:
    """Add an alias for a cap.

    The cap must be a directory's. @FILE and @- read it from the first line of a file or of standard
    input, so that it does not appear in a process list. The key of the vault is stored with the
    alias.
    """
    context.client.aliases.add(name, cap)
    if context.output.is_json:
        context.output.record(alias=name.removesuffix(":"))
    else:
        context.output.note(f"alias {name.removesuffix(':')}: is ready")


@define("list-aliases", [], examples=("tallac list-aliases",))
def list_aliases(context: CommandContext) -> None:
    """List the aliases.

    Each is shown with the location of its vault. Caps are not shown; `tallac cap ALIAS:` prints
    one.
    """
    aliases = context.client.aliases.list()
    if context.output.is_json:
        for name, location in aliases:
            context.output.record(alias=name, grid=location)
        return
    if not aliases:
        context.output.note("no aliases found; `tallac backup FOLDER` or `tallac init` creates the first one")
    for line in table([(f"{name}:", location) for name, location in aliases]):
        context.output.line(show_name(line))


@define(
    "remove-alias",
    [
        argument("name", "NAME"),
        flag("--only-here", text="Keep it behind the vault's passphrases, for other machines, or if the vault can't be reached."),
        flag("-n", "--dry-run", text="Only show which alias would be removed."),
    ],
    examples=("tallac remove-alias letters", "tallac remove-alias old-disk --only-here"),
)
def remove_alias(context: CommandContext, name: str, only_here: bool, dry_run: bool) -> None:
    """Remove an alias.

    It is removed from this machine's configuration and from what the vault's passphrases give back.
    The directory itself stays unchanged, but without another alias or a copy of its cap nobody can
    find it again: `tallac cap --write` prints the cap. Another machine that has the alias keeps it,
    and may add it to the passphrases again.
    """
    removed = context.client.aliases.remove(name, only_here=only_here, dry_run=dry_run)
    if context.output.is_json:
        context.output.record(alias=removed, dry_run=dry_run)
    else:
        context.output.note(f"alias {removed}: {'would be removed' if dry_run else 'removed'}")
