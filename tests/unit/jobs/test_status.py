"""How a job is said to be."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tallac.jobs.due import decide
from tallac.jobs.job import Job
from tallac.jobs.loader import parse_jobs
from tallac.jobs.metrics import metrics_of
from tallac.jobs.records import Outcome, RunRecord, Step, StepRecord
from tallac.jobs.status import Health, Held, JobStatus, grace_seconds, judge, judge_target

NS = 1_000_000_000


def job_of(*lines: str) -> Job:
    """Return a job that runs each day at three, or as these lines say."""
    text = "\n".join(['[job.home]\nsources = ["/x"]\ntarget = "usb:home"\ndelay = "none"', *(lines or ('every = "day at 03:00"',))])
    return parse_jobs(text.encode(), Path("jobs.toml"))["home"]


def at(text: str) -> int:
    """Return a time of a day in November by the wall clock."""
    return int(datetime.fromisoformat(f"2026-11-{text}").timestamp()) * NS


def held_at(text: str, *, unreadable: int = 0, stored: int = 0) -> Held:
    """Return a snapshot of then."""
    return Held(b"name", at(text), "laptop", 10, 1000, unreadable, 3, stored)


def run_at(text: str, outcome: Outcome = Outcome.OK, *steps: StepRecord) -> RunRecord:
    """Return a run that began then."""
    return RunRecord("home", "usb:home", outcome, at(text), at(text) + 60 * NS, list(steps))


def step(kind: Step, outcome: Outcome = Outcome.OK, message: str = "", when: str = "10T03:00") -> StepRecord:
    """Return a step of a run."""
    return StepRecord(kind, outcome, at(when), at(when) + NS, message)


def status(
    job: Job, held: Held | None, *runs: RunRecord, now: str = "10T12:00", known_since: str = "01T00:00", **more: object
) -> JobStatus:
    """Judge."""
    is_running = bool(more.pop("is_running", False))
    due = decide(job, runs, at(now), is_running=is_running)
    return judge(job, held, due, list(runs), at(now), known_since_ns=at(known_since), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "now", "health"),
    [
        ("10T03:00", "10T12:00", Health.OK),
        # Half a day of grace: the laptop may just have been opened.
        ("09T03:00", "10T14:59", Health.OK),
        ("09T03:00", "10T15:01", Health.OVERDUE),
        # A snapshot that somebody made by hand counts from its own time.
        ("10T01:00", "10T16:00", Health.OVERDUE),
        ("10T15:30", "10T16:00", Health.OK),
        ("01T03:00", "10T12:00", Health.OVERDUE),
    ],
)
def test_what_is_overdue(held: str, now: str, health: Health) -> None:
    """A job is overdue when there is no snapshot of its last time, half of its interval after it."""
    found = status(job_of(), held_at(held), now=now)
    assert found.health is health
    assert (found.due_ns is not None) == (health is Health.OVERDUE) == bool(found.problem)


def test_a_new_job() -> None:
    """A job that has just been written is not overdue for what was before, and is later."""
    assert status(job_of(), None, known_since="10T11:00").health is Health.NEW
    late = status(job_of(), None, known_since="09T11:00", now="10T16:00")
    assert (late.health, late.due_ns) == (Health.OVERDUE, at("10T03:00"))


def test_nothing_changed() -> None:
    """A run that entered no snapshot, since nothing had changed, has done its work."""
    job = job_of('every = "day at 03:00"', "skip-if-unchanged = true")
    found = status(job, held_at("01T03:00"), run_at("10T03:00", Outcome.OK, step(Step.BACKUP)), now="10T20:00")
    assert found.health is Health.OK


@pytest.mark.parametrize("kind", [Step.BEFORE, Step.BACKUP, Step.CHECK, Step.COPY])
def test_a_run_that_failed(kind: Step) -> None:
    """What failed is named, with what to do. A snapshot since then makes a failed backup good, and no failed check."""
    failed = run_at("10T03:00", Outcome.FAILED, step(kind, Outcome.FAILED, "the disk is full"))
    found = status(job_of(), held_at("09T03:00"), failed)
    assert found.health is Health.FAILED
    assert found.problem == "its last run failed: the disk is full"
    assert "`tallac run home`" in found.advice
    later = status(job_of(), held_at("10T09:00"), failed)
    assert (later.health is Health.OK) == (kind in {Step.BEFORE, Step.BACKUP})


def test_a_check_that_failed_stays_failed() -> None:
    """Damage is not forgotten because later runs do not check: only a check without damage ends it."""
    broken = run_at("08T03:00", Outcome.FAILED, step(Step.BACKUP), step(Step.CHECK, Outcome.FAILED, "2 packs are damaged"))
    fine = run_at("10T03:00", Outcome.OK, step(Step.BACKUP))
    found = status(job_of(), held_at("10T03:00"), broken, fine)
    assert (found.health, found.problem) == (Health.FAILED, "its last check failed: 2 packs are damaged")
    mended = run_at("10T09:00", Outcome.OK, step(Step.BACKUP), step(Step.CHECK))
    assert status(job_of(), held_at("10T09:00"), broken, fine, mended).health is Health.OK


def test_other_states() -> None:
    """A job that runs, one that never runs by itself, and one whose vault is away are none of these."""
    assert status(job_of(), held_at("01T03:00"), is_running=True).health is Health.RUNNING
    assert status(job_of(""), None).health is Health.MANUAL
    assert status(job_of('every = "day"', "enabled = false"), held_at("01T03:00")).health is Health.MANUAL
    away = status(job_of(), None, unreachable="no vault at /media/usb")
    assert (away.health, away.problem) == (Health.UNREACHABLE, "no vault at /media/usb")
    cancelled = status(job_of(), held_at("10T03:00"), run_at("10T09:00", Outcome.CANCELLED))
    assert cancelled.health is Health.OK


@pytest.mark.parametrize(("every", "hours"), [("hour", 1), ("6 hours", 3), ("day", 12), ("week", 24), ("month", 24)])
def test_the_grace(every: str, hours: int) -> None:
    """The grace is half of the interval, from an hour to a day."""
    assert grace_seconds(job_of(f'every = "{every}"')) == hours * 3600


def test_notes() -> None:
    """Worth knowing: files that could not be read, checks that were not done, and a disk that will be full."""
    job = job_of('every = "day at 03:00"', 'check = "each day"')
    runs = [run_at(f"{day:02}T03:00") for day in range(1, 11)]
    found = status(job, held_at("10T03:00", unreadable=4, stored=30_000), *runs, free_bytes=10_000)
    assert found.health is Health.OK
    assert found.notes[0] == "4 files could not be read in the newest snapshot"
    assert found.notes[1].startswith("no check was done for two times day")
    assert found.notes[2].startswith("at this pace the disk is full in 10 days")
    assert status(job_of(), held_at("10T03:00", stored=10_000), free_bytes=11_000).notes == ()


def test_a_target() -> None:
    """Without a job only the age counts, and only if one is given."""
    held = held_at("08T12:00")
    assert judge_target("a", "usb:a", held, at("10T12:00"), age_max_seconds=None).health is Health.OK
    assert judge_target("a", "usb:a", held, at("10T12:00"), age_max_seconds=2 * 86_400).health is Health.OK
    old = judge_target("a", "usb:a", held, at("10T12:01"), age_max_seconds=2 * 86_400)
    assert (old.health, old.due_ns) == (Health.OVERDUE, at("10T12:00"))
    assert "laptop" in old.advice


def test_metrics() -> None:
    """Each number has its type and help once, what is not known is left out, labels are escaped, and the text ends as it has to."""
    fine = status(job_of(), held_at("10T03:00"), run_at("10T03:00"), free_bytes=5)
    late = JobStatus(name='odd "name"\\', target="URI:DIR2:secret:secret", health=Health.OVERDUE, due_ns=1)
    lines = metrics_of([fine, late], at("10T12:00")).splitlines()
    assert lines[-1] == "# EOF"
    assert lines.count("# TYPE tallac_job_healthy gauge") == 1
    assert 'tallac_job_healthy{job="home",target="usb:home"} 1' in lines
    assert r'tallac_job_healthy{job="odd \"name\"\\",target=""} 0' in lines
    assert [line for line in lines if line.startswith("tallac_vault_free_bytes{")] == [
        'tallac_vault_free_bytes{job="home",target="usb:home"} 5'
    ]
    assert f'tallac_job_newest_snapshot_timestamp_seconds{{job="home",target="usb:home"}} {at("10T03:00") // NS}.000' in lines
    assert not any("secret" in line for line in lines)
