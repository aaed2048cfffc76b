"""Messages about jobs, and when they are due: decided from their runs and status; values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from tallac.jobs.records import Outcome, RunRecord
from tallac.jobs.status import JobStatus

AGAIN_SECONDS = 86_400
"""Of what stays wrong somebody hears once a day."""

USUAL_RUNS = 20
USUAL_RUNS_MIN = 5
UNUSUAL_SHARE = 0.1
UNUSUAL_FACTOR = 2
"""An anomaly: more than twice the share of files changed or removed than in any of the last runs, and a tenth of all or more."""

LINES_MAX = 30

_NS = 1_000_000_000


class Occasion(Enum):
    """The reason why somebody is told; the value is what `notify_on` calls it.

    START and SUCCESS are for `always`, and for what is pinged.
    """

    FAILURE = "failure"
    OVERDUE = "overdue"
    RECOVERY = "recovery"
    ANOMALY = "anomaly"
    SUCCESS = "success"
    START = "start"


USUAL_OCCASIONS = (Occasion.FAILURE, Occasion.OVERDUE, Occasion.RECOVERY, Occasion.ANOMALY)
ALWAYS = "always"


class Notice(msgspec.Struct, frozen=True):
    """A message about a job.

    Attributes:
        occasion: Why it is sent.
        job: The job's name.
        title: One line.
        body: The whole of it, of several lines; it may hold what a log holds, so it is redacted before it is sent.
    """

    occasion: Occasion
    job: str
    title: str
    body: str

    @property
    def is_bad(self) -> bool:
        """Whether something is wrong."""
        return self.occasion in {Occasion.FAILURE, Occasion.OVERDUE}


class Reported(msgspec.Struct, frozen=True):
    """The last message about a job that is not well; kept between runs.

    Attributes:
        bad_since_ns: Since when it has been failing or overdue; 0 where it is well.
        reported_ns: When that was last sent.
    """

    bad_since_ns: int = 0
    reported_ns: int = 0


def outcome_of(record: RunRecord, host: str) -> Notice | None:
    """Return what is pinged at the end of each run; None for one that its user has interrupted."""
    if record.outcome is Outcome.CANCELLED:
        return None
    if record.outcome is Outcome.FAILED:
        return Notice(Occasion.FAILURE, record.job, f"Backup {record.job} on {host} failed", _body_of(record))
    return Notice(Occasion.SUCCESS, record.job, f"Backup {record.job} on {host} is done", _body_of(record))


def of_run(
    record: RunRecord, before: Sequence[RunRecord], reported: Reported, now_ns: int, host: str
) -> tuple[list[Notice], Reported]:
    """Decide what services hear of a run that has ended, and what is remembered of that.

    Args:
        record: The run.
        before: The runs before it, the oldest first.
        reported: What was said last.
        now_ns: The present, in nanoseconds since 1970, UTC.
        host: The machine, for the title.
    """
    outcome = outcome_of(record, host)
    if outcome is None:
        return [], reported
    if outcome.is_bad:
        return _once_a_day(outcome, reported, now_ns)
    body = outcome.body
    notices = []
    if reported.bad_since_ns:
        title = f"Backup {record.job} on {host} works again"
        notices.append(Notice(Occasion.RECOVERY, record.job, title, body))
    unusual = anomaly_of(record, before)
    if unusual:
        title = f"Backup {record.job} on {host}: {unusual}"
        advice = "If you did not expect this, look before old snapshots are forgotten: `tallac diff`."
        notices.append(Notice(Occasion.ANOMALY, record.job, title, f"{unusual}.\n{advice}\n\n{body}"))
    return notices or [outcome], Reported()


def of_status(status: JobStatus, reported: Reported, now_ns: int, host: str) -> tuple[list[Notice], Reported]:
    """Decide what to say of a job that was not run: that it is overdue."""
    if status.due_ns is None:
        return [], reported
    body = "\n".join(line for line in (status.problem, status.advice, *status.notes) if line)
    return _once_a_day(Notice(Occasion.OVERDUE, status.name, f"Backup {status.name} on {host} is overdue", body), reported, now_ns)


def anomaly_of(record: RunRecord, before: Sequence[RunRecord]) -> str:
    """Return in words how a backup differs from all of the last ones in what has changed or was removed; "" where it does not."""
    share = _changed_share(record)
    usual = [each for run in before[-USUAL_RUNS:] if (each := _changed_share(run)) is not None]
    if share is None or len(usual) < USUAL_RUNS_MIN:
        return ""
    if share < UNUSUAL_SHARE or share <= UNUSUAL_FACTOR * max(usual):
        return ""
    return f"{share:.0%} of the files were changed or removed; so far it was {max(usual):.0%} at most"


def is_wanted(notice: Notice, wanted: Sequence[str]) -> bool:
    """Whether a notice is among the occasions that `notify_on` names; all of those that are worth it where it names none."""
    if ALWAYS in wanted:
        return notice.occasion is not Occasion.START
    names = wanted or [occasion.value for occasion in USUAL_OCCASIONS]
    return notice.occasion.value in names


def _once_a_day(notice: Notice, reported: Reported, now_ns: int) -> tuple[list[Notice], Reported]:
    since_ns = reported.bad_since_ns or now_ns
    if reported.bad_since_ns and 0 <= now_ns - reported.reported_ns < AGAIN_SECONDS * _NS:
        return [], reported
    return [notice], Reported(since_ns, now_ns)


def _changed_share(record: RunRecord) -> float | None:
    """Return the share of the files of before that a backup found changed or removed; None where it does not tell."""
    backup = record.backup
    if backup is None or backup.outcome not in {Outcome.OK, Outcome.INCOMPLETE}:
        return None
    counts = backup.counts
    changed, removed = counts.get("files_changed", 0), counts.get("files_removed", 0)
    before = counts.get("files", 0) - counts.get("files_new", 0) + removed
    return (changed + removed) / before if before else None


def _body_of(record: RunRecord) -> str:
    """Return the end of a run's log: what each step came to."""
    lines = [f"target: {record.target}"]
    for step in record.steps:
        seconds = max(0, step.ended_ns - step.started_ns) // _NS if step.ended_ns else 0
        lines.append(f"{step.step.value}: {step.outcome.value}, {seconds} s{f': {step.message}' if step.message else ''}")
    if record.outcome is Outcome.FAILED:
        lines.append(f"`tallac run {record.job}` tries again; `tallac status` shows how all jobs are.")
    return "\n".join(lines[-LINES_MAX:])
