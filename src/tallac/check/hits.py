"""What damage hits: the findings of a check gathered by file, with all snapshots in which the same file is hit."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tallac.interfaces import Finding

ARCHIVES = b"Archives"
LATEST = b"Latest"


class Hit(msgspec.Struct):
    """One file or directory, or part of the grid itself, with what is wrong with it.

    Attributes:
        path: Where it is; of several places the one in the newest snapshot. None where no path is known.
        what: A sentence on the first thing that is wrong.
        damaged: As in `Finding`.
        stored: The names of the stored things that are hit.
        also: The snapshots in which the same is wrong at the same place, each as the path of the snapshot.
    """

    path: bytes | None
    message: str
    damaged: bool
    stored: list[str] = msgspec.field(default_factory=list)
    also: list[bytes] = msgspec.field(default_factory=list)


def gather(findings: Iterable[Finding]) -> list[Hit]:
    """Gather findings: one hit for each file, whatever the number of snapshots; without paths one for each cause."""
    hits: dict[object, Hit] = {}
    for finding in findings:
        place = (finding.path, finding.damaged, None if finding.path is not None and finding.damaged else finding.message)
        hit = hits.setdefault(place, Hit(finding.path, finding.message, finding.damaged))
        if finding.stored:
            hit.stored.append(finding.stored)
    return _across_snapshots(list(hits.values()))


def _across_snapshots(hits: list[Hit]) -> list[Hit]:
    groups: dict[object, list[Hit]] = {}
    for hit in hits:
        target, _, rest = snapshot_of(hit.path)
        key = id(hit) if hit.path is None else (target, rest, hit.message, hit.damaged, tuple(hit.stored))
        groups.setdefault(key, []).append(hit)
    return [_newest(group) for group in groups.values()]


def _newest(group: list[Hit]) -> Hit:
    """Give the hit in `Latest`, or else in the snapshot whose name comes last, and name the other snapshots in it."""
    if len(group) == 1:
        return group[0]
    chosen = max(group, key=lambda hit: (snapshot_of(hit.path)[1][:1] == [LATEST], hit.path or b""))
    for hit in group:
        if hit is not chosen:
            target, snapshot, _ = snapshot_of(hit.path)
            chosen.also.append(b"/".join([*target, *snapshot]))
    return chosen


def snapshot_of(path: bytes | None) -> tuple[tuple[bytes, ...], list[bytes], bytes]:
    """Divide a path: the target, the snapshot in it (`Latest`, or `Archives` and a name; empty for neither), and what is below."""
    parts = [] if path is None else path.split(b"/")
    for place, part in enumerate(parts):
        if part == LATEST:
            return tuple(parts[:place]), parts[place : place + 1], b"/".join(parts[place + 1 :])
        if part == ARCHIVES and place + 1 < len(parts):
            return tuple(parts[:place]), parts[place : place + 2], b"/".join(parts[place + 2 :])
    return (), [], b"/".join(parts)
