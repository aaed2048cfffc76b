"""The values of a backup's options, from the command line or from a job, as what they amount to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from msgspec.structs import fields

from tallac.app.operations.backup import BackupOptions
from tallac.app.operations.exclusions import Exclusions
from tallac.backup.decide import UNCHANGED_BY
from tallac.errors import UsageError
from tallac.interfaces.compressing import parse_compression
from tallac.look.moments import parse_moment


def options_of(values: Mapping[str, Any], standard_input: BinaryIO | None) -> BackupOptions:
    """Read the options' values, and the files that they name.

    Args:
        values: By the names that `tallac.backup.option_table` has for them in the program; all of them, whether given or not.
        standard_input: What `-` stands for.

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
        compression=None if values["compression"] is None else parse_compression(values["compression"]),
        counts_ahead=values["scan"],
    )
    options.require_sense(now_ns)
    return options


def exclusions_of(values: Mapping[str, Any]) -> Exclusions:
    """Put the values of the options on what is left out together; others are ignored."""
    return Exclusions(**{field.name: values[field.name] for field in fields(Exclusions)})


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
