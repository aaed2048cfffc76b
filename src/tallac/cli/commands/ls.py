"""`tallac ls`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.newest import in_newest, newest_options
from tallac.cli.options.option import argument, flag
from tallac.cli.output.display import json_metadata, json_name, kind_of, show_mode, show_size, show_time
from tallac.cli.output.output import Output
from tallac.dag import LEADS_BACK, Entry
from tallac.look.listing import SortBy, SortOrder


@define(
    "ls",
    [
        argument("place", "[ALIAS:PATH]", default=""),
        flag("-l", "--long", text="Also show type, permissions, size and time."),
        flag("-R", "--recursive", text="List everything below, with paths."),
        click.Option(
            ["--sort"],
            type=click.Choice(["name", "size", "time"]),
            default="name",
            help="Sort by name, largest first, or newest first.",
        ),
        flag("-r", "--reverse", text="Reverse the order."),
        click.Option(["-b", "--bytes", "in_bytes"], is_flag=True, help="Show exact sizes in bytes."),
        flag("-0", "--null", text="End each name with a zero byte instead of a newline.", synonyms=("--print0",)),
        *newest_options(),
    ],
    examples=("tallac ls home:docs/Latest", "tallac ls -l --sort size home:docs/Latest/Letters"),
)
def ls(
    context: CommandContext,
    place: str,
    long: bool,
    recursive: bool,
    sort: str,
    reverse: bool,
    in_bytes: bool,
    null: bool,
    host: tuple[str, ...],
    source: tuple[str, ...],
) -> None:
    """List a directory.

    With -R, the entries of each directory are sorted separately. Names are written as they are,
    byte for byte, but are escaped on a terminal. With --json each entry is an object on a line of
    its own; a name that is not UTF-8 is also given in base 16.
    """
    place = in_newest(context.client, place, host, source)
    order = SortOrder(SortBy(sort), reverse)
    found: Iterable[tuple[bytes, Entry]]
    if recursive:
        listed = context.client.inspect.ls_recursive(place, order, lambda again: context.output.warn(f"{again}: {LEADS_BACK}"))
        found = ((b"/".join(path), entry) for path, entry in listed)
    else:
        found = ((entry.name, entry) for entry in context.client.inspect.ls(place, order))
    if not context.output.is_json and (null or not long):
        context.output.names((path for path, _ in found), b"\0" if null else b"\n")
        return
    for path, entry in found:
        if context.output.is_json:
            context.output.record(_fields(path, entry))
        else:
            _write_long_line(context.output, path, entry, in_bytes=in_bytes)


def _fields(path: bytes, entry: Entry) -> dict[str, object]:
    size = {} if entry.is_directory else {"size": entry.size}
    return json_name(path) | {"type": kind_of(entry)} | size | json_metadata(entry.metadata)


def _write_long_line(output: Output, path: bytes, entry: Entry, *, in_bytes: bool) -> None:
    metadata = entry.metadata
    size = "-" if entry.is_directory else str(entry.size) if in_bytes else show_size(entry.size)
    time = "-" if metadata.mtime is None else show_time(metadata.mtime[0])
    target = b"" if metadata.target is None else b" -> " + metadata.target
    output.name(path + target, f"{show_mode(entry)}  {size:>8}  {time:19}  ")
