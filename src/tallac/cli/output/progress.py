"""How far it is: a few lines on a terminal that vanish at the end, or JSON for programs; nothing otherwise."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from tallac.cli.output.display import show_size
from tallac.cli.output.output import Output
from tallac.cli.output.stderr import redact, show_name
from tallac.transfer.report import CopyReport
from tallac.wording import pluralize

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

JSON_INTERVAL_SECONDS = 1.0

FILE_COST = 64 << 10
"""The cost of a file beside its bytes, in bytes: to open, read and enter one takes as long as so many bytes more of a large one."""

_NARROWEST = 20

WINDOW_SECONDS = 60.0
"""The pace is that of the last minute: what was skipped at the beginning says nothing about what is left."""

RATE_SECONDS = 10.0
"""For a rate that people look at, the last seconds are enough."""

STEP_SECONDS = 1.0
"""Values that come sooner than this after one another are one."""

MEANINGFUL_SECONDS = 3.0
"""Before that, nothing is said about the end."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The work that goes on, for people.

    Attributes:
        phase: What is being done now, in a word or two.
        share: How much of it is done, from 0 to 1; None where that is not known.
        left: What is left of it, as in `16.3 GB`; "" where that is not known.
        counts: What was done and how fast, the most important first: what does not fit is left out.
        path: The file or directory that it is about now; b"" for none.
    """

    phase: str
    share: float | None = None
    left: str = ""
    counts: tuple[str, ...] = ()
    path: bytes = b""


class Pace:
    """The pace of a value that grows."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now, at 0; the clock returns seconds, of which the last `window_seconds` count."""
        self._window = window_seconds
        self._clock = clock
        self._points: deque[tuple[float, float]] = deque([(clock(), 0.0)])

    def note(self, value: float) -> float:
        """Note a value, and return by how much it has grown per second of late; 0 where that can't be told yet.

        One that has become smaller is another's: the pace begins anew with it.
        """
        now = self._clock()
        if value < self._points[-1][1]:
            self._points = deque([(now, value)])
            return 0.0
        began, before = self._points[0]
        rate = (value - before) / (now - began) if now - began >= STEP_SECONDS else 0.0
        if now - self._points[-1][0] >= STEP_SECONDS:
            self._points.append((now, value))
            while len(self._points) > 2 and now - self._points[1][0] >= self._window:
                self._points.popleft()
        return rate

    def seconds_left(self, share: float) -> float | None:
        """Note which share of the work is done, from 0 to 1; return how many seconds the rest will take, None where unknown."""
        rate = self.note(share)
        if rate <= 0 or self._clock() - self._points[0][0] < MEANINGFUL_SECONDS:
            return None
        return (1.0 - share) / rate


class ProgressLine:
    """Shows the newest state of what goes on; use it in a `with` block. What else is printed meanwhile appears above it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._reported = time.monotonic()
        self._phase = ""
        self._pace = Pace()

    def __enter__(self) -> Self:
        if self._output.shows_progress:
            # lazy import: rich costs more time than a short command, and is needed on a terminal only.
            from rich.console import Console
            from rich.progress import Progress, TextColumn
            from rich.table import Column

            column = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
            self._progress = Progress(column, console=Console(stderr=True), transient=True, redirect_stdout=False)
            self._task = self._progress.add_task("")
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, work: Work, fields: dict[str, object]) -> None:
        """Show the state: the work on a terminal, the fields as JSON, about once a second."""
        if self._progress is not None and self._task is not None:
            if work.phase != self._phase:
                self._phase, self._pace = work.phase, Pace()
            seconds_left = None if work.share is None else self._pace.seconds_left(work.share)
            lines = lines_of(work, seconds_left, self._progress.console.width)
            self._progress.update(self._task, description="\n".join(lines))
        elif self._output.records_progress and time.monotonic() - self._reported >= JSON_INTERVAL_SECONDS:
            self._reported = time.monotonic()
            self._output.record(type="progress", **fields)
            self._output.flush()


def lines_of(work: Work, seconds_left: float | None, width: int) -> list[str]:
    """Lay out what is shown, in up to three lines that are no wider than this many columns; 40 suffice for the first one."""
    width = max(width, _NARROWEST)
    percent = "" if work.share is None else f"{int(min(work.share, 1.0) * 100)} %"
    time_left = "" if seconds_left is None else f"{show_time_left(seconds_left)} left"
    amount = f"{work.left} left" if work.left and not time_left else work.left
    first = _fit([f"{work.phase} {percent}".rstrip(), *filter(None, (time_left,))], [amount] if amount else [], width)
    lines = [first]
    if work.counts:
        lines.append(_fit([work.counts[0]], work.counts[1:], width))
    if work.path:
        lines.append(_shorten(redact(show_name(work.path)), width))
    return lines


def share_of(done: int, total: int) -> float | None:
    """Return which part of a total is done, from 0 to 1; None where the total is not known, or was wrong."""
    return done / total if total > 0 and done <= total else None


def share_of_files(files: int, size: int, files_total: int, size_total: int) -> float | None:
    """Return which part of the work on some files is done, by their number and their bytes; None where the total is not known."""
    return share_of(files * FILE_COST + size, files_total * FILE_COST + size_total if files_total else 0)


def show_left(done: int, total: int) -> str:
    """Return how many bytes are left of a total, as text; "" where that is not known."""
    return show_size(total - done) if total > 0 and done <= total else ""


def show_rate(rate: float, doing: str) -> str:
    """Return a rate in bytes a second as text, with what is done at it: `read 98 MB/s`."""
    return f"{doing} {show_size(int(rate))}/s"


def show_time_left(seconds: float) -> str:
    """Return a length of time as roughly as one that is estimated deserves."""
    if seconds < 60:
        return f"{max(int(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return pluralize(round(hours / 24), "day")


def copy_progress(line: ProgressLine) -> Callable[[CopyReport], None]:
    """Return a callback that shows how far a copy is."""
    pace = Pace(RATE_SECONDS)

    def show(report: CopyReport) -> None:
        fields: dict[str, object] = {"files": report.files, "bytes": report.bytes, "bytes_expected": report.bytes_expected}
        line.show(_copy_work(report, pace.note(report.bytes)), fields)

    return show


def _copy_work(report: CopyReport, rate: float) -> Work:
    done = f"{show_size(report.bytes)} of {show_size(report.bytes_expected)}" if report.bytes_expected else show_size(report.bytes)
    counts = [f"{report.files:,} files"] if report.files else []
    counts += [done, *((show_rate(rate, "at"),) if rate >= 1 else ())]
    return Work(
        phase="copying",
        share=share_of(report.bytes, report.bytes_expected),
        left=show_left(report.bytes, report.bytes_expected),
        counts=tuple(counts),
    )


def _fit(needed: list[str], wanted: list[str] | tuple[str, ...], width: int) -> str:
    """Join parts with commas: those that are needed, and before the last of them as many of the others as there is room for."""
    head, tail = needed[:1], needed[1:]
    middle: list[str] = []
    for part in wanted:
        if len(", ".join([*head, *middle, part, *tail])) > width:
            break
        middle.append(part)
    return _shorten(", ".join([*head, *middle, *tail]), width)


def _shorten(text: str, width: int) -> str:
    """Leave out of the middle what does not fit: the beginning and the end of a path say most."""
    if len(text) <= width:
        return text
    front = (width - 1) // 3
    return f"{text[:front]}…{text[len(text) - (width - 1 - front) :]}"
