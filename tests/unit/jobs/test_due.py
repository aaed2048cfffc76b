from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tallac.jobs.due import KILLED_IN_A_ROW_MAX, Reason, decide
from tallac.jobs.job import Job
from tallac.jobs.loader import parse_jobs
from tallac.jobs.records import Outcome, RunRecord


def job_of(every: str = 'every = "day at 03:00"') -> Job:
    """Return a job."""
    return parse_jobs(f'[job.a]\nsources = ["/x"]\ntarget = "a:"\n{every}\n'.encode(), Path("jobs.toml"))["a"]


def at(text: str) -> int:
    """Return a time of a day in November by the wall clock."""
    return int(datetime.fromisoformat(f"2026-11-{text}").timestamp()) * 1_000_000_000


def ran(*starts: str, outcome: Outcome = Outcome.OK) -> list[RunRecord]:
    """Return runs that began then."""
    return [RunRecord("a", "a:", outcome, at(start)) for start in starts]


@pytest.mark.parametrize(
    ("runs", "now", "reason", "following"),
    [
        (ran(), "10T12:00", Reason.NEVER_RUN, "10T12:00"),
        (ran("10T03:00"), "10T12:00", None, "11T03:00"),
        (ran("09T03:00"), "10T02:59", None, "10T03:00"),
        (ran("09T03:00"), "10T03:00", Reason.TIME, "10T03:00"),
        # The machine slept for days: once is enough.
        (ran("01T03:00"), "10T12:00", Reason.TIME, "10T03:00"),
        (ran("10T11:00", outcome=Outcome.FAILED), "10T12:00", None, "11T03:00"),
        (ran("10T11:00", outcome=Outcome.CANCELLED), "10T12:00", None, "11T03:00"),
        (ran("10T11:00", outcome=Outcome.RUNNING), "10T12:00", Reason.KILLED, "10T12:00"),
    ],
)
def test_when_a_job_is_due(runs: list[RunRecord], now: str, reason: Reason | None, following: str) -> None:
    """It is due at its time, when it was missed, when it has never run, and when its last run was killed."""
    due = decide(job_of(), runs, at(now))
    assert (due.reason, due.next_ns) == (reason, at(following))
    assert due.last == (runs[-1] if runs else None)


def test_a_delay_moves_all_times() -> None:
    """A job with a delay is due that much later, and the run of yesterday is not taken for that of today."""
    before = decide(job_of(), ran("09T03:05"), at("10T03:04"), delay_seconds=300)
    assert (before.reason, before.next_ns) == (None, at("10T03:05"))
    assert decide(job_of(), ran("09T03:05"), at("10T03:05"), delay_seconds=300).reason is Reason.TIME


def test_a_job_that_is_killed_again_and_again_waits() -> None:
    """A run that no machine survives is not tried for ever, but again at its next time."""
    starts = [f"10T0{hour}:00" for hour in range(4, 4 + KILLED_IN_A_ROW_MAX)]
    assert decide(job_of(), ran(*starts[:-1], outcome=Outcome.RUNNING), at("10T12:00")).reason is Reason.KILLED
    assert decide(job_of(), ran(*starts, outcome=Outcome.RUNNING), at("10T12:00")).reason is None
    assert decide(job_of(), ran(*starts, outcome=Outcome.RUNNING), at("11T03:00")).reason is Reason.TIME


def test_what_is_never_due() -> None:
    """A job that is running is not due, nor one without a time, nor one that is turned off."""
    running = decide(job_of(), ran("09T03:00", outcome=Outcome.RUNNING), at("10T12:00"), is_running=True)
    assert (running.reason, running.next_ns) == (None, at("11T03:00"))
    assert decide(job_of(""), [], at("10T12:00")).next_ns is None
    assert decide(job_of('every = "day"\nenabled = false'), [], at("10T12:00")).reason is None
