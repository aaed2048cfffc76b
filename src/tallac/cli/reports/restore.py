"""Progress and report of `tallac restore`."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name, json_report, show_duration, show_size
from tallac.cli.output.progress import ProgressLine
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
        change = self.change if self._context.output.is_verbose else None
        return RestoreObserver(problem=self.problem, change=change, protected=self.protected, progress=self.progress)

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
        self._line.show(_progress_text(summary, self.seconds), _fields(summary))


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


def _progress_text(summary: RestoreSummary, seconds: float) -> str:
    files, done = pluralize(summary.files_done, "file", with_commas=True), show_size(summary.bytes)
    if summary.files_expected:
        files = f"{summary.files_done:,} of {pluralize(summary.files_expected, 'file', with_commas=True)}"
        done = f"{done} of {show_size(summary.bytes_expected)}"
    parts = [files, done]
    if seconds >= 1:
        rate = summary.bytes / seconds
        parts.append(f"{show_size(int(rate))}/s")
        if 0 < summary.done_part < 1:
            parts.append(f"{show_duration(seconds / summary.done_part - seconds)} left")
    return ", ".join(parts)


def _counts(summary: RestoreSummary) -> str:
    files = pluralize(summary.files, "file", with_commas=True)
    directories = pluralize(summary.directories, "directory", with_commas=True)
    return f"{files}, {directories}, {show_size(summary.bytes)}"


def _fields(summary: RestoreSummary) -> dict[str, object]:
    return json_report(summary, without=("owners_unset",))
