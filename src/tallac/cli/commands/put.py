"""`tallac put`."""

from __future__ import annotations

from tallac.cli.command import Run, argument, define


@define(
    "put",
    [argument("file", "FILE|-"), argument("place", "[ALIAS:PATH]", is_optional=True)],
    examples=("tallac put notes.txt home:shared/notes.txt", "date | tallac put - home:shared/date.txt"),
)
def command(run: Run, file: str, place: str | None) -> None:
    """Store a local file or standard input.

    It gets the name that is given, in a directory that can be changed; directories that are missing are made, and a file of that
    name is replaced. Without a place the read cap is printed, and what is stored is kept for a while unless it is linked.
    """
    cap = run.client.put(run.standard_input, place) if file == "-" else run.client.put_path(file, place)
    run.output.detail(file)
    if place is None and run.output.is_json:
        run.output.record(cap=cap.danger_whole_text())
    elif place is None:
        run.output.line(cap.danger_whole_text())
