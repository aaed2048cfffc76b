"""Sizes as users write them."""

from __future__ import annotations

import re

import click

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgtpe])(i?b)?|b)?", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> int:
    """Read a size in bytes: `500000`, `500k` or `1.5GiB` (in powers of 1,024), `500kB` or `2GB` (in powers of 1,000).

    Raises:
        BadParameter: It is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no size; write bytes, or a number with a unit, as in 500k, 1.5GiB or 2GB")
    number, unit, ending = match.groups()
    base = 1000 if (ending or "").lower() == "b" else 1024
    power = "bkmgtpe".index((unit or "b").lower())
    return int(float(number) * base**power) if "." in number else int(number) * base**power
