"""The status of jobs and targets, read from their vaults: what this machine remembers of its own runs only adds to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tallac.app.configuration.folders import host_name
from tallac.app.locations.snapshot_paths import find_targets, list_snapshots
from tallac.app.operations.jobs import Jobs
from tallac.app.workspace import Workspace
from tallac.clock import SystemClock
from tallac.dag import Entry, SnapshotFacts, parse_snapshot_name
from tallac.errors import EntryNotFoundError, TallacError
from tallac.interfaces import Clock, Grid
from tallac.jobs.job import Job
from tallac.jobs.records import RunRecord
from tallac.jobs.status import GROWTH_DAYS, Held, JobStatus, judge, judge_target
from tallac.transfer.place import Place

_DAY_NS = 86_400 * 1_000_000_000


class _Target(msgspec.Struct):
    """A target, as it was found.

    Attributes:
        snapshots: Its snapshots.
        free_bytes: What is free on the disk of its vault; None where nobody can tell.
        problem: Why nothing is known of it; "" where it was found.
    """

    snapshots: list[Entry] = []
    free_bytes: int | None = None
    problem: str = ""


class StatusReader:
    """Reads how jobs and targets are. Each target is looked up once."""

    def __init__(self, workspace: Workspace, jobs: Jobs, clock: Clock | None = None) -> None:
        """Read jobs with `jobs`, and their vaults through the workspace."""
        self._workspace = workspace
        self._jobs = jobs
        self._clock = clock or SystemClock()
        self._targets: dict[str, _Target] = {}

    @property
    def now_ns(self) -> int:
        """The present, in nanoseconds since 1970, UTC."""
        return self._clock.now_ns()

    def of_jobs(self, names: Sequence[str] = ()) -> list[JobStatus]:
        """Return how jobs are, in the order in which they are written; of all jobs where none is named.

        Raises:
            JobFileError: The file of jobs is malformed.
            LocalStateError: What its runs came to can't be read.
            UsageError: There is no such job.
        """
        return [self._of_job(job) for job in self._jobs.chosen(names)]

    def of_targets(self, places: Sequence[str], *, age_max_seconds: int | None = None) -> list[JobStatus]:
        """Return how the targets at some places and below them are, for each host and its sources.

        Args:
            places: Written `ALIAS:PATH`.
            age_max_seconds: A newest snapshot that is older is overdue; None for any age.

        Raises:
            EntryNotFoundError: There is no target.
            StoreError: A vault can't be asked.
        """
        statuses = []
        for place in places:
            grid, located = self._workspace.resolve(place)
            for target in list(find_targets(grid, located)) or [located]:
                groups: dict[tuple[str, tuple[bytes, ...]], list[Entry]] = {}
                for entry in list_snapshots(grid, target):
                    facts = entry.metadata.snapshot or SnapshotFacts()
                    groups.setdefault((facts.host, facts.sources), []).append(entry)
                for (host, sources), entries in groups.items():
                    held = self._held(entries)
                    where = ", ".join(os.fsdecode(source) for source in sources)
                    name = f"{host}:{where}" if host or where else str(target)
                    status = judge_target(name, str(target), held, self.now_ns, age_max_seconds=age_max_seconds)
                    statuses.append(msgspec.structs.replace(status, free_bytes=self._free_at(grid)))
        return statuses

    def _of_job(self, job: Job) -> JobStatus:
        runs = self._jobs.records.runs(job.name)
        target = self._target(job.keys.target)
        entries = chosen_for(job, target.snapshots, runs, host_name())
        return judge(
            job,
            self._held(entries) if entries else None,
            self._jobs.due(job),
            runs,
            self.now_ns,
            known_since_ns=_written_ns(job.file, self.now_ns),
            free_bytes=target.free_bytes,
            unreachable=target.problem,
        )

    def _target(self, text: str) -> _Target:
        if text not in self._targets:
            self._targets[text] = self._look_up(text)
        return self._targets[text]

    def _look_up(self, text: str) -> _Target:
        try:
            grid, located = self._workspace.resolve(text)
            free = self._free_at(grid)
            return _Target(self._snapshots(grid, located), free)
        except TallacError as error:
            # One vault that is away must not hide how the others are.
            return _Target(problem=str(error))

    def _snapshots(self, grid: Grid, located: Place) -> list[Entry]:
        try:
            return list_snapshots(grid, located)
        except EntryNotFoundError:
            return []

    def _free_at(self, grid: Grid) -> int | None:
        folder = self._workspace.folder_of(grid)
        try:
            return None if folder is None else shutil.disk_usage(folder).free
        except OSError:
            return None  # It is only one number of many, and the vault has answered otherwise.

    def _held(self, entries: Sequence[Entry]) -> Held:
        newest = max(entries, key=_began_ns)
        facts = newest.metadata.snapshot or SnapshotFacts()
        since_ns = self.now_ns - GROWTH_DAYS * _DAY_NS
        lately = [entry.metadata.snapshot for entry in entries if entry.metadata.snapshot and _began_ns(entry) >= since_ns]
        return Held(
            snapshot=newest.name,
            started_ns=_began_ns(newest),
            host=facts.host,
            files=facts.files,
            size=facts.size,
            unreadable=facts.unreadable,
            count=len(entries),
            stored_lately=sum(each.bytes_stored for each in lately),
        )


def chosen_for(job: Job, snapshots: Sequence[Entry], runs: Sequence[RunRecord], host: str) -> list[Entry]:
    """Return those of a target's snapshots that are a job's.

    That is what this machine remembers to have made for it, with what has the same host and sources; without such, what the job's
    own host and sources say. On a machine that makes none of them, as one that only watches, whatever has its sources, and what a
    single source has left in the target.
    """
    groups: dict[tuple[str, tuple[bytes, ...]], list[Entry]] = {}
    for entry in snapshots:
        facts = entry.metadata.snapshot or SnapshotFacts()
        groups.setdefault((facts.host, facts.sources), []).append(entry)
    own = {run.backup.snapshot.encode() for run in runs if run.backup is not None and run.backup.snapshot}
    made = [key for key, entries in groups.items() if any(entry.name in own for entry in entries)]
    if made:
        return [entry for key in made for entry in groups[key]]
    given = job.options.get("host")
    own_host = given if isinstance(given, str) else host
    wanted = {os.path.abspath(os.path.expanduser(os.fsencode(source))) for source in job.keys.sources}
    alike = [key for key in groups if set(key[1]) == wanted]
    here = [key for key in alike if key[0] == own_host]
    if here or alike:
        return [entry for key in here or alike for entry in groups[key]]
    elsewhere = [key for key in groups if key[0] != own_host]
    return groups[elsewhere[0]] if len(groups) == 1 and elsewhere else []


def _began_ns(entry: Entry) -> int:
    facts = entry.metadata.snapshot
    return facts.started_ns if facts is not None else parse_snapshot_name(entry.name) or 0


def _written_ns(file: Path, now_ns: int) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return now_ns  # It was there a moment ago.
