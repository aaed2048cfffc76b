"""`tallac restore`."""

from __future__ import annotations

from typing import TypedDict, Unpack

import click
from msgspec.structs import replace

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.reports.restore import RestoreReporter, tell_summary
from tallac.errors import UsageError
from tallac.restore import EVERYTHING, ArchiveKind, Overwrite, RestoreOptions, Selection, parse_owner_rules


class _Chosen(TypedDict):
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    iinclude: tuple[str, ...]
    iexclude: tuple[str, ...]
    overwrite: str | None
    delete: bool
    delete_even_home: bool
    verify: bool
    dry_run: bool
    numeric_owner: bool
    owner_map: tuple[str, ...]
    group_map: tuple[str, ...]


def _patterns(name: str, text: str) -> click.Option:
    return click.Option([name], metavar="PATTERN", multiple=True, help=text)


def _owners(name: str, text: str) -> click.Option:
    return click.Option([name], metavar="FROM:TO", multiple=True, help=text)


@define(
    "restore",
    [
        argument("place", "ALIAS:PATH"),
        argument("folder", "[FOLDER|-]", is_optional=True),
        click.Option(["--target"], metavar="FOLDER|-", help="The same as FOLDER."),
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
        click.Option(
            ["--archive"],
            type=click.Choice([kind.value for kind in ArchiveKind]),
            help="For -: the kind of archive; tar by default.",
        ),
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
        "tallac restore home:docs/Latest/Letters - | ssh host tar -x",
    ),
)
def command(
    run: CommandContext, place: str, folder: str | None, target: str | None, archive: str | None, **chosen: Unpack[_Chosen]
) -> int:
    """Bring back a snapshot, or any part of one.

    FOLDER is made, or must be empty; a single file may go beside what is there. With --overwrite, FOLDER may hold anything, and
    only what differs is written: files of which the snapshot's is newer (if-newer), files whose size or time differs and whose
    content does too (if-changed), files whose content differs (always), or only what is missing (never). That also finishes a
    restore that was interrupted. With - in place of FOLDER, an archive goes to standard output.

    Metadata comes back as far as your rights allow; what could not be set is said. What is damaged is named and left out; then the
    exit status is 1.
    """
    if (folder is None) == (target is None):
        raise UsageError("give the folder to restore to once, as in `tallac restore ALIAS:PATH FOLDER`")
    to = folder or target or ""
    options = _options(chosen)
    if to == "-":
        return _write_archive(run, place, ArchiveKind(archive or "tar"), options)
    if archive is not None:
        raise UsageError("an archive goes to standard output: give - in place of the folder")
    with RestoreReporter(run, to) as telling:
        summary = run.client.restore(place, to, options=options, observer=telling.observer)
    tell_summary(run, to, summary, telling.seconds, dry_run=options.dry_run)
    return 0 if summary.is_complete else 1


def _options(chosen: _Chosen) -> RestoreOptions:
    overwrite = chosen["overwrite"]
    if chosen["delete"] and overwrite is None:
        raise UsageError("--delete goes with --overwrite, which says what becomes of what is there and not deleted")
    return RestoreOptions(
        selection=Selection(chosen["include"], chosen["exclude"], iinclude=chosen["iinclude"], iexclude=chosen["iexclude"]),
        overwrite=Overwrite(overwrite) if overwrite else None,
        delete=chosen["delete"],
        delete_even_home=chosen["delete_even_home"],
        verify=chosen["verify"],
        dry_run=chosen["dry_run"],
        numeric_owners=chosen["numeric_owner"],
        user_rules=parse_owner_rules(chosen["owner_map"]),
        group_rules=parse_owner_rules(chosen["group_map"]),
    )


def _write_archive(run: CommandContext, place: str, kind: ArchiveKind, options: RestoreOptions) -> int:
    if replace(options, selection=EVERYTHING) != RestoreOptions():
        raise UsageError("an archive keeps everything as it is stored: only --include and --exclude go with it")
    if run.output.is_json:
        raise UsageError("standard output is the archive's, so that --json can't be given")
    if run.output.is_terminal:
        raise UsageError("a terminal can't show an archive: redirect standard output to a file or another command")
    with RestoreReporter(run, place) as telling:
        summary = run.client.restore_archive(place, run.output, kind, options=options, observer=telling.observer)
    return 0 if summary.is_complete else 1
