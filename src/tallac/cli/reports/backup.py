"""What `tallac backup` takes beside sources and exclusions, and what it prints."""

from __future__ import annotations

import time

import click

from tallac.app.operations.backup import BackupOptions
from tallac.app.operations.exclusions import Exclusions
from tallac.backup import BackupSummary, Change, Counts, Observer, Progress
from tallac.backup.dry_run import DryRunSummary
from tallac.cli.command import CommandContext, flag
from tallac.cli.options.exclusions import ExclusionOptions
from tallac.cli.output.display import json_name, show_duration, show_size
from tallac.cli.output.progress import ProgressLine
from tallac.cli.output.stderr import show_name
from tallac.look.moments import parse_moment
from tallac.wording import pluralize


class Wishes(ExclusionOptions):
    """The values of the options on what is left out, and on how to back up."""

    tag: tuple[str, ...]
    time: str | None
    host: str | None
    ignore_timestamps: bool
    skip_if_unchanged: bool


def wish_options() -> list[click.Parameter]:
    """Make the options on how to back up."""
    return [
        click.Option(["--tag"], metavar="TAG[,TAG...]", multiple=True, help="Give the snapshot tags; may be given several times."),
        click.Option(["--time"], metavar="WHEN", help="Name the snapshot by this time, as in '2026-11-23 17:02', and not by now."),
        click.Option(["--host"], metavar="HOST", help="Say in the snapshot that it is of this machine."),
        flag("--ignore-timestamps", text="Read all files, also those that look as they did."),
        flag("--skip-if-unchanged", text="Enter no snapshot where the latest one has the very same files."),
    ]


def options_of(run: CommandContext, wishes: Wishes) -> BackupOptions:
    """Read the options' values, and the files that they name.

    Raises:
        UsageError: One makes no sense.
    """
    now_ns = time.time_ns()
    options = BackupOptions(
        selection=Exclusions(
            exclude=wishes["exclude"],
            iexclude=wishes["iexclude"],
            exclude_from=wishes["exclude_from"],
            exclude_vcs=wishes["exclude_vcs"],
            exclude_caches=wishes["exclude_caches"],
            exclude_if_present=wishes["exclude_if_present"],
            exclude_larger_than=wishes["exclude_larger_than"],
            one_file_system=wishes["one_file_system"],
            ignore_files=wishes["ignore_files"],
        ).selection(run.standard_input),
        tags=_tags(wishes["tag"]),
        host=wishes["host"],
        time_ns=None if wishes["time"] is None else parse_moment(wishes["time"], now_ns),
        ignore_timestamps=wishes["ignore_timestamps"],
        skip_if_unchanged=wishes["skip_if_unchanged"],
    )
    options.require_sense(now_ns)
    return options


def _tags(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        return ()
    from tallac.retention.rules import parse_tags  # late import: the rest of that module is about forgetting

    return tuple(dict.fromkeys(tag for text in texts for tag in parse_tags(text)))


def observer(run: CommandContext, line: ProgressLine) -> Observer:
    """Tell the user what happens while it happens."""
    output = run.output
    started = time.monotonic()

    def unreadable(path: bytes, reason: str) -> None:
        if output.is_json:
            output.record(type="unreadable", why=reason, **json_name(path, "path"))
        output.warn(f"{show_name(path)}: {reason}; left out")

    def excluded(path: bytes) -> None:
        output.detail(f"excluded   {show_name(path)}")

    def progress(state: Progress) -> None:
        line.show(_progress_text(state, time.monotonic() - started), _progress_fields(state))

    return Observer(
        unreadable=unreadable,
        notice=lambda path, message: output.note(f"{show_name(path)}: {message}"),
        file=(lambda change, path: _tell_file(run, change, path)) if output.is_verbose else None,
        excluded=excluded,
        progress=progress,
    )


def summary_rows(summary: BackupSummary, target: str) -> dict[str, str]:
    """Say for people what a backup came to."""
    rows = {
        "files": _show_counts(summary.files),
        "directories": _show_counts(summary.directories),
        "read": show_size(summary.bytes_read),
        "stored": show_size(summary.bytes_stored),
        "time": show_duration(summary.seconds),
    }
    place = target if target.endswith((":", "/")) else f"{target}/"
    rows["snapshot"] = f"{place}Archives/{show_name(summary.name)}" if summary.name else f"none: {place}Latest has the same"
    if summary.excluded:
        rows["excluded"] = _show_excluded(summary.excluded)
    if summary.is_incomplete:
        rows["incomplete"] = f"{summary.unreadable} could not be read"
    return rows


def summary_fields(summary: BackupSummary) -> dict[str, object]:
    """Say for programs what a backup came to."""
    name = json_name(summary.name, "snapshot") if summary.name else {"snapshot": None}
    return {
        **name,
        **_count_fields(summary.files, summary.directories),
        "bytes": summary.size,
        "bytes_read": summary.bytes_read,
        "bytes_stored": summary.bytes_stored,
        "seconds": round(summary.seconds, 3),
        "unreadable": summary.unreadable,
        "vanished": summary.vanished,
        "excluded": summary.excluded,
        "incomplete": summary.is_incomplete,
    }


def dry_run_rows(planned: DryRunSummary) -> dict[str, str]:
    """Say for people what a backup would come to."""
    rows = {
        "files": _show_counts(planned.files),
        "directories": _show_counts(planned.directories),
        "would read": show_size(planned.size_to_read),
        "snapshot": "none, for this is a dry run",
    }
    if planned.excluded:
        rows["excluded"] = _show_excluded(planned.excluded)
    if planned.unreadable:
        rows["incomplete"] = f"{planned.unreadable} can't be looked at"
    return rows


def dry_run_fields(planned: DryRunSummary) -> dict[str, object]:
    """Say for programs what a backup would come to."""
    return {
        "snapshot": None,
        "dry_run": True,
        **_count_fields(planned.files, planned.directories),
        "bytes": planned.size,
        "bytes_to_read": planned.size_to_read,
        "unreadable": planned.unreadable,
        "excluded": planned.excluded,
    }


def _count_fields(files: Counts, directories: Counts) -> dict[str, object]:
    return {
        f"{kind}_{state}": getattr(counts, state)
        for kind, counts in (("files", files), ("directories", directories))
        for state in ("new", "changed", "unchanged", "gone")
    }


def _tell_file(run: CommandContext, change: Change, path: bytes) -> None:
    run.output.detail(f"{change.value:9}  {show_name(path)}")


def _progress_text(state: Progress, seconds: float) -> str:
    files = pluralize(state.files_done, "file", with_commas=True)
    if state.files_expected:
        files = f"{state.files_done:,} of about {pluralize(state.files_expected, 'file', with_commas=True)}"
    parts = [files, f"{show_size(state.bytes_done)} done", f"{show_size(state.bytes_stored)} stored"]
    if seconds >= 1:
        rate = state.bytes_done / seconds
        parts.append(f"{show_size(int(rate))}/s")
        if state.bytes_expected > state.bytes_done and rate >= 1:
            parts.append(f"{show_duration((state.bytes_expected - state.bytes_done) / rate)} left")
    return ", ".join(parts)


def _progress_fields(state: Progress) -> dict[str, object]:
    return {
        "files_found": state.files_found,
        "files_done": state.files_done,
        "files_expected": state.files_expected,
        "bytes_done": state.bytes_done,
        "bytes_expected": state.bytes_expected,
        "bytes_read": state.bytes_read,
        "bytes_stored": state.bytes_stored,
    }


def _show_counts(counts: Counts) -> str:
    text = f"{counts.new:,} new, {counts.changed:,} changed, {counts.unchanged:,} unchanged"
    return f"{text}, {counts.gone:,} gone" if counts.gone else text


def _show_excluded(count: int) -> str:
    return pluralize(count, "path", with_commas=True)
