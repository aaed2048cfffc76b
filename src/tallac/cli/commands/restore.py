"""`tallac restore`."""

from __future__ import annotations

from typing import TypedDict, Unpack

import click
from msgspec.structs import replace

from tallac.app.locations.grid_path import require_local_path
from tallac.cli.command import CommandContext, define
from tallac.cli.options.newest import in_newest, newest_options
from tallac.cli.options.option import argument, flag, option, several
from tallac.cli.reports.restore import RestoreReporter, report_summary
from tallac.errors import UsageError
from tallac.restore import EVERYTHING, ArchiveKind, Overwrite, PathFilter, RestoreOptions, parse_owner_rules


class _Chosen(TypedDict):
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    iinclude: tuple[str, ...]
    iexclude: tuple[str, ...]
    overwrite: str | None
    delete: bool
    allow_delete_home: bool
    verify: bool
    host: tuple[str, ...]
    source: tuple[str, ...]
    any_source: bool
    trust_source: bool
    dry_run: bool
    numeric_owner: bool
    owner_map: tuple[str, ...]
    group_map: tuple[str, ...]


@define(
    "restore",
    [
        argument("place", "ALIAS:PATH"),
        argument("folder", "[FOLDER|-]", is_optional=True),
        option("--target", metavar="FOLDER|-", text="The same as FOLDER.", synonyms=("-t",)),
        several("--include", metavar="PATTERN", text="Restore only what matches, as in a .gitignore file.", synonyms=("-i",)),
        several("--exclude", metavar="PATTERN", text="Leave out what matches, as in a .gitignore file.", synonyms=("-e",)),
        several("--iinclude", metavar="PATTERN", text="As --include, ignoring case."),
        several("--iexclude", metavar="PATTERN", text="As --exclude, ignoring case."),
        click.Option(
            ["--overwrite"],
            type=click.Choice([overwrite.value for overwrite in Overwrite]),
            help="Restore into a folder that is not empty, and choose which existing files are replaced.",
        ),
        *newest_options(),
        flag("--any-source", text="With --overwrite: overwrite a folder by what was backed up from another one."),
        flag("--trust-source", text="Restore devices, setuid programs and capabilities from what somebody else shared."),
        flag("--delete", text="With --overwrite: delete what is not in the snapshot."),
        flag(
            "--allow-delete-home",
            text="Allow --delete in the home folder, and in the folders above it.",
            synonyms=("--delete-even-home",),
        ),
        click.Option(
            ["--archive"],
            type=click.Choice([kind.value for kind in ArchiveKind]),
            help="With -: the kind of archive; tar by default.",
        ),
        flag("--verify", text="Read restored files back from the disk, and compare them."),
        flag("-n", "--dry-run", text="Only show what would be done."),
        flag("--numeric-owner", text="Set owners by number instead of by name."),
        several("--owner-map", metavar="FROM:TO", text="Give files of one user to another, each a name or a number."),
        several("--group-map", metavar="FROM:TO", text="Give files of one group to another."),
    ],
    examples=(
        "tallac restore home:docs/Latest ~/restored",
        "tallac restore home:docs/Archives/2026-11-23_17:02:11Z/Letters ~/old-letters",
        "tallac restore home:docs/Latest ~/letters --include '*.odt' --exclude /Old",
        "tallac restore home:docs/Latest ~/Documents --overwrite if-changed --delete",
        "tallac restore home:docs/Latest/Letters - | ssh host tar -x",
    ),
)
def restore(
    context: CommandContext, place: str, folder: str | None, target: str | None, archive: str | None, **chosen: Unpack[_Chosen]
) -> int:
    """Restore a snapshot, or any part of one.

    FOLDER is created, or must be empty. A single file goes into a folder that exists or ends in /,
    beside existing files; any other name is the one it gets. With --overwrite, FOLDER may contain
    anything, and only what differs is written: files that are newer in the snapshot (if-newer),
    files whose size or time differs and whose content does too (if-changed), files whose content
    differs (always), or only missing files (never). This also completes a restore that was
    interrupted. With - instead of FOLDER, an archive is written to standard output.

    Metadata is restored as far as your permissions allow; whatever could not be set is reported.
    What somebody else shared brings no devices, setuid programs or capabilities.
    Damaged files are named and left out; the exit status is then 1.
    """
    if (folder is None) == (target is None):
        raise UsageError("give one folder to restore to, as in `tallac restore ALIAS:PATH FOLDER`")
    to = folder or target or ""
    require_local_path(to, place)
    options = _options(chosen)
    place = in_newest(context.client, place, chosen["host"], chosen["source"])
    if to == "-":
        return _write_archive(context, place, ArchiveKind(archive or "tar"), options, trust_source=chosen["trust_source"])
    if archive is not None:
        raise UsageError("an archive is written to standard output: give - instead of the folder")
    with RestoreReporter(context, to) as reporter:
        any_source = chosen["any_source"] or bool(chosen["host"] or chosen["source"])
        summary = context.client.restores.restore(
            place,
            to,
            options=options,
            observer=reporter.observer,
            any_source=any_source,
            trust_source=chosen["trust_source"],
        )
    report_summary(context, to, summary, reporter.seconds, dry_run=options.dry_run)
    return 0 if summary.is_complete else 1


def _options(chosen: _Chosen) -> RestoreOptions:
    overwrite = chosen["overwrite"]
    if chosen["delete"] and overwrite is None:
        raise UsageError("--delete requires --overwrite, which says which existing files are replaced")
    return RestoreOptions(
        selection=PathFilter(chosen["include"], chosen["exclude"], iinclude=chosen["iinclude"], iexclude=chosen["iexclude"]),
        overwrite=Overwrite(overwrite) if overwrite else None,
        delete=chosen["delete"],
        allow_delete_home=chosen["allow_delete_home"],
        verify=chosen["verify"],
        dry_run=chosen["dry_run"],
        numeric_owners=chosen["numeric_owner"],
        user_rules=parse_owner_rules(chosen["owner_map"]),
        group_rules=parse_owner_rules(chosen["group_map"]),
    )


def _write_archive(context: CommandContext, place: str, kind: ArchiveKind, options: RestoreOptions, *, trust_source: bool) -> int:
    if replace(options, selection=EVERYTHING) != RestoreOptions():
        raise UsageError("an archive contains everything as it is stored: only --include, --exclude and --trust-source apply to it")
    if context.output.is_json:
        raise UsageError("the archive is written to standard output: leave out --json")
    if context.output.is_terminal:
        raise UsageError("an archive can't be shown on a terminal: redirect standard output to a file or another command")
    context.output.carries_content = True
    with RestoreReporter(context, place) as reporter:
        summary = context.client.restores.archive(
            place, context.output, kind, options=options, observer=reporter.observer, trust_source=trust_source
        )
    for note in summary.notes:
        context.output.note(note)
    return 0 if summary.is_complete else 1
