"""`tallac backup`."""

from __future__ import annotations

import time
from typing import Unpack

from tallac.backup import BackupSummary, Change, Counts, Observer, Progress
from tallac.cli.command import Run, argument, define, made_vault, ways_back
from tallac.cli.display import json_name, show_duration, show_size
from tallac.cli.exclusions import ExclusionOptions, exclusion_options
from tallac.cli.messages import show_name
from tallac.cli.progress import ProgressLine
from tallac.connect import DEFAULT_ALIAS
from tallac.connect.exclusions import Exclusions

INCOMPLETE = 3


@define(
    "backup",
    [argument("source", "FROM"), argument("target", "[ALIAS:TO]", default="tallac:"), *exclusion_options()],
    examples=(
        "tallac backup ~/Documents",
        "tallac backup ~/Documents home:docs",
        "tallac backup ~ home:me --exclude-caches --exclude '*.iso' --exclude /Downloads/",
    ),
)
def command(run: Run, source: str, target: str, **exclusions: Unpack[ExclusionOptions]) -> int:
    """Add a snapshot of a folder to a target.

    The snapshot goes under TO/Archives, named by its UTC time, and TO/Latest leads to it. Files that have not changed since the
    last time are not even opened. The default target is tallac:, which the first backup makes, with a vault in your data folder.
    What can't be read is named and left out; then the exit status is 3. A .tallacignore file in any folder says what to leave out
    there, as a .gitignore file does for git.
    """
    made = run.client.prepare_backup(source, target)
    if made:
        run.output.note(made_vault(run, made, DEFAULT_ALIAS))
    with ProgressLine(run.output) as line:
        summary = run.client.backup(source, target, exclusions=Exclusions(**exclusions), observer=_observer(run, line))
    if run.output.is_json:
        run.output.record(type="summary", target=target, **_fields(summary))
    else:
        run.output.summary(_rows(summary, target))
    if made:
        run.output.note(ways_back(DEFAULT_ALIAS))
    return INCOMPLETE if summary.is_incomplete else 0


def _observer(run: Run, line: ProgressLine) -> Observer:
    output = run.output
    started = time.monotonic()

    def unreadable(path: bytes, reason: str) -> None:
        if output.is_json:
            output.record(type="unreadable", why=reason, **json_name(path, "path"))
        output.warn(f"{show_name(path)}: {reason}; left out")

    def progress(state: Progress) -> None:
        line.show(_progress_text(state, time.monotonic() - started), _progress_fields(state))

    return Observer(
        unreadable=unreadable,
        notice=lambda path, what: output.note(f"{show_name(path)}: {what}"),
        file=(lambda change, path: _tell_file(run, change, path)) if output.is_verbose else None,
        excluded=(lambda path: output.detail(f"excluded   {show_name(path)}")) if output.is_verbose else _ignore,
        progress=progress,
    )


def _ignore(_path: bytes) -> None:
    """Say nothing."""


def _tell_file(run: Run, change: Change, path: bytes) -> None:
    run.output.detail(f"{change.value:9}  {show_name(path)}")


def _progress_text(state: Progress, seconds: float) -> str:
    files = f"{state.files_done:,} files"
    if state.files_expected:
        files = f"{state.files_done:,} of about {state.files_expected:,} files"
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


def _rows(summary: BackupSummary, target: str) -> dict[str, str]:
    name = show_name(summary.name)
    rows = {
        "files": _show_counts(summary.files),
        "directories": _show_counts(summary.directories),
        "read": show_size(summary.bytes_read),
        "stored": show_size(summary.bytes_stored),
        "time": show_duration(summary.seconds),
        "snapshot": f"{target}Archives/{name}" if target.endswith((":", "/")) else f"{target}/Archives/{name}",
    }
    if summary.excluded:
        rows["excluded"] = f"{summary.excluded:,} files and directories"
    if summary.is_incomplete:
        rows["incomplete"] = f"{summary.unreadable} could not be read"
    return rows


def _show_counts(counts: Counts) -> str:
    removed = f", {counts.removed:,} removed" if counts.removed else ""
    return f"{counts.new:,} new, {counts.changed:,} changed, {counts.unchanged:,} unchanged{removed}"


def _fields(summary: BackupSummary) -> dict[str, object]:
    return json_name(summary.name, "snapshot") | {
        "files_new": summary.files.new,
        "files_changed": summary.files.changed,
        "files_unchanged": summary.files.unchanged,
        "files_removed": summary.files.removed,
        "directories_new": summary.directories.new,
        "directories_changed": summary.directories.changed,
        "directories_unchanged": summary.directories.unchanged,
        "directories_removed": summary.directories.removed,
        "bytes": summary.size,
        "bytes_read": summary.bytes_read,
        "bytes_stored": summary.bytes_stored,
        "seconds": round(summary.seconds, 3),
        "unreadable": summary.unreadable,
        "vanished": summary.vanished,
        "excluded": summary.excluded,
        "incomplete": summary.is_incomplete,
    }
