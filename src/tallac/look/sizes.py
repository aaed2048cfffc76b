"""Sizes as users write them."""

from __future__ import annotations

import re

from tallac.errors import UsageError

_SIZE = re.compile(r"(\d+)(?:\.(\d+))?\s*(?:([kmgt])(i?))?b?", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> int:
    """Read a size in bytes: k, M, G and T are powers of 1,000, as in all that Tallac prints; Ki, Mi, Gi and Ti of 1,024.

    Raises:
        UsageError: It is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size; write bytes, or a number with a unit, as in 500k, 1.5G or 64MiB")
    unit: int = (1024 if match[4] else 1000) ** " kmgt".index((match[3] or " ").lower())
    fraction = match[2] or ""
    parts: int = 10 ** len(fraction)
    return int(match[1] + fraction) * unit // parts
