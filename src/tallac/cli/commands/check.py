"""`tallac check`, `deep-check` and `scrub`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import show_size
from tallac.cli.output.progress import ProgressLine
from tallac.cli.reports.findings import check_work, json_counts, report_findings, show_counts
from tallac.errors import UsageError
from tallac.vault.check.options import PackSubset
from tallac.wording import pluralize

if TYPE_CHECKING:
    from tallac.interfaces import CheckReport


@define(
    "check",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("--read-data", text="Read everything, and check every byte."),
        click.Option(
            ["--read-data-subset"],
            metavar="N/M|PERCENT",
            default="",
            help="Read only some of the packs: the N-th of M parts, or the next so many percent, as in 5%.",
        ),
        flag("--resume", text="Continue where the last check of this kind was interrupted."),
    ],
    examples=(
        "tallac check home:",
        "tallac check --read-data home:docs/Latest",
        "tallac check --read-data-subset 5% home:",
        "tallac check --read-data --vault /media/usb/vault --vault-key keeper.txt",
    ),
)
def check(context: CommandContext, place: str, read_data: bool, read_data_subset: str, resume: bool) -> int:
    """Check a vault for missing and damaged data.

    Everything below the path is looked up; for an alias itself, also the vault's own structures. A
    verify cap is enough; with --vault and a keeper key, and without a path, the whole vault is
    checked. Nothing is changed. Each problem is named on standard error, with all snapshots that
    are affected; if anything is damaged, the exit status is 1.
    """
    share = _share(read_data_subset, is_resumed=resume) if read_data_subset or resume else None
    if read_data and read_data_subset:
        raise UsageError("--read-data reads everything, and --read-data-subset a part of it: give one of them")
    if resume and not (read_data or read_data_subset):
        raise UsageError("--resume requires --read-data or --read-data-subset")
    with ProgressLine(context.output) as line:
        report = context.client.vault.check(
            place,
            read_data=read_data and share is None,
            share=share,
            progress=lambda report: line.show(check_work(report), json_counts(report)),
        )
    return _summarize(context, report)


def _summarize(context: CommandContext, report: CheckReport) -> int:
    """Print what was found, and return the exit status."""
    report_findings(context, report)
    if context.output.is_json:
        context.output.record(type="summary", healthy=report.is_healthy, **json_counts(report))
    else:
        context.output.summary({"checked": show_counts(report), "result": "no damage found" if report.is_healthy else "damaged"})
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


@define(
    "deep-check",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("--read-data", "--verify", text="Read everything, and check every byte."),
        flag("--repair", text="On a Tahoe-LAFS grid: replace missing shares."),
        flag("--add-lease", text="On a Tahoe-LAFS grid: renew the leases, so that nothing expires."),
    ],
    examples=("tallac deep-check -d ~/.tahoe --repair --add-lease tahoe:docs",),
)
def deep_check(context: CommandContext, place: str, read_data: bool, repair: bool, add_lease: bool) -> int:
    """Check everything below a path, on any grid.

    On a vault this is the same as `tallac check`, without the vault's own structures. Each problem
    is named on standard error; if anything stays damaged, the exit status is 1.
    """
    with ProgressLine(context.output) as line:
        report = context.client.vault.deep_check(
            place,
            read_data=read_data,
            repair=repair,
            add_lease=add_lease,
            progress=lambda report: line.show(check_work(report), json_counts(report)),
        )
    return _summarize(context, report)


@define(
    "scrub",
    [argument("location", "FOLDER|URL|ALIAS:")],
    examples=("tallac scrub /media/usb/vault", "tallac scrub home:"),
)
def scrub(context: CommandContext, location: str) -> int:
    """Find damage in a vault without any key.

    A vault's packs and index objects are named by the hash of their bytes: all of them are read and
    compared with their names. No key and no configuration is needed, and nothing is changed.
    Damaged objects are named; the exit status is then 1. Missing objects can't be detected without
    a key: `tallac check` finds those.
    """
    with ProgressLine(context.output) as line:
        report = context.client.vault.scrub(location, progress=lambda report: line.show(check_work(report), json_counts(report)))
    report_findings(context, report)
    if context.output.is_json:
        context.output.record(type="summary", healthy=report.is_healthy, **json_counts(report))
    else:
        read = f"{pluralize(report.objects, 'object')} named by their hash, {show_size(report.bytes_read)}"
        context.output.summary({"read": read, "result": "no damage found" if report.is_healthy else "damaged"})
    return 0 if report.is_healthy else 1
