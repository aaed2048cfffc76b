"""`tallac restore`."""

from __future__ import annotations

import time

from tallac.cli.command import Run, argument, define
from tallac.cli.display import json_name, show_duration, show_size
from tallac.cli.messages import show_name
from tallac.cli.progress import ProgressLine
from tallac.restore import Problem, RestoreSummary


@define(
    "restore",
    [argument("place", "ALIAS:PATH"), argument("folder", "FOLDER")],
    examples=(
        "tallac restore home:docs/Latest ~/restored",
        "tallac restore home:docs/Archives/2026-11-23_17:02:11Z/Letters ~/old-letters",
    ),
)
def command(run: Run, place: str, folder: str) -> int:
    """Bring back a snapshot, or any part of one.

    FOLDER is made, or must be empty; a single file may go beside what is there. Metadata comes back as far as your rights allow;
    what could not be set is said. What is damaged is named and left out; then the exit status is 1.
    """
    started = time.monotonic()

    def tell(problem: Problem) -> None:
        if run.output.is_json:
            run.output.record(type="problem", kind=problem.kind.value, what=problem.what, **json_name(problem.path, "path"))
        run.output.warn(f"{show_name(problem.path) or folder}: {problem.what}")

    with ProgressLine(run.output) as line:
        summary = run.client.restore(
            place, folder, report=tell, progress=lambda summary: line.show(_counts(summary), _fields(summary))
        )
    seconds = time.monotonic() - started
    for note in summary.notes:
        run.output.note(note)
    if run.output.is_json:
        run.output.record(type="summary", seconds=round(seconds, 3), complete=summary.is_complete, **_fields(summary))
    else:
        run.output.summary(
            {"restored": f"{_counts(summary)} in {show_duration(seconds)}", "to": show_name(folder)} | _lost(summary)
        )
    return 0 if summary.is_complete else 1


def _counts(summary: RestoreSummary) -> str:
    return f"{summary.files} files, {summary.directories} directories, {show_size(summary.bytes)}"


def _lost(summary: RestoreSummary) -> dict[str, str]:
    lost = {"damaged": summary.damaged, "not made": summary.failed, "not as it was": summary.unset}
    return {label: str(count) for label, count in lost.items() if count}


def _fields(summary: RestoreSummary) -> dict[str, object]:
    return {
        "files": summary.files,
        "directories": summary.directories,
        "bytes": summary.bytes,
        "damaged": summary.damaged,
        "failed": summary.failed,
        "unset": summary.unset,
    }
