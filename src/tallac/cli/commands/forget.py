"""`tallac forget`."""

from __future__ import annotations

import click

from tallac.cli.command import CommandContext, argument, define, flag
from tallac.cli.output.display import json_name, show_time, table
from tallac.cli.output.stderr import show_name
from tallac.cli.reports.snapshots import group_heading, unknown_name
from tallac.errors import UsageError
from tallac.retention.decide import Decision
from tallac.retention.forget import GroupKey, Plan, RetentionPolicy, parse_group_by
from tallac.retention.rules import Period, Rules, parse_rules

_NANOSECONDS = 1_000_000_000


def _keep(name: str, metavar: str, text: str, *, may_repeat: bool = False) -> click.Option:
    return click.Option([f"--keep-{name}"], metavar=metavar, help=text, multiple=may_repeat)


def _period_options() -> list[click.Parameter]:
    return [
        _keep("last", "N", "Keep the N newest. N may be unlimited, here and below."),
        *(_keep(period.value, "N", f"Keep the newest of each of the N newest {noun}.") for period, noun in _NOUNS.items()),
        _keep("within", "DURATION", "Keep what is newer than this, as in 1y6m or 14d12h, counted from the newest."),
        *(
            _keep(f"within-{period.value}", "DURATION", f"Keep the newest of each of the {noun} within this.")
            for period, noun in _NOUNS.items()
        ),
        _keep("tag", "TAG[,TAG...]", "Keep what has all of these tags. May be given several times.", may_repeat=True),
    ]


_NOUNS = {
    Period.HOURLY: "hours",
    Period.DAILY: "days",
    Period.WEEKLY: "weeks",
    Period.MONTHLY: "months",
    Period.YEARLY: "years",
}


@define(
    "forget",
    [
        argument("places", "ALIAS:TO | ALIAS:TO/Archives/NAME...", count=-1),
        *_period_options(),
        click.Option(["--group-by"], metavar="WHAT", default="host,source", help="host, source, tags or several; or none."),
        flag("--allow-empty", text="Forget the last snapshot of a group too, if no rule keeps it."),
        flag("--undo", text="Bring back what the last forget has forgotten, or the snapshots that are named."),
        flag("-n", "--dry-run", text="Only show what would be done."),
    ],
    examples=(
        "tallac forget home:docs --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run",
        "tallac forget home:docs/Archives/2026-11-23_17:02:11Z",
        "tallac forget --undo home:docs",
    ),
)
def command(
    run: CommandContext, places: tuple[str, ...], group_by: str, allow_empty: bool, undo: bool, dry_run: bool, **keep: object
) -> int:
    """Drop snapshots from a target.

    What no rule keeps is forgotten; the rules go for each host and source by itself, and a table says which rule keeps what. Or
    name the snapshots that are to go. What is held is never forgotten. The space comes back with the next prune; until then, --undo
    brings back on this machine what was forgotten.
    """
    if not places:
        raise UsageError("say of which target snapshots are to be forgotten, as in home:docs")
    rules = _rules(keep)
    if undo:
        if not rules.is_empty:
            raise UsageError("--undo takes no rules")
        return _undo(run, places, dry_run=dry_run)
    if rules.is_empty and any(map(run.client.names_snapshot, places)):
        names = run.client.forget_named(places, group_by=group_by, allow_empty=allow_empty, dry_run=dry_run)
        _tell_named(run, names, dry_run=dry_run)
        return 0
    if len(places) > 1:
        raise UsageError("rules go for one target at a time")
    order = RetentionPolicy(rules, parse_group_by(group_by), allow_empty=allow_empty)
    _tell_plan(run, run.client.forget(places[0], order, dry_run=dry_run), dry_run=dry_run)
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


def _tell_plan(run: CommandContext, plan: Plan, *, dry_run: bool) -> None:
    forgotten = len(plan.forgotten)
    kept = sum(map(len, plan.groups.values())) - forgotten
    for name in plan.others:
        run.output.note(unknown_name(name))
    if run.output.is_json:
        for key, decisions in plan.groups.items():
            for decision in decisions:
                run.output.record(type="decision", **_fields(key, decision))
        run.output.record(type="summary", kept=kept, forgotten=forgotten, dry_run=dry_run)
        return
    if run.output.is_quiet:
        return
    for key, decisions in plan.groups.items():
        run.output.line(f"{group_heading(key)}:")
        for line in table([_row(decision) for decision in decisions]):
            run.output.line(f"  {line}")
    run.output.summary({"kept": str(kept), "would be forgotten" if dry_run else "forgotten": str(forgotten)})


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


def _tell_named(run: CommandContext, names: list[bytes], *, dry_run: bool) -> None:
    for name in names:
        if run.output.is_json:
            run.output.record(type="decision", kept=False, reasons=[], **json_name(name, "snapshot"))
    if run.output.is_json:
        run.output.record(type="summary", forgotten=len(names), dry_run=dry_run)
        return
    run.output.summary({"would be forgotten" if dry_run else "forgotten": ", ".join(map(show_name, names))})


def _undo(run: CommandContext, places: tuple[str, ...], *, dry_run: bool) -> int:
    undone = run.client.undo_forget(places, dry_run=dry_run)
    for name, trouble in undone.lost.items():
        run.output.warn(f"{show_name(name)}: can't come back whole, and stays forgotten: {trouble}")
    for name in undone.taken:
        run.output.warn(f"{show_name(name)}: another snapshot has this name now; move that one away with mv, then undo again")
    if run.output.is_json:
        for kind, names in (("back", undone.back), ("lost", list(undone.lost)), ("taken", undone.taken)):
            for name in names:
                run.output.record(type=kind, **json_name(name, "snapshot"))
        run.output.record(type="summary", back=len(undone.back), lost=len(undone.lost), taken=len(undone.taken), dry_run=dry_run)
    elif undone.back:
        run.output.summary({"would come back" if dry_run else "back": ", ".join(map(show_name, undone.back))})
    return 1 if undone.lost or undone.taken else 0
