"""`tallac vault-stats`."""

from __future__ import annotations

from collections.abc import Mapping

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import argument
from tallac.cli.output.display import json_report, show_size, show_time, table
from tallac.vault.prune.stats_report import Amount, VaultStats
from tallac.wording import pluralize

_LABELS = {"aside": "damaged"}
"""Where the row for people differs from the key in JSON."""


@define(
    "vault-stats",
    [argument("alias", "ALIAS:", default="")],
    examples=("tallac vault-stats home:", "tallac vault-stats --vault /media/usb/vault --vault-key keeper.txt"),
)
def vault_stats(context: CommandContext, alias: str) -> int:
    """Show what uses the space of a vault.

    The keeper key is enough. Objects in use are counted by kind, and those that a prune would
    delete; then what is in the store, the roots, and sessions of writers that are running or were
    killed. No content is opened, and nothing is changed.
    """
    stats = context.client.vault.stats(alias)
    if context.output.is_json:
        context.output.record(type="summary", **_fields(stats))
    elif not context.output.is_quiet:
        _write(context, stats)
    if stats.trouble:
        context.output.warn(f"{stats.trouble}: can't tell what is in use; `tallac check` names what is damaged")
    return 1 if stats.trouble else 0


def _write(context: CommandContext, stats: VaultStats) -> None:
    context.output.line(f"vault {stats.identity}")
    context.output.line("")
    for heading, amounts in (("objects", stats.objects), ("stored", stats.stored)):
        rows = [(_LABELS.get(kind, kind), f"{amount.count:,}", show_size(amount.size)) for kind, amount in amounts.items()]
        for text in table([(heading, "number", "bytes"), *rows], right=(1, 2)):
            context.output.line(text)
        context.output.line("")
    context.output.line(f"compression        {stats.compression or 'unknown'}")
    context.output.line(f"roots              {stats.roots}")
    context.output.line(f"pending deletions  {pluralize(stats.proposed_packs, 'pack')} proposed, {stats.decided_packs:,} decided")
    context.output.line(f"sessions           {len(stats.sessions):,}")
    for session in stats.sessions:
        context.output.line(f"  {session.name}  {session.state} since {show_time(session.started_ns // 1_000_000_000)}")


def _fields(stats: VaultStats) -> dict[str, object]:
    amounts = {"objects": _amounts(stats.objects), "stored": _amounts(stats.stored)}
    sessions = [json_report(session) for session in stats.sessions]
    return {"vault": stats.identity} | json_report(stats, without=("identity",)) | amounts | {"sessions": sessions}


def _amounts(amounts: Mapping[str, Amount]) -> dict[str, object]:
    return {kind: {"count": amount.count, "bytes": amount.size} for kind, amount in amounts.items()}
