"""Forget snapshots, by rules or by name, and bring forgotten ones back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from enum import Enum
from functools import partial

import msgspec

from tallac.caps import DirectoryWriteCap, ReadCap
from tallac.dag import Entry, display_path, is_held
from tallac.errors import DamageError, EntryError, FencedError, UsageError
from tallac.interfaces import Clock, Grid
from tallac.retention.decide import Candidate, Decision, decide
from tallac.retention.record import RetentionRecord, Sight, claimed_ns
from tallac.retention.rules import Rules
from tallac.retention.target import Target, facts_of, find_named, set_latest


class GroupBy(Enum):
    """The facts that snapshots can be grouped by."""

    HOST = "host"
    SOURCE = "source"
    TAGS = "tags"


class GroupKey(msgspec.Struct, frozen=True):
    """Which group it is; what is not grouped by is None.

    Attributes:
        host: Who made the snapshots.
        sources: What was backed up.
        tags: The tags that each of them has.
    """

    host: str | None = None
    sources: tuple[bytes, ...] | None = None
    tags: tuple[str, ...] | None = None


class RetentionPolicy(msgspec.Struct, frozen=True):
    """A retention policy: what to keep, for which groups.

    Attributes:
        rules: What to keep.
        group_by: The rules go for each group by itself.
        allow_empty: A group may lose its last snapshot.
        zone: Whose days; None for the machine's own time zone.
        host: Only snapshots of this host are decided on, and the others are left alone; None for those of all hosts.
    """

    rules: Rules
    group_by: frozenset[GroupBy] = frozenset((GroupBy.HOST, GroupBy.SOURCE))
    allow_empty: bool = False
    zone: tzinfo | None = None
    host: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """The decisions of one `forget`.

    Attributes:
        groups: The decisions for each group, the newest snapshot first.
        others: Names in `Archives/` that no snapshot has; they are left alone.
    """

    groups: Mapping[GroupKey, list[Decision]]
    others: list[bytes] = msgspec.field(default_factory=list)

    @property
    def forgotten(self) -> set[bytes]:
        """The names that go."""
        return {decision.candidate.name for group in self.groups.values() for decision in group if not decision.is_kept}


def parse_group_by(text: str) -> frozenset[GroupBy]:
    """Read `host,source,tags` or a part of it, or `none`.

    Raises:
        UsageError: It is something else.
    """
    if text == "none":
        return frozenset()
    try:
        return frozenset(GroupBy(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{text!r}: snapshots are grouped by host, source and tags, with commas between them, or none") from error


def plan(order: RetentionPolicy, entries: Iterable[Entry], sights: Mapping[bytes, Sight], now_ns: int) -> Plan:
    """Decide on all snapshots of a target; nothing is done.

    Raises:
        UsageError: There is no rule.
    """
    if order.rules.is_empty:
        raise UsageError("give rules, as in --keep-daily 7, or name snapshots, as in TARGET@2026-11-23")
    groups: dict[GroupKey, list[Candidate]] = {}
    others = []
    for entry in entries:
        claimed = claimed_ns(entry)
        if claimed is None:
            others.append(entry.name)
            continue
        if order.host not in (None, facts_of(entry).host):
            continue
        sight = sights.get(entry.name)
        counted = claimed if sight is None else sight.counted_ns(claimed)
        candidate = Candidate(entry.name, claimed, counted, facts_of(entry).tags, is_held(entry), facts_of(entry).unreadable == 0)
        groups.setdefault(group_of(entry, order.group_by), []).append(candidate)
    decided = {
        key: decide(order.rules, candidates, now_ns, zone=order.zone, allow_empty=order.allow_empty)
        for key, candidates in groups.items()
    }
    return Plan(decided, others)


def group_of(entry: Entry, group_by: frozenset[GroupBy]) -> GroupKey:
    """Return the group that a snapshot belongs to."""
    facts = facts_of(entry)
    return GroupKey(
        facts.host if GroupBy.HOST in group_by else None,
        tuple(sorted(facts.sources)) if GroupBy.SOURCE in group_by else None,
        tuple(sorted(facts.tags)) if GroupBy.TAGS in group_by else None,
    )


def forget(
    grid: Grid, target: Target, order: RetentionPolicy, record: RetentionRecord, clock: Clock, *, dry_run: bool = False
) -> Plan:
    """Forget what no rule keeps, and set `Latest`. Durable when this returns.

    What goes is in the record before it goes. What somebody else enters, holds or forgets meanwhile is decided on anew.

    Raises:
        UsageError: There is no rule.
        StoreError: The store failed; nothing was forgotten, or what the record holds.
    """
    now_ns = clock.now_ns()
    entries = target.read(grid)
    sights = record.look(target.fingerprint, entries, now_ns)
    planned = plan(order, entries, sights, now_ns)
    if dry_run:
        return planned
    names = planned.forgotten
    going = [entry for entry in entries if entry.name in names]
    record.keep_forgotten(target.fingerprint, going)
    recorded = {(entry.name, entry.encoded) for entry in going}

    def drop(found: list[Entry]) -> list[Entry]:
        names = plan(order, found, sights, now_ns).forgotten
        return [entry for entry in found if entry.name not in names or (entry.name, entry.encoded) not in recorded]

    if going:
        grid.edit_directory(target.archives, drop)
        set_latest(grid, target, clock)
    return planned


def forget_named(
    grid: Grid,
    target: Target,
    names: Sequence[bytes],
    group_by: frozenset[GroupBy],
    record: RetentionRecord,
    clock: Clock,
    *,
    allow_empty: bool = False,
    dry_run: bool = False,
) -> list[bytes]:
    """Forget snapshots by name, all of them or none, and set `Latest`. Durable when this returns.

    Raises:
        EntryNotFoundError: One is missing.
        EntryError: One is held, or is the last of its group and `allow_empty` is not given.
    """

    def drop(found: list[Entry]) -> list[Entry]:
        going = find_named(found, names, target.label)
        names_going = {entry.name for entry in going}
        left = [entry for entry in found if entry.name not in names_going]
        groups_left = {group_of(entry, group_by) for entry in left if claimed_ns(entry) is not None}
        for entry in going:
            name = display_path(entry.name)
            if is_held(entry):
                raise EntryError(f"{name}: it is held; `tallac release {target.label} {name}` removes the hold")
            if not allow_empty and group_of(entry, group_by) not in groups_left:
                raise EntryError(f"{name}: it is the last snapshot of its group; --allow-empty forgets it anyway")
        return left

    entries = target.read(grid)
    kept = drop(entries)
    if not dry_run:
        names_kept = {entry.name for entry in kept}
        record.keep_forgotten(target.fingerprint, [entry for entry in entries if entry.name not in names_kept])
        grid.edit_directory(target.archives, drop)
        set_latest(grid, target, clock)
    return list(dict.fromkeys(names))


class Undone(msgspec.Struct, frozen=True):
    """The outcome of an undo.

    Attributes:
        back: Names that are back.
        lost: What prune has deleted at least a part of, by name, with what is missing.
        taken: Names that another snapshot has by now.
    """

    back: list[bytes]
    lost: dict[bytes, str]
    taken: list[bytes]


def undo(
    grid: Grid, target: Target, names: Sequence[bytes], record: RetentionRecord, clock: Clock, *, dry_run: bool = False
) -> Undone:
    """Bring back what the last run has forgotten, or these, as far as it is whole.

    Raises:
        EntryError: Nothing was forgotten here by this machine, or not these.
        FencedError: A prune is deleting some of it right now; nothing is back.
    """
    forgotten = record.all_forgotten(target.fingerprint) if names else record.last_forgotten(target.fingerprint)
    if not forgotten:
        raise EntryError(f"nothing that this machine has forgotten in {target.label} can be restored")
    wanted = find_named(forgotten, names, target.label) if names else forgotten
    if dry_run:
        return _look_at(grid, target, wanted)
    with without_lost_entries(grid, target.archives, lambda: set_latest(grid, target, clock)) as enter, grid.session() as session:
        found = _look_at(grid, target, wanted)
        back = [entry for entry in wanted if entry.name in found.back]
        # Whatever a prune has begun with since the look is looked up again here.
        session.commit([cap for entry in back if isinstance(cap := entry.cap, ReadCap)])
        enter(back)
        set_latest(grid, target, clock)
    record.drop_forgotten(target.fingerprint, [*found.back, *found.lost])
    return found


def _look_at(grid: Grid, target: Target, wanted: Iterable[Entry]) -> Undone:
    present = {entry.name: entry.encoded for entry in target.read(grid)}
    found = Undone([], {}, [])
    for entry in wanted:
        if present.get(entry.name, entry.encoded) != entry.encoded:
            found.taken.append(entry.name)
        elif (damage := damage_of(grid, entry)) is not None:
            found.lost[entry.name] = damage
        else:
            found.back.append(entry.name)
    return found


@contextmanager
def without_lost_entries(
    grid: Grid, directory: DirectoryWriteCap, after: Callable[[], object] = lambda: None
) -> Iterator[Callable[[list[Entry]], None]]:
    """Return a function that enters entries in a directory, but for names that are there; where a prune has come between, they go.

    That shows at the end of the session in which they are entered, so that is to be within this block. Nobody has stored what they
    lead to, so nobody can store it anew.

    Args:
        grid: Where the directory is.
        directory: The directory.
        after: Called when they went.

    Raises:
        FencedError: A prune has taken some of what they lead to; none of them is there.
    """
    entered: list[Entry] = []

    def add(entries: list[Entry], wanted: list[Entry]) -> list[Entry]:
        names = {entry.name for entry in entries}
        entered[:] = [entry for entry in wanted if entry.name not in names]
        return [*entries, *entered]

    def enter(wanted: list[Entry]) -> None:
        grid.edit_directory(directory, partial(add, wanted=wanted))

    try:
        yield enter
    except FencedError:
        if entered:
            # What somebody has changed meanwhile, as by holding it, is his.
            grid.edit_directory(directory, lambda entries: [entry for entry in entries if entry not in entered])
            after()
        raise


def damage_of(grid: Grid, entry: Entry) -> str | None:
    """Return what a snapshot, or another entry that was taken out, lacks by now; None where it is whole."""
    try:
        report = grid.check(entry.cap, read_data=False)
    except DamageError as error:
        return str(error)
    return next((finding.message for finding in report.findings if finding.damaged), None)
