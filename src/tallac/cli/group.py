"""The `tallac` command: a table of its commands, whose modules are imported only when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from tallac import __version__
from tallac.cli.options.global_options import grid_options, output_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

HELP_OPTION_NAMES = ["-h", "--help"]
CONTEXT_SETTINGS: dict[str, object] = {"help_option_names": HELP_OPTION_NAMES, "max_content_width": 110}

COMMANDS: dict[str, tuple[str, str]] = {
    "backup": ("backup", "Add a snapshot of a folder to a target."),
    "snapshots": ("snapshots", "List the snapshots of a target."),
    "restore": ("restore", "Bring back a snapshot, or any part of one."),
    "ls": ("ls", "List a directory."),
    "find": ("find", "Find files and directories in all snapshots of a target."),
    "history": ("history", "Show the versions of a file or directory over all snapshots."),
    "diff": ("diff", "Show what differs between two snapshots, directories or local folders."),
    "du": ("du", "Show how much is in each directory."),
    "stats": ("stats", "Show what the snapshots of a target hold, and what they take."),
    "manifest": ("manifest", "List all that hangs below a place, with its caps."),
    "forget": ("forget", "Drop snapshots from a target."),
    "hold": ("hold", "Let snapshots never be forgotten."),
    "release": ("release", "Let snapshots be forgotten again that were held."),
    "tag": ("tag", "Change the tags and notes of snapshots."),
    "rewrite": ("rewrite", "Take paths out of snapshots."),
    "prune": ("prune", "Delete what nothing leads to, and give back its space."),
    "check": ("check", "Check that all is there, and that its bytes are right."),
    "repair": ("repair", "Put right what is damaged in a vault."),
    "deep-check": ("deep_check", "Check all that hangs below a place, and repair it on a Tahoe-LAFS grid."),
    "copy-vault": ("copy_vault", "Copy a vault to a mirror, or what is new in it."),
    "scrub": ("scrub", "Find damage in a vault without any key."),
    "keeper-stats": ("keeper_stats", "Show what a vault takes and what for, with the keeper key alone."),
    "get": ("get", "Write a file's content to a local file or standard output."),
    "put": ("put", "Store a local file or standard input."),
    "mkdir": ("mkdir", "Make a directory that can be changed."),
    "cp": ("cp", "Copy files and directories, within a grid and to and from local paths."),
    "mv": ("mv", "Give an entry another name or directory."),
    "ln": ("ln", "Give what is at one place a second name."),
    "unlink": ("unlink", "Take an entry out of its directory."),
    "serve": ("serve", "Speak Tahoe-LAFS's web API, so that its clients work on a vault."),
    "webopen": ("webopen", "Show a place in the web browser, through a Tahoe-LAFS node."),
    "create-alias": ("create_alias", "Make a new directory and an alias for it."),
    "add-alias": ("add_alias", "Remember a cap under a name."),
    "list-aliases": ("list_aliases", "List the aliases."),
    "remove-alias": ("remove_alias", "Forget an alias, here and behind the vault's passphrases."),
    "cap": ("cap", "Print the cap of a file or directory, to hand it on."),
    "connect": ("connect", "Take over a vault with its aliases, by passphrase or recovery kit."),
    "add-passphrase": ("add_passphrase", "Set a passphrase on a vault."),
    "list-passphrases": ("list_passphrases", "List the passphrases that you have set on a vault."),
    "change-passphrase": ("change_passphrase", "Set another passphrase in place of one."),
    "remove-passphrase": ("remove_passphrase", "Let a passphrase open nothing any more."),
    "recovery-kit": ("recovery_kit", "Print what is needed beside the vault's files, for a safe."),
    "key-source": ("key_source", "Say where the key of a vault is kept, or keep it elsewhere."),
    "locator-key": ("locator_key", "Print the key that is needed beside a read cap."),
    "keeper-key": ("keeper_key", "Print the key for whoever looks after a vault without reading it."),
    "completion": ("completion", "Print the script that lets a shell complete."),
    "man": ("man", "Write manual pages."),
}
"""Name -> module in `tallac.cli.commands`, and what `tallac --help` says."""

HEADINGS = {
    "backup": "The main job",
    "ls": "Look",
    "forget": "Keep and forget snapshots",
    "check": "Look after a vault",
    "get": "Single files and directories",
    "serve": "Over the web",
    "create-alias": "Aliases, caps and keys",
    "completion": "This program",
}
"""What `tallac --help` writes above these commands; those that follow in the table belong with them."""

SYNONYMS = {"rm": "unlink"}


def commands_by_heading() -> dict[str, list[str]]:
    """Give the names of all commands, in the order of the table, under their headings."""
    names: dict[str, list[str]] = {}
    heading = ""
    for name in COMMANDS:
        heading = HEADINGS.get(name, heading)
        names.setdefault(heading, []).append(name)
    return names


class CommandGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give all names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        name = SYNONYMS.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        command = import_module(f"tallac.cli.commands.{COMMANDS[name][0]}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"{name} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table under its headings, without importing anything."""
        width = max(map(len, COMMANDS))
        for heading, names in commands_by_heading().items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), COMMANDS[name][1]) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands and options, without importing any command."""
        # Late, because only a shell that completes needs it.
        from click.shell_completion import CompletionItem

        summaries = {name: COMMANDS[SYNONYMS.get(name, name)][1] for name in (*COMMANDS, *SYNONYMS)}
        commands = [CompletionItem(name, help=summary) for name, summary in summaries.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are."""
        write_examples(formatter, EXAMPLES)


EXAMPLES = (
    "tallac backup ~/Documents",
    "tallac ls tallac:Latest",
    "tallac restore tallac:Latest ~/restored",
)


def write_examples(formatter: click.HelpFormatter, examples: tuple[str, ...]) -> None:
    """Write examples, each on a line that is never broken."""
    with formatter.section("Examples" if len(examples) > 1 else "Example"):
        for example in examples:
            formatter.write(" " * formatter.current_indent + example + "\n")


group = CommandGroup(
    "tallac",
    params=[
        *output_options(),
        *grid_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=lambda context, _parameter, value: _print_version(context, is_wanted=bool(value)),
            help="Print the version.",
        ),
    ],
    context_settings=CONTEXT_SETTINGS,
    help="""Versioned, encrypted backups whose every file and directory can be shared on its own.

    ALIAS:PATH names a place in a vault; without ALIAS: it lies below the default alias, tallac:, which the first backup makes.
    A cap may stand in place of the alias, as in URI:DIR2-RO:.../PATH. So that it need not be seen in a process list, @FILE:PATH
    and @-:PATH take it from the first line of a file or of standard input. The options below may also follow the command.
    `tallac COMMAND --help` says more.""",
)


def _print_version(context: click.Context, *, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        click.echo(f"tallac {__version__}")
        context.exit()
