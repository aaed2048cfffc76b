"""`tallac cap`."""

from __future__ import annotations

from tallac.caps import Cap
from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument, flag
from tallac.errors import UsageError


@define(
    "cap",
    [
        argument("place", "ALIAS:PATH"),
        flag("--write", text="Print the write cap, which allows changing the directory and everything below it."),
        flag("--verify", text="Print the verify cap, which allows checking but not reading."),
    ],
    examples=("tallac cap home:docs/Archives/2026-11-23_17:02:11Z/Letters",),
)
def cap(context: CommandContext, place: str, write: bool, verify: bool) -> None:
    """Print the cap of a file or directory, to share it.

    This is the read cap: whoever has it can read that file or directory and everything below it,
    and nothing else. The vault's locator key is needed besides it; see `tallac locator-key`.

    A cap may stand in place of an alias in every command, as in URI:DIR2-RO:.../PATH. @FILE:PATH
    and @-:PATH read it from the first line of a file or of standard input, so that it does not
    appear in a process list.
    """
    if write and verify:
        raise UsageError("--write and --verify are two different caps; give one of them")
    cap: Cap | None = context.client.files.write_cap(place) if write else context.client.files.cap(place)
    if verify:
        cap = None if cap is None else cap.verify_cap
    if cap is None:
        raise UsageError(
            f"{place}: it has no verify cap, because its cap contains all of its content and there is nothing to check"
        )
    if write:
        context.output.note("whoever has this cap can read and change the directory")
    if context.output.is_json:
        context.output.danger_record(cap=cap.danger_whole_text())
    else:
        context.output.danger_line(cap.danger_whole_text())
