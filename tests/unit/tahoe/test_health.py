from __future__ import annotations

from pathlib import Path

import pytest

from tallac.tahoe.health import MONTH_NS, HealthRecord, check_chance

DAY_NS = MONTH_NS // 30


class WalkContext:
    """A clock, and a source of chance, that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000 * DAY_NS
        self.drawn = 0.5

    def now_ns(self) -> int:
        return self.now

    def chance(self) -> float:
        return self.drawn


@pytest.mark.parametrize(("days", "chance"), [(0, 0), (30, 0), (45, 0.5), (60, 1), (600, 1), (-1, 1)])
def test_the_chance_grows_with_age(days: int, chance: float) -> None:
    """Nothing is checked in the first month, all after the second, and in between half of it half way."""
    assert check_chance(days * DAY_NS) == chance


def test_what_was_seen_is_due_later(tmp_path: Path) -> None:
    """A thing is due when it is unknown, not when it was just seen, and again as chance and age will have it."""
    around = WalkContext()
    record = HealthRecord(tmp_path / "seen.db", around.now_ns, around.chance)
    assert record.is_due(b"cap")
    record.saw(b"cap")
    assert not record.is_due(b"cap")
    around.now += 40 * DAY_NS
    assert not record.is_due(b"cap")
    around.drawn = 0.3
    assert record.is_due(b"cap")
    record.saw_first(b"cap")
    assert record.is_due(b"cap")
    record.saw(b"cap")
    assert not record.is_due(b"cap")
    record.close()


def test_it_is_remembered(tmp_path: Path) -> None:
    """The next run knows what one run has recorded; the file is readable by the user alone and holds no cap."""
    around = WalkContext()
    path = tmp_path / "seen.db"
    first = HealthRecord(path, around.now_ns, around.chance)
    first.saw(b"URI:CHK:secret")
    first.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"secret" not in path.read_bytes()
    second = HealthRecord(path, around.now_ns, around.chance)
    assert not second.is_due(b"URI:CHK:secret")
    second.close()
