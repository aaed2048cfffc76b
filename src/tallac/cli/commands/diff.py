"""`tallac diff`."""

from __future__ import annotations

from tallac.app.locations.grid_path import is_remote
from tallac.cli.command import CommandContext, define
from tallac.cli.options.newest import in_newest, newest_options
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import json_name, show_size
from tallac.cli.reports.inspect import ReadErrors
from tallac.look.diff import Change, Difference, Tally
from tallac.wording import pluralize

_NAMES = {
    Difference.ADDED: "added",
    Difference.REMOVED: "removed",
    Difference.CONTENT: "changed",
    Difference.METADATA: "metadata only",
    Difference.TYPE: "type changed",
}


@define(
    "diff",
    [
        argument("old", "A"),
        argument("new", "B"),
        flag("--content", text="Leave out paths that differ only in metadata."),
        flag("--read-data", text="Read local files even if size, times and inode are unchanged."),
        flag("-0", "--null", text="Print the sign, a blank, the path and a zero byte for each.", synonyms=("--print0",)),
        *newest_options(),
    ],
    examples=(
        "tallac diff home:docs/Archives/2026-11-23_17:02:11Z home:docs/Latest",
        "tallac diff home:docs/Latest ~/Documents",
    ),
)
def diff(
    context: CommandContext,
    old: str,
    new: str,
    content: bool,
    read_data: bool,
    null: bool,
    host: tuple[str, ...],
    source: tuple[str, ...],
) -> int:
    """Compare two snapshots, directories or local folders.

    A line for each path, from A to B: + added, - removed, M different content, U same content but
    different metadata, T different type. A name with a colon before its first slash is in a vault,
    as in home:docs; anything else is a local path. Directories that are the same on both sides are
    skipped, so comparing two snapshots takes a moment. Local files are read only if they may have
    changed. The exit status is 0 whether or not there are differences, and 1 if something could not
    be compared.
    """
    old, new = (in_newest(context.client, side, host, source) if is_remote(side) else side for side in (old, new))
    read_errors, tally = ReadErrors(context), Tally()
    for change in context.client.inspect.diff(old, new, read_errors, read_data=read_data):
        if content and change.difference is Difference.METADATA:
            continue
        tally.add(change)
        if context.output.is_json:
            context.output.record(_fields(change))
        elif null:
            context.output.write(change.difference.value.encode() + b" " + (change.path or b".") + b"\0")
        else:
            _write_line(context, change)
    if context.output.is_json:
        context.output.record(type="summary", **_counts(tally), troubles=read_errors.count)
    elif not null:
        context.output.summary(_summary(tally, read_errors.count))
    return read_errors.status


def _write_line(context: CommandContext, change: Change) -> None:
    end = b"/\n" if change.is_directory and change.path else b"\n"
    context.output.name(change.path or b".", f"{change.difference.value}  {_sizes(change):>22}  ", end)


def _sizes(change: Change) -> str:
    if change.difference is Difference.METADATA:
        return ", ".join(change.metadata)
    sizes = [show_size(thing.size) for thing in (change.old, change.new) if thing is not None and not thing.is_directory]
    return " -> ".join(sizes)


def _fields(change: Change) -> dict[str, object]:
    shown: dict[str, object] = {"type": "change", "change": _NAMES[change.difference], "sign": change.difference.value}
    for side, thing in (("old", change.old), ("new", change.new)):
        if thing is not None:
            shown[f"{side}_type"] = thing.kind.name.lower()
            shown |= {} if thing.is_directory else {f"{side}_size": thing.size}
    return json_name(change.path, "path") | shown | ({"metadata": list(change.metadata)} if change.metadata else {})


def _counts(tally: Tally) -> dict[str, object]:
    return {
        "files": {_NAMES[difference]: count for difference, count in tally.files.items()},
        "directories": {_NAMES[difference]: count for difference, count in tally.directories.items()},
        "bytes_added": tally.bytes_added,
        "bytes_removed": tally.bytes_removed,
        "bytes_before": tally.bytes_before,
        "bytes_after": tally.bytes_after,
    }


def _summary(tally: Tally, read_errors: int) -> dict[str, str]:
    sizes = {
        Difference.ADDED: show_size(tally.bytes_added),
        Difference.REMOVED: show_size(tally.bytes_removed),
        Difference.CONTENT: f"{show_size(tally.bytes_before)} -> {show_size(tally.bytes_after)}",
    }
    rows = {}
    for difference, name in _NAMES.items():
        files, directories = tally.files[difference], tally.directories[difference]
        if files or directories:
            size = f", {sizes[difference]}" if difference in sizes else ""
            rows[name] = f"{pluralize(files, 'file')}, {pluralize(directories, 'directory')}{size}"
    if read_errors:
        rows["not compared"] = f"{read_errors}, named on standard error, and what is below"
    return rows or {"result": "no differences"}
