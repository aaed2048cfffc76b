"""The options that every command has, before or after its name, and what they amount to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(slots=True)
class Settings:
    """What the common options say.

    Attributes:
        verbose, quiet, json, no_progress: See the options' help.
        grid: A vault's folder or URL.
        vault_key: The file with the vault's key.
        vault_key_command: The command that prints it.
        node_directory, node_url: A Tahoe-LAFS node.
    """

    verbose: bool = False
    quiet: bool = False
    json: bool = False
    no_progress: bool = False
    grid: str | None = None
    vault_key: str | None = None
    vault_key_command: str | None = None
    node_directory: str | None = None
    node_url: str | None = None


def _note(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep an option's value; it may stand before the command, after it, or in both places."""
    # An empty text was given, by a variable that is not set perhaps; whoever uses it says what is wrong with it.
    if value is not None and value is not False:
        setattr(context.ensure_object(Settings), str(parameter.name), value)


def output_options() -> list[click.Option]:
    """Make the options on what is printed."""
    return [
        _option("-v", "--verbose", is_flag=True, help="Name every file as it is handled."),
        _option("-q", "--quiet", is_flag=True, help="Print only what was asked for, warnings and errors."),
        _option("--json", is_flag=True, help="Print JSON, one object a line."),
        _option("--no-progress", is_flag=True, help="Show no progress, neither on a terminal nor as JSON."),
    ]


def grid_options() -> list[click.Option]:
    """Make the options on which grid is meant."""
    return [
        _option("--grid", metavar="FOLDER|URL", help="The vault, where no alias says it or it has moved."),
        _option("-d", "--node-directory", metavar="FOLDER", help="A Tahoe-LAFS node's, for its grid and aliases."),
        _option("-u", "--node-url", metavar="URL", help="A Tahoe-LAFS node's gateway, for its grid."),
        _option("--vault-key", metavar="FILE|-", help="Where to read the key of a vault that the configuration does not know."),
        _option("--vault-key-command", metavar="COMMAND", help="A command that prints such a key."),
    ]


def _option(*names: str, **attributes: object) -> click.Option:
    return click.Option(names, expose_value=False, callback=_note, **attributes)  # type: ignore[arg-type]
