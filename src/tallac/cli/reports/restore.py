"""Progress and report of `tallac restore`."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name, json_report, show_duration, show_size
from tallac.cli.output.progress import RATE_SECONDS, Pace, ProgressLine, Work, share_of, share_of_files, show_left, show_rate
from tallac.cli.output.stderr import show_name
from tallac.restore import Change, Problem, RestoreObserver, RestoreSummary
from tallac.wording import pluralize


class RestoreReporter:
    """Prints what a restore does; use it in a `with` block.

    Attributes:
        seconds: How long the restore has been running.
    """

    def __init__(self, context: CommandContext, folder: str) -> None:
        self._context = context
        self._folder = folder
        self._line = ProgressLine(context.output)
        self._pace = Pace(RATE_SECONDS)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._line.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._line.__exit__(kind, error, trace)

    @property
    def seconds(self) -> float:
        """See above."""
        return time.monotonic() - self._started

    @property
    def observer(self) -> RestoreObserver:
        """The observer for the restore."""
        output = self._context.output
        return RestoreObserver(
            problem=self.problem,
            change=self.change if output.is_verbose else None,
            protected=self.protected,
            # Nothing is counted for nobody.
            progress=self.progress if output.shows_progress or output.records_progress else None,
        )

    def problem(self, problem: Problem) -> None:
        """Report a path that could not be restored as it was stored."""
        output = self._context.output
        if output.is_json:
            output.record(type="problem", kind=problem.kind.value, what=problem.message, **json_name(problem.path, "path"))
        output.warn(f"{show_name(problem.path) or self._folder}: {problem.message}")

    def change(self, change: Change, path: bytes) -> None:
        """Name a path and what was done there."""
        self._context.output.detail(f"{change.value:9}  {show_name(path)}")

    def protected(self, path: bytes, what: str) -> None:
        """Name what stays as it is because it is Tallac's own."""
        self._context.output.note(f"{show_name(path)}: not touched: it is {what}")

    def progress(self, summary: RestoreSummary) -> None:
        """Show the progress."""
        self._line.show(progress_work(summary, self._pace.note(summary.bytes)), _fields(summary))


def report_summary(context: CommandContext, folder: str, summary: RestoreSummary, seconds: float, *, dry_run: bool) -> None:
    """Print what was done, or would be done."""
    for note in summary.notes:
        context.output.note(note)
    if context.output.is_json:
        complete = summary.is_complete
        context.output.record(type="summary", seconds=round(seconds, 3), complete=complete, dry_run=dry_run, **_fields(summary))
        return
    done = _counts(summary)
    rows = {"would restore": done} if dry_run else {"restored": f"{done} in {show_duration(seconds)}"}
    left = {
        "replaced": summary.replaced,
        "metadata updated": summary.amended,
        "unchanged": summary.unchanged,
        "skipped": summary.kept,
        "deleted": summary.deleted,
        "verified": summary.verified,
        "damaged": summary.damaged,
        "failed": summary.failed,
        "metadata not restored": summary.unset,
    }
    rows |= {label: f"{count:,}" for label, count in left.items() if count}
    context.output.summary(rows | {"to": show_name(folder)})


def progress_work(summary: RestoreSummary, rate: float) -> Work:
    """Return what people see of a restore's progress; the rate is in bytes a second."""
    files = pluralize(summary.files_done, "file")
    if summary.files_expected:
        files = f"{summary.files_done:,} of {pluralize(summary.files_expected, 'file')}"
    counts = (files, *((show_rate(rate, "at"),) if rate >= 1 else ()), f"{show_size(summary.bytes)} restored")
    if summary.verified:
        share = share_of(summary.verified, summary.files_expected)
        return Work(phase="verifying", share=share, counts=(f"{summary.verified:,} verified", *counts))
    if summary.is_counting:
        counted = f"counting: {pluralize(summary.files_counted, 'file')}, {show_size(summary.bytes_counted)}"
        return Work(phase=counted, counts=counts, path=summary.path)
    if summary.files_done > summary.files or not summary.bytes_expected:
        # Nobody knows the size of what was there already.
        share = share_of(summary.files_done, summary.files_expected)
        return Work(phase="restoring", share=share, counts=counts, path=summary.path)
    share = share_of_files(summary.files_done, summary.bytes, summary.files_expected, summary.bytes_expected)
    left = show_left(summary.bytes, summary.bytes_expected)
    return Work(phase="restoring", share=share, left=left, counts=counts, path=summary.path)


def _counts(summary: RestoreSummary) -> str:
    files = pluralize(summary.files, "file")
    directories = pluralize(summary.directories, "directory")
    return f"{files}, {directories}, {show_size(summary.bytes)}"


def _fields(summary: RestoreSummary) -> dict[str, object]:
    return json_report(summary, without=("owners_unset", "files_counted", "bytes_counted", "is_counting", "path"))
