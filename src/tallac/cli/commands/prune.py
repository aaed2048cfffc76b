"""`tallac prune`."""

from __future__ import annotations

import re

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import Option, argument, flag
from tallac.cli.options.prune import max_unused_option, read_share
from tallac.cli.reports.prune import prune_and_report
from tallac.errors import UsageError
from tallac.vault.prune.report import PruneOptions

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@define(
    "prune",
    [
        argument("alias", "ALIAS:", default=""),
        flag("-n", "--dry-run", text="Only show what would be deleted."),
        max_unused_option(),
        Option(
            ["--session-timeout"],
            metavar="DURATION",
            default="2m",
            show_default=True,
            help="Continue without a writer that has not been heard of for so long, as in 30s, 10m, 12h.",
            synonyms=("--fence-after",),
        ),
    ],
    examples=(
        "tallac prune home:",
        "tallac prune --dry-run home:",
        "tallac prune --vault /media/usb/vault --vault-key keeper.txt",
    ),
)
def prune(context: CommandContext, alias: str, dry_run: bool, max_unused: str, session_timeout: str) -> int:
    """Delete unreferenced data and reclaim its space.

    This covers the whole vault of the alias. The keeper key is enough; only references between
    objects are read, and no content. It may run alongside backups and other prunes, and may be
    stopped at any time.
    """
    options = PruneOptions(is_dry_run=dry_run, unused_max=read_share(max_unused), fence_after_seconds=_seconds(session_timeout))
    return prune_and_report(context, alias, options)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text, re.ASCII)
    if match is None:
        raise UsageError(f"--session-timeout {text}: give a number of seconds, or one with m, h or d, as in 10m")
    return float(int(match[1]) * _SECONDS[match[2]])
