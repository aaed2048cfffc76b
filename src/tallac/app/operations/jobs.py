"""The jobs of this machine's user: reading them, and when each is due."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tallac.app.configuration.folders import Folders, host_name
from tallac.clock import SystemClock
from tallac.errors import UsageError
from tallac.interfaces import Clock
from tallac.jobs.due import Due, decide
from tallac.jobs.job import Job
from tallac.jobs.loader import read_jobs
from tallac.jobs.records import JobRecords


class Jobs:
    """Reads jobs, and says when each is due and what its runs came to.

    Attributes:
        records: What runs have come to.
    """

    def __init__(self, folders: Folders, clock: Clock | None = None, machine: str | None = None) -> None:
        """Use a user's folders; nothing is read yet. `machine` is a name that no other machine has; None for the host's."""
        self._folders = folders
        self._clock = clock or SystemClock()
        self._machine = host_name() if machine is None else machine
        self.records = JobRecords(folders.state)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that jobs are read from; they need not exist. The last one is where a new job is written."""
        return self._folders.job_files

    def read(self) -> dict[str, Job]:
        """Read all jobs, by name, in the order in which they are written.

        Raises:
            JobFileError: A file of jobs is malformed, or others can change it.
        """
        return read_jobs(self.files)

    def chosen(self, names: Sequence[str]) -> list[Job]:
        """Read the jobs that are named, in this order; all jobs where none is.

        Raises:
            JobFileError: As `read`.
            UsageError: There is no such job.
        """
        jobs = self.read()
        for name in names:
            if name not in jobs:
                there_are = f"there are {', '.join(jobs)}" if jobs else f"{self.files[-1]} has none yet; `tallac job add` makes one"
                raise UsageError(f"no job {name!r}: {there_are}")
        return [jobs[name] for name in dict.fromkeys(names)] if names else list(jobs.values())

    def delay_seconds(self, job: Job) -> int:
        """Return how much later than at its times a job starts on this machine."""
        return job.delay_seconds(self._machine)

    def due(self, job: Job, *, is_delayed: bool = True) -> Due:
        """Decide whether a job is due now; without its delay where whoever starts it has waited already.

        Raises:
            LocalStateError: What its runs came to can't be read.
        """
        delay = self.delay_seconds(job) if is_delayed else 0
        is_running = self.records.is_running(job.name)
        return decide(job, self.records.runs(job.name), self._clock.now_ns(), is_running=is_running, delay_seconds=delay)
