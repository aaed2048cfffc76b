"""`tallac get`."""

from __future__ import annotations

import os

from tallac.cli.command import CommandContext, argument, define
from tallac.cli.output.progress import ProgressLine, copy_progress
from tallac.transfer import CopyReport


@define(
    "get",
    [argument("place", "ALIAS:PATH"), argument("file", "[FILE|-]", default="-")],
    examples=("tallac get home:docs/Latest/Letters/rent.txt rent.txt", "tallac get home:docs/Latest/notes.txt -"),
)
def command(run: CommandContext, place: str, file: str) -> None:
    """Write a file's content to a local file or standard output.

    A local file appears when it is complete, and replaces one of that name; into a folder it goes under its own name. On standard
    output, what has been written is right even if an error follows.
    """
    if file == "-" and (run.output.is_terminal or run.output.is_json):
        # A line that comes and goes would spoil the content that is shown, and an object would be taken for content.
        run.client.get(place, run.output)
        return
    with ProgressLine(run.output) as line:
        report = CopyReport(progress=copy_progress(line))
        if file == "-":
            run.client.get(place, run.output, report)
        elif os.path.isdir(file):
            run.client.cp([place], file, report=report)
        else:
            run.client.download(place, file, report)
    if file != "-" and run.output.is_json:
        run.output.record(type="summary", files=report.files, bytes=report.bytes)
    elif file != "-":
        run.output.detail(file)
