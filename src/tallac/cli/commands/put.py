"""`tallac put`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define
from tallac.cli.output.progress import ProgressLine, copy_progress
from tallac.transfer import CopyReport


@define(
    "put",
    [argument("file", "FILE|-"), argument("place", "[ALIAS:PATH]", is_optional=True)],
    examples=("tallac put notes.txt home:shared/notes.txt", "date | tallac put - home:shared/date.txt"),
)
def command(run: CommandContext, file: str, place: str | None) -> None:
    """Store a local file or standard input.

    It gets the name that is given, in a directory that can be changed; directories that are missing are made, and a file of that
    name is replaced. Without a place the read cap is printed, and what is stored is kept for a while unless it is linked.
    """
    with ProgressLine(run.output) as line:
        report = CopyReport(progress=copy_progress(line))
        if file == "-":
            cap = run.client.put(run.standard_input, place, name="standard input", report=report)
        else:
            cap = run.client.put_path(file, place, report)
    run.output.detail(file)
    if run.output.is_json:
        printed = {"cap": cap.danger_whole_text()} if place is None else {}
        run.output.record(type="summary", bytes=report.bytes, **printed)
    elif place is None:
        run.output.line(cap.danger_whole_text())
