"""Sizes as users write them on the command line."""

from __future__ import annotations

import click

from tallac.errors import UsageError
from tallac.look import criteria
from tallac.look.criteria import Comparison, SizeLimit


def parse_size(text: str) -> int:
    """Read the value of an option; see `tallac.look.criteria`.

    Raises:
        BadParameter: It is no size; click adds which option.
    """
    try:
        return criteria.parse_size(text)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error


def parse_rate(text: str) -> int:
    """Read bytes a second, likewise.

    Raises:
        BadParameter: It is no rate.
    """
    try:
        return criteria.parse_rate(text)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error


def parse_size_text(text: str) -> int:
    """Read an argument that is a size, likewise.

    Raises:
        UsageError: It is none.
    """
    return criteria.parse_size(text)


def parse_size_limit(text: str) -> SizeLimit:
    """Read `+10M` (at least), `-1k` (at most) or `123` (exactly).

    Raises:
        UsageError: It is none of these.
    """
    sign = text[:1] if text[:1] in ("+", "-") else ""
    try:
        return SizeLimit(Comparison(sign), criteria.parse_size(text.removeprefix(sign)))
    except UsageError as error:
        raise UsageError(
            f"{text!r} is not a size: write +10M for at least, -1k for at most, 123 for exactly so many bytes"
        ) from error
