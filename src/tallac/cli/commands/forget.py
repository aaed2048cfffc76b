"""`tallac forget`."""

from __future__ import annotations

from collections.abc import Collection

import click
from msgspec.structs import replace

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import Option, argument, flag, option, several
from tallac.cli.options.prune import max_unused_option, read_share
from tallac.cli.options.snapshots import group_by_option
from tallac.cli.output.display import json_name, show_time, table
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.prune import prune_and_report
from tallac.cli.reports.snapshots import group_heading, unknown_name
from tallac.errors import UsageError
from tallac.retention.decide import Decision
from tallac.retention.forget import GroupKey, Plan, RetentionPolicy, parse_group_by
from tallac.retention.rules import Period, Rules, parse_rules
from tallac.vault.prune.report import PruneOptions
from tallac.wording import pluralize

_NANOSECONDS = 1_000_000_000


def _keep(name: str, metavar: str, text: str, *synonyms: str) -> Option:
    return option(f"--keep-{name}", metavar=metavar, text=text, synonyms=synonyms)


def _period_options() -> list[click.Parameter]:
    return [
        _keep("last", "N", "Keep the N newest snapshots. N may be unlimited, here and below.", "-l"),
        *(
            _keep(period.value, "N", f"Keep the newest of each of the N newest {noun}.", *_RESTIC_LETTERS[period])
            for period, noun in _NOUNS.items()
        ),
        _keep("within", "DURATION", "Keep snapshots up to this much older than the newest, as in 1y6m, 2w or 14d12h."),
        *(
            _keep(f"within-{period.value}", "DURATION", f"Keep the newest of each of the {noun} within this time.")
            for period, noun in _NOUNS.items()
        ),
        several("--keep-tag", metavar="TAG[,TAG...]", text="Keep snapshots with all of these tags; may be repeated."),
    ]


_NOUNS = {
    Period.HOURLY: "hours",
    Period.DAILY: "days",
    Period.WEEKLY: "weeks",
    Period.MONTHLY: "months",
    Period.YEARLY: "years",
}


# The letter that restic has for days is that of a Tahoe-LAFS node's folder.
_RESTIC_LETTERS = {
    Period.HOURLY: ("-H",),
    Period.DAILY: (),
    Period.WEEKLY: ("-w",),
    Period.MONTHLY: ("-m",),
    Period.YEARLY: ("-y",),
}


@define(
    "forget",
    [
        argument("places", "ALIAS:TO | ALIAS:TO/Archives/NAME...", count=-1),
        *_period_options(),
        group_by_option("Apply rules to each host, source, tags, or several of these; or none.", default="host,source"),
        flag(
            "--allow-empty",
            synonyms=("--unsafe-allow-remove-all",),
            text="Also forget the last snapshot of a group, if no rule keeps it.",
        ),
        flag("--undo", text="Restore the snapshots that the last forget removed, or those that are named."),
        flag("--prune", text="Then prune the vault, which reclaims the space; --undo is impossible afterwards."),
        max_unused_option(is_default_shown=False),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=(
        "tallac forget home:docs --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run",
        "tallac forget home:docs --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --prune",
        "tallac forget home:docs/Archives/2026-11-23_17:02:11Z",
        "tallac forget --undo home:docs",
    ),
)
def forget(
    context: CommandContext,
    places: tuple[str, ...],
    group_by: str,
    allow_empty: bool,
    undo: bool,
    prune: bool,
    max_unused: str | None,
    dry_run: bool,
    **keep: object,
) -> int:
    """Remove snapshots from a target, by rules or by name.

    Snapshots that no rule keeps are forgotten; rules apply to each host and source separately, and
    a table shows which rule keeps what. Or name the snapshots to forget. Held snapshots are never
    forgotten. The space is reclaimed by the next prune, which --prune does at once; until then,
    --undo restores forgotten snapshots on this machine.
    """
    if not places:
        raise UsageError("name the target, written ALIAS:TO; `tallac list-aliases` shows the aliases")
    rules = _rules(keep)
    if undo:
        if not rules.is_empty or prune:
            raise UsageError(f"--undo takes no {'rules' if not rules.is_empty else '--prune'}")
        return _undo(context, places, dry_run=dry_run)
    if max_unused is not None and not prune:
        raise UsageError("--max-unused is about a prune: add --prune")
    options = PruneOptions(is_dry_run=dry_run, unused_max=read_share(max_unused))
    if prune:
        # Nothing is forgotten on a grid on which the second half would fail.
        context.client.vault.require_prunable(places[0])
    policy = RetentionPolicy(rules, parse_group_by(group_by), allow_empty=allow_empty)
    names = _forget(context, places, policy, group_by, dry_run=dry_run)
    if not prune:
        return 0
    if dry_run:
        options = replace(options, forgotten=context.client.snapshots.forgotten(places, names))
    return prune_and_report(context, places[0], options, record="prune")


def _forget(
    context: CommandContext, places: tuple[str, ...], policy: RetentionPolicy, group_by: str, *, dry_run: bool
) -> Collection[bytes]:
    """Forget by name or by the policy's rules, report it, and return the names that went."""
    if policy.rules.is_empty and any(map(context.client.snapshots.names_snapshot, places)):
        allow_empty = policy.allow_empty
        names = context.client.snapshots.forget_named(places, group_by=group_by, allow_empty=allow_empty, dry_run=dry_run)
        _tell_named(context, names, dry_run=dry_run)
        return names
    if len(places) > 1:
        raise UsageError("rules apply to one target at a time")
    plan = context.client.snapshots.forget(places[0], policy, dry_run=dry_run)
    _tell_plan(context, plan, dry_run=dry_run)
    return plan.forgotten


def _rules(keep: dict[str, object]) -> Rules:
    def text(name: str) -> str | None:
        value = keep.get(f"keep_{name}")
        return value if isinstance(value, str) else None

    tags = keep.get("keep_tag")
    return parse_rules(
        {period.value: text(period.value) for period in Period},
        text("within"),
        {period.value: text(f"within_{period.value}") for period in _NOUNS},
        tags if isinstance(tags, tuple) else (),
    )


def _tell_plan(context: CommandContext, plan: Plan, *, dry_run: bool) -> None:
    forgotten = len(plan.forgotten)
    kept = sum(map(len, plan.groups.values())) - forgotten
    for name in plan.others:
        context.output.note(unknown_name(name))
    if context.output.is_json:
        for key, decisions in plan.groups.items():
            for decision in decisions:
                context.output.record(type="decision", **_fields(key, decision))
        context.output.record(type="summary", kept=kept, forgotten=forgotten, dry_run=dry_run)
        return
    if context.output.is_quiet:
        return
    for key, decisions in plan.groups.items():
        context.output.line(f"{group_heading(key)}:")
        for line in table([_row(decision) for decision in decisions]):
            context.output.line(f"  {line}")
    context.output.summary({"kept": f"{kept:,}", "would be forgotten" if dry_run else "forgotten": f"{forgotten:,}"})


def _row(decision: Decision) -> tuple[str, str, str]:
    candidate = decision.candidate
    why = ", ".join(decision.reasons)
    if candidate.counted_ns != candidate.claimed_ns:
        why = f"{why}; " if why else ""
        why += f"counts as of {show_time(candidate.counted_ns // _NANOSECONDS)}, when it was first seen"
    return show_name(candidate.name), "keep" if decision.is_kept else "forget", show_name(why)


def _fields(key: GroupKey, decision: Decision) -> dict[str, object]:
    candidate = decision.candidate
    return json_name(candidate.name, "snapshot") | {
        "host": key.host,
        "sources": None if key.sources is None else [json_name(source, "path") for source in key.sources],
        "group_tags": None if key.tags is None else list(key.tags),
        "tags": list(candidate.tags),
        "kept": decision.is_kept,
        "reasons": list(decision.reasons),
        "held": candidate.is_held,
        "claimed_ns": candidate.claimed_ns,
        "counted_ns": candidate.counted_ns,
    }


def _tell_named(context: CommandContext, names: list[bytes], *, dry_run: bool) -> None:
    for name in names:
        if context.output.is_json:
            context.output.record(type="decision", kept=False, reasons=[], **json_name(name, "snapshot"))
    if context.output.is_json:
        context.output.record(type="summary", forgotten=len(names), dry_run=dry_run)
        return
    context.output.summary({"would be forgotten" if dry_run else "forgotten": ", ".join(map(show_name, names))})


def _undo(context: CommandContext, places: tuple[str, ...], *, dry_run: bool) -> int:
    undone = context.client.snapshots.undo_forget(places, dry_run=dry_run)
    if undone.lost:
        context.output.warn(_lost(list(undone.lost)))
    for name, error in undone.lost.items():
        context.output.detail(f"lost       {show_name(name)}: {error}")
    for name in undone.taken:
        context.output.warn(
            f"{show_name(name)}: another snapshot has this name now; rename that one with `tallac mv`, then undo again"
        )
    if context.output.is_json:
        for kind, names in (("back", undone.back), ("lost", list(undone.lost)), ("taken", undone.taken)):
            for name in names:
                context.output.record(type=kind, **json_name(name, "snapshot"))
        context.output.record(
            type="summary", back=len(undone.back), lost=len(undone.lost), taken=len(undone.taken), dry_run=dry_run
        )
    elif undone.back:
        context.output.summary({"would be restored" if dry_run else "restored": ", ".join(map(show_name, undone.back))})
    return 1 if undone.lost or undone.taken else 0


def _lost(names: list[bytes]) -> str:
    """Write in one line which snapshots are lost, however many: after a prune they all are, and no vault is damaged."""
    if len(names) == 1:
        return f"{show_name(names[0])}: can't be restored any more: a prune has deleted data of it"
    first, last = show_name(min(names)), show_name(max(names))
    count = pluralize(len(names), "forgotten snapshot")
    return f"{count}, {first} to {last}, can't be restored any more: a prune has deleted data of them"
