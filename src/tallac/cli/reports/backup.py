"""The report of `tallac backup`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallac.backup import BackupSummary, Change, Counts, Observer, Progress
from tallac.backup.summary import Phase
from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name, json_report, show_duration, show_size
from tallac.cli.output.progress import RATE_SECONDS, Pace, ProgressLine, Work, share_of_files, show_left, show_rate
from tallac.cli.output.stderr import show_name
from tallac.wording import pluralize

if TYPE_CHECKING:
    from tallac.backup.dry_run import DryRunSummary


def observer(context: CommandContext, line: ProgressLine) -> Observer:
    """Return an observer that shows what happens while it happens."""
    output = context.output
    read, stored = Pace(RATE_SECONDS), Pace(RATE_SECONDS)

    def unreadable(path: bytes, reason: str) -> None:
        if output.is_json:
            output.record(type="unreadable", why=reason, **json_name(path, "path"))
        output.warn(f"{show_name(path)}: {reason}; left out")

    def excluded(path: bytes) -> None:
        output.detail(f"excluded   {show_name(path)}")

    def own(path: bytes, what: str) -> None:
        output.detail(f"left out   {show_name(path)}: {what}")

    def progress(state: Progress) -> None:
        rates = read.note(state.bytes_read), stored.note(state.bytes_stored)
        line.show(progress_work(state, *rates), json_report(state, without=("path",)) | {"phase": state.phase.value})

    return Observer(
        unreadable=unreadable,
        notice=lambda path, message: output.note(f"{show_name(path)}: {message}"),
        file=(lambda change, path: _report_file(context, change, path)) if output.is_verbose else None,
        excluded=excluded,
        own=own,
        # Nothing is counted for nobody.
        progress=progress if output.shows_progress or output.records_progress else None,
    )


def summary_rows(summary: BackupSummary, target: str) -> dict[str, str]:
    """Return the rows of a backup's summary."""
    rows = {
        "files": _show_counts(summary.files),
        "directories": _show_counts(summary.directories),
        "read": show_size(summary.bytes_read),
        "stored": show_size(summary.bytes_stored),
        "time": show_duration(summary.seconds),
    }
    place = show_name(target if target.endswith((":", "/")) else f"{target}/")
    rows["snapshot"] = (
        f"{place}Archives/{show_name(summary.name)}" if summary.name else f"none: nothing changed since {place}Latest"
    )
    if summary.excluded:
        rows["excluded"] = _show_excluded(summary.excluded)
    if summary.is_incomplete:
        rows["incomplete"] = f"{summary.unreadable:,} could not be read"
    return rows


def summary_fields(summary: BackupSummary) -> dict[str, object]:
    """Return the JSON fields of a backup."""
    name = json_name(summary.name, "snapshot") if summary.name else {"snapshot": None}
    return {
        **name,
        **_count_fields(summary.files, summary.directories),
        "bytes": summary.size,
        **json_report(summary, without=("name", "cap", "files", "directories", "size")),
        "seconds": round(summary.seconds, 3),
        "incomplete": summary.is_incomplete,
    }


def dry_run_rows(planned: DryRunSummary) -> dict[str, str]:
    """Return the rows of a dry run's summary."""
    rows = {
        "files": _show_counts(planned.files),
        "directories": _show_counts(planned.directories),
        "would read": show_size(planned.size_to_read),
        "snapshot": "none (dry run)",
    }
    if planned.excluded:
        rows["excluded"] = _show_excluded(planned.excluded)
    if planned.unreadable:
        rows["incomplete"] = f"{planned.unreadable:,} can't be read"
    return rows


def dry_run_fields(planned: DryRunSummary) -> dict[str, object]:
    """Return the JSON fields of a dry run."""
    return {
        "snapshot": None,
        "dry_run": True,
        **_count_fields(planned.files, planned.directories),
        "bytes": planned.size,
        "bytes_to_read": planned.size_to_read,
        **json_report(planned, without=("files", "directories", "size", "size_to_read")),
    }


def _count_fields(files: Counts, directories: Counts) -> dict[str, object]:
    kinds = {"files": files, "directories": directories}
    return {f"{kind}_{state}": count for kind, counts in kinds.items() for state, count in json_report(counts).items()}


def _report_file(context: CommandContext, change: Change, path: bytes) -> None:
    context.output.detail(f"{change.value:9}  {show_name(path)}")


def progress_work(state: Progress, read_rate: float, stored_rate: float) -> Work:
    """Return what people see of a backup's progress; the rates are in bytes a second."""
    if state.phase is not Phase.STORING:
        return Work(phase=state.phase.value, counts=(f"{show_size(state.bytes_stored)} stored",))
    done = state.bytes_done + state.bytes_begun
    share = None if state.is_counting else share_of_files(state.files_done, done, state.files_expected, state.bytes_expected)
    files = pluralize(state.files_done, "file")
    counts = [files, *((show_rate(read_rate, "read"),) if read_rate >= 1 else ())]
    counts += [show_rate(stored_rate, "stored")] if stored_rate >= 1 else []
    counts += [f"{show_size(done)} done", f"{show_size(state.bytes_stored)} stored"]
    if not state.is_counting:
        left = "" if share is None else show_left(done, state.bytes_expected)
        return Work(phase=state.phase.value, share=share, left=left, counts=tuple(counts), path=state.path)
    counted = f"counting: {pluralize(state.files_counted, 'file')}, {show_size(state.bytes_counted)}"
    return Work(phase=counted, counts=tuple(counts), path=state.path)


def _show_counts(counts: Counts) -> str:
    text = f"{counts.new:,} new, {counts.changed:,} changed, {counts.unchanged:,} unchanged"
    return f"{text}, {counts.gone:,} removed" if counts.gone else text


def _show_excluded(count: int) -> str:
    return pluralize(count, "path")
