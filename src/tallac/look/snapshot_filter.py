"""The selection of snapshots."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tallac.dag import Entry, SnapshotFacts, display_path, parse_snapshot_name
from tallac.errors import EntryNotFoundError, UsageError

_NO_FACTS = SnapshotFacts()


class SnapshotFilter(msgspec.Struct, frozen=True):
    """Conditions on snapshots. All must hold; an empty one is ignored.

    Attributes:
        names: The name is one of these.
        hosts: The snapshot was made by one of these machines.
        sources: The snapshot has one of these folders, by its absolute path, as a source.
        tags: The snapshot has all tags of one of these sets.
        since_ns, until_ns: Bounds, inclusive, of the time in the name, in ns since 1970.
        latest: How many of the newest of those that remain.
    """

    names: tuple[bytes, ...] = ()
    hosts: tuple[str, ...] = ()
    sources: tuple[bytes, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    latest: int | None = None


ALL = SnapshotFilter()


def parse_latest(text: str) -> int:
    """Parse the number of newest snapshots.

    Raises:
        UsageError: The text is not a number of at least 1.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise UsageError(f"{text!r} is not a number of snapshots: give 1 or more")
    return int(text)


def select_snapshots(snapshots: Iterable[Entry], choice: SnapshotFilter) -> list[Entry]:
    """Return the chosen snapshots, the oldest first; those without a time in their name come before all others.

    Raises:
        EntryNotFoundError: No snapshot has one of the names.
    """
    snapshots = sorted(snapshots, key=_age_key)
    names = {entry.name for entry in snapshots}
    for name in choice.names:
        if name not in names:
            raise EntryNotFoundError(f"no snapshot {display_path(name)} found among those of this target")
    chosen = [entry for entry in snapshots if _fulfils(entry, choice)]
    if choice.latest is None:
        return chosen
    return [entry for entry in chosen if parse_snapshot_name(entry.name) is not None][-choice.latest :]


def _fulfils(entry: Entry, choice: SnapshotFilter) -> bool:
    facts = entry.metadata.snapshot or _NO_FACTS
    time_ns = parse_snapshot_name(entry.name)
    if choice.since_ns is not None and (time_ns is None or time_ns < choice.since_ns):
        return False
    if choice.until_ns is not None and (time_ns is None or time_ns > choice.until_ns):
        return False
    return (
        (not choice.names or entry.name in choice.names)
        and (not choice.hosts or facts.host in choice.hosts)
        and (not choice.sources or bool(set(choice.sources) & set(facts.sources)))
        and (not choice.tags or any(set(tags) <= set(facts.tags) for tags in choice.tags))
    )


def _age_key(entry: Entry) -> tuple[bool, int, bytes]:
    time_ns = parse_snapshot_name(entry.name)
    return time_ns is not None, time_ns or 0, entry.name
