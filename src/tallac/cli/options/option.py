"""Options and arguments of commands; an option may have other names, which work and are shown nowhere."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.parser import _OptionParser

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?", re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Option(click.Option):
    """An option with hidden synonyms: former names, and those that another program has for the same.

    Attributes:
        synonyms: They are accepted, and appear neither in help, nor in manual pages, nor in completion.
    """

    def __init__(self, names: Sequence[str], *, synonyms: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.synonyms = tuple(synonyms)

    def add_to_parser(self, parser: _OptionParser, ctx: click.Context) -> None:
        """Teach the parser all names."""
        super().add_to_parser(parser, ctx)
        if self.synonyms:
            other = copy.copy(self)
            other.opts = list(self.synonyms)
            click.Option.add_to_parser(other, parser, ctx)


def as_typed(text: str) -> str:
    """Return the text that an argument's bytes are in UTF-8, whatever the locale takes them for; if they are none, what it does."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


def parse_waiting_time(text: str) -> float:
    """Read how long something is waited for, `30s`, `15m`, `2h` or `1d`, in seconds; a number alone is seconds.

    Raises:
        BadParameter: It is none.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a length of time; write it as in 30s, 15m or 2h")
    return float(match[1]) * _SECONDS[(match[2] or "s").lower()]


def option(*names: str, metavar: str, text: str, synonyms: Sequence[str] = (), parse: Callable[[str], str] | None = None) -> Option:
    """Make an option with a value, which is read with `parse`."""
    return Option(names, metavar=metavar, help=text, synonyms=synonyms, type=parse)


def several(
    *names: str, metavar: str, text: str, synonyms: Sequence[str] = (), parse: Callable[[str], str] | None = None
) -> Option:
    """Make an option with a value that may be given several times."""
    return Option(names, metavar=metavar, help=text, synonyms=synonyms, type=parse, multiple=True)


def flag(*names: str, text: str, synonyms: Sequence[str] = ()) -> Option:
    """Make an option without a value."""
    return Option(names, is_flag=True, help=text, synonyms=synonyms)


def argument(name: str, metavar: str, *, default: str | None = None, is_optional: bool = False, count: int = 1) -> click.Argument:
    """Make an argument; with a count of -1 there may be several."""
    if default is None:
        return click.Argument([name], metavar=metavar, required=not is_optional, nargs=count)
    return click.Argument([name], metavar=metavar, default=default, nargs=count)
