"""`tallac find`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tallac.app.locations.grid_path import is_remote
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag, option, several
from tallac.cli.options.sizes import parse_size_limit
from tallac.cli.options.snapshots import choice_of, choice_options
from tallac.cli.output.display import json_metadata, json_name, kind_of, show_mode, show_size, show_time
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.inspect import ReadErrors, show_snapshots
from tallac.dag import Entry
from tallac.errors import UsageError
from tallac.look.criteria import Criteria, PathPattern, parse_types
from tallac.look.find import FoundPath
from tallac.look.moments import parse_moment
from tallac.look.versions import Version
from tallac.transfer.place import Place
from tallac.wording import pluralize


@define(
    "find",
    [
        argument("words", "[ALIAS:TO[/PATH]] NAME|PATTERN...", count=-1),
        flag("-i", "--ignore-case", text="Ignore case in patterns."),
        option(
            "--newer",
            metavar="WHEN",
            text="Only files changed then or later, as in 2026-11-23 or '2 weeks ago'.",
            synonyms=("-O", "--oldest"),
        ),
        option("--older", metavar="WHEN", text="Only files changed then or earlier.", synonyms=("-N", "--newest")),
        several("--size", metavar="+N|-N|N", text="Only files of at least, at most or exactly this size: +10M."),
        several("--type", "types", metavar="f|d|l", text="Only files, directories or links; several with commas."),
        several("--snapshot", "names", metavar="NAME", text="Only in this snapshot; may be repeated.", synonyms=("-s",)),
        flag("-0", "--null", text="Print the paths alone, each with a zero byte at its end.", synonyms=("--print0",)),
        *choice_options(),
    ],
    examples=("tallac find home:docs '*.txt'", "tallac find home:docs '*' --size +10M --newer '2 weeks ago' --type f"),
)
def find(
    context: CommandContext,
    words: tuple[str, ...],
    ignore_case: bool,
    newer: str | None,
    older: str | None,
    size: tuple[str, ...],
    types: tuple[str, ...],
    names: tuple[str, ...],
    null: bool,
    **choice: object,
) -> int:
    """Find files and directories in snapshots.

    A pattern without a slash is compared with names; a pattern with a slash is compared with the
    end of paths, or with whole paths if it begins with a slash. * and ? match within a name, **
    matches any number of names. Each path is followed by its versions, with the snapshots that
    contain them. With TO@WHEN, TO/Latest or TO/Archives/NAME only that snapshot is searched; above
    several targets, all of them. The place may also come last.
    """
    place, patterns = _divide(context, words)
    now_ns = time.time_ns()
    criteria = Criteria(
        [PathPattern(pattern, ignore_case=ignore_case) for pattern in patterns],
        [parse_size_limit(text) for text in size],
        None if newer is None else parse_moment(newer, now_ns),
        None if older is None else parse_moment(older, now_ns, is_end=True),
        parse_types(types),
    )
    read_errors = ReadErrors(context)
    targets = list(context.client.inspect.find(place, choice_of(choice, names), criteria, read_errors))
    paths = versions = searched = 0
    for target, snapshots, found in targets:
        searched += len(snapshots)
        label = str(target) if len(targets) > 1 else ""
        for path in found:
            paths, versions = paths + 1, versions + len(path.versions)
            if null and not context.output.is_json:
                context.output.write(path.path + b"\0")
            else:
                _tell(context, snapshots, path, target, label)
    if context.output.is_json:
        context.output.record(type="summary", paths=paths, versions=versions, snapshots=searched, troubles=read_errors.count)
    else:
        found_in = pluralize(searched, "snapshot")
        context.output.note(f"{pluralize(paths, 'path')}, {pluralize(versions, 'version')} in {found_in}")
    return read_errors.status


def _divide(context: CommandContext, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Separate the place from the patterns: it comes first, or last if only the last word names one, or is left out."""
    if len(words) < 2:
        if is_remote(words[0]) and context.client.inspect.is_place(words[0]):
            raise UsageError(f"{words[0]}: this is where to look; add what to look for, as in `tallac find {words[0]} '*.txt'`")
        return "", words
    has_alias = [is_remote(word) for word in (words[0], words[-1])]
    if has_alias == [False, True] and not (is_plain(words[0]) and context.client.inspect.is_place(words[0])):
        return words[-1], words[:-1]
    return words[0], words[1:]


def is_plain(word: str) -> bool:
    """Whether a word has nothing that only a pattern has."""
    return not any(character in word for character in "*?[")


def _tell(context: CommandContext, snapshots: Sequence[Entry], found: FoundPath, target: Place, label: str) -> None:
    if context.output.is_json:
        for version in found.versions:
            context.output.record(_fields(snapshots, found.path, version), in_target=str(target))
        return
    context.output.name(found.path, f"{show_name(label)}  " if label else "")
    for version in found.versions:
        entry = version.entry
        size = "-" if entry.is_directory else show_size(entry.size)
        mtime = "-" if entry.metadata.mtime is None else show_time(entry.metadata.mtime[0])
        context.output.line(f"  {show_mode(entry)}  {size:>8}  {mtime:19}  {show_snapshots(snapshots, version.snapshots)}")


def _fields(snapshots: Sequence[Entry], path: bytes, version: Version) -> dict[str, object]:
    entry = version.entry
    size = {} if entry.is_directory else {"size": entry.size}
    shown = json_name(path, "path") | {"type": kind_of(entry)} | size | json_metadata(entry.metadata)
    return shown | {"snapshots": [json_name(snapshots[number].name, "snapshot") for number in version.snapshots]}
