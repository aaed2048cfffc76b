"""Whether a job is due, decided from its schedule and what its runs came to: values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from tallac.jobs.job import Job
from tallac.jobs.records import Outcome, RunRecord, Step

KILLED_IN_A_ROW_MAX = 3
"""A job whose runs were killed so many times one after the other waits for its next time."""

_NS = 1_000_000_000


class Reason(Enum):
    """The reason why a job is due."""

    NEVER_RUN = "it has never run"
    TIME = "its time has come"
    KILLED = "its last run was killed"


class Due(msgspec.Struct, frozen=True):
    """Whether a job is due.

    Attributes:
        reason: Why it is due; None where it is not.
        last: Its newest run; None where it has never run.
        is_running: A process is running it.
        next_ns: When it will be due next, in nanoseconds since 1970, UTC, its delay included; None where it never will by itself.
            Of a job that is due, when it has become so.
    """

    reason: Reason | None
    last: RunRecord | None
    is_running: bool
    next_ns: int | None


def decide(job: Job, runs: Sequence[RunRecord], now_ns: int, *, is_running: bool = False, delay_seconds: int = 0) -> Due:
    """Decide whether a job is due.

    It is due when it has never run, when the last of its times is later than the start of its newest run, or when that was killed.

    Args:
        job: The job.
        runs: Its runs, the oldest first.
        now_ns: The present, in nanoseconds since 1970, UTC.
        is_running: Whether a process holds its lock.
        delay_seconds: How much later than at its times it starts.
    """
    last = runs[-1] if runs else None
    if job.schedule is None or not job.keys.enabled:
        return Due(None, last, is_running, None)
    delay_ns = delay_seconds * _NS
    time_ns = job.schedule.before(now_ns - delay_ns) + delay_ns
    following_ns = job.schedule.after(now_ns - delay_ns) + delay_ns
    if is_running:
        return Due(None, last, is_running, following_ns)
    if last is None:
        return Due(Reason.NEVER_RUN, last, is_running, now_ns)
    if last.started_ns < time_ns:
        return Due(Reason.TIME, last, is_running, time_ns)
    if last.outcome is Outcome.RUNNING and _killed_in_a_row(runs, time_ns) < KILLED_IN_A_ROW_MAX:
        return Due(Reason.KILLED, last, is_running, now_ns)
    return Due(None, last, is_running, following_ns)


def _killed_in_a_row(runs: Sequence[RunRecord], since_ns: int) -> int:
    count = 0
    for run in reversed(runs):
        if run.outcome is not Outcome.RUNNING or run.started_ns < since_ns:
            break
        count += 1
    return count


class PlannedCommand(msgspec.Struct, frozen=True):
    """A command that a run would run, and the text that shows it."""

    step: Step
    text: str


class Plan(msgspec.Struct, frozen=True):
    """The steps of a run, as they would be done now.

    Attributes:
        steps: Its steps, each kind once, in order; `ON_FAILURE` is not among them.
        commands: The user's own commands among them, in order.
    """

    steps: tuple[Step, ...]
    commands: tuple[PlannedCommand, ...]


def plan(job: Job, runs: Sequence[RunRecord], now_ns: int) -> Plan:
    """Decide what a run of a job does besides the backup: what its periods say is due, counted from when it was last done.

    Args:
        job: The job.
        runs: Its runs, the oldest first.
        now_ns: The present, in nanoseconds since 1970, UTC.
    """
    keys = job.keys
    periods = {
        Step.PRUNE: job.prune,
        Step.CHECK: None if job.check is None else job.check.often,
        Step.DRILL: None if job.drill is None else job.drill.often,
    }
    wanted = {
        Step.BEFORE: bool(keys.before),
        Step.DUMP: bool(keys.dumps),
        Step.BACKUP: True,
        Step.AFTER: bool(keys.after),
        Step.FORGET: job.rules is not None,
        Step.COPY: bool(keys.copies),
    } | {step: often is not None and often.is_due(_last_ns(runs, step), now_ns) for step, often in periods.items()}
    lines = [(Step.BEFORE, line) for line in keys.before] + [(Step.AFTER, line) for line in keys.after]
    commands = tuple(PlannedCommand(step, line if isinstance(line, str) else " ".join(line)) for step, line in lines)
    return Plan(tuple(step for step in Step if wanted.get(step)), commands)


def _last_ns(runs: Sequence[RunRecord], step: Step) -> int | None:
    """Return when a step was last done to its end; one that failed is done again by the next run."""
    for run in reversed(runs):
        for record in run.steps:
            if record.step is step and record.outcome is Outcome.OK:
                return record.started_ns
    return None
