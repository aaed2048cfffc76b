"""The options on how to back up."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import click

from tallac.app.operations.backup import BackupOptions
from tallac.backup.decide import UNCHANGED_BY
from tallac.cli.options.exclusions import exclusions_of
from tallac.cli.options.option import as_typed, flag, option, several
from tallac.errors import UsageError
from tallac.look.moments import parse_moment


def backup_options() -> list[click.Parameter]:
    """Make the options."""
    return [
        several("--tag", metavar="TAG[,TAG...]", text="Add tags to the snapshot; may be repeated.", parse=as_typed),
        option("--time", metavar="WHEN", text="Name the snapshot by this time instead of now, as in '2026-11-23 17:02'."),
        option("--host", metavar="HOST", text="Record this host name.", synonyms=("-H",), parse=as_typed),
        flag("--ignore-timestamps", text="Read all files, even if they look unchanged.", synonyms=("-f", "--force")),
        flag("--allow-empty", text="Create a snapshot even if a source is empty that had files before."),
        option("--max-removed", metavar="N%", text="Create no snapshot if more of the files were removed, as in 50%."),
        flag("--include-own", text="Back up Tallac's own keys, configuration and state, too."),
        option(
            "--unchanged-by",
            metavar="FIELDS",
            text="Compare only these fields to see whether a file changed: size,mtime[,ctime][,inode].",
        ),
        flag("--skip-if-unchanged", text="Do not create a snapshot if nothing changed."),
    ]


def options_of(values: Mapping[str, Any], standard_input: BinaryIO) -> BackupOptions:
    """Read the options' values, and the files that they name.

    Raises:
        UsageError: One makes no sense.
    """
    now_ns = time.time_ns()
    when, tags = values["time"], _tags(values["tag"])
    options = BackupOptions(
        selection=exclusions_of(values).selection(standard_input),
        tags=tags,
        host=values["host"],
        time_ns=None if when is None else parse_moment(when, now_ns),
        ignore_timestamps=values["ignore_timestamps"],
        unchanged_by=UNCHANGED_BY if values["unchanged_by"] is None else tuple(values["unchanged_by"].split(",")),
        skip_if_unchanged=values["skip_if_unchanged"],
        allow_empty=values["allow_empty"],
        removed_share_max=_share(values["max_removed"]),
        include_own=values["include_own"],
    )
    options.require_sense(now_ns)
    return options


def _tags(texts: Sequence[str]) -> tuple[str, ...]:
    if not texts:
        return ()
    from tallac.retention.rules import parse_tags  # lazy import: the rest of that package is about forgetting

    return tuple(dict.fromkeys(tag for text in texts for tag in parse_tags(text)))


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    number = text.removesuffix("%").strip()
    if not (number.isascii() and number.isdigit() and int(number) <= 100):
        raise UsageError(f"--max-removed {text}: this is no share; give one from 0% to 100%")
    return int(number) / 100
