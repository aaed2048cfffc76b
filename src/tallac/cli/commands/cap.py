"""`tallac cap`."""

from __future__ import annotations

from tallac.caps import Cap
from tallac.cli.command import CommandContext, argument, define, flag
from tallac.errors import UsageError


@define(
    "cap",
    [
        argument("place", "ALIAS:PATH"),
        flag("--write", text="Print the write cap, which allows to change the directory and all that is below it."),
        flag("--verify", text="Print the verify cap, which allows to check, and not to read."),
    ],
    examples=("tallac cap home:docs/Archives/2026-11-23_17:02:11Z/Letters",),
)
def command(run: CommandContext, place: str, write: bool, verify: bool) -> None:
    """Print the cap of a file or directory, to hand it on.

    It is the read cap: whoever has it can read that thing and what is below it, and nothing else. He needs the vault's locator
    key beside it; see `tallac locator-key`.
    """
    if write and verify:
        raise UsageError("--write and --verify are two different caps; ask for one")
    cap: Cap | None = run.client.write_cap(place) if write else run.client.cap(place)
    if verify:
        cap = None if cap is None else cap.verify_cap
    if cap is None:
        raise UsageError(f"{place}: it has no verify cap, because its cap holds all of its content: there is nothing to check")
    if write:
        run.output.note("whoever has this cap can read and change the directory")
    if run.output.is_json:
        run.output.record(cap=cap.danger_whole_text())
    else:
        run.output.line(cap.danger_whole_text())
