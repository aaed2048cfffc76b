"""Which snapshots of one group are kept, and by which rule: values in, values out.

The rules are those of restic's `forget`: its answers are what the tests compare with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from tallac.retention.rules import Duration, Period, Rules

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Candidate(msgspec.Struct, frozen=True):
    """A snapshot as the rules see it.

    Attributes:
        name: Its name in `Archives/`.
        claimed_ns: The time that its name tells, which whoever made it has chosen.
        counted_ns: The time at which it was first seen, where that belies its name; else the claimed one.
        tags: The user's own words.
        is_held: It is never forgotten.
        is_complete: Nothing was left out of it because it could not be read.
    """

    name: bytes
    claimed_ns: int
    counted_ns: int
    tags: tuple[str, ...] = ()
    is_held: bool = False
    is_complete: bool = True


class Decision(msgspec.Struct, frozen=True):
    """The decision on one snapshot.

    Attributes:
        candidate: The snapshot.
        reasons: What keeps it; none where it is to be forgotten.
    """

    candidate: Candidate
    reasons: tuple[str, ...]

    @property
    def is_kept(self) -> bool:
        """Whether anything keeps it."""
        return bool(self.reasons)


def decide(
    rules: Rules, candidates: Iterable[Candidate], now_ns: int, *, zone: tzinfo | None = None, allow_empty: bool = False
) -> list[Decision]:
    """Decide on one group, the newest first.

    A time is in doubt where the one that counts is not the claimed one. A snapshot goes only where the rules drop it thrice: among
    those whose times are not in doubt, among all by the times that count, and among all by the times claimed. Then neither a
    forged time nor a wrong clock, of whoever made a snapshot or of this machine, makes another one go.

    Args:
        rules: What to keep.
        candidates: All snapshots of the group.
        now_ns: The time; snapshots that lie later don't say how far `within` reaches.
        zone: Whose hours, days and months; None for the machine's own time zone.
        allow_empty: The rules may drop all; else the newest stays whatever they say.
    """
    candidates = list(candidates)
    reasons = _reasons(rules, candidates, now_ns, zone)
    ordered = _newest_first(candidates)
    complete = [found for found in ordered if found.is_complete]
    if complete and len(complete) < len(candidates):
        among_complete = _reasons(rules, complete, now_ns, zone)
        is_wanted = among_complete[complete[0].name] or not (allow_empty or any(among_complete.values()))
        if is_wanted and not reasons[complete[0].name]:
            # Snapshots that lack something don't push out the newest one that does not.
            reasons[complete[0].name] = ["newest complete"]
    decisions = [Decision(candidate, tuple(reasons[candidate.name])) for candidate in ordered]
    if decisions and not allow_empty and not any(decision.is_kept for decision in decisions):
        decisions[0] = Decision(decisions[0].candidate, ("last of its group",))
    return decisions


def _newest_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: (candidate.counted_ns, candidate.name), reverse=True)


def _reasons(rules: Rules, candidates: Sequence[Candidate], now_ns: int, zone: tzinfo | None) -> dict[bytes, list[str]]:
    """Return the reasons to keep each name, by all sorts of time; none for what the rules drop."""
    sure = [(found.claimed_ns, found) for found in candidates if found.claimed_ns == found.counted_ns]
    views = [("", sure)]
    if len(sure) < len(candidates):
        views.append(("", [(found.counted_ns, found) for found in candidates]))
        views.append((" by the times claimed", [(found.claimed_ns, found) for found in candidates]))
    reasons: dict[bytes, list[str]] = {found.name: ["held"] if found.is_held else [] for found in candidates}
    for label, timed in views:
        for name, why in _apply(rules, timed, now_ns, zone).items():
            reasons[name] += [reason + label for reason in why if reason not in reasons[name]]
    return reasons


def _apply(rules: Rules, timed: Iterable[tuple[int, Candidate]], now_ns: int, zone: tzinfo | None) -> dict[bytes, list[str]]:
    """Return the reasons to keep each name, by one sort of time; none for what the rules drop."""
    ordered = sorted(timed, key=lambda item: (item[0], item[1].name), reverse=True)
    moments = [_local(time_ns, zone) for time_ns, _ in ordered]
    reasons: dict[bytes, list[str]] = {
        candidate.name: [f"tag {','.join(tags)}" for tags in rules.tags if set(tags) <= set(candidate.tags)]
        for _, candidate in ordered
    }
    names = [candidate.name for _, candidate in ordered]
    newest = next((moment for (time_ns, _), moment in zip(ordered, moments, strict=True) if time_ns < now_ns), _EPOCH)
    if rules.within is not None:
        for name in names[: _count_within(rules.within, moments, newest, zone)]:
            reasons[name].append(f"within {rules.within}")
    for period, count in rules.counts.items():
        for place, reason in _newest_of_each(period, moments, len(moments), count):
            reasons[names[place]].append(reason)
    for period, duration in (rules.periods_within or {}).items():
        reach = _count_within(duration, moments, newest, zone)
        for place, reason in _newest_of_each(period, moments, reach, None):
            reasons[names[place]].append(f"{reason} within {duration}")
    return reasons


def _newest_of_each(period: Period, moments: Sequence[datetime], reach: int, count: int | None) -> list[tuple[int, str]]:
    """Return the places, among the first `reach`, of the newest snapshot of each of the `count` newest periods.

    The oldest of all is kept as well while there are fewer periods than asked for: so history grows to its full length.
    """
    kept: list[tuple[int, str]] = []
    last: tuple[int, ...] | None = None
    for place in range(reach):
        if len(kept) == count:
            break
        found = period.of(moments[place], place)
        if found != last:
            kept.append((place, period.value))
        elif place == len(moments) - 1:
            kept.append((place, f"oldest {period.value}"))
        last = found
    return kept


def _count_within(duration: Duration, moments: Sequence[datetime], newest: datetime, zone: tzinfo | None) -> int:
    """Count the snapshots, the newest first, that are newer than a length of time before the newest."""
    limit = duration.before(newest, zone)
    return sum(moment > limit for moment in moments)


def _local(time_ns: int, zone: tzinfo | None) -> datetime:
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError, OSError):
        # The first and last hours of the calendar are in no other zone's.
        return moment
