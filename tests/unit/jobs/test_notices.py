"""What is said of jobs, and when."""

from __future__ import annotations

import pytest

from tallac.jobs.notices import AGAIN_SECONDS, Notice, Occasion, Reported, anomaly_of, is_wanted, of_run, of_status
from tallac.jobs.records import Outcome, RunRecord, Step, StepRecord
from tallac.jobs.status import Health, JobStatus

NS = 1_000_000_000
NOW = 1_000_000 * NS
DAY = AGAIN_SECONDS * NS


def run(outcome: Outcome = Outcome.OK, *, message: str = "", changed: int = 0, gone: int = 0, files: int = 1000) -> RunRecord:
    """Return a run whose backup came to this."""
    counts = {"files": files - gone, "files_new": 0, "files_changed": changed, "files_removed": gone}
    step = StepRecord(Step.BACKUP, outcome, NOW - 60 * NS, NOW, message, counts, "name")
    return RunRecord("home", "usb:home", outcome, NOW - 60 * NS, NOW, [step])


def occasions(notices: list[Notice]) -> list[Occasion]:
    """Return why."""
    return [notice.occasion for notice in notices]


def test_a_failure_a_day_and_a_recovery() -> None:
    """A failure is told at once, then once a day while it lasts; the first good run ends it, and the next one is a mere success."""
    reported, heard = Reported(), []
    for hour in range(50):
        notices, reported = of_run(run(Outcome.FAILED, message="no space left"), [], reported, NOW + hour * 3600 * NS, "laptop")
        heard += [(hour, occasion) for occasion in occasions(notices)]
    assert heard == [(0, Occasion.FAILURE), (24, Occasion.FAILURE), (48, Occasion.FAILURE)]
    notices, reported = of_run(run(), [], reported, NOW + 50 * 3600 * NS, "laptop")
    assert occasions(notices) == [Occasion.RECOVERY]
    assert notices[0].title == "Backup home on laptop works again"
    notices, reported = of_run(run(), [], reported, NOW + 51 * 3600 * NS, "laptop")
    assert (occasions(notices), reported) == ([Occasion.SUCCESS], Reported())


def test_what_a_failure_says() -> None:
    """The message has the job, the machine, what went wrong and what to do."""
    [notice], _ = of_run(run(Outcome.FAILED, message="no space left"), [], Reported(), NOW, "laptop")
    assert notice.is_bad
    assert notice.title == "Backup home on laptop failed"
    assert "backup: failed, 60 s: no space left" in notice.body
    assert "`tallac run home`" in notice.body


def test_files_that_could_not_be_read_are_no_failure() -> None:
    """An incomplete snapshot is one; an interrupted run is nobody's news, and changes nothing."""
    assert occasions(of_run(run(Outcome.INCOMPLETE), [], Reported(), NOW, "laptop")[0]) == [Occasion.SUCCESS]
    reported = Reported(NOW - DAY, NOW - DAY)
    assert of_run(run(Outcome.CANCELLED), [], reported, NOW, "laptop") == ([], reported)


def test_overdue_and_well_again() -> None:
    """An overdue job is told once a day; when a run has made it good, that is told too."""
    late = JobStatus(name="home", target="usb:home", health=Health.OVERDUE, problem="too late", advice="run it", due_ns=NOW - DAY)
    notices, reported = of_status(late, Reported(), NOW, "laptop")
    assert [(notice.occasion, notice.body) for notice in notices] == [(Occasion.OVERDUE, "too late\nrun it")]
    assert of_status(late, reported, NOW + 3600 * NS, "laptop") == ([], reported)
    assert occasions(of_status(late, reported, NOW + DAY, "laptop")[0]) == [Occasion.OVERDUE]
    assert occasions(of_run(run(), [], reported, NOW + DAY, "laptop")[0]) == [Occasion.RECOVERY]
    fine = JobStatus(name="home", target="usb:home", health=Health.OK)
    assert of_status(fine, reported, NOW, "laptop") == ([], reported)


@pytest.mark.parametrize(
    ("record", "usual", "is_told"),
    [
        (run(changed=500), [10, 20, 30, 20, 10], True),
        (run(gone=120), [10, 20, 30, 20, 10], True),
        # A tenth at least: twice of next to nothing is nothing.
        (run(changed=90), [1, 1, 1, 1, 1], False),
        # A database that always changes.
        (run(changed=900), [900, 800, 950, 990, 900], False),
        (run(changed=500), [10, 20, 30, 20], False),
        (run(Outcome.FAILED, changed=500), [10, 20, 30, 20, 10], False),
        (run(changed=0, files=0), [10, 20, 30, 20, 10], False),
    ],
)
def test_an_anomaly(record: RunRecord, usual: list[int], is_told: bool) -> None:
    """A share of changed or removed files that is far from usual is a reason to be heard, once there is something usual."""
    before = [run(changed=count) for count in usual]
    assert bool(anomaly_of(record, before)) == is_told
    if record.outcome is Outcome.OK:
        notices, _ = of_run(record, before, Reported(), NOW, "laptop")
        assert occasions(notices) == [Occasion.ANOMALY if is_told else Occasion.SUCCESS]


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        ([], {"failure", "overdue", "recovery", "anomaly"}),
        (["failure"], {"failure"}),
        (["failure", "success"], {"failure", "success"}),
        (["always"], {"failure", "overdue", "recovery", "anomaly", "success"}),
    ],
)
def test_who_wants_what(wanted: list[str], heard: set[str]) -> None:
    """Without a wish, whatever is worth it is sent; a start is sent to nobody."""
    notices = [Notice(occasion, "home", "", "") for occasion in Occasion]
    assert {notice.occasion.value for notice in notices if is_wanted(notice, wanted)} == heard
