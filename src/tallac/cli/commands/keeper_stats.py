"""`tallac keeper-stats`."""

from __future__ import annotations

from tallac.cli.command import CommandContext, argument, define
from tallac.cli.output.display import show_size, show_time, table
from tallac.vault.prune.stats_report import VaultStats
from tallac.wording import pluralize


@define(
    "keeper-stats",
    [argument("alias", "ALIAS:", default="")],
    examples=("tallac keeper-stats home:", "tallac keeper-stats --grid /media/usb/vault --vault-key keeper.txt"),
)
def command(run: CommandContext, alias: str) -> int:
    """Show what a vault takes and what for, with the keeper key alone.

    Objects in use are counted by kind, and those that a prune would give back; then what lies in the store, the roots, and the
    writers that are under way or were killed. Links are followed and no content is opened; nothing is changed.
    """
    figures = run.client.keeper_stats(alias)
    if run.output.is_json:
        run.output.record(type="summary", **_fields(figures))
    elif not run.output.is_quiet:
        _write(run, figures)
    if figures.trouble:
        run.output.warn(f"{figures.trouble}: what is in use can't be told; `tallac check` says what is hit")
    return 1 if figures.trouble else 0


def _write(run: CommandContext, figures: VaultStats) -> None:
    run.output.line(f"vault {figures.identity}")
    run.output.line("")
    for heading, amounts in (("objects", figures.objects), ("stored", figures.stored)):
        rows = [(kind, str(amount.count), show_size(amount.size)) for kind, amount in amounts.items()]
        for text in table([(heading, "number", "bytes"), *rows], right=(1, 2)):
            run.output.line(text)
        run.output.line("")
    run.output.line(f"roots       {figures.roots}")
    run.output.line(f"quarantine  {pluralize(figures.proposed_packs, 'pack')} proposed, {figures.decided_packs} decided upon")
    run.output.line(f"sessions    {len(figures.sessions)}")
    for session in figures.sessions:
        run.output.line(f"  {session.name}  {session.state} since {show_time(session.started_ns // 1_000_000_000)}")


def _fields(figures: VaultStats) -> dict[str, object]:
    return {
        "vault": figures.identity,
        "objects": {kind: {"count": amount.count, "bytes": amount.size} for kind, amount in figures.objects.items()},
        "stored": {kind: {"count": amount.count, "bytes": amount.size} for kind, amount in figures.stored.items()},
        "roots": figures.roots,
        "proposed_packs": figures.proposed_packs,
        "decided_packs": figures.decided_packs,
        "sessions": [{"name": each.name, "state": each.state, "started_ns": each.started_ns} for each in figures.sessions],
        "trouble": figures.trouble,
    }
