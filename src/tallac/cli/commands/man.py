"""`tallac man`."""

from __future__ import annotations

from pathlib import Path

import click

from tallac.cli.command import CommandContext, argument, define
from tallac.errors import OutputError, UsageError


@define(
    "man",
    [
        argument("name", "[COMMAND]", is_optional=True),
        click.Option(["--all", "folder"], metavar="FOLDER", help="Write all pages into this folder; it is made if missing."),
    ],
    examples=("tallac man backup | man -l -", "tallac man --all ~/.local/share/man/man1"),
)
def command(run: CommandContext, name: str | None, folder: str | None) -> None:
    """Write manual pages.

    Without a command's name, the page is on tallac itself. The pages say what --help says, in the form that man reads; once they
    are where man looks for them, `man tallac-backup` shows one.
    """
    # Late, because the pages are made of all commands, this one too.
    from tallac.cli.group import COMMANDS, SYNONYMS, group
    from tallac.cli.manual import page, page_names

    if folder is not None:
        if name is not None:
            raise UsageError("--all writes the pages of all commands; leave out the name")
        _write_all(Path(folder), {page_name: page(group, page_name) for page_name in page_names()})
        run.output.changed(folder)
        return
    if name is not None and SYNONYMS.get(name, name) not in COMMANDS:
        raise UsageError(f"{name}: there is no such command; `tallac --help` lists them")
    page_name = "tallac" if name is None else f"tallac-{SYNONYMS.get(name, name)}"
    if run.output.is_json:
        run.output.record(name=page_name, page=page(group, page_name))
    else:
        run.output.write(page(group, page_name).encode())


def _write_all(folder: Path, pages: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (folder / f"{name}.1").write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: can't write the pages there ({error.strerror})") from error
