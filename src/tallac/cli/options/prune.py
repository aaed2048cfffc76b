"""Options on how a prune works, for the commands that prune."""

from __future__ import annotations

import re

from tallac.cli.options.option import Option
from tallac.errors import UsageError

_MAX_UNUSED = "5%"


def max_unused_option(*, is_default_shown: bool = True) -> Option:
    """Return `--max-unused`; without its default where the command prunes only when it is asked to."""
    return Option(
        ["--max-unused"],
        metavar="PERCENT",
        default=_MAX_UNUSED if is_default_shown else None,
        show_default=is_default_shown,
        help="Repack the packs with most unused bytes until no more than this share of all is unused."
        if is_default_shown
        else f"With --prune: repack packs until no more than this share of all is unused ({_MAX_UNUSED}).",
    )


def read_share(text: str | None) -> float:
    """Read the value of `--max-unused`, a share from 0 to 1.

    Raises:
        UsageError: It is no percentage.
    """
    text = _MAX_UNUSED if text is None else text
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)%?", text, re.ASCII)
    if match is None or float(match[1]) > 100:
        raise UsageError(f"--max-unused {text}: give a percentage from 0 to 100, as in 5%")
    return float(match[1]) / 100
