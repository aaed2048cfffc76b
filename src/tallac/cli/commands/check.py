"""`tallac check`."""

from __future__ import annotations

import re

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.progress import ProgressLine
from tallac.cli.reports.findings import json_counts, show_counts, tell_findings
from tallac.errors import UsageError
from tallac.vault.check.options import PackSubset


@define(
    "check",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("--read-data", text="Read everything, and check that every byte is right."),
        click.Option(
            ["--read-data-subset"],
            metavar="N/M|PERCENT",
            default="",
            help="Read only a part of the packs: the N-th of M parts, or the next so many percent, as in 5%.",
        ),
        flag("--resume", text="Go on reading where the last check of this kind was interrupted."),
    ],
    examples=(
        "tallac check home:",
        "tallac check --read-data home:docs/Latest",
        "tallac check --read-data-subset 5% home:",
        "tallac check --read-data --grid /media/usb/vault --vault-key keeper.txt",
    ),
)
def command(run: CommandContext, place: str, read_data: bool, read_data_subset: str, resume: bool) -> int:
    """Check that all is there, and that its bytes are right.

    All that hangs below the place is looked up; for an alias itself, the vault's own parts as well. A verify cap suffices; with
    --grid and a keeper key, and no place, all of the vault is checked. Nothing is changed. Each trouble is named on standard error,
    with all snapshots that it hits; if anything is damaged, the exit status is 1.
    """
    share = _share(read_data_subset, is_resumed=resume) if read_data_subset or resume else None
    if read_data and read_data_subset:
        raise UsageError("--read-data reads everything, and --read-data-subset a part of it: give one of them")
    if resume and not (read_data or read_data_subset):
        raise UsageError("--resume goes on reading: give --read-data or --read-data-subset with it")
    with ProgressLine(run.output) as line:
        report = run.client.check(
            place,
            read_data=read_data and share is None,
            share=share,
            progress=lambda report: line.show(show_counts(report), json_counts(report)),
        )
    tell_findings(run, report)
    if run.output.is_json:
        run.output.record(type="summary", healthy=report.is_healthy, **json_counts(report))
    else:
        run.output.summary({"checked": show_counts(report), "result": "all is well" if report.is_healthy else "damaged"})
    return 0 if report.is_healthy else 1


def _share(text: str, *, is_resumed: bool) -> PackSubset:
    if not text:
        return PackSubset(is_resumed=is_resumed)
    part = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text, re.ASCII)
    if part is not None and 1 <= int(part[1]) <= int(part[2]):
        return PackSubset(int(part[1]), int(part[2]), is_resumed=is_resumed)
    percent = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", text, re.ASCII)
    if percent is not None and 0 < float(percent[1]) <= 100:
        return PackSubset(percent=float(percent[1]))
    raise UsageError(f"--read-data-subset {text}: give a part as in 1/7, or a percentage above 0 and up to 100 as in 5%")
