"""`tallac forget`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, define
from tallac.cli.options.option import Option, argument, flag, option, several
from tallac.cli.options.snapshots import group_by_option
from tallac.cli.output.display import json_name, show_time, table
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.snapshots import group_heading, unknown_name
from tallac.errors import UsageError
from tallac.retention.decide import Decision
from tallac.retention.forget import GroupKey, Plan, RetentionPolicy, parse_group_by
from tallac.retention.rules import Period, Rules, parse_rules

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
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=(
        "tallac forget home:docs --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run",
        "tallac forget home:docs/Archives/2026-11-23_17:02:11Z",
        "tallac forget --undo home:docs",
    ),
)
def forget(
    context: CommandContext, places: tuple[str, ...], group_by: str, allow_empty: bool, undo: bool, dry_run: bool, **keep: object
) -> int:
    """Remove snapshots from a target, by rules or by name.

    Snapshots that no rule keeps are forgotten; rules apply to each host and source separately, and
    a table shows which rule keeps what. Or name the snapshots to forget. Held snapshots are never
    forgotten. The space is reclaimed by the next prune; until then, --undo restores forgotten
    snapshots on this machine.
    """
    if not places:
        raise UsageError("name the target, written ALIAS:TO; `tallac list-aliases` shows the aliases")
    rules = _rules(keep)
    if undo:
        if not rules.is_empty:
            raise UsageError("--undo takes no rules")
        return _undo(context, places, dry_run=dry_run)
    if rules.is_empty and any(map(context.client.snapshots.names_snapshot, places)):
        names = context.client.snapshots.forget_named(places, group_by=group_by, allow_empty=allow_empty, dry_run=dry_run)
        _tell_named(context, names, dry_run=dry_run)
        return 0
    if len(places) > 1:
        raise UsageError("rules apply to one target at a time")
    order = RetentionPolicy(rules, parse_group_by(group_by), allow_empty=allow_empty)
    _tell_plan(context, context.client.snapshots.forget(places[0], order, dry_run=dry_run), dry_run=dry_run)
    return 0


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
    context.output.summary({"kept": str(kept), "would be forgotten" if dry_run else "forgotten": str(forgotten)})


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
    for name, error in undone.lost.items():
        context.output.warn(f"{show_name(name)}: can't be restored completely, and stays forgotten: {error}")
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
