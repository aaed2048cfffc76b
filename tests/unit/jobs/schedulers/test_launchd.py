from __future__ import annotations

import os
import plistlib
from pathlib import Path

import pytest

from tallac.jobs.schedulers.entry import Entry, Setting
from tallac.jobs.schedulers.launchd import INTERVALS_MAX, Launchd, calendar_intervals
from tallac.jobs.times import Schedule

SETTING = Setting(("/opt/a & b/tallac",), (("TALLAC_HOME", "/srv/<home>"),), is_system=False)


def entry(name: str = "home", every: str = "day at 03:00") -> Entry:
    """Return a job as a scheduler sees it."""
    return Entry(name, Schedule.parse(every), 600, 77, 10, "idle", runs_commands=False)


@pytest.mark.parametrize(
    ("cron", "intervals"),
    [
        ("0 3 * * *", [{"Hour": 3, "Minute": 0}]),
        ("0 * * * *", [{"Minute": 0}]),
        ("* * * * *", [{}]),
        ("0 2 * * 0", [{"Weekday": 0, "Hour": 2, "Minute": 0}]),
        ("0,30 4 1 6 *", [{"Month": 6, "Day": 1, "Hour": 4, "Minute": 0}, {"Month": 6, "Day": 1, "Hour": 4, "Minute": 30}]),
        ("0 0 13 * 5", [{"Day": 13, "Hour": 0, "Minute": 0}, {"Weekday": 5, "Hour": 0, "Minute": 0}]),
    ],
)
def test_times(cron: str, intervals: list[dict[str, int]]) -> None:
    """Each combination of limited fields is a time; days of month and week are joined as cron joins them."""
    assert calendar_intervals(cron) == intervals


def test_the_property_list(tmp_path: Path) -> None:
    """A property list is one that plistlib reads, with the command, its environment and its times."""
    (file,) = Launchd(tmp_path, SETTING, tmp_path / "Logs").plan([entry()])
    assert file.path == tmp_path / "org.tallac.home.plist"
    assert file.content is not None
    assert plistlib.loads(file.content) == {
        "Label": "org.tallac.home",
        "ProgramArguments": ["/opt/a & b/tallac", "--quiet", "run", "--if-due", "home"],
        "EnvironmentVariables": {"TALLAC_HOME": "/srv/<home>"},
        "RunAtLoad": True,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 10,
        "StandardErrorPath": f"{tmp_path}/Logs/tallac-home.log",
        "StartCalendarInterval": [{"Hour": 3, "Minute": 0}],
    }


def test_many_times_become_an_interval(tmp_path: Path) -> None:
    """A list of thousands of times is replaced by how often to look; whether the job is due is decided then."""
    (file,) = Launchd(tmp_path, SETTING, tmp_path).plan([entry("often", "*/2 8-17 * * 1-5")])
    assert file.content is not None
    content = plistlib.loads(file.content)
    assert len(calendar_intervals("*/2 8-17 * * 1-5")) > INTERVALS_MAX
    assert (content["StartInterval"], "StartCalendarInterval" in content) == (120, False)


@pytest.mark.skipif(os.name != "posix", reason="launchd is on macOS")
def test_install_and_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property list is loaded after it is written, taken out before it is changed, and removed without a trace."""
    bin_folder, folder = tmp_path / "bin", tmp_path / "agents"
    bin_folder.mkdir()
    program = bin_folder / "launchctl"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    launchd = Launchd(folder, SETTING, tmp_path)
    launchd.apply(launchd.plan([entry()]))
    domain = f"gui/{os.getuid()}"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"bootout {domain}/org.tallac.home",
        f"bootstrap {domain} {folder}/org.tallac.home.plist",
    ]
    assert launchd.plan([entry()]) == []
    launchd.apply(launchd.plan([]))
    assert list(folder.iterdir()) == []
