"""Everything that commands share: options, examples, an open client, and their output."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader

import click
import msgspec
from click.core import ParameterSource

from tallac.app.client import Client
from tallac.cli.group import CONTEXT_SETTINGS, write_examples
from tallac.cli.options.global_options import Settings, global_options_line, grid_options, output_options
from tallac.cli.options.option import Option
from tallac.cli.output.output import Output
from tallac.cli.output.stderr import say
from tallac.cli.table import COMMANDS
from tallac.errors import UsageError
from tallac.wording import pluralize

_BEHIND_DASHES = "tallac.behind_dashes"

GLOBAL_NAMES = frozenset(option.name for option in (*output_options(), *grid_options()))


def count_behind_dashes() -> int:
    """Return how many of the running command's arguments stand behind a `--`."""
    return int(click.get_current_context().meta[_BEHIND_DASHES])


class CommandContext(msgspec.Struct, frozen=True):
    """One run of a command: its open client, where its output goes, and where `-` is read from."""

    client: Client
    output: Output
    standard_input: BufferedReader


class TallacCommand(click.Command):
    """A command with examples that are shown as they are written."""

    def __init__(self, *, examples: tuple[str, ...], **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, and note how many stand behind a `--`, which click does not tell."""
        if ctx.resilient_parsing:
            # lazy import: only a shell that completes needs it
            from tallac.cli.completion.candidates import make_completed

            make_completed(self.params)
        ctx.meta[_BEHIND_DASHES] = len(args) - args.index("--") - 1 if "--" in args else 0
        self._require_values(ctx, args)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            # lazy import: only a mistake needs it
            from tallac.cli.restic import hint

            if instead := hint(self.name or "", error.option_name):
                raise click.NoSuchOption(error.option_name, f"no such option: {error.option_name}; {instead}", ctx=ctx) from error
            raise
        self._require_no_empty(ctx)
        return rest

    def _require_no_empty(self, ctx: click.Context) -> None:
        """Refuse an empty argument, which is a shell's variable that is not set; what is behind `--` may be anything's.

        Raises:
            UsageError: One is empty.
        """
        for parameter in self.get_params(ctx):
            name = parameter.name or ""
            if not isinstance(parameter, click.Argument) or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
                continue
            value = ctx.params[name]
            texts = value[: len(value) - ctx.meta[_BEHIND_DASHES]] if isinstance(value, tuple) else (value,)
            if "" in texts:
                shown = f"`{ctx.command_path} --help` shows what it takes"
                raise UsageError(f"an argument is empty, as where a shell's variable is not set; {shown}")

    def _require_values(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option of this command as the value of the one before it: that value was forgotten.

        Raises:
            UsageError: An option stands where a value should.
        """
        names: dict[str, click.Option] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option):
                synonyms = parameter.synonyms if isinstance(parameter, Option) else ()
                names |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts, *synonyms), parameter)
        waiting = ""
        for text in args:
            if waiting:
                if text.partition("=")[0] in names:
                    value = text.partition("=")[0]
                    whole = f"{waiting}={text}" if waiting.startswith("--") else f"{waiting}{text}"
                    raise UsageError(f"{waiting} needs a value, and {value} is an option; write {whole} if it is the value")
                waiting = ""
            elif text == "--":
                return
            else:
                waiting = _option_without_value(text, names)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, and name those that all commands have in one line."""
        own = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        records = [parameter.get_help_record(ctx) for parameter in own if parameter.name not in GLOBAL_NAMES]
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])
        formatter.write_paragraph()
        for line in textwrap.wrap(global_options_line(), formatter.width, break_on_hyphens=False):
            formatter.write(f"{line}\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(formatter, self.examples)


def _tell_traffic(output: Output, client: Client) -> None:
    """Report how much a store over a line was asked, and what was wrong with its cache, where details are wanted."""
    traffic = output.traffic()
    if output.is_verbose and traffic is not None:
        for warning in client.workspace.cache_warnings():
            say(f"{warning}; the store was asked instead")
        from tallac.cli.output.display import show_size  # lazy import: few commands need it here

        sent, received = show_size(traffic.sent), show_size(traffic.received)
        say(f"{pluralize(traffic.requests, 'request')} to the store, {sent} sent, {received} received")


def _option_without_value(text: str, names: Mapping[str, click.Option]) -> str:
    """Return the option in an argument whose value is the next argument; "" where none is."""
    if text.startswith("--"):
        option = names.get(text)
        return "" if option is None or option.is_flag or option.count else text
    if not text.startswith("-"):
        return ""
    for place in range(1, len(text)):
        option = names.get(f"-{text[place]}")
        if option is None:
            return ""
        if not option.is_flag and not option.count:
            return f"-{text[place]}" if place == len(text) - 1 else ""
    return ""


def define(
    name: str, parameters: list[click.Parameter], *, examples: tuple[str, ...]
) -> Callable[[Callable[..., int | None]], TallacCommand]:
    """Turn a function into a command.

    It gets a `CommandContext` and the parameters' values, and returns the exit status, None for 0.

    Its docstring is the command's help.
    """

    def decorate(function: Callable[..., int | None]) -> TallacCommand:
        def callback(**values: object) -> int | None:
            settings = click.get_current_context().ensure_object(Settings)
            with _running(settings) as context:
                status = function(context, **values)
                context.output.end()
                context.output.flush()
                return status

        all_parameters = [*parameters, *output_options(), *grid_options()]
        return TallacCommand(
            name=name,
            callback=callback,
            params=all_parameters,
            help=function.__doc__,
            short_help=COMMANDS[name][1],
            context_settings=CONTEXT_SETTINGS,
            examples=examples,
        )

    return decorate


@contextmanager
def _running(settings: Settings) -> Iterator[CommandContext]:
    if settings.verbose and settings.quiet:
        raise UsageError("--verbose and --quiet contradict each other; give one of them")
    output = Output(
        is_verbose=settings.verbose, is_quiet=settings.quiet, is_json=settings.json, hides_progress=settings.no_progress
    )
    standard_input = open(0, "rb", closefd=False)  # noqa: SIM115 - it stays open, since it was not opened here.
    with Client(
        vault=settings.grid,
        vault_key_file=settings.vault_key,
        vault_key_command=settings.vault_key_command,
        store=settings.store,
        retry_seconds=settings.retry_for,
        limit_upload=settings.limit_upload,
        limit_download=settings.limit_download,
        connections=settings.connections,
        cache_size=settings.cache_size,
        lock_seconds=settings.lock_for,
        node_directory=settings.node_directory,
        node_url=settings.node_url,
        standard_input=standard_input,
        warn=output.warn,
    ) as client:
        output.traffic = client.workspace.traffic
        try:
            yield CommandContext(client, output, standard_input)
        finally:
            _tell_traffic(output, client)
