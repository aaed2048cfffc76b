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
    """Read bytes a second: a size, with or without `/s` behind it.

    Raises:
        BadParameter: It is none.
    """
    try:
        return parse_size(text.strip().removesuffix("/s"))
    except click.BadParameter:
        raise click.BadParameter(f"{text!r} is no rate; write bytes a second, as in 500k, 5M or 2.5M/s") from None


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
