"""`tallac run`: jobs that are due, or that are named."""

from __future__ import annotations

import time
from collections.abc import Iterable

from msgspec.structs import replace

from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.app.operations.job_runner import RunObserver
from tallac.app.operations.job_steps import JobObserver
from tallac.cli.command import CommandContext, define
from tallac.cli.commands.mirror import mirror_work
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import show_time
from tallac.cli.output.output import Output
from tallac.cli.output.progress import ProgressLine, Work
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.backup import dry_run_rows, observer
from tallac.cli.reports.findings import check_work
from tallac.cli.reports.jobs import run_fields, step_row
from tallac.cli.reports.new_vault import created_vault, ways_back
from tallac.cli.reports.prune import prune_work
from tallac.errors import TallacError, UsageError
from tallac.jobs.job import Job
from tallac.jobs.records import Outcome, RunRecord, Step, StepRecord

FAILED = 1
INCOMPLETE = 3
WAITS = 75
"""The exit status that systemd is told to try again after: `EX_TEMPFAIL` of sysexits.h."""

_NS = 1_000_000_000


@define(
    "run",
    [
        argument("names", "[JOB...]", count=-1, is_optional=True),
        flag("--if-due", text="Run the named jobs only if they are due, and without their delay."),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=("tallac run", "tallac run home", "tallac run --dry-run"),
)
def run(context: CommandContext, names: tuple[str, ...], if_due: bool, dry_run: bool) -> int:
    """Run the jobs that are due, or those that are named.

    Jobs are written in jobs.toml; `tallac job add` makes one, and `tallac schedule install` has
    them run on time. A job is due when its time has come, however long ago, and when its last run
    was killed. Jobs run one after the other; one that is running already is left to that run, or
    waited for if it was named. The exit status is 1 if a job failed, 3 if files could not be read,
    and 75 if a job waits for mains power or a connection.
    """
    if if_due and not names:
        raise UsageError("--if-due is about jobs that are named; without a name only jobs that are due run")
    jobs = context.client.jobs.chosen(names)
    if not jobs:
        raise UsageError(f"{context.client.jobs.files[-1]}: there are no jobs yet; `tallac job add` makes one")
    is_manual = bool(names) and not if_due
    statuses = [_run_or_show(context, job, is_manual=is_manual, is_delayed=not names, dry_run=dry_run) for job in jobs]
    if not is_manual and not dry_run:
        not_run = [job for job, status in zip(jobs, statuses, strict=True) if status in {None, WAITS}]
        _warn(context, context.client.notices.look(not_run, context.client.status))
    done = [status for status in statuses if status is not None]
    if not done:
        _tell_nothing(context, jobs)
    return next((status for status in (FAILED, INCOMPLETE, WAITS) if status in done), 0)


def _run_or_show(context: CommandContext, job: Job, *, is_manual: bool, is_delayed: bool, dry_run: bool) -> int | None:
    """Run a job if it is to run now; return its exit status, None where it was not due."""
    client = context.client
    due = client.jobs.due(job, is_delayed=is_delayed)
    if not is_manual:
        if due.is_running:
            context.output.note(f"{job.name}: it is running already")
            return 0
        if due.reason is None:
            return None
        if waits_for := client.job_runner.waits_for(job):
            context.output.note(f"{job.name}: it waits for {waits_for}")
            return WAITS
    reason = "it was named" if is_manual or due.reason is None else due.reason.value
    if dry_run:
        return _show(context, job, reason)
    if is_manual and due.is_running:
        context.output.note(f"{job.name}: waiting for the run that is under way")
    if not context.output.is_json and not context.output.is_quiet:
        context.output.line(f"{job.name}: {show_name(job.keys.target)} ({reason})")
        context.output.flush()
    _warn(context, client.notices.began(job))
    with _JobLine(context.output, job) as line:
        record = client.job_runner.run(job, is_manual=is_manual, observer=_observer(context, job, line))
    if record is None:
        context.output.note(f"{job.name}: it is running already")
        return 0
    if context.output.is_json:
        context.output.record(type="run", **run_fields(record))
        context.output.flush()
    _warn(context, client.notices.ended(job, record))
    return _status(record)


def _warn(context: CommandContext, problems: Iterable[str]) -> None:
    """Name what could not be sent; the run is what it is all the same."""
    for problem in problems:
        context.output.warn(problem)


def _status(record: RunRecord) -> int:
    return {Outcome.FAILED: FAILED, Outcome.INCOMPLETE: INCOMPLETE}.get(record.outcome, 0)


class _JobLine(ProgressLine):
    """Shows how far a job is, whatever it is doing."""

    def __init__(self, output: Output, job: Job) -> None:
        super().__init__(output)
        self._job = job
        self._step = Step.BACKUP

    def begin(self, step: Step) -> None:
        """Show that a step begins."""
        self._step = step
        self.show(Work(phase=_words(step)), {})

    def show(self, work: Work, fields: dict[str, object]) -> None:
        """Show the state; programs get the job and the step alone, since fields differ from step to step."""
        super().show(replace(work, phase=f"{self._job.name}: {work.phase}"), {"job": self._job.name, "step": self._step.value})


def _observer(context: CommandContext, job: Job, line: _JobLine) -> RunObserver:
    output = context.output

    def ended(record: StepRecord) -> None:
        if record.outcome is Outcome.FAILED:
            output.warn(f"{job.name}: {_words(record.step)}: {record.message}")
        elif not output.is_json and not output.is_quiet:
            output.line(f"  {step_row(record)}")
            output.flush()

    return RunObserver(
        warn=output.warn,
        began=line.begin,
        ended=ended,
        job=JobObserver(
            backup=observer(context, line),
            check=lambda report: line.show(check_work(report), {}),
            prune=lambda report: line.show(prune_work(report), {}),
            mirror=lambda report: line.show(mirror_work(report), {}),
            note=output.detail,
            created=lambda place: output.note(f"{created_vault(context, place, DEFAULT_ALIAS)}; {ways_back(DEFAULT_ALIAS)}"),
        ),
    )


def _words(step: Step) -> str:
    return str(step.value).replace("_", " ")


def _show(context: CommandContext, job: Job, reason: str) -> int:
    """Show what a run would do; nothing is done, and no command of the user's is run."""
    planned = context.client.job_runner.plan(job)
    rows = {"would run": reason, "steps": ", ".join(_words(step) for step in planned.steps)}
    try:
        with _JobLine(context.output, job) as line:
            found = context.client.job_runner.dry_run(job, _observer(context, job, line).job.backup)
    except TallacError as error:
        context.output.warn(f"{job.name}: {error}")
        return FAILED
    if context.output.is_json:
        context.output.record(type="plan", job=job.name, reason=reason, steps=[step.value for step in planned.steps], dry_run=True)
        return 0
    context.output.line(f"{job.name}: {show_name(job.keys.target)}")
    for command in planned.commands:
        rows[f"would {_words(command.step)}"] = command.text
    rows |= {} if found is None else {key: value for key, value in dry_run_rows(found).items() if key != "snapshot"}
    if not context.output.is_quiet:
        context.output.rows({f"  {label}": value for label, value in rows.items()})
    return 0


def _tell_nothing(context: CommandContext, jobs: list[Job]) -> None:
    times = [(due.next_ns, job) for job in jobs if (due := context.client.jobs.due(job)).next_ns is not None]
    if not times:
        context.output.note("no job has a time to run at; name the one to run")
        return
    next_ns, job = min(times, key=lambda pair: pair[0] or 0)
    context.output.note(f"nothing is due; next is {job.name}, at {show_time((next_ns or time.time_ns()) // _NS)}")
