"""What a restore says while it runs, and at its end."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name, show_duration, show_size
from tallac.cli.output.progress import ProgressLine
from tallac.cli.output.stderr import show_name
from tallac.restore import Change, Problem, RestoreObserver, RestoreSummary
from tallac.wording import pluralize


class RestoreReporter:
    """Prints what goes on; use it in a `with` block.

    Attributes:
        seconds: How long it has been going on.
    """

    def __init__(self, run: CommandContext, folder: str) -> None:
        self._run = run
        self._folder = folder
        self._line = ProgressLine(run.output)
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
        """What a restore is given."""
        change = self.change if self._run.output.is_verbose else None
        return RestoreObserver(problem=self.problem, change=change, progress=self.progress)

    def problem(self, problem: Problem) -> None:
        """Tell what is not as it was."""
        output = self._run.output
        if output.is_json:
            output.record(type="problem", kind=problem.kind.value, what=problem.message, **json_name(problem.path, "path"))
        output.warn(f"{show_name(problem.path) or self._folder}: {problem.message}")

    def change(self, change: Change, path: bytes) -> None:
        """Name a path."""
        self._run.output.detail(f"{change.value:9}  {show_name(path)}")

    def progress(self, summary: RestoreSummary) -> None:
        """Show how far it is."""
        self._line.show(_progress_text(summary, self.seconds), _fields(summary))


def tell_summary(run: CommandContext, folder: str, summary: RestoreSummary, seconds: float, *, dry_run: bool) -> None:
    """Print what was done, or would be."""
    for note in summary.notes:
        run.output.note(note)
    if run.output.is_json:
        complete = summary.is_complete
        run.output.record(type="summary", seconds=round(seconds, 3), complete=complete, dry_run=dry_run, **_fields(summary))
        return
    done = _counts(summary)
    rows = {"would restore": done} if dry_run else {"restored": f"{done} in {show_duration(seconds)}"}
    left = {
        "replaced": summary.replaced,
        "metadata only": summary.amended,
        "unchanged": summary.unchanged,
        "kept": summary.kept,
        "deleted": summary.deleted,
        "read back": summary.verified,
        "damaged": summary.damaged,
        "not made": summary.failed,
        "not as it was": summary.unset,
    }
    rows |= {label: f"{count:,}" for label, count in left.items() if count}
    run.output.summary(rows | {"to": show_name(folder)})


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
    return {
        "files": summary.files,
        "directories": summary.directories,
        "bytes": summary.bytes,
        "files_expected": summary.files_expected,
        "bytes_expected": summary.bytes_expected,
        "replaced": summary.replaced,
        "amended": summary.amended,
        "unchanged": summary.unchanged,
        "kept": summary.kept,
        "deleted": summary.deleted,
        "verified": summary.verified,
        "damaged": summary.damaged,
        "failed": summary.failed,
        "unset": summary.unset,
    }
