"""`tallac run`, `jobs` and `job`: jobs from their file to what a run came to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.jobs.loader import read_jobs
from tallac.jobs.records import JobRecords, Outcome, RunRecord, Step

if TYPE_CHECKING:
    from tests.command import Tallac

DAY_NS = 86_400 * 10**9


def write_jobs(tallac: Tallac, text: str) -> Path:
    """Write the file of jobs."""
    file = tallac.home / "config" / "jobs.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def job_text(source: Path, keys: str = "", name: str = "docs") -> str:
    """Return a job in the default vault."""
    return f'[job.{name}]\nsources = ["{source}"]\ntarget = "tallac:{name}"\n{keys}\n'


def last_run(tallac: Tallac, name: str = "docs") -> RunRecord:
    """Return what the newest run of a job came to."""
    record = JobRecords(tallac.home / "state").last(name)
    assert record is not None
    return record


def make_older(tallac: Tallac, days: int, name: str = "docs") -> None:
    """Have all runs of a job been so many days earlier."""
    records = JobRecords(tallac.home / "state")
    runs = records.runs(name)
    (records.folder(name) / "runs.jsonl").unlink()
    for run in runs:
        run.started_ns -= days * DAY_NS
        for step in run.steps:
            step.started_ns -= days * DAY_NS
        records.write(run)


def test_a_job_is_run_when_it_is_due(tallac: Tallac, source: Path) -> None:
    """A new job is due, then it is not, and once its time has come again it is; a snapshot is made each time."""
    write_jobs(tallac, job_text(source, 'every = "day at 03:00"\nexclude = ["bar.txt"]\ntag = "daily"'))
    first = tallac("run")
    assert "created a vault in" in first.err, "whoever loses its key loses the backups"
    assert first.lines[0] == b"docs: tallac:docs (it has never run)"
    assert first.lines[1].startswith(b"  backup ")
    assert b"tallac:docs" in tallac("jobs").out
    again = tallac("run")
    assert (again.out, again.err.startswith("nothing is due; next is docs, at 20")) == (b"", True)
    make_older(tallac, 3)
    assert tallac("run").lines[0] == b"docs: tallac:docs (its time has come)"
    snapshots = [json.loads(line) for line in tallac("--json", "snapshots", "tallac:docs").lines]
    assert [snapshot["tags"] for snapshot in snapshots] == [["daily"], ["daily"]]
    assert last_run(tallac).backup is not None
    assert b"bar.txt" not in tallac("ls", "-R", "tallac:docs/Latest").out


def test_a_job_runs_all_its_steps(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Commands, backup, forget, prune, check, drill and copies are done in order, and each is recorded with its counts."""
    log = tmp_path / "log"
    keys = f"""
keep = {{ last = 1 }}
prune = "each run"
check = "50% each week"
drill = "3 files each month"
copies = ["{tmp_path}/copy"]
before = ["echo before $TALLAC_JOB $TALLAC_STATUS >> {log}"]
after = [["sh", "-c", "echo after $TALLAC_STATUS $TALLAC_SNAPSHOT >> {log}"]]
on_failure = ["echo failed >> {log}"]
"""
    write_jobs(tallac, job_text(source, keys))
    tallac("init")
    assert tallac("run", "docs").err == ""
    record = last_run(tallac)
    assert (record.outcome, record.is_manual) == (Outcome.OK, True)
    assert [step.step for step in record.steps] == [step for step in Step if step not in {Step.DUMP, Step.ON_FAILURE}]
    assert all(step.outcome is Outcome.OK and step.ended_ns for step in record.steps)
    counts = {step.step: step.counts for step in record.steps}
    assert counts[Step.DRILL]["files"] == counts[Step.DRILL]["compared"] == 3
    assert counts[Step.COPY]["packs"] > 0
    assert counts[Step.CHECK]["bytes_read"] > 0
    assert record.backup is not None
    assert log.read_text().splitlines() == ["before docs running", f"after ok {record.backup.snapshot}"]
    assert tallac("check", "--read-data", "--vault", tmp_path / "copy").err == ""
    tallac("-q", "run", "docs")
    assert {step.step for step in last_run(tallac).steps}.isdisjoint({Step.CHECK, Step.DRILL}), "once in a week and a month"
    assert next(step.counts for step in last_run(tallac).steps if step.step is Step.FORGET) == {"kept": 1, "forgotten": 1}
    make_older(tallac, 40)
    tallac("-q", "run", "docs")
    assert {Step.CHECK, Step.DRILL} <= {step.step for step in last_run(tallac).steps}


def test_a_command_that_fails(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """One before the backup ends the job: no snapshot is made, `after` is run all the same, and then `on_failure`."""
    log = tmp_path / "log"
    keys = f"""
before = ["echo no room >&2; exit 7", "echo second >> {log}"]
after = ["echo after $TALLAC_STATUS >> {log}"]
on_failure = ["echo failed: $TALLAC_ERROR >> {log}"]
"""
    write_jobs(tallac, job_text(source, keys) + job_text(source, name="other"))
    tallac("init")
    result = tallac("run", "docs", "other", status=1)
    message = "echo no room >&2; exit 7: it failed with exit status 7: no room"
    assert result.err == f"tallac: docs: before: {message}\n"
    assert log.read_text() == f"after failed\nfailed: {message}\n"
    assert last_run(tallac).outcome is Outcome.FAILED
    assert last_run(tallac, "other").outcome is Outcome.OK, "the queue goes on"
    assert tallac("snapshots", "tallac:docs", status=None).out == b""


def test_a_command_that_hangs(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """It is ended in time, with whatever it has started, and the job fails."""
    pid = tmp_path / "pid"
    keys = f'timeout = "1 second"\nbefore = ["sleep 1000 & echo $! > {pid}; wait"]'
    write_jobs(tallac, job_text(source, keys))
    assert "it took longer than 1 seconds and was ended" in tallac("run", "docs", status=1).err
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _is_alive(int(pid.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_alive(int(pid.read_text()))


def _is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_passphrase_is_no_command_s_business(
    tallac: Tallac, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands don't see the passphrase in their environment."""
    monkeypatch.setenv("TALLAC_PASSPHRASE", "open sesame")
    write_jobs(tallac, job_text(source, f'before = ["env > {tmp_path}/seen"]'))
    type(tallac)(tallac.home, ("env", "TALLAC_PASSPHRASE=open sesame"))("-q", "run", "docs")
    seen = (tmp_path / "seen").read_text()
    assert "TALLAC_JOB=docs\n" in seen
    assert "sesame" not in seen


def test_files_that_cannot_be_read(tallac: Tallac, source: Path) -> None:
    """The run is incomplete, says so, and goes on; the exit status is 3."""
    (source / "secret").write_text("secret")
    (source / "secret").chmod(0)
    write_jobs(tallac, job_text(source, "keep = { last = 3 }"))
    result = tallac("run", "docs", status=3, as_user=True)
    assert b"1 path could not be read" in result.out
    record = last_run(tallac)
    assert (record.outcome, record.first_error[:24]) == (Outcome.INCOMPLETE, "1 path could not be read")
    assert [step.step for step in record.steps] == [Step.BACKUP, Step.FORGET, Step.PRUNE]


def test_what_goes_wrong_later_does_not_hide_the_backup(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A copy that can't be made fails the job; the snapshot is there, and the other copy too."""
    (tmp_path / "file").write_text("")
    tallac("init")
    write_jobs(tallac, job_text(source, f'copies = ["{tmp_path}/file/copy", "{tmp_path}/copy"]'))
    assert tallac("run", "docs", status=1).err.startswith("tallac: docs: copy: ")
    assert [step.outcome for step in last_run(tallac).steps] == [Outcome.OK, Outcome.FAILED, Outcome.OK]
    assert (tmp_path / "copy" / "packs").is_dir()


def test_a_damaged_vault_is_found(tallac: Tallac, source: Path) -> None:
    """A check and a drill fail the job when data is lost, and say what to do."""
    write_jobs(tallac, job_text(source, 'check = "100% each run"\ndrill = "each run"'))
    tallac("-q", "run", "docs")
    for pack in (tallac.vault / "packs").rglob("*"):
        if pack.is_file():
            content = bytearray(pack.read_bytes())
            content[len(content) // 3] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(content)
    result = tallac("run", "docs", status=1)
    assert "tallac: docs: check: " in result.err
    assert "`tallac check tallac:` names all of it" in result.err


def test_a_drill_finds_a_source_that_has_rotted(tallac: Tallac, source: Path) -> None:
    """A file whose size and time are as they were, and whose bytes are not, is reported; one that was changed is not."""
    (source / "rotten").write_bytes(b"sound")
    rot = f"cd {source} && touch -r rotten ../time && printf s0und > rotten && touch -r ../time rotten && echo more >> other"
    write_jobs(tallac, job_text(source, f'drill = "1000 files each run"\nafter = ["{rot}"]'))
    message = tallac("run", "docs", status=1).err
    assert f"rotten: the restored file differs from {source}/rotten, although that looks unchanged" in message
    assert "more)" not in message


def test_a_dry_run(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """It shows what would be done, commands too, and does none of it."""
    write_jobs(tallac, job_text(source, f'every = "hour"\nbefore = ["touch {tmp_path}/touched"]\ncheck = "each week"'))
    shown = tallac("run", "--dry-run").out.decode()
    assert "steps         before, backup, check" in shown
    assert f"would before  touch {tmp_path}/touched" in shown
    assert not (tmp_path / "touched").exists()
    assert not tallac.vault.exists()
    assert JobRecords(tallac.home / "state").runs("docs") == []
    assert tallac.fails("run", "-n", "nonsense", status=2) == "tallac: no job 'nonsense': there are docs"


def test_one_run_at_a_time(tallac: Tallac, source: Path) -> None:
    """A job that is running is left to that run, and shown as running; one that was named waits for its turn."""
    write_jobs(tallac, job_text(source, 'every = "hour"'))
    with JobRecords(tallac.home / "state").locked("docs") as is_ours:
        assert is_ours
        assert tallac("run").err == "docs: it is running already\n"
        waiting = tallac.start("run", "docs")
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == b"docs: waiting for the run that is under way\n"
        assert waiting.poll() is None
    waiting.communicate(timeout=PATIENCE_SECONDS)
    assert waiting.returncode == 0
    assert len(JobRecords(tallac.home / "state").runs("docs")) == 1


@pytest.mark.slow
def test_a_run_that_is_killed_is_taken_up_again(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """After a kill the job is due, and its next run does it; after an interrupt by the user it is not."""
    waits = f"test -e {tmp_path}/go || {{ touch {tmp_path}/began; sleep 1000; }}"
    keys = f'every = "day"\nbefore = ["{waits}"]\nafter = ["touch {tmp_path}/after"]'
    write_jobs(tallac, job_text(source, keys))
    for number, outcome in ((signal.SIGINT, "cancelled"), (signal.SIGTERM, "killed"), (signal.SIGKILL, "killed")):
        running = tallac.start("run", "docs")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (tmp_path / "began").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(number)
        running.communicate(timeout=PATIENCE_SECONDS)
        (tmp_path / "began").unlink()
        listed = json.loads(tallac("--json", "jobs").out)
        assert listed["last_outcome"] == outcome
        assert listed["due"] == (None if outcome == "cancelled" else "its last run was killed")
        assert (tmp_path / "after").exists() is (number is not signal.SIGKILL), "what was stopped is started again"
        (tmp_path / "after").unlink(missing_ok=True)
    (tmp_path / "go").touch()
    assert tallac("run").lines[0] == b"docs: tallac:docs (its last run was killed)"
    assert last_run(tallac).outcome is Outcome.OK


def test_if_due(tallac: Tallac, source: Path) -> None:
    """A scheduler names the job; it runs once for each of its times."""
    write_jobs(tallac, job_text(source, 'every = "day"'))
    assert b"never run" in tallac("run", "--if-due", "docs").out
    assert tallac("run", "--if-due", "docs").out == b""
    assert "--if-due is about jobs that are named" in tallac.fails("run", "--if-due", status=2)


def test_a_job_waits_for_its_connection(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """On a metered connection a job that is due waits, with a status of its own; one that was named runs all the same."""
    program = tmp_path / "bin" / "busctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    program.chmod(0o755)
    (tmp_path / "answer").write_text("u 1\n")
    machine = type(tallac)(tallac.home, ("env", f"PATH={program.parent}:{os.environ['PATH']}"))
    write_jobs(tallac, job_text(source, 'every = "day"\non_metered = false'))
    for arguments in (("run",), ("run", "--if-due", "docs")):
        waiting = machine(*arguments, status=75)
        assert (waiting.out, waiting.err) == (b"", "docs: it waits for a connection that is not metered\n")
    machine("-q", "run", "docs")
    make_older(tallac, 2)
    (tmp_path / "answer").write_text("u 2\n")
    assert b"its time has come" in machine("run").out


def test_what_is_wrong_with_the_file(tallac: Tallac, source: Path) -> None:
    """Every command on jobs names the file, the line and what may have been meant; nothing is run."""
    file = write_jobs(tallac, job_text(source, 'evry = "day"'))
    for command in ("run", "jobs"):
        assert tallac.fails(command) == f"tallac: {file}: line 4: job.docs.evry: unknown key; did you mean every?"
    file.chmod(0o666)
    assert "everybody can write it" in tallac.fails("run")


def test_a_target_that_is_not_there(tallac: Tallac, source: Path) -> None:
    """The job fails with what to do."""
    write_jobs(tallac, job_text(source).replace("tallac:docs", "usb:docs"))
    assert "docs: backup: no alias 'usb'" in tallac("run", "docs", status=1).err
    assert last_run(tallac).outcome is Outcome.FAILED


def test_adding_a_job(tallac: Tallac, source: Path) -> None:
    """A job is added with comments, what is there stays as it is, and what was written works."""
    file = tallac.home / "config" / "jobs.toml"
    result = tallac("job", "add", "--source", source, "--target", "tallac:docs", "--yes")
    assert f"{file}: written" in result.err
    before = file.read_bytes()
    tallac(
        "-q", "job", "add", "--source", source, "--target", "tallac:more", "--every", "hour", "--keep", "last 3, yearly 2", "--yes"
    )
    after = file.read_bytes()
    assert after.startswith(before)
    assert b"# Try a restore" in after
    jobs = read_jobs([file])
    assert list(jobs) == ["source", "source-2"]
    assert jobs["source-2"].keys.keep is not None
    assert (jobs["source-2"].keys.keep.last, jobs["source-2"].keys.keep.yearly) == (3, 2)
    assert (file.stat().st_mode & 0o777, (file.parent / "jobs.schema.json").exists()) == (0o600, True)
    tallac("-q", "run", "source", "source-2")


def test_a_new_job_s_target_that_is_not_there(tallac: Tallac, source: Path) -> None:
    """The job is written, and how its target is made is said."""
    result = tallac("job", "add", "--source", source, "--target", "usb:docs", "--yes")
    assert "there is no alias usb: yet; `tallac create-alias usb --vault FOLDER` makes one" in result.err


def test_a_record_that_cannot_be_written(tallac: Tallac, source: Path) -> None:
    """The backup is made all the same, with a warning."""
    write_jobs(tallac, job_text(source))
    folder = tallac.home / "state" / "jobs" / "docs"
    (folder / "runs.jsonl").mkdir(parents=True)
    (folder / "lock").touch()
    assert "can't read what the job's runs came to" in tallac.fails("run", "docs")
    (folder / "runs.jsonl").rmdir()
    (folder / "runs.jsonl.new").mkdir()
    result = tallac("run", "docs")
    assert result.err.count("can't record the run") == 1
    assert len(tallac("snapshots", "tallac:docs").lines) == 2


def test_names_of_jobs_are_completed(tallac: Tallac, source: Path) -> None:
    """A shell offers the jobs that there are."""
    write_jobs(tallac, job_text(source) + job_text(source, name="more"))
    shell = {"_TALLAC_COMPLETE": "bash_complete", "COMP_WORDS": "tallac run ", "COMP_CWORD": "2", "COMP_LINE": "tallac run "}
    completing = type(tallac)(tallac.home, ("env", *(f"{name}={value}" for name, value in shell.items())))
    assert completing().lines == [b"done\tdocs\t", b"done\tmore\t"]


def test_what_cannot_be_added(tallac: Tallac, source: Path) -> None:
    """Nothing is written where an answer is missing or makes no sense."""
    add = ("job", "add", "--source", str(source), "--yes")
    assert "no terminal to ask on; give --target" in tallac.fails(*add, status=2)
    assert "'never' is no time to run at" in tallac("-q", *add, "--target", "tallac:", "--every", "never", status=1).err
    assert "write what to keep as in 'daily 7" in tallac.fails(*add, "--target", "tallac:", "--keep", "some", status=2)
    assert "lacks the colon" in tallac("-q", *add, "--target", "tallac", status=1).err
    assert "no such action" in tallac.fails("job", "remove", status=2)
    assert not (tallac.home / "config" / "jobs.toml").exists()
    tallac("-q", *add, "--target", "tallac:", "--name", "one")
    assert "there is a job 'one' already" in tallac.fails(*add, "--target", "tallac:", "--name", "one", status=2)


@pytest.mark.slow
def test_questions_at_a_terminal(tallac: Tallac, source: Path) -> None:
    """Four questions with defaults make a job, which is shown before it is written."""
    descriptor, terminal = os.openpty()
    asking = subprocess.Popen(
        [sys.executable, "-m", "tallac", "job", "add"], env=tallac.environment, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    answers = [(b"What to back up [~]:", os.fsencode(source)), (b"Where to [tallac:source]:", b"tallac:docs")]
    answers += [
        (b"When [day at 03:00]:", b""),
        (b"How many to keep [daily 7, weekly 4, monthly 12]:", b"daily 3"),
        (b"[Y/n]:", b"y"),
    ]
    seen = b""
    for question, answer in answers:
        while question not in seen:
            seen += os.read(descriptor, 1000)
        os.write(descriptor, answer + b"\n")
    while True:
        try:
            seen += os.read(descriptor, 1000)
        except OSError:
            break
    os.close(descriptor)
    assert asking.wait(PATIENCE_SECONDS) == 0, seen
    assert b"[job.source]" in seen
    job = read_jobs([tallac.home / "config" / "jobs.toml"])["source"]
    assert (job.keys.target, job.keys.every) == ("tallac:docs", "day at 03:00")
