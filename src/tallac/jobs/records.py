"""Records of what runs of jobs came to: a file of JSON Lines for each job, and a lock that dies with its process.

Below the folder of the state: `jobs/NAME/runs.jsonl`, the oldest run first, and `jobs/NAME/lock`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

import msgspec

from tallac.errors import LocalStateError
from tallac.local_files import Durability, make_private_folders, replace

RUN_COUNT_MAX = 400
"""So many runs of a job are kept: a year of daily ones."""

MESSAGE_LENGTH_MAX = 2000
_PAUSE_SECONDS = 0.1


class Step(Enum):
    """The parts of a run, in their order."""

    BEFORE = "before"
    DUMP = "dump"
    BACKUP = "backup"
    AFTER = "after"
    FORGET = "forget"
    PRUNE = "prune"
    CHECK = "check"
    DRILL = "drill"
    COPY = "copy"
    ON_FAILURE = "on_failure"


class Outcome(Enum):
    """The outcome of a run, or of a step of one.

    RUNNING: It is not done; where nobody holds the job's lock, its process was killed.
    OK: Done.
    INCOMPLETE: The snapshot was made, and some files could not be read.
    FAILED: It could not be done, or found damage.
    CANCELLED: The user has interrupted it.
    """

    RUNNING = "running"
    OK = "ok"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepRecord(msgspec.Struct, omit_defaults=True):
    """The record of one step.

    Attributes:
        step: Which it is.
        outcome: What it came to.
        started_ns, ended_ns: When, in nanoseconds since 1970, UTC; 0 while it runs.
        message: One line for people: what went wrong, or what was done.
        counts: Numbers by name, which differ from step to step: files, bytes.
        snapshot: Of a backup: the name of the snapshot it has entered; "" where nothing had changed.
    """

    step: Step
    outcome: Outcome
    started_ns: int
    ended_ns: int = 0
    message: str = ""
    counts: dict[str, int] = {}
    snapshot: str = ""


class RunRecord(msgspec.Struct, omit_defaults=True):
    """The record of one run of a job.

    Attributes:
        job: The job's name.
        target: Where its snapshots go, as the job had it then.
        outcome: What it came to.
        started_ns, ended_ns: When, in nanoseconds since 1970, UTC; 0 while it runs.
        steps: Its steps, as far as it has got.
        is_manual: The user has named the job; it was not due.
    """

    job: str
    target: str
    outcome: Outcome
    started_ns: int
    ended_ns: int = 0
    steps: list[StepRecord] = []
    is_manual: bool = False

    @property
    def backup(self) -> StepRecord | None:
        """Its backup, where it has got so far."""
        return next((step for step in self.steps if step.step is Step.BACKUP), None)

    @property
    def first_error(self) -> str:
        """The message of the first step that went wrong; "" where none did."""
        return next((step.message for step in self.steps if step.outcome not in {Outcome.OK, Outcome.RUNNING}), "")


class JobRecords:
    """The records of all jobs."""

    def __init__(self, state: Path) -> None:
        """Name the folder of the state; nothing is made or read yet."""
        self._folder = state / "jobs"

    def folder(self, job: str) -> Path:
        """Return the folder of a job's own state."""
        return self._folder / job

    def runs(self, job: str) -> list[RunRecord]:
        """Return the runs of a job that are known, the oldest first.

        Raises:
            LocalStateError: The file can't be read. Lines that are damaged are passed over.
        """
        path = self.folder(job) / "runs.jsonl"
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LocalStateError(f"{path}: can't read what the job's runs came to ({error.strerror})") from error
        runs = []
        for line in lines:
            # What a newer Tallac has written is not understood, and a power loss may have left anything.
            with suppress(msgspec.MsgspecError):
                runs.append(msgspec.json.decode(line, type=RunRecord))
        return runs

    def last(self, job: str) -> RunRecord | None:
        """Return the newest run of a job; None where there is none. Raises as `runs`."""
        return next(reversed(self.runs(job)), None)

    def last_step(self, job: str, step: Step) -> StepRecord | None:
        """Return the newest time that a step was done, whatever it came to; None where it never was. Raises as `runs`."""
        for run in reversed(self.runs(job)):
            for record in reversed(run.steps):
                if record.step is step and record.outcome is not Outcome.RUNNING:
                    return record
        return None

    def write(self, run: RunRecord) -> None:
        """Record a run, or what has become of the newest one. Only for whoever holds the job's lock.

        Readers see the record of before or this one; after a power loss it is one of them too.

        Raises:
            LocalStateError: It can't be written.
        """
        folder = self.folder(run.job)
        for step in run.steps:
            step.message = step.message[:MESSAGE_LENGTH_MAX]
        runs = [other for other in self.runs(run.job) if other.started_ns != run.started_ns]
        kept = [*runs[-(RUN_COUNT_MAX - 1) :], run]
        content = b"".join(msgspec.json.encode(each) + b"\n" for each in kept)
        try:
            make_private_folders(folder)
            replace(folder / "runs.jsonl", content, Durability.CONTENT, temporary=folder / "runs.jsonl.new")
        except OSError as error:
            raise LocalStateError(f"{folder}: can't record the run ({error.strerror})") from error

    def is_running(self, job: str) -> bool:
        """Whether a process holds the lock of a job."""
        if not (self.folder(job) / "lock").exists():
            return False
        with self.locked(job, seconds=0) as is_ours:
            return not is_ours

    @contextmanager
    def locked(self, job: str, *, seconds: float | None = 1) -> Iterator[bool]:
        """Hold the lock of a job for a block; it is free again when the process ends, however it ends.

        The block gets whether it has the lock.

        Args:
            job: The job's name.
            seconds: How long to try while another process has it; None for as long as it takes. Whoever asks whether a job runs has
                it for a moment.

        Raises:
            LocalStateError: The lock's file can't be made.
        """
        path = self.folder(job) / "lock"
        try:
            make_private_folders(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise LocalStateError(f"{path}: can't make this lock ({error.strerror})") from error
        try:
            yield _locks_within(descriptor, seconds)
        finally:
            os.close(descriptor)


def _locks_within(descriptor: int, seconds: float | None) -> bool:
    """Try to lock an open file for so long; return whether it is locked."""
    end = None if seconds is None else time.monotonic() + seconds
    while not _locks(descriptor):
        if end is not None and time.monotonic() >= end:
            return False
        # Locks of Windows can't be waited for without end, and nobody minds a tenth of a second.
        time.sleep(_PAUSE_SECONDS)
    return True


if sys.platform == "win32":
    import msvcrt

    def _locks(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locks(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
