from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tallac.jobs.records import MESSAGE_LENGTH_MAX, RUN_COUNT_MAX, JobRecords, Outcome, RunRecord, Step, StepRecord


def run_of(number: int, *steps: StepRecord, outcome: Outcome = Outcome.OK) -> RunRecord:
    """Return a record of a run that began at a second."""
    return RunRecord("home", "usb:home", outcome, number, number + 1, list(steps))


def test_records_come_back(tmp_path: Path) -> None:
    """What is written is read again, the newest last, also by another object."""
    records = JobRecords(tmp_path)
    assert records.runs("home") == []
    assert records.last("home") is None
    step = StepRecord(Step.BACKUP, Outcome.INCOMPLETE, 1, 2, "1 file could not be read", {"files": 3}, "2026-11-30_00:00:00Z")
    records.write(run_of(1, step, outcome=Outcome.INCOMPLETE))
    records.write(run_of(5))
    read = JobRecords(tmp_path).runs("home")
    assert read == [run_of(1, step, outcome=Outcome.INCOMPLETE), run_of(5)]
    assert (read[0].first_error, read[1].first_error) == ("1 file could not be read", "")
    assert read[0].backup == step
    assert records.last("home") == read[1]


def test_the_newest_record_is_replaced(tmp_path: Path) -> None:
    """A run is one record from its start to its end."""
    records = JobRecords(tmp_path)
    run = RunRecord("home", "usb:home", Outcome.RUNNING, 7)
    records.write(run)
    run.outcome, run.ended_ns = Outcome.FAILED, 8
    records.write(run)
    assert [(each.outcome, each.ended_ns) for each in records.runs("home")] == [(Outcome.FAILED, 8)]


def test_records_are_bounded(tmp_path: Path) -> None:
    """The oldest runs are dropped, and long messages are cut."""
    records = JobRecords(tmp_path)
    folder = records.folder("home")
    records.write(run_of(0, StepRecord(Step.BEFORE, Outcome.FAILED, 1, message="x" * 10_000)))
    assert len(records.runs("home")[0].first_error) == MESSAGE_LENGTH_MAX
    line = (folder / "runs.jsonl").read_bytes()
    (folder / "runs.jsonl").write_bytes(b"".join(line.replace(b'"started_ns":0', b'"started_ns":%d' % n) for n in range(1000)))
    records.write(run_of(5000))
    runs = records.runs("home")
    assert len(runs) == RUN_COUNT_MAX
    assert runs[-1].started_ns == 5000


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    """A line that is none does not hide the others."""
    records = JobRecords(tmp_path)
    records.write(run_of(1))
    path = records.folder("home") / "runs.jsonl"
    path.write_bytes(b'{"job": 3}\n\x00\x00\n' + path.read_bytes() + b'{"jo')
    assert records.runs("home") == [run_of(1)]


def test_the_last_time_of_a_step(tmp_path: Path) -> None:
    """The newest step that has ended is found, in whichever run it was."""
    records = JobRecords(tmp_path)
    first, second = StepRecord(Step.CHECK, Outcome.OK, 10, 11), StepRecord(Step.CHECK, Outcome.RUNNING, 20)
    records.write(run_of(9, first))
    records.write(run_of(19, second))
    assert records.last_step("home", Step.CHECK) == first
    assert records.last_step("home", Step.DRILL) is None


def _hold(state: Path, connection: Connection) -> None:
    with JobRecords(state).locked("home") as is_ours:
        connection.send(is_ours)
        signal.pause()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    """While a process holds the lock nobody else has it; when it is killed, it is free."""
    records = JobRecords(tmp_path)
    assert not records.is_running("home")
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path, theirs))
    process.start()
    assert ours.recv()
    assert records.is_running("home")
    with records.locked("home") as is_ours:
        assert not is_ours
    process.kill()
    process.join()
    with records.locked("home", seconds=None) as is_ours:
        assert is_ours
    assert not records.is_running("home")
    ours.close()
    theirs.close()
    process.close()
