"""How far it is: a line on a terminal that vanishes at the end, or JSON for programs; nothing otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tallac.cli.output.display import show_duration, show_size
from tallac.cli.output.output import Output
from tallac.transfer import CopyReport

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

JSON_INTERVAL_SECONDS = 1.0


class ProgressLine:
    """Shows the newest state of what goes on; use it in a `with` block. What else is printed meanwhile appears above the line."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._reported = time.monotonic()

    def __enter__(self) -> Self:
        if self._output.shows_progress:
            # lazy import: rich costs more time than a short command, and is needed on a terminal only.
            from rich.console import Console
            from rich.progress import Progress, TextColumn

            column = TextColumn("{task.description}", markup=False)
            self._progress = Progress(column, console=Console(stderr=True), transient=True, redirect_stdout=False)
            self._task = self._progress.add_task("")
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, text: str, fields: dict[str, object]) -> None:
        """Show the state: the text on a terminal, the fields as JSON, about once a second."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text)
        elif self._output.records_progress and time.monotonic() - self._reported >= JSON_INTERVAL_SECONDS:
            self._reported = time.monotonic()
            self._output.record(type="progress", **fields)
            self._output.flush()


def copy_progress(line: ProgressLine) -> Callable[[CopyReport], None]:
    """Return a callback that shows how far a copy is."""
    started = time.monotonic()

    def show(report: CopyReport) -> None:
        fields: dict[str, object] = {"files": report.files, "bytes": report.bytes, "bytes_expected": report.bytes_expected}
        line.show(_copy_text(report, time.monotonic() - started), fields)

    return show


def _copy_text(report: CopyReport, seconds: float) -> str:
    parts = [
        f"{show_size(report.bytes)} of {show_size(report.bytes_expected)}" if report.bytes_expected else show_size(report.bytes)
    ]
    if report.files:
        parts.insert(0, f"{report.files:,} files")
    rate = report.bytes / seconds if seconds >= 1 else 0
    if rate >= 1:
        parts.append(f"{show_size(int(rate))}/s")
        if report.bytes_expected > report.bytes:
            parts.append(f"{show_duration((report.bytes_expected - report.bytes) / rate)} left")
    return ", ".join(parts)
