"""The report of `tallac status`."""

from __future__ import annotations

from collections.abc import Sequence

from tallac.cli.output.display import json_name, show_size, show_time
from tallac.cli.output.output import Output
from tallac.cli.output.progress import show_time_left
from tallac.cli.output.stderr import show_name
from tallac.jobs.status import GROWTH_DAYS, Health, Held, JobStatus
from tallac.wording import pluralize

_NS = 1_000_000_000


def report_status(output: Output, statuses: Sequence[JobStatus], now_ns: int) -> None:
    """Print how each job is: a line with its health, and below it what its snapshots say, what is wrong and what to do."""
    if output.is_json:
        for status in statuses:
            output.record(**status_fields(status, now_ns))
        return
    shown = [status for status in statuses if status.health.is_bad or not output.is_quiet]
    width = max((len(show_name(status.name)) for status in shown), default=0)
    for status in shown:
        for line in _lines(status, now_ns, width):
            output.line(line)


def status_fields(status: JobStatus, now_ns: int) -> dict[str, object]:
    """Return the JSON fields of a status."""
    held = status.held
    snapshot: dict[str, object] = {"snapshot": None} if held is None else json_name(held.snapshot, "snapshot")
    return {
        "job": status.name,
        "target": status.target,
        "health": status.health.value,
        "ok": not status.health.is_bad,
        "problem": status.problem or None,
        "advice": status.advice or None,
        "notes": list(status.notes),
        **snapshot,
        "started_ns": None if held is None else held.started_ns,
        "age_seconds": None if held is None else max(0, now_ns - held.started_ns) // _NS,
        "host": None if held is None else held.host,
        "files": None if held is None else held.files,
        "bytes": None if held is None else held.size,
        "unreadable": None if held is None else held.unreadable,
        "snapshots": 0 if held is None else held.count,
        "bytes_stored_lately": None if held is None else held.stored_lately,
        "free_bytes": status.free_bytes,
        "due_ns": status.due_ns,
        "next_ns": status.next_ns,
        "last_run": None if status.last_run is None else status.last_run.value,
        "last_run_ns": status.last_run_ns,
        "check_ns": status.check_ns,
        "drill_ns": status.drill_ns,
    }


def summary_line(statuses: Sequence[JobStatus], noun: str) -> str:
    """Return the whole in one line: `3 jobs: 1 failed, 2 ok`."""
    counts = {health: sum(status.health is health for status in statuses) for health in Health}
    worst_first = sorted(Health, key=lambda health: not health.is_bad)
    parts = [f"{counts[health]} {health.value}" for health in worst_first if counts[health]]
    return f"{pluralize(len(statuses), noun)}: {', '.join(parts)}"


def _lines(status: JobStatus, now_ns: int, width: int) -> list[str]:
    word = status.health.value.upper() if status.health.is_bad else status.health.value
    lines = [f"{show_name(status.name).ljust(width)}  {word.ljust(11)}  {_newest(status.held, now_ns)}".rstrip()]
    below = []
    if status.problem:
        since = "" if status.due_ns is None else f" (due {_when(status.due_ns)}, {_ago(status.due_ns, now_ns)})"
        below.append(f"{show_name(status.problem)}{since}")
    if status.advice:
        below.append(f"-> {status.advice}")
    below += status.notes
    if status.held is not None:
        below.append(_sizes(status.held, status.free_bytes))
    times = _times(status, now_ns)
    if times:
        below.append(times)
    return lines + [" " * (width + 2) + line for line in below]


def _newest(held: Held | None, now_ns: int) -> str:
    if held is None:
        return "no snapshot"
    return f"newest {_when(held.started_ns)}, {_ago(held.started_ns, now_ns)}"


def _sizes(held: Held, free_bytes: int | None) -> str:
    parts = [
        pluralize(held.count, "snapshot"),
        f"{pluralize(held.files, 'file')}, {show_size(held.size)}",
        f"{show_size(held.stored_lately)} stored in {GROWTH_DAYS} days",
    ]
    return "; ".join([*parts, *([f"{show_size(free_bytes)} free"] if free_bytes is not None else [])])


def _times(status: JobStatus, now_ns: int) -> str:
    parts = [] if status.next_ns is None else [f"next {_when(status.next_ns)}"]
    parts += [] if status.check_ns is None else [f"checked {_ago(status.check_ns, now_ns)}"]
    parts += [] if status.drill_ns is None else [f"restore tried {_ago(status.drill_ns, now_ns)}"]
    return "; ".join(parts)


def _when(time_ns: int) -> str:
    return show_time(time_ns // _NS)[:-3]


def _ago(time_ns: int, now_ns: int) -> str:
    seconds = (now_ns - time_ns) / _NS
    return f"{show_time_left(seconds)} ago" if seconds >= 60 else "just now" if seconds >= 0 else "in the future"
