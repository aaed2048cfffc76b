"""The options that say which snapshots are meant, and what they amount to."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import click

from tallac.cli.options.option import Option, as_typed, option, several
from tallac.look.moments import parse_moment
from tallac.look.snapshot_filter import SnapshotFilter, parse_latest
from tallac.retention.rules import parse_tags

_RESTIC_GROUPS = {"hosts": "host", "path": "source", "paths": "source", "tag": "tags"}


def choice_options() -> list[click.Parameter]:
    """Make the options."""
    return [
        several("--host", metavar="HOST", text="Only snapshots of this host; may be repeated.", synonyms=("-H",), parse=as_typed),
        several("--source", metavar="FOLDER", text="Only snapshots of this folder; may be repeated.", synonyms=("--path",)),
        several("--tag", metavar="TAG[,TAG...]", text="Only snapshots with all of these tags; may be repeated.", parse=as_typed),
        option("--since", metavar="WHEN", text="Only snapshots made then or later, as in 2026-11-23 or '2 weeks ago'."),
        option("--until", metavar="WHEN", text="Only snapshots made then or earlier; a day includes its end."),
        option("--latest", metavar="N", text="Only the N newest of these."),
    ]


def group_by_option(text: str, default: str | None = None) -> Option:
    """Make the option on how snapshots are grouped."""
    return Option(
        ["--group-by"],
        metavar="WHAT",
        default=default,
        help=text,
        synonyms=("-g",),
        callback=lambda _context, _parameter, value: None if value is None else _grouping(str(value)),
    )


def _grouping(text: str) -> str:
    """Translate restic's names: paths for sources, and an empty text for no grouping."""
    return ",".join(_RESTIC_GROUPS.get(name, name) for name in text.split(",")) or "none"


def choice_of(values: Mapping[str, object], names: tuple[str, ...] = ()) -> SnapshotFilter:
    """Read the options' values.

    Raises:
        UsageError: One makes no sense.
    """
    since, until, latest = (_text(values, name) for name in ("since", "until", "latest"))
    now_ns = time.time_ns()
    return SnapshotFilter(
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
