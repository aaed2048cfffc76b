"""`tallac stats`."""

from __future__ import annotations

from collections.abc import Sequence

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import json_name, show_size, table
from tallac.cli.output.progress import ProgressLine
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.inspect import ReadErrors
from tallac.dag import Entry
from tallac.look.deep_stats import DEEP_STATS
from tallac.look.stats import Statistics
from tallac.wording import pluralize


@define(
    "stats",
    [
        argument("place", "[ALIAS:TO]", default=""),
        flag("--deep", text="Count all that hangs below any place, each thing once, as Tahoe-LAFS does."),
    ],
    examples=("tallac stats home:docs", "tallac stats --deep home:"),
)
def command(run: CommandContext, place: str, deep: bool) -> int:
    """Show what the snapshots of a target hold, and what they take.

    For each snapshot: its files, the bytes of a restore, and what prune would give back if this snapshot alone were forgotten and
    nothing outside of the target leads there. Then for all of them: the bytes of restoring each; each content once; each chunk
    once; and as it is stored, compressed and sealed.
    """
    if deep:
        _show_deep(run, run.client.deep_stats(place))
        return 0
    read_errors = ReadErrors(run)
    with ProgressLine(run.output) as line:
        snapshots, statistics = run.client.stats(
            place, read_errors, lambda count: line.show(f"{pluralize(count, 'path')} looked at", {"paths": count})
        )
    if run.output.is_json:
        _write_records(run, snapshots, statistics)
        return read_errors.status
    headings = ("snapshot", "files", "directories", "bytes", "freed if forgotten")
    rows = [_row(snapshot, statistics, number) for number, snapshot in enumerate(snapshots)]
    for text in table([headings, *rows], right=(1, 2, 3, 4)):
        run.output.line(text)
    run.output.line("")
    run.output.rows(_summary(statistics))
    return read_errors.status


def _show_deep(run: CommandContext, counts: dict[str, int]) -> None:
    if run.output.is_json:
        run.output.record(**counts)
        return
    shown = [(key, counts[key]) for key in DEEP_STATS if key in counts]
    rows = [(key, str(value), show_size(value) if not key.startswith("count-") else "") for key, value in shown]
    for text in table(rows, right=(1, 2)):
        run.output.line(text)


def _row(snapshot: Entry, statistics: Statistics, number: int) -> tuple[str, ...]:
    figures = statistics.snapshots[number]
    freed = show_size(figures.freed) if statistics.knows_store else "unknown"
    return show_name(snapshot.name), str(figures.files), str(figures.directories), show_size(figures.size), freed


def _summary(statistics: Statistics) -> dict[str, str]:
    rows = {
        "restore size": f"{show_size(statistics.restore_size)} in {pluralize(len(statistics.snapshots), 'snapshot')}",
        "unique": f"{show_size(statistics.unique_size)}, each content once",
    }
    if statistics.knows_store:
        files, directories = show_size(statistics.stored_files), show_size(statistics.stored_directories)
        rows["deduplicated"] = f"{show_size(statistics.deduplicated_size)}, each chunk once"
        rows["stored"] = f"{show_size(statistics.stored_size)}: {files} for files, {directories} for directories"
        rows["ratio"] = f"{_ratio(statistics.restore_size, statistics.stored_size)} of restore size to stored"
        rows["compression"] = f"{_ratio(statistics.deduplicated_size, statistics.stored_files)} of the chunks"
    return rows


def _ratio(size: int, stored_size: int) -> str:
    return f"{size / stored_size:.2f}" if stored_size else "-"


def _write_records(run: CommandContext, snapshots: Sequence[Entry], statistics: Statistics) -> None:
    for snapshot, figures in zip(snapshots, statistics.snapshots, strict=True):
        shown = {"files": figures.files, "directories": figures.directories, "bytes": figures.size}
        freed = {"freed": figures.freed} if statistics.knows_store else {}
        run.output.record(type="snapshot", **json_name(snapshot.name, "snapshot"), **shown, **freed)
    stored = {
        "deduplicated": statistics.deduplicated_size,
        "stored_files": statistics.stored_files,
        "stored_directories": statistics.stored_directories,
        "stored": statistics.stored_size,
    }
    shown = {"snapshots": len(snapshots), "restore_size": statistics.restore_size, "unique": statistics.unique_size}
    run.output.record(type="summary", **shown, **(stored if statistics.knows_store else {}))
