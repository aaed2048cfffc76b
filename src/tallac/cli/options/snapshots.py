"""The options that say which snapshots are meant, and what they amount to."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import click

from tallac.look.choosing import Choice, parse_latest
from tallac.look.moments import parse_moment
from tallac.retention.rules import parse_tags


def choice_options() -> list[click.Parameter]:
    """Make the options."""
    return [
        click.Option(["--host"], metavar="HOST", multiple=True, help="Only snapshots of this machine. May be given several times."),
        click.Option(["--source"], metavar="FOLDER", multiple=True, help="Only those of this folder. May be given several times."),
        click.Option(
            ["--tag"], metavar="TAG[,TAG...]", multiple=True, help="Only those with all of these tags. May be given several times."
        ),
        click.Option(["--since"], metavar="WHEN", help="Only those made then or later, as in 2026-11-23 or '2 weeks ago'."),
        click.Option(["--until"], metavar="WHEN", help="Only those made then or earlier; a day counts to its end."),
        click.Option(["--latest"], metavar="N", help="Only the N newest of those that are left."),
    ]


def choice_of(values: Mapping[str, object], names: tuple[str, ...] = ()) -> Choice:
    """Read the options' values.

    Raises:
        UsageError: One makes no sense.
    """
    since, until, latest = (_text(values, name) for name in ("since", "until", "latest"))
    now_ns = time.time_ns()
    return Choice(
        names=tuple(os.fsencode(name) for name in names),
        hosts=_texts(values, "host"),
        sources=tuple(os.fsencode(os.path.abspath(folder)) for folder in _texts(values, "source")),
        tags=tuple(parse_tags(text) for text in _texts(values, "tag")),
        since_ns=None if since is None else parse_moment(since, now_ns),
        until_ns=None if until is None else parse_moment(until, now_ns, is_end=True),
        latest=None if latest is None else parse_latest(latest),
    )


def _text(values: Mapping[str, object], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) else None


def _texts(values: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = values.get(name)
    return tuple(map(str, value)) if isinstance(value, tuple) else ()
