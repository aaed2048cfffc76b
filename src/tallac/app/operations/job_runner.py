"""Running a job: its steps in order, each recorded when it begins and when it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tallac.app.operations.job_steps import JobObserver, JobServices, JobSteps, StepResult
from tallac.app.operations.job_values import backup_options, lists_of, sources_of
from tallac.app.operations.jobs import Jobs
from tallac.backup import Observer
from tallac.clock import SystemClock
from tallac.errors import LocalStateError, TallacError
from tallac.interfaces import Clock
from tallac.jobs.due import Plan, plan
from tallac.jobs.job import Job
from tallac.jobs.power import is_metered, is_on_battery
from tallac.jobs.records import Outcome, RunRecord, Step, StepRecord

if TYPE_CHECKING:
    from tallac.backup.dry_run import DryRunSummary

LOCK_SECONDS = 1.0
"""So long a run that nobody has asked for tries to have its job's lock: whoever asks whether it is running has it for a moment."""

_WORST_FIRST = (Outcome.FAILED, Outcome.INCOMPLETE)


class RunObserver(msgspec.Struct, frozen=True):
    """Callbacks for what happens in a run.

    Attributes:
        warn: Called with what is wrong beside the job itself: that its record can't be written.
        began: Called with each step as it begins.
        ended: Called with each step when it has ended.
        job: For how far a step is.
    """

    warn: Callable[[str], None] = lambda _: None
    began: Callable[[Step], None] = lambda _: None
    ended: Callable[[StepRecord], None] = lambda _: None
    job: JobObserver = msgspec.field(default_factory=JobObserver)


class JobRunner:
    """Runs jobs."""

    def __init__(
        self,
        jobs: Jobs,
        services: JobServices,
        clock: Clock | None = None,
        *,
        on_battery: Callable[[], bool] = is_on_battery,
        on_metered: Callable[[], bool] = is_metered,
    ) -> None:
        self._jobs = jobs
        self._services = services
        self._clock = clock or SystemClock()
        self._on_battery = on_battery
        self._on_metered = on_metered

    def waits_for(self, job: Job) -> str:
        """Return what a job has to wait for before it may run by itself; "" for nothing."""
        if not job.keys.on_battery and self._on_battery():
            return "mains power"
        if not job.keys.on_metered and self._on_metered():
            return "a connection that is not metered"
        return ""

    def plan(self, job: Job) -> Plan:
        """Return what a run would do now."""
        return plan(job, self._jobs.records.runs(job.name), self._clock.now_ns())

    def dry_run(self, job: Job, observer: Observer) -> DryRunSummary | None:
        """Report what the backup of a job would come to; None where it is of dumps alone. Nothing is stored or run.

        Raises:
            SourceError: A source is not there.
            TallacError: The target is not there, or can't be written.
        """
        sources = sources_of(job)
        lists = lists_of(job)
        if not sources and not any(lists.values()):
            return None
        backups = self._services.backups()
        found = backups.find_sources(sources, **lists)
        return backups.dry_run(found, job.keys.target, options=backup_options(job), observer=observer)

    def run(self, job: Job, *, is_manual: bool = False, observer: RunObserver | None = None) -> RunRecord | None:
        """Run a job, and record what it came to; None where another process is running it, for which a manual run waits.

        What goes wrong is in the record, and is not raised. A run that is killed, or asked to end, stays recorded as running, and
        is due again; one that its user has interrupted is not.

        Raises:
            LocalStateError: The job's lock can't be had, or its records can't be read.
        """
        with self._jobs.records.locked(job.name, seconds=None if is_manual else LOCK_SECONDS) as is_ours:
            if not is_ours:
                return None
            record = RunRecord(job.name, job.keys.target, Outcome.RUNNING, self._clock.now_ns(), is_manual=is_manual)
            run = _Run(job, record, self._jobs, self._services, self._clock, observer or RunObserver())
            run.write()
            try:
                run.go()
            except KeyboardInterrupt:
                run.end(Outcome.CANCELLED)
                raise
            return record


class _Run:
    """One run of a job."""

    def __init__(self, job: Job, record: RunRecord, jobs: Jobs, services: JobServices, clock: Clock, observer: RunObserver) -> None:
        self._job = job
        self._record = record
        self._records = jobs.records
        self._clock = clock
        self._observer = observer
        self._steps = JobSteps(job, services, observer.job)
        self._is_unrecorded = False
        self._planned = plan(job, self._records.runs(job.name), record.started_ns)

    def write(self) -> None:
        """Record how far it is. A disk that is full of other things keeps nobody from backing up to another one."""
        try:
            self._records.write(self._record)
        except LocalStateError as error:
            if not self._is_unrecorded:
                self._observer.warn(str(error))
            self._is_unrecorded = True

    def end(self, outcome: Outcome) -> None:
        """Record that it has ended."""
        for step in self._record.steps:
            if step.outcome is Outcome.RUNNING:
                step.outcome, step.ended_ns = outcome, self._clock.now_ns()
        self._record.outcome, self._record.ended_ns = outcome, self._clock.now_ns()
        self.write()

    def go(self) -> None:
        """Do all steps. Those after the backup are done where it was made, each whatever became of the others."""
        if self._back_up():
            self._look_after()
        if self._outcome is Outcome.FAILED:
            for line in self._job.keys.on_failure:
                self._do(Step.ON_FAILURE, partial(self._steps.command, line, self._variables()))
        self.end(self._outcome)

    @property
    def _outcome(self) -> Outcome:
        outcomes = {step.outcome for step in self._record.steps}
        return next((outcome for outcome in _WORST_FIRST if outcome in outcomes), Outcome.OK)

    def _back_up(self) -> bool:
        """Do what belongs to the backup; return whether it was made."""
        keys = self._job.keys
        try:
            return (
                all(self._command(Step.BEFORE, line) for line in keys.before)
                and (not self._steps.has_dumps or self._do(Step.DUMP, self._steps.dump))
                and self._do(Step.BACKUP, self._steps.backup)
            )
        finally:
            # Whatever came of it, and also on the way out of an interrupted run: what was stopped is started again.
            if self._steps.has_dumps:
                self._steps.remove_dumps()
            for line in keys.after:
                self._command(Step.AFTER, line)

    def _look_after(self) -> None:
        steps = self._planned.steps
        has_forgotten = Step.FORGET not in steps or self._do(Step.FORGET, self._steps.forget)
        if Step.PRUNE in steps and has_forgotten:
            self._do(Step.PRUNE, self._steps.prune)
        if Step.CHECK in steps:
            self._do(Step.CHECK, self._steps.check)
        if Step.DRILL in steps:
            self._do(Step.DRILL, self._steps.drill)
        for place in self._job.keys.copies:
            self._do(Step.COPY, partial(self._steps.copy, place))

    def _command(self, step: Step, line: str | list[str]) -> bool:
        return self._do(step, partial(self._steps.command, line, self._variables()))

    def _variables(self) -> dict[str, str]:
        """Return what a command of the user's is told in its environment."""
        backup = self._record.backup
        done = backup is not None and backup.outcome in {Outcome.OK, Outcome.INCOMPLETE}
        outcome = self._outcome if done or self._outcome is Outcome.FAILED else Outcome.RUNNING
        return {
            "TALLAC_JOB": self._job.name,
            "TALLAC_TARGET": self._job.keys.target,
            "TALLAC_STATUS": outcome.value,
            "TALLAC_SNAPSHOT": "" if backup is None else backup.snapshot,
            "TALLAC_ERROR": self._record.first_error,
        }

    def _do(self, step: Step, action: Callable[[], StepResult]) -> bool:
        """Do a step; return whether it was done."""
        with self._recorded(step) as record:
            result = action()
            record.outcome = Outcome.INCOMPLETE if result.is_incomplete else Outcome.OK
            record.message, record.counts, record.snapshot = result.message, dict(result.counts), result.snapshot
        self._observer.ended(record)
        return record.outcome is not Outcome.FAILED

    @contextmanager
    def _recorded(self, step: Step) -> Iterator[StepRecord]:
        record = StepRecord(step, Outcome.RUNNING, self._clock.now_ns())
        self._record.steps.append(record)
        self.write()
        self._observer.began(step)
        try:
            yield record
        except TallacError as error:
            record.outcome, record.message = Outcome.FAILED, str(error)
        except OSError as error:
            where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
            record.outcome, record.message = Outcome.FAILED, f"{where}{error.strerror or error}"
        except Exception as error:
            # The other jobs of the queue are run all the same.
            if os.environ.get("TALLAC_DEBUG"):
                raise
            record.outcome = Outcome.FAILED
            record.message = f"unexpected {type(error).__name__}; set TALLAC_DEBUG=1 to see where, and please report it"
        record.ended_ns = self._clock.now_ns()
        self.write()
