"""Who hears of which job: the runs of this machine, its jobs that are overdue, and a test of all addresses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tallac.app.configuration.folders import host_name
from tallac.app.operations.job_status import StatusReader
from tallac.app.operations.jobs import Jobs
from tallac.app.operations.notifier import Notifier, is_ping, show_address
from tallac.clock import SystemClock
from tallac.errors import LocalStateError
from tallac.interfaces import Clock
from tallac.jobs.job import Job
from tallac.jobs.notices import ALWAYS, Notice, Occasion, Reported, of_run, of_status, outcome_of
from tallac.jobs.records import RunRecord
from tallac.jobs.status import overdue_since
from tallac.local_files import Durability, make_private_folders, replace

REPORTED_FILE = "reported.json"


class Notices:
    """Sends what is to be said of jobs, and remembers it. All methods return what could not be sent, and raise nothing of it."""

    def __init__(self, jobs: Jobs, notifier: Notifier | None = None, clock: Clock | None = None) -> None:
        """Find what is remembered beside the records of `jobs`."""
        self._jobs = jobs
        self._notifier = notifier or Notifier()
        self._clock = clock or SystemClock()
        self._host = host_name()

    def began(self, job: Job) -> list[str]:
        """Ping that a run begins."""
        if not job.keys.notify:
            return []
        notice = Notice(Occasion.START, job.name, f"Backup {job.name} on {self._host} begins", "")
        return self._send(job, [notice], are_pings=True)

    def ended(self, job: Job, record: RunRecord) -> list[str]:
        """Send what a run came to, as far as somebody wants to hear that."""
        if not job.keys.notify:
            return []
        try:
            before = [run for run in self._jobs.records.runs(job.name) if run.started_ns < record.started_ns]
        except LocalStateError as error:
            return [str(error)]
        notices, reported = of_run(record, before, self._reported(job.name), self._clock.now_ns(), self._host)
        outcome = outcome_of(record, self._host)
        pings = [] if outcome is None else self._send(job, [outcome], are_pings=True)
        return [*pings, *self._send(job, notices), *self._remember(job.name, reported)]

    def look(self, jobs: Sequence[Job], reader: StatusReader) -> list[str]:
        """Send which of some jobs, which were not run just now, are overdue.

        A vault is asked only where this machine remembers no run that would do. One that can't be asked is overdue for nobody.
        """
        now_ns = self._clock.now_ns()
        problems = []
        for job in jobs:
            if not job.keys.notify or not self._may_be_overdue(job, now_ns):
                continue
            [status] = reader.of_jobs([job.name])
            before = self._reported(job.name)
            notices, reported = of_status(status, before, now_ns, self._host)
            problems += self._send(job, notices)
            if reported != before:
                problems += self._remember(job.name, reported)
        return problems

    def _may_be_overdue(self, job: Job, now_ns: int) -> bool:
        try:
            return overdue_since(job, None, self._jobs.records.runs(job.name), now_ns, 0) is not None
        except LocalStateError:
            return False  # Whoever runs the job is told so.

    def test(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Send a test to each address of some jobs; return the addresses, each with the reason why it could not be reached, or "".

        What is pinged takes the test for a success.
        """
        urls = list(dict.fromkeys(url for job in jobs for url in job.keys.notify))
        names = ", ".join(job.name for job in jobs)
        body = f"This is a test. What is wrong with {names} will be said here."
        notice = Notice(Occasion.SUCCESS, names, f"Tallac on {self._host} can reach you", body)
        failed = self._notifier.send(notice, urls, (ALWAYS,))
        return {url: failed.get(url, "") for url in urls}

    def _send(self, job: Job, notices: Sequence[Notice], *, are_pings: bool = False) -> list[str]:
        """Send to what is pinged, which hears of each run, or to services, which hear of what they want."""
        urls = [url for url in job.keys.notify if is_ping(url) is are_pings]
        failed = [self._notifier.send(notice, urls, job.keys.notify_on) for notice in notices]
        return [f"{job.name}: {show_address(url)}: can't notify: {reason}" for each in failed for url, reason in each.items()]

    def _reported(self, job: str) -> Reported:
        try:
            return msgspec.json.decode(self._path(job).read_bytes(), type=Reported)
        except (OSError, msgspec.MsgspecError):
            return Reported()  # At worst somebody hears something twice.

    def _remember(self, job: str, reported: Reported) -> list[str]:
        path = self._path(job)
        try:
            make_private_folders(path.parent)
            replace(path, msgspec.json.encode(reported), Durability.CONTENT)
        except OSError as error:
            return [f"{path}: can't note what was said ({error.strerror})"]
        return []

    def _path(self, job: str) -> Path:
        return self._jobs.records.folder(job) / REPORTED_FILE
