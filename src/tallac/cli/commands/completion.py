"""`tallac completion`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, define

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
def command(run: CommandContext, shell: str) -> None:
    """Print the script that lets a shell complete.

    Put it where the shell looks for such scripts, or load it for one session: source <(tallac completion bash). Then the tab key
    completes commands, options, aliases, places on grids, names of snapshots, and local paths.
    """
    # Late, because the script's other half reads the table of commands.
    from tallac.cli.completion.shells import SCRIPTS

    if run.output.is_json:
        run.output.record(shell=shell, script=SCRIPTS[shell])
    else:
        run.output.write(SCRIPTS[shell].encode())
