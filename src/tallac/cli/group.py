"""The `tallac` command: it imports a command only when that is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from tallac import __version__
from tallac.cli.options.global_options import grid_options, output_options
from tallac.cli.table import COMMANDS, SYNONYMS, canonical, commands_by_heading, unknown_command

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

HELP_OPTION_NAMES = ["-h", "--help"]
CONTEXT_SETTINGS: dict[str, object] = {"help_option_names": HELP_OPTION_NAMES, "max_content_width": 110}

EXAMPLES = (
    "tallac backup ~/Documents",
    "tallac ls tallac:Latest",
    "tallac restore tallac:Latest ~/restored",
)


class CommandGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        name = canonical(cmd_name)
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(import_module(f"tallac.cli.commands.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{name} is no command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that a line names, or suggest what may have been meant."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(unknown_command(args[0]))
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the program is for, and then the examples, as they are."""
        super().format_help_text(ctx, formatter)
        write_examples(formatter, EXAMPLES)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands before the options, which few need."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table under its headings, without importing anything."""
        width = max(map(len, COMMANDS))
        for heading, names in commands_by_heading().items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), COMMANDS[name][1]) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands and options, without importing any command."""
        # lazy import: only a shell that completes needs it
        from click.shell_completion import CompletionItem

        summaries = {name: COMMANDS[canonical(name)][1] for name in (*COMMANDS, *SYNONYMS)}
        commands = [CompletionItem(name, help=summary) for name, summary in summaries.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


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

    `tallac COMMAND --help` shows what a command does, with examples. ALIAS:PATH is a path in a
    vault; without ALIAS: it is below the default alias, tallac:, which the first backup creates
    together with a vault. The options below work with every command, before or after its name.""",
)


def _print_version(context: click.Context, *, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        click.echo(f"tallac {__version__}")
        context.exit()
