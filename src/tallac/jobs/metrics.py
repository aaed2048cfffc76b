"""The status of jobs as OpenMetrics text, for Prometheus and whatever reads its format.

https://prometheus.io/docs/specs/om/open_metrics_spec/: one family of gauges for each number. There are no secrets in it: a target
that is written with a cap is named by its job alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallac.jobs.records import Outcome
from tallac.jobs.status import GROWTH_DAYS, JobStatus

_NS = 1_000_000_000

_Value = Callable[[JobStatus], float | int | None]

_FAMILIES: tuple[tuple[str, str, str, _Value], ...] = (
    ("tallac_job_healthy", "", "1 where nobody has to do anything, else 0.", lambda each: int(not each.health.is_bad)),
    ("tallac_job_overdue", "", "1 where its time has passed without a snapshot.", lambda each: int(each.due_ns is not None)),
    (
        "tallac_job_newest_snapshot_timestamp_seconds",
        "seconds",
        "When its newest snapshot was begun.",
        lambda each: None if each.held is None else each.held.started_ns / _NS,
    ),
    ("tallac_job_snapshots", "", "How many snapshots it has.", lambda each: None if each.held is None else each.held.count),
    ("tallac_job_files", "", "The files in its newest snapshot.", lambda each: None if each.held is None else each.held.files),
    (
        "tallac_job_unreadable_files",
        "",
        "The files that its newest snapshot lacks because they could not be read.",
        lambda each: None if each.held is None else each.held.unreadable,
    ),
    (
        "tallac_job_size_bytes",
        "bytes",
        "The size of its newest snapshot.",
        lambda each: None if each.held is None else each.held.size,
    ),
    (
        "tallac_job_stored_lately_bytes",
        "bytes",
        f"What its snapshots have added to the vault in {GROWTH_DAYS} days.",
        lambda each: None if each.held is None else each.held.stored_lately,
    ),
    ("tallac_job_next_run_timestamp_seconds", "seconds", "When it runs next.", lambda each: _seconds(each.next_ns)),
    ("tallac_job_last_run_timestamp_seconds", "seconds", "When its last run began.", lambda each: _seconds(each.last_run_ns)),
    (
        "tallac_job_last_run_success",
        "",
        "1 where its last run has made a snapshot, else 0.",
        lambda each: None if each.last_run is None else int(each.last_run in {Outcome.OK, Outcome.INCOMPLETE}),
    ),
    ("tallac_job_check_timestamp_seconds", "seconds", "When a check last found nothing.", lambda each: _seconds(each.check_ns)),
    (
        "tallac_job_drill_timestamp_seconds",
        "seconds",
        "When a restore was last tried, and right.",
        lambda each: _seconds(each.drill_ns),
    ),
    ("tallac_vault_free_bytes", "bytes", "What is free on the disk of its vault.", lambda each: each.free_bytes),
)


def metrics_of(statuses: Sequence[JobStatus], now_ns: int) -> str:
    """Return the text for some jobs, which is UTF-8 and ends as the format asks."""
    lines: list[str] = []
    for name, unit, text, value in _FAMILIES:
        values = [(each, found) for each in statuses if (found := value(each)) is not None]
        if values:
            lines += _head(name, unit, text)
            lines += [f"{name}{{{_labels(each)}}} {_number(found)}" for each, found in values]
    lines += _head("tallac_status_timestamp_seconds", "seconds", "When this was found out.")
    lines += [f"tallac_status_timestamp_seconds {_number(now_ns / _NS)}", "# EOF"]
    return "\n".join(lines) + "\n"


def _head(name: str, unit: str, text: str) -> list[str]:
    return [f"# TYPE {name} gauge", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {text}"]


def _labels(status: JobStatus) -> str:
    target = "" if "URI:" in status.target else status.target
    labels = {"job": status.name, "target": target}
    return ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _seconds(time_ns: int | None) -> float | None:
    return None if time_ns is None else time_ns / _NS
