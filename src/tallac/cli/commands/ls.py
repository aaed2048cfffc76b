"""`tallac ls`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import json_metadata, json_name, kind_of, show_mode, show_size, show_time
from tallac.cli.output.output import Output
from tallac.dag import Entry
from tallac.look.listing import SortBy, SortOrder


@define(
    "ls",
    [
        argument("place", "[ALIAS:PATH]", default=""),
        flag("-l", "--long", text="Show type, rights, size and time as well."),
        flag("-R", "--recursive", text="List all that is below, each with its path."),
        click.Option(["--sort"], type=click.Choice(["name", "size", "time"]), default="name", help="Largest or newest first."),
        flag("-r", "--reverse", text="Turn the order round."),
        click.Option(["-b", "--bytes", "in_bytes"], is_flag=True, help="Show sizes in bytes, exactly."),
        flag("-0", "--null", text="End each name with a zero byte instead of a line break, for other programs."),
    ],
    examples=("tallac ls home:docs/Latest", "tallac ls -l --sort size home:docs/Latest/Letters"),
)
def command(
    run: CommandContext, place: str, long: bool, recursive: bool, sort: str, reverse: bool, in_bytes: bool, null: bool
) -> None:
    """List a directory.

    With -R, each directory's entries are sorted by themselves. Names are written as they are, byte for byte, and escaped where a
    terminal shows them. With --json each entry is an object on
    a line of its own; a name that is not UTF-8 has its bytes in base 16 as well.
    """
    order = SortOrder(SortBy(sort), reverse)
    found: Iterable[tuple[bytes, Entry]]
    if recursive:
        found = ((b"/".join(path), entry) for path, entry in run.client.ls_recursive(place, order))
    else:
        found = ((entry.name, entry) for entry in run.client.ls(place, order))
    for path, entry in found:
        if run.output.is_json:
            run.output.record(**_fields(path, entry))
        elif null:
            run.output.write(path + b"\0")
        else:
            _write_line(run.output, path, entry, is_long=long, in_bytes=in_bytes)


def _fields(path: bytes, entry: Entry) -> dict[str, object]:
    size = {} if entry.is_directory else {"size": entry.size}
    return json_name(path) | {"type": kind_of(entry)} | size | json_metadata(entry.metadata)


def _write_line(output: Output, path: bytes, entry: Entry, *, is_long: bool, in_bytes: bool) -> None:
    if not is_long:
        output.name(path)
        return
    metadata = entry.metadata
    size = "-" if entry.is_directory else str(entry.size) if in_bytes else show_size(entry.size)
    time = "-" if metadata.mtime is None else show_time(metadata.mtime[0])
    target = b"" if metadata.target is None else b" -> " + metadata.target
    output.name(path + target, f"{show_mode(entry)}  {size:>8}  {time:19}  ")
