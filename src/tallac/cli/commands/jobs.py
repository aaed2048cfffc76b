"""`tallac jobs` and `tallac job`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option, several
from tallac.cli.output.display import show_time, table
from tallac.cli.output.stderr import show_name
from tallac.errors import UsageError
from tallac.jobs.due import Due
from tallac.jobs.job import Job
from tallac.jobs.records import Outcome

_NS = 1_000_000_000
_KEEP = {"daily": 7, "weekly": 4, "monthly": 12}
_PERIODS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


@define("jobs", [], examples=("tallac jobs",))
def jobs(context: CommandContext) -> None:
    """List the jobs, with their last and their next run.

    Jobs are written in jobs.toml in your configuration folder; root also has those of
    /etc/tallac/jobs.toml.
    """
    client = context.client
    listed = [(job, client.jobs.due(job)) for job in client.jobs.read().values()]
    if context.output.is_json:
        for job, due in listed:
            context.output.record(**_fields(job, due))
        return
    if not listed:
        context.output.note(f"{client.jobs.files[-1]}: there are no jobs yet; `tallac job add` makes one")
        return
    rows = [("job", "target", "every", "last run", "", "next run"), *(_row(job, due) for job, due in listed)]
    for line in table(rows):
        context.output.line(line)


def _row(job: Job, due: Due) -> tuple[str, ...]:
    last = due.last
    came_to = "" if last is None else _came_to(last.outcome, is_running=due.is_running)
    when = "-" if last is None else show_time(last.started_ns // _NS)
    return job.name, show_name(job.keys.target), job.keys.every or "-", when, came_to, _next(job, due)


def _came_to(outcome: Outcome, *, is_running: bool) -> str:
    if outcome is Outcome.RUNNING:
        return "running" if is_running else "killed"
    return str(outcome.value)


def _next(job: Job, due: Due) -> str:
    if not job.keys.enabled:
        return "never: not enabled"
    if due.reason is not None:
        return f"now: {due.reason.value}"
    return "when it is named" if due.next_ns is None else show_time(due.next_ns // _NS)


def _fields(job: Job, due: Due) -> dict[str, object]:
    return {
        "job": job.name,
        "file": str(job.file),
        "sources": list(job.keys.sources),
        "target": job.keys.target,
        "every": job.keys.every,
        "enabled": job.keys.enabled,
        "running": due.is_running,
        "due": None if due.reason is None else due.reason.value,
        "next_ns": due.next_ns,
        "last_started_ns": None if due.last is None else due.last.started_ns,
        "last_outcome": None if due.last is None else _came_to(due.last.outcome, is_running=due.is_running),
        "last_error": "" if due.last is None else due.last.first_error,
    }


@define(
    "job",
    [
        argument("action", "add|schema"),
        option("--name", metavar="NAME", text="The name of the new job."),
        several("--source", metavar="FOLDER", text="What to back up; may be repeated."),
        option("--target", metavar="ALIAS:TO", text="Where the snapshots go."),
        option("--every", metavar="WHEN", text="When, as in 'day at 03:00' or 'hour'."),
        option("--keep", metavar="RULES", text="How many to keep, as in 'daily 7, weekly 4'; or all."),
        flag("-y", "--yes", text="Write it without asking."),
    ],
    examples=("tallac job add", "tallac job add --source ~ --target usb:home --every 'day at 03:00' --yes", "tallac job schema"),
)
def job(
    context: CommandContext,
    action: str,
    name: str | None,
    source: tuple[str, ...],
    target: str | None,
    every: str | None,
    keep: str | None,
    yes: bool,
) -> None:
    """Add a job, or print the JSON schema of files of jobs.

    `add` asks what to back up, where to, when, and how much to keep, shows the job, and adds it to
    jobs.toml, where everything else can be changed; what options say is not asked. `schema` prints
    a schema by which editors complete and check such files.
    """
    from tallac.jobs.schema import schema_text  # lazy import: a listing does without the schema
    from tallac.jobs.writing import NewJob, append_job, text_of  # lazy import: likewise

    if action == "schema":
        context.output.write(schema_text())
        return
    if action != "add":
        raise UsageError(f"job {action}: no such action; write `tallac job add` or `tallac job schema`")
    asks = os.isatty(0) and not yes
    file = context.client.jobs.files[-1]
    existing = context.client.jobs.read()
    sources = source or tuple(_answer("What to back up", None, "~", "--source", asks=asks).split(", "))
    name = name or _free_name(sources, {known.lower() for known in existing})
    if name in existing:
        raise UsageError(f"{file}: there is a job {name!r} already; choose another name with --name")
    new = NewJob(
        name,
        tuple(map(_absolute, sources)),
        _answer("Where to", target, f"{DEFAULT_ALIAS}:{name}", "--target", asks=asks),
        _answer("When", every, "day at 03:00", "--every", asks=asks, is_needed=False),
        _keep_of(_answer("How many to keep", keep, _written(_KEEP), "--keep", asks=asks, is_needed=False)),
    )
    for line in text_of(new).strip("\n").splitlines():
        context.output.note(line)
    if asks and not click.confirm(f"Write this to {file}?", default=True, err=True):
        raise UsageError("nothing was written")
    append_job(file, new)
    context.output.changed(str(file))
    alias = new.target.partition(":")[0]
    if alias not in {DEFAULT_ALIAS, "URI", *(name for name, _ in context.client.aliases.list())}:
        context.output.note(
            f"there is no alias {alias}: yet; `tallac create-alias {alias} --vault FOLDER` makes one, with a vault in that folder"
        )
    context.output.note(
        f"{file}: written; `tallac run {name} --dry-run` shows what it does, and `tallac schedule install` has it run on time"
    )


def _answer(question: str, given: str | None, default: str, name: str, *, asks: bool, is_needed: bool = True) -> str:
    """Return what an option says, or what somebody at the terminal answers.

    Raises:
        UsageError: It is needed, no option says it, and there is nobody to ask.
    """
    if given is not None:
        return given
    if asks:
        return str(click.prompt(question, default=default, err=True))
    if is_needed:
        raise UsageError(f"no terminal to ask on; give {name}, as in {name} {default}")
    return default


def _free_name(sources: tuple[str, ...], taken: set[str]) -> str:
    """Make a name from the first source: that of its folder, `home` for the home folder."""
    place = os.path.abspath(os.path.expanduser(sources[0]))
    base = "home" if place == os.path.expanduser("~") else re.sub(r"[^A-Za-z0-9_-]+", "-", Path(place).name).strip("-_")
    base = base[:60] or "root"
    return next(name for number in range(1, 10_000) if (name := base if number == 1 else f"{base}-{number}").lower() not in taken)


def _absolute(source: str) -> str:
    return source if source.startswith("~") else os.path.abspath(source)


def _written(keep: dict[str, int]) -> str:
    return ", ".join(f"{period} {count}" for period, count in keep.items())


def _keep_of(text: str) -> dict[str, int]:
    """Read `daily 7, weekly 4`; nothing for `all`.

    Raises:
        UsageError: It is neither.
    """
    if text.strip().lower() == "all":
        return {}
    found = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([a-z]+)[ =]+([1-9][0-9]{0,5})\s*", part.lower(), re.ASCII)
        if match is None or match[1] not in _PERIODS:
            raise UsageError(f"{text!r}: write what to keep as in {_written(_KEEP)!r}, or all")
        found[match[1]] = int(match[2])
    return found
