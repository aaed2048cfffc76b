"""`tallac restore`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

from tallac.cli.command import Run, argument, define, flag
from tallac.cli.display import json_name, show_duration, show_size
from tallac.cli.messages import show_name
from tallac.cli.progress import ProgressLine
from tallac.errors import UsageError
from tallac.restore import Change, Overwrite, Problem, RestoreObserver, RestoreOptions, RestoreSummary, Selection, parse_owner_rules


def _patterns(name: str, text: str) -> click.Option:
    return click.Option([name], metavar="PATTERN", multiple=True, help=text)


def _owners(name: str, text: str) -> click.Option:
    return click.Option([name], metavar="FROM:TO", multiple=True, help=text)


@define(
    "restore",
    [
        argument("place", "ALIAS:PATH"),
        argument("folder", "FOLDER"),
        _patterns("--include", "Restore only this, as in a .gitignore file."),
        _patterns("--exclude", "Leave this out, as in a .gitignore file."),
        _patterns("--iinclude", "As --include, whatever the case."),
        _patterns("--iexclude", "As --exclude, whatever the case."),
        click.Option(
            ["--overwrite"],
            type=click.Choice([overwrite.value for overwrite in Overwrite]),
            help="Restore into a folder with something in it: which files that are there and differ are replaced.",
        ),
        flag("--delete", text="With --overwrite: delete what the snapshot has not."),
        flag("--delete-even-home", text="Let --delete work on the home folder, and on what that lies in."),
        flag("--verify", text="Read back from the disk what was restored, and compare it."),
        flag("-n", "--dry-run", text="Only show what would be done."),
        flag("--numeric-owner", text="Set owners by their numbers, whatever names they have here."),
        _owners("--owner-map", "Give what belonged to one user to another, each a name or a number."),
        _owners("--group-map", "Give what belonged to one group to another."),
    ],
    examples=(
        "tallac restore home:docs/Latest ~/restored",
        "tallac restore home:docs/Archives/2026-11-23_17:02:11Z/Letters ~/old-letters",
        "tallac restore home:docs/Latest ~/letters --include '*.odt' --exclude /Old",
        "tallac restore home:docs/Latest ~/Documents --overwrite if-changed --delete",
    ),
)
def command(
    run: Run,
    place: str,
    folder: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    iinclude: tuple[str, ...],
    iexclude: tuple[str, ...],
    overwrite: str | None,
    delete: bool,
    delete_even_home: bool,
    verify: bool,
    dry_run: bool,
    numeric_owner: bool,
    owner_map: tuple[str, ...],
    group_map: tuple[str, ...],
) -> int:
    """Bring back a snapshot, or any part of one.

    FOLDER is made, or must be empty; a single file may go beside what is there. With --overwrite, FOLDER may hold anything, and
    only what differs is written: files of which the snapshot's is newer (if-newer), files whose size or time differs and whose
    content does too (if-changed), files whose content differs (always), or only what is missing (never). That also finishes a
    restore that was interrupted.

    Metadata comes back as far as your rights allow; what could not be set is said. What is damaged is named and left out; then the
    exit status is 1.
    """
    if delete and overwrite is None:
        raise UsageError("--delete goes with --overwrite, which says what becomes of what is there and not deleted")
    options = RestoreOptions(
        selection=Selection(include, exclude, iinclude=iinclude, iexclude=iexclude),
        overwrite=Overwrite(overwrite) if overwrite else None,
        delete=delete,
        delete_even_home=delete_even_home,
        verify=verify,
        dry_run=dry_run,
        numeric_owners=numeric_owner,
        user_rules=parse_owner_rules(owner_map),
        group_rules=parse_owner_rules(group_map),
    )
    started = time.monotonic()
    with ProgressLine(run.output) as line:
        summary = run.client.restore(place, folder, options=options, observer=_Telling(run, folder, line).observer)
    _tell_summary(run, folder, summary, time.monotonic() - started, dry_run=dry_run)
    return 0 if summary.is_complete else 1


@dataclass(frozen=True, slots=True)
class _Telling:
    """Prints what goes on."""

    run: Run
    folder: str
    line: ProgressLine

    @property
    def observer(self) -> RestoreObserver:
        """What a restore is given."""
        change = self.change if self.run.output.is_verbose else None
        return RestoreObserver(problem=self.problem, change=change, progress=self.progress)

    def problem(self, problem: Problem) -> None:
        """Tell what is not as it was."""
        output = self.run.output
        if output.is_json:
            output.record(type="problem", kind=problem.kind.value, what=problem.what, **json_name(problem.path, "path"))
        output.warn(f"{show_name(problem.path) or self.folder}: {problem.what}")

    def change(self, change: Change, path: bytes) -> None:
        """Name a path."""
        self.run.output.detail(f"{change.value:9}  {show_name(path)}")

    def progress(self, summary: RestoreSummary) -> None:
        """Show how far it is."""
        self.line.show(_counts(summary), _fields(summary))


def _tell_summary(run: Run, folder: str, summary: RestoreSummary, seconds: float, *, dry_run: bool) -> None:
    for note in summary.notes:
        run.output.note(note)
    if run.output.is_json:
        complete = summary.is_complete
        run.output.record(type="summary", seconds=round(seconds, 3), complete=complete, dry_run=dry_run, **_fields(summary))
        return
    done = _counts(summary)
    rows = {"would restore": done} if dry_run else {"restored": f"{done} in {show_duration(seconds)}"}
    left = {
        "replaced": summary.replaced,
        "metadata only": summary.amended,
        "unchanged": summary.unchanged,
        "kept": summary.kept,
        "deleted": summary.deleted,
        "read back": summary.verified,
        "damaged": summary.damaged,
        "not made": summary.failed,
        "not as it was": summary.unset,
    }
    rows |= {label: f"{count:,}" for label, count in left.items() if count}
    run.output.summary(rows | {"to": show_name(folder)})


def _counts(summary: RestoreSummary) -> str:
    return f"{summary.files:,} files, {summary.directories:,} directories, {show_size(summary.bytes)}"


def _fields(summary: RestoreSummary) -> dict[str, object]:
    return {
        "files": summary.files,
        "directories": summary.directories,
        "bytes": summary.bytes,
        "replaced": summary.replaced,
        "amended": summary.amended,
        "unchanged": summary.unchanged,
        "kept": summary.kept,
        "deleted": summary.deleted,
        "verified": summary.verified,
        "damaged": summary.damaged,
        "failed": summary.failed,
        "unset": summary.unset,
    }
