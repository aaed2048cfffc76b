from __future__ import annotations

import pytest

from tallac.jobs.schedulers.crontab import BEGIN, END, Crontab, tick, with_block
from tallac.jobs.schedulers.entry import Entry, ScheduleError, Setting
from tallac.jobs.times import Schedule

SETTING = Setting(("/opt/a b/100%/tallac",), (("TALLAC_HOME", "/srv/it's"),), is_system=False)


def entry(every: str = "day at 03:00", *, nice: int = 10, ionice: str = "best-effort") -> Entry:
    """Return a job as a scheduler sees it."""
    return Entry("home", Schedule.parse(every), 600, 77, nice, ionice, runs_commands=False)


@pytest.mark.parametrize(
    ("schedules", "minutes"),
    [(["day"], "*/15"), (["day", "hour"], "*/15"), (["10 minutes"], "*/10"), (["*/7 * * * *"], "*/4"), (["minute"], "*")],
)
def test_how_often_cron_looks(schedules: list[str], minutes: str) -> None:
    """Each quarter of an hour, or as often as the most frequent job needs."""
    assert tick([entry(every) for every in schedules]) == minutes


def test_the_line() -> None:
    """The command is quoted for the shell, and percent signs for cron; it gives way as the jobs say."""
    lines = Crontab(SETTING).block([entry(nice=5), entry()]).splitlines()
    assert (lines[0], lines[-1]) == (BEGIN, END)
    assert lines[1].startswith("*/15 * * * * TALLAC_HOME='/srv/it'\"'\"'s' nice -n 5 ")
    assert lines[1].endswith(" '/opt/a b/100\\%/tallac' --quiet run")
    assert "nice" not in Crontab(SETTING).block([entry(nice=0, ionice="normal")])


@pytest.mark.parametrize("others", ["", "0 1 * * * true\n", "# without an end"])
def test_lines_of_others_stay(others: str) -> None:
    """Our lines are added, replaced and removed, and everything else is as it was."""
    block = Crontab(SETTING).block([entry()])
    with_ours = with_block(others, block)
    assert with_ours.startswith(others)
    assert with_ours.endswith(block)
    other = Crontab(SETTING).block([entry("5 minutes")])
    assert with_block(with_ours, other) == with_ours.replace(block, other)
    assert with_block(with_ours + "0 2 * * * false\n", "").replace("\n", "") == (others + "0 2 * * * false").replace("\n", "")


def test_lines_without_an_end() -> None:
    """A block that somebody has cut is not guessed at."""
    with pytest.raises(ScheduleError, match="is missing; remove Tallac's lines"):
        with_block(f"{BEGIN}\n* * * * * tallac\n", "")
