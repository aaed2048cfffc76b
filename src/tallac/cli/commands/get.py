"""`tallac get`."""

from __future__ import annotations

from pathlib import Path

from tallac.cli.command import Run, argument, define


@define(
    "get",
    [argument("place", "ALIAS:PATH"), argument("file", "[FILE|-]", default="-")],
    examples=("tallac get home:docs/Latest/Letters/rent.txt rent.txt", "tallac get home:docs/Latest/notes.txt -"),
)
def command(run: Run, place: str, file: str) -> None:
    """Write a file's content to a local file or standard output.

    A local file appears when it is complete, and replaces one of that name; into a folder it goes under its own name. On standard
    output, what has been written is right even if an error follows.
    """
    if file == "-":
        run.client.get(place, run.output)
        return
    path = Path(file)
    if path.is_dir():
        run.client.cp([place], file)
    else:
        run.client.download(place, path)
    run.output.detail(file)
