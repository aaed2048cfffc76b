"""`tallac status`."""

from __future__ import annotations

import os
from pathlib import Path

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, option
from tallac.cli.reports.status import report_status, summary_line
from tallac.errors import OutputError, UsageError
from tallac.jobs.metrics import metrics_of
from tallac.jobs.status import JobStatus
from tallac.jobs.times import parse_seconds


@define(
    "status",
    [
        argument("names", "[JOB|ALIAS:PATH]...", count=-1, is_optional=True),
        option("--max-age", metavar="DURATION", text="With ALIAS:PATH: how old the newest snapshot may be, as in '2 days'."),
        option("--metrics", metavar="FILE", text="Also write the status to this file, as OpenMetrics text, at once or not at all."),
    ],
    examples=(
        "tallac status",
        "tallac status --quiet || echo 'look after your backups'",
        "tallac status home:docs --max-age '2 days'",
        "tallac status --metrics /var/lib/prometheus/node-exporter/tallac.prom",
    ),
)
def status(context: CommandContext, names: tuple[str, ...], max_age: str | None, metrics: str | None) -> int:
    """Show how each job is, and whether anything is overdue.

    The vaults are asked for their newest snapshots, so the answer is the same on every machine that
    can read them; checks, drills and failed runs are known where the job runs. Without jobs, or on
    a machine that only watches, name targets instead. If anything has failed, is overdue or can't
    be reached, the exit status is 1; with --quiet only that is shown.
    """
    age_max = None if max_age is None else parse_seconds(max_age)
    jobs, places = [name for name in names if ":" not in name], [name for name in names if ":" in name]
    if age_max is not None and not places:
        raise UsageError("--max-age is about targets: name one, written ALIAS:PATH; a job has its own times")
    reader = context.client.status
    statuses: list[JobStatus] = []
    if jobs or not places:
        statuses += reader.of_jobs(jobs)
    if places:
        statuses += reader.of_targets(places, age_max_seconds=age_max)
    report_status(context.output, statuses, reader.now_ns)
    if metrics is not None:
        _write(Path(metrics), metrics_of(statuses, reader.now_ns))
    if not context.output.is_json:
        if not statuses:
            context.output.note("there are no jobs yet; `tallac job add` makes one, and `tallac status ALIAS:PATH` shows a target")
        elif len(statuses) > 1:
            context.output.note(summary_line(statuses, "source" if places else "job"))
    return 1 if any(each.health.is_bad for each in statuses) else 0


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole: what collects it must never see half of one. Everybody may read it, as it holds no secrets."""
    # The collector of node_exporter reads what ends in .prom, and this does not.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(0o644)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: can't write the metrics ({error.strerror}); choose another file with --metrics") from error
