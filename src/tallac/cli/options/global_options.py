"""The options that every command has, before or after its name, and what they amount to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from tallac.cli.options.option import Option, parse_waiting_time

CONNECTIONS_MAX = 999


@dataclass(slots=True)
class Settings:
    """The values of the global options.

    Attributes:
        verbose, quiet, json, no_progress: See the options' help.
        grid: A vault's folder or URL.
        vault_key: The file with the vault's key.
        vault_key_command: The command that prints it.
        store: `KEY=VALUE` for a location in an object store or over SFTP.
        retry_for: How many seconds a store that can't be reached is waited for.
        limit_upload, limit_download: Bytes a second to and from such a store; 0 for no limit.
        connections: Requests to it at a time; 0 for no limit.
        cache_size: How many bytes the cache of a distant vault may take.
        lock_for: How many seconds it locks what is stored; 0 for none.
        node_directory, node_url: A Tahoe-LAFS node.
    """

    verbose: bool = False
    quiet: bool = False
    json: bool = False
    no_progress: bool = False
    grid: str | None = None
    vault_key: str | None = None
    vault_key_command: str | None = None
    store: tuple[str, ...] = ()
    retry_for: float | None = None
    limit_upload: int | None = None
    limit_download: int | None = None
    connections: int | None = None
    cache_size: int | None = None
    lock_for: float | None = None
    node_directory: str | None = None
    node_url: str | None = None


def _note(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep an option's value; it may stand before the command, after it, or in both places."""
    # An empty text was given, by a variable that is not set perhaps; whoever uses it says what is wrong with it.
    if value is None or value is False:
        return
    settings = context.ensure_object(Settings)
    if isinstance(value, tuple):
        value = (*getattr(settings, str(parameter.name)), *value)
    setattr(settings, str(parameter.name), value)


def _parse_size(text: str) -> int:
    # lazy import: likewise
    from tallac.cli.options.sizes import parse_size

    return parse_size(text)


def _parse_rate(text: str) -> int:
    # lazy import: help and completion do without it
    from tallac.cli.options.sizes import parse_rate

    return parse_rate(text)


def output_options() -> list[Option]:
    """Make the options on what is printed."""
    return [
        _option("-v", "--verbose", is_flag=True, help="Name each file as it is processed."),
        _option("-q", "--quiet", is_flag=True, help="Print only requested output, warnings and errors."),
        _option("--json", is_flag=True, help="Print JSON, one object a line."),
        _option("--no-progress", is_flag=True, help="Do not report progress."),
    ]


def grid_options() -> list[Option]:
    """Make the options on which vault or grid is meant."""
    return [
        _option(
            "--vault",
            "grid",
            synonyms=("--grid", "--repo"),
            metavar="LOCATION",
            help="The vault's folder or URL, if no alias names it or it has moved.",
        ),
        _option(
            "--store",
            metavar="KEY=VALUE",
            multiple=True,
            help="Set an option of a location in an object store or over SFTP, as endpoint=URL; remembered with the vault.",
        ),
        _option(
            "--retry-for",
            metavar="TIME",
            type=parse_waiting_time,
            help="Wait so long for a store that can't be reached, as in 30s, 15m or 2h.",
        ),
        _option(
            "--limit-upload",
            metavar="RATE",
            type=_parse_rate,
            help="Send a store over a line at most so many bytes a second, as in 500k or 5M; 0 for no limit.",
        ),
        _option("--limit-download", metavar="RATE", type=_parse_rate, help="Fetch at most so many bytes a second from it."),
        _option(
            "--connections",
            metavar="NUMBER",
            type=click.IntRange(0, CONNECTIONS_MAX),
            help="Make at most so many requests to it at a time.",
        ),
        _option(
            "--cache-size",
            metavar="SIZE",
            type=_parse_size,
            help="Keep at most so much of a distant vault on this machine, as in 500M; 0 for nothing.",
        ),
        _option(
            "--lock-for",
            metavar="TIME",
            type=parse_waiting_time,
            help="Lock what is stored in an S3 bucket with Object Lock for so long, as in 30d; check and prune extend it.",
        ),
        _option("-d", "--node-directory", metavar="FOLDER", help="Use the grid and the aliases of this Tahoe-LAFS node."),
        _option("-u", "--node-url", metavar="URL", help="Use the grid of the Tahoe-LAFS node at this URL."),
        _option("--vault-key", metavar="FILE|-", help="Read the key of a vault that is not in your configuration from a file."),
        _option("--vault-key-command", metavar="COMMAND", help="Run a command that prints such a key."),
    ]


def global_options_line() -> str:
    """Write the line that stands for these options in the help of each command."""
    names = [next(name for name in option.opts if name.startswith("--")) for option in (*output_options(), *grid_options())]
    return f"Global options: {', '.join(names)}; see `tallac --help`."


def _option(*names: str, **attributes: Any) -> Option:
    return Option(names, expose_value=False, callback=_note, **attributes)
