"""`tallac history`."""

from __future__ import annotations

from tallac.app.operations.inspect import PathHistory
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument
from tallac.cli.options.snapshots import choice_of, choice_options
from tallac.cli.output.display import json_metadata, json_name, kind_of, show_size, show_time, table
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.inspect import shell_word, show_snapshots
from tallac.dag import Entry
from tallac.look.history import Period, Turn
from tallac.look.read_errors import ReadError
from tallac.transfer.place import Place


@define(
    "history",
    [argument("place", "ALIAS:TO/PATH"), *choice_options()],
    examples=("tallac history home:docs/Letters/rent.txt", "tallac history home:docs/Letters/rent.txt --since '2 months ago'"),
)
def history(context: CommandContext, place: str, **choice: object) -> int:
    """Show the versions of a path across snapshots.

    Each line is a range of snapshots with the same version, and what changed before it; the line
    below shows how to get it back. PATH is a path in the snapshots; home:docs/Latest/PATH means the
    same as home:docs/PATH.
    """
    found = context.client.inspect.history(place, choice_of(choice))
    if context.output.is_json:
        for period in found.periods:
            context.output.record(**_fields(found, period))
    else:
        rows = table([_row(found, period) for period in found.periods], right=(2,))
        for row, period in zip(rows, found.periods, strict=True):
            context.output.line(row)
            if isinstance(period.state, Entry) and not context.output.is_quiet:
                context.output.line(f"    {_command(found.place(period.last), period.state)}")
    read_errors = [(period.first, period.state) for period in found.periods if isinstance(period.state, ReadError)]
    for number, error in read_errors:
        path = show_name(error.path) or "all of it"
        context.output.warn(f"{show_name(found.snapshots[number].name)}: {path}: {error.message}")
    return 1 if read_errors else 0


def _row(found: PathHistory, period: Period) -> tuple[str, ...]:
    when = show_snapshots(found.snapshots, range(period.first, period.last + 1))
    turn = period.turn.value
    if period.turn is Turn.METADATA:
        turn = f"{', '.join(period.metadata)} changed"
    elif period.turn is Turn.KIND and isinstance(period.state, Entry):
        before = next((each.state for each in found.periods if each.last == period.first - 1), None)
        kinds = [kind_of(each) for each in (before, period.state) if isinstance(each, Entry)]
        turn = f"kind changed: {' to '.join(kinds).replace('_', ' ')}"
    elif period.earlier is not None:
        turn = f"as in {show_name(found.snapshots[found.periods[period.earlier].first].name)}"
    entry = period.state
    if not isinstance(entry, Entry):
        return when, turn, "", ""
    size = "-" if entry.is_directory else show_size(entry.size)
    mtime = "-" if entry.metadata.mtime is None else show_time(entry.metadata.mtime[0])
    return when, turn, size, mtime


def _command(place: Place, entry: Entry) -> str:
    where = shell_word(_written(place))
    return f"tallac get {where} FILE" if kind_of(entry) == "regular" else f"tallac restore {where} FOLDER"


def _written(place: Place) -> bytes:
    return place.label.encode() + b"/".join(place.path)


def _fields(found: PathHistory, period: Period) -> dict[str, object]:
    names = [snapshot.name for snapshot in found.snapshots[period.first : period.last + 1]]
    shown: dict[str, object] = {"turn": period.turn.value, "snapshots": [json_name(name, "snapshot") for name in names]}
    entry = period.state
    if isinstance(entry, ReadError):
        return shown | {"trouble": entry.message}
    if entry is None:
        return shown
    size = {} if entry.is_directory else {"size": entry.size}
    place = json_name(_written(found.place(period.last)), "place")
    return shown | {"type": kind_of(entry)} | size | json_metadata(entry.metadata) | {"changed": list(period.metadata)} | place
