"""`tallac du`, `stats` and `manifest`: what is below a path, and what it takes."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tallac.caps import Cap, DirectoryReadCap, FileReadCap, base32
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import Option, argument, flag
from tallac.cli.output.display import json_name, show_size, table
from tallac.cli.output.progress import ProgressLine, Work
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.inspect import ReadErrors
from tallac.dag import Entry
from tallac.errors import UsageError
from tallac.look.deep_stats import DEEP_STATS
from tallac.look.stats import TargetStats
from tallac.look.usage import Usage
from tallac.transfer.place import Place
from tallac.wording import pluralize


@define(
    "du",
    [
        argument("place", "[ALIAS:PATH]", default=""),
        click.Option(
            ["--max-depth"], metavar="N", type=click.IntRange(min=0), help="Show at most N levels; 0 shows only the total."
        ),
        flag("-b", "--bytes", "in_bytes", text="Show exact sizes in bytes."),
        Option(["--human"], is_flag=True, hidden=True, expose_value=False),
    ],
    examples=("tallac du home:docs/Latest", "tallac du --max-depth 1 home:docs/Latest"),
)
def du(context: CommandContext, place: str, max_depth: int | None, in_bytes: bool) -> int:
    """Show the size of each directory.

    Sizes are those of the files, as if they were restored; hard links are counted once for each
    name. Directories follow their content. For the space that they use in the vault see
    `tallac stats`.
    """
    read_errors = ReadErrors(context)
    for usage in context.client.inspect.du(place, read_errors, depth_max=max_depth):
        if context.output.is_json:
            context.output.record(_fields(usage))
        else:
            size = f"{usage.size}\t" if in_bytes else f"{show_size(usage.size):>8}  "
            context.output.name(usage.path or b".", size)
    return read_errors.status


def _fields(usage: Usage) -> dict[str, object]:
    amounts = {"bytes": usage.size, "files": usage.files, "directories": usage.directories, "complete": usage.is_whole}
    return json_name(usage.path, "path") | amounts


@define(
    "stats",
    [
        argument("place", "[ALIAS:TO]", default=""),
        flag("--deep", text="Count everything below any path, each object once, as Tahoe-LAFS does."),
    ],
    examples=("tallac stats home:docs", "tallac stats --deep home:"),
)
def stats(context: CommandContext, place: str, deep: bool) -> int:
    """Show what snapshots hold, and how much space they use.

    For each snapshot: its files, their size when restored, and what a prune would reclaim if only
    this snapshot were forgotten and nothing outside of the target refers to the same data. Then for
    all of them: the size of restoring each; each content once; each chunk once; and the stored
    size, compressed and encrypted.
    """
    if deep:
        _show_deep(context, context.client.inspect.deep_stats(place))
        return 0
    read_errors = ReadErrors(context)
    with ProgressLine(context.output) as line:
        snapshots, stats = context.client.inspect.stats(
            place,
            read_errors,
            lambda count: line.show(Work(phase="reading", counts=(pluralize(count, "path"),)), {"paths": count}),
        )
    if context.output.is_json:
        _write_records(context, snapshots, stats)
        return read_errors.status
    headings = ("target", "snapshot", "files", "directories", "bytes", "freed if forgotten")
    rows = [(show_name(str(target)), *_row(entry, stats, number)) for number, (target, entry) in enumerate(snapshots)]
    first = 0 if len({target for target, _ in snapshots}) > 1 else 1
    for text in table([row[first:] for row in (headings, *rows)], right=tuple(number - first for number in range(2, 6))):
        context.output.line(text)
    context.output.line("")
    context.output.rows(_summary(stats))
    return read_errors.status


def _show_deep(context: CommandContext, counts: dict[str, int]) -> None:
    if context.output.is_json:
        context.output.record(**counts)
        return
    shown = [(key, counts[key]) for key in DEEP_STATS if key in counts]
    rows = [(key, str(value), show_size(value) if not key.startswith("count-") else "") for key, value in shown]
    for text in table(rows, right=(1, 2)):
        context.output.line(text)


def _row(snapshot: Entry, stats: TargetStats, number: int) -> tuple[str, ...]:
    one = stats.snapshots[number]
    freed = show_size(one.freed) if stats.knows_store else "unknown"
    return show_name(snapshot.name), f"{one.files:,}", f"{one.directories:,}", show_size(one.size), freed


def _summary(stats: TargetStats) -> dict[str, str]:
    rows = {
        "restore size": f"{show_size(stats.restore_size)} in {pluralize(len(stats.snapshots), 'snapshot')}",
        "unique": f"{show_size(stats.unique_size)}, each content once",
    }
    if stats.knows_store:
        files, directories = show_size(stats.stored_files), show_size(stats.stored_directories)
        rows["deduplicated"] = f"{show_size(stats.deduplicated_size)}, each chunk once"
        rows["stored"] = f"{show_size(stats.stored_size)}: {files} for files, {directories} for directories"
        rows["ratio"] = f"{_ratio(stats.restore_size, stats.stored_size)} of restore size to stored"
        rows["compression"] = f"{_ratio(stats.deduplicated_size, stats.stored_files)} of the chunks"
    return rows


def _ratio(size: int, stored_size: int) -> str:
    return f"{size / stored_size:.2f}" if stored_size else "-"


def _write_records(context: CommandContext, snapshots: Sequence[tuple[Place, Entry]], stats: TargetStats) -> None:
    for (target, snapshot), one in zip(snapshots, stats.snapshots, strict=True):
        shown = {"files": one.files, "directories": one.directories, "bytes": one.size}
        freed = {"freed": one.freed} if stats.knows_store else {}
        context.output.record(type="snapshot", target=str(target), **json_name(snapshot.name, "snapshot"), **shown, **freed)
    stored = {
        "deduplicated": stats.deduplicated_size,
        "stored_files": stats.stored_files,
        "stored_directories": stats.stored_directories,
        "stored": stats.stored_size,
    }
    shown = {"snapshots": len(snapshots), "restore_size": stats.restore_size, "unique": stats.unique_size}
    context.output.record(type="summary", **shown, **(stored if stats.knows_store else {}))


@define(
    "manifest",
    [
        argument("place", "ALIAS:PATH|CAP", default=""),
        flag("-s", "--storage-index", text="Print only storage indexes."),
        flag("--verify-cap", text="Print only verify caps, with which others can check everything and read nothing."),
    ],
    examples=("tallac manifest home:docs/Latest", "tallac manifest --verify-cap home:docs"),
)
def manifest(context: CommandContext, place: str, storage_index: bool, verify_cap: bool) -> None:
    """List everything below a path, with caps.

    Each object is listed once, with its read cap and the first path found for it. Whoever has the
    list can read everything in it.
    """
    if storage_index and verify_cap:
        raise UsageError("--storage-index and --verify-cap are two different lists; give one of them")
    for listed in context.client.inspect.manifest(place):
        path = b"/".join(listed.path)
        if context.output.is_json:
            context.output.danger_record(
                type=_kind(listed.cap),
                cap=listed.cap.danger_whole_text(),
                verify_cap=_verify_cap(listed.cap),
                storage_index=_storage_index(listed.cap),
                **json_name(path, "path"),
            )
        elif storage_index or verify_cap:
            text = _storage_index(listed.cap) if storage_index else _verify_cap(listed.cap)
            if text is not None:
                context.output.danger_line(text)
        else:
            context.output.danger_line(f"{listed.cap.danger_whole_text()} {show_name(path)}".rstrip())


def _kind(cap: Cap) -> str:
    return "directory" if isinstance(cap, DirectoryReadCap) else "file" if isinstance(cap, FileReadCap) else "unknown"


def _verify_cap(cap: Cap) -> str | None:
    return None if cap.verify_cap is None else cap.verify_cap.danger_whole_text()


def _storage_index(cap: Cap) -> str | None:
    index = getattr(cap, "storage_index", None)
    return base32.encode(index) if isinstance(index, bytes) else None
