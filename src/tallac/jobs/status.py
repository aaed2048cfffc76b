"""How a job is: decided from what its target's vault holds and what its runs came to; values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from tallac.jobs.due import Due
from tallac.jobs.job import Job
from tallac.jobs.records import Outcome, RunRecord, Step, StepRecord
from tallac.jobs.times import Often

GRACE_SECONDS_MIN = 3600
GRACE_SECONDS_MAX = 86_400

GROWTH_DAYS = 30
"""Growth is what was stored in so many days."""

FULL_DAYS = 30
"""A disk that would be full within so many days, at the pace of the last ones, is worth a word."""

_NS = 1_000_000_000
_DAY_SECONDS = 86_400
_PERIOD_SECONDS = {
    "run": 0,
    "hour": 3600,
    "day": _DAY_SECONDS,
    "week": 7 * _DAY_SECONDS,
    "month": 31 * _DAY_SECONDS,
    "year": 366 * _DAY_SECONDS,
}
_BEFORE_THE_SNAPSHOT = frozenset({Step.BEFORE, Step.DUMP, Step.BACKUP})


class Health(Enum):
    """How a job is; the value is the word for it.

    OK: There is a snapshot from its last time. NEW: Its first time has not come. RUNNING: It runs just now.
    MANUAL: It runs only when it is named, and nothing is wrong with it.
    OVERDUE: Its time has passed, and there is no snapshot. FAILED: Its last run, check or drill has failed.
    UNREACHABLE: Its vault can't be asked, so nobody knows.
    """

    OK = "ok"
    NEW = "new"
    RUNNING = "running"
    MANUAL = "manual"
    OVERDUE = "overdue"
    FAILED = "failed"
    UNREACHABLE = "unreachable"

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to do something."""
        return self in {Health.OVERDUE, Health.FAILED, Health.UNREACHABLE}


class Held(msgspec.Struct, frozen=True):
    """The snapshots of a job that its target holds, as the vault has it.

    Attributes:
        snapshot: The name of the newest one.
        started_ns: When that was begun, in nanoseconds since 1970, UTC.
        host: The machine that made it.
        files, size: Its files, and the sum of their sizes in bytes.
        unreadable: How many files are missing from it because they could not be read.
        count: How many snapshots there are.
        stored_lately: The bytes that they have added to the vault within `GROWTH_DAYS`.
    """

    snapshot: bytes
    started_ns: int
    host: str
    files: int
    size: int
    unreadable: int
    count: int
    stored_lately: int


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one job, or of one source of a target.

    Attributes:
        name: The job's name, or the target.
        target: Where its snapshots go.
        health: How it is.
        problem: What is wrong, in one line; "" where nothing is.
        advice: What to do, in one line; "" where there is nothing to do.
        notes: What is worth knowing and no problem, a line each.
        held: Its snapshots; None where there are none, or nobody can tell.
        due_ns: When it should have run, where it is overdue; else None.
        next_ns: When it runs next; None where it does not by itself.
        last_run: What its newest run on this machine came to; None where there was none.
        last_run_ns: When that began.
        check_ns, drill_ns: When a check and a drill of it were last done without finding anything; None for never.
        free_bytes: What is free where its vault is; None where nobody can tell.
    """

    name: str
    target: str
    health: Health
    problem: str = ""
    advice: str = ""
    notes: tuple[str, ...] = ()
    held: Held | None = None
    due_ns: int | None = None
    next_ns: int | None = None
    last_run: Outcome | None = None
    last_run_ns: int | None = None
    check_ns: int | None = None
    drill_ns: int | None = None
    free_bytes: int | None = None


def grace_seconds(job: Job) -> int:
    """Return how long after its time a job is still no reason to worry: half of its interval, from an hour to a day."""
    assert job.schedule is not None
    half = job.schedule.interval_seconds // 2
    return min(max(half, GRACE_SECONDS_MIN), GRACE_SECONDS_MAX) + job.delay_seconds_max


def judge(
    job: Job,
    held: Held | None,
    due: Due,
    runs: Sequence[RunRecord],
    now_ns: int,
    *,
    known_since_ns: int,
    free_bytes: int | None = None,
    unreachable: str = "",
) -> JobStatus:
    """Decide how a job is.

    Args:
        job: The job.
        held: What its target holds of it.
        due: When it runs next, and whether it runs now.
        runs: Its runs on this machine, the oldest first.
        now_ns: The present, in nanoseconds since 1970, UTC.
        known_since_ns: Since when there has been this job: nothing is overdue from before.
        free_bytes: What is free where its vault is.
        unreachable: Why its vault can't be asked; "" where it was.
    """
    last = runs[-1] if runs else None
    health, problem, advice, due_ns = _health(job, held, due, runs, now_ns, known_since_ns, unreachable)
    return JobStatus(
        name=job.name,
        target=job.keys.target,
        health=health,
        problem=problem,
        advice=advice,
        notes=_notes(job, held, runs, now_ns, free_bytes),
        held=held,
        due_ns=due_ns,
        next_ns=due.next_ns,
        last_run=None if last is None else last.outcome,
        last_run_ns=None if last is None else last.started_ns,
        check_ns=_last_good(runs, Step.CHECK),
        drill_ns=_last_good(runs, Step.DRILL),
        free_bytes=free_bytes,
    )


def judge_target(name: str, target: str, held: Held, now_ns: int, *, age_max_seconds: int | None) -> JobStatus:
    """Decide how one source of a target is, of which no job is known: by the age of its newest snapshot alone."""
    is_old = age_max_seconds is not None and held.started_ns < now_ns - age_max_seconds * _NS
    return JobStatus(
        name=name,
        target=target,
        health=Health.OVERDUE if is_old else Health.OK,
        problem="its newest snapshot is older than --max-age allows" if is_old else "",
        advice=f"see whether backups run on {held.host}" if is_old else "",
        notes=_held_notes(held),
        held=held,
        due_ns=held.started_ns + age_max_seconds * _NS if is_old and age_max_seconds is not None else None,
    )


def _health(
    job: Job, held: Held | None, due: Due, runs: Sequence[RunRecord], now_ns: int, known_since_ns: int, unreachable: str
) -> tuple[Health, str, str, int | None]:
    if unreachable:
        return Health.UNREACHABLE, unreachable, "connect it, or see what became of it", None
    failed = _failure(held, runs)
    again = f"`tallac run {job.name}` tries again"
    if failed is not None and not due.is_running:
        return Health.FAILED, failed, again, None
    due_ns = overdue_since(job, held, runs, now_ns, known_since_ns)
    if due_ns is not None and not due.is_running:
        advice = f"`tallac run {job.name}` runs it now; `tallac schedule show` says whether it would run by itself"
        return Health.OVERDUE, "its time has passed, and there is no snapshot", advice, due_ns
    if due.is_running:
        return Health.RUNNING, "", "", None
    if job.schedule is None or not job.keys.enabled:
        return Health.MANUAL, "", "", None
    return (Health.NEW if held is None else Health.OK), "", "", None


def _failure(held: Held | None, runs: Sequence[RunRecord]) -> str | None:
    """Return what has failed and was not done since; None where nothing is."""
    last = next((run for run in reversed(runs) if run.outcome not in {Outcome.RUNNING, Outcome.CANCELLED}), None)
    if last is not None and last.outcome is Outcome.FAILED:
        broken = next((step for step in last.steps if step.outcome is Outcome.FAILED), None)
        is_made_good = held is not None and held.started_ns > last.started_ns
        # A snapshot that somebody has made since is as good as one by the job; a failed check is not made good by it.
        if not (is_made_good and (broken is None or broken.step in _BEFORE_THE_SNAPSHOT)):
            return f"its last run failed: {last.first_error}" if last.first_error else "its last run failed"
    for step, name in ((Step.CHECK, "check"), (Step.DRILL, "drill")):
        record = _last_step(runs, step)
        if record is not None and record.outcome is Outcome.FAILED:
            return f"its last {name} failed: {record.message}"
    return None


def overdue_since(job: Job, held: Held | None, runs: Sequence[RunRecord], now_ns: int, known_since_ns: int) -> int | None:
    """Return when the job should have run, where that was too long ago and there is no snapshot since."""
    if job.schedule is None or not job.keys.enabled:
        return None
    due_ns = job.schedule.before(now_ns - grace_seconds(job) * _NS)
    # Where nothing had changed, a run has entered no snapshot, and has done its work all the same.
    done = [run.started_ns for run in runs if run.backup is not None and run.backup.outcome in {Outcome.OK, Outcome.INCOMPLETE}]
    done += [held.started_ns] if held is not None else []
    newest_ns = max(done, default=known_since_ns)
    return due_ns if newest_ns < due_ns else None


def _notes(job: Job, held: Held | None, runs: Sequence[RunRecord], now_ns: int, free_bytes: int | None) -> tuple[str, ...]:
    notes = list(_held_notes(held)) if held is not None else []
    for plan, step, name in ((job.check, Step.CHECK, "check"), (job.drill, Step.DRILL, "restore")):
        if plan is not None and runs and _is_long_ago(plan.often, _last_good(runs, step), runs[0].started_ns, now_ns):
            notes.append(f"no {name} was done for two times {plan.often.period}; see `tallac run {job.name}`")
    if held is not None and free_bytes is not None and held.stored_lately > 0:
        days = free_bytes * GROWTH_DAYS // held.stored_lately
        if days < FULL_DAYS:
            notes.append(f"at this pace the disk is full in {days} days; `tallac forget --prune` makes room")
    return tuple(notes)


def _held_notes(held: Held) -> tuple[str, ...]:
    return (f"{held.unreadable} files could not be read in the newest snapshot",) if held.unreadable else ()


def _is_long_ago(often: Often, last_ns: int | None, since_ns: int, now_ns: int) -> bool:
    period = _PERIOD_SECONDS[often.period] * _NS
    return period > 0 and (since_ns if last_ns is None else last_ns) < now_ns - 2 * period


def _last_step(runs: Sequence[RunRecord], step: Step) -> StepRecord | None:
    found = (record for run in reversed(runs) for record in run.steps if record.step is step)
    return next((record for record in found if record.outcome is not Outcome.RUNNING), None)


def _last_good(runs: Sequence[RunRecord], step: Step) -> int | None:
    found = (record for run in reversed(runs) for record in run.steps if record.step is step)
    return next((record.ended_ns for record in found if record.outcome is Outcome.OK), None)
