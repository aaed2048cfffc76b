"""`tallac completion` and `man`."""

from __future__ import annotations

from pathlib import Path

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.completion.shells import SCRIPTS
from tallac.cli.group import group
from tallac.cli.manual import page, page_names
from tallac.cli.options.option import argument, option
from tallac.cli.table import COMMANDS, canonical, unknown_command
from tallac.errors import OutputError, UsageError

SHELLS = ("bash", "zsh", "fish")


@define(
    "completion",
    [click.Argument(["shell"], type=click.Choice(SHELLS), metavar="bash|zsh|fish")],
    examples=(
        "tallac completion bash > ~/.local/share/bash-completion/completions/tallac",
        "tallac completion zsh > ~/.zfunc/_tallac",
        "tallac completion fish > ~/.config/fish/completions/tallac.fish",
    ),
)
def completion(context: CommandContext, shell: str) -> None:
    """Print a shell completion script.

    Save it where the shell looks for such scripts, or load it for one session: source <(tallac
    completion bash). Then the tab key completes commands, options, aliases, paths in vaults, names
    of snapshots, and local paths.
    """
    if context.output.is_json:
        context.output.record(shell=shell, script=SCRIPTS[shell])
    else:
        context.output.write(SCRIPTS[shell].encode())


@define(
    "man",
    [
        argument("name", "[COMMAND]", is_optional=True),
        option("--all", "folder", metavar="FOLDER", text="Write all pages into this folder, which is created if missing."),
    ],
    examples=("tallac man backup | man -l -", "tallac man --all ~/.local/share/man/man1"),
)
def man(context: CommandContext, name: str | None, folder: str | None) -> None:
    """Print or write manual pages.

    Without a command's name, the page is that of tallac itself. The pages contain what --help
    shows; once they are where man looks for them, `man tallac-backup` shows one.
    """
    if folder is not None:
        if name is not None:
            raise UsageError("--all writes the pages of all commands: leave out the name")
        _write_all(Path(folder), {page_name: page(group, page_name) for page_name in page_names()})
        context.output.changed(folder)
        return
    if name is not None and canonical(name) not in COMMANDS:
        raise UsageError(unknown_command(name))
    page_name = "tallac" if name is None else f"tallac-{canonical(name)}"
    if context.output.is_json:
        context.output.record(name=page_name, page=page(group, page_name))
    else:
        context.output.write(page(group, page_name).encode())


def _write_all(folder: Path, pages: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (folder / f"{name}.1").write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: can't write the pages ({error.strerror})") from error
