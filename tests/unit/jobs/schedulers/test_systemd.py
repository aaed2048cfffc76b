"""Units that systemd itself reads, and times that it understands as we do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tallac.jobs.schedulers.entry import Entry, PlannedFile, ScheduleError, Setting
from tallac.jobs.schedulers.systemd import Systemd, calendar_events
from tallac.jobs.times import Schedule

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "CI" not in os.environ, reason="there is no systemd-analyze"
)
SETTING = Setting(("/opt/a folder/100%/tallac",), (("TALLAC_HOME", "/srv/a $folder"),), is_system=False)


def entry(name: str = "home", every: str = "day at 03:00", *, runs_commands: bool = False, ionice: str = "best-effort") -> Entry:
    """Return a job as a scheduler sees it."""
    return Entry(name, Schedule.parse(every), 600, 77, 10, ionice, runs_commands)


class FakeSystemctl:
    """A `systemctl` on PATH that records its calls."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> None:
        self._log = folder / "calls"
        folder.mkdir()
        program = folder / "systemctl"
        program.write_text(f'#!/bin/sh\necho "$*" >> "{self._log}"\necho "no bus" >&2\nexit {status}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    @property
    def calls(self) -> list[str]:
        """The arguments of each call."""
        return self._log.read_text().splitlines()


@needs_systemd
@pytest.mark.parametrize(
    "cron",
    [
        "0 3 * * *",
        "*/15 * * * *",
        "*/15 2-4 * * *",
        "5 12 * * 1-5",
        "0 2 * * 0",
        "0 2 * * 7",
        "30 4 1 * *",
        "30 4 1,15 */3 *",
        "0 0 13 * 5",
        "0 0 */10 * 5",
        "59 23 31 12 *",
        "0 */6 * * *",
    ],
)
def test_systemd_reads_a_cron_line_as_we_do(cron: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next five times by systemd's own calendar are those of the schedule."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    base = datetime(2026, 11, 30, 16, 17, 18, tzinfo=UTC)
    found: set[int] = set()
    for event in calendar_events(cron):
        answer = subprocess.run(
            ["systemd-analyze", "calendar", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC", "--iterations=5", event],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        # The first is called another name than those that follow.
        for text in re.findall(r"(?:Next elapse|Iteration #\d+|Iter\. #\d+): \w+ (\S+ \S+) UTC", answer):
            found.add(int(datetime.fromisoformat(f"{text}+00:00").timestamp()))
    schedule, now_ns, ours = Schedule("", cron), int(base.timestamp()) * 10**9, []
    for _ in range(5):
        now_ns = schedule.after(now_ns)
        ours.append(now_ns // 10**9)
    monkeypatch.undo()
    time.tzset()
    assert sorted(found)[:5] == ours


@needs_systemd
@pytest.mark.parametrize("is_system", [True, False])
@pytest.mark.parametrize("runs_commands", [True, False])
def test_systemd_verifies_the_units(is_system: bool, runs_commands: bool, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing against them, whatever stands in the command's path."""
    command = tmp_path / "a folder, 100% $mine" / "tallac"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    setting = Setting((str(command),), SETTING.environment, is_system)
    planned = Systemd(tmp_path / "units", setting).plan(
        [entry(runs_commands=runs_commands), entry("etc", "0 0 13 * 5", ionice="idle")]
    )
    (tmp_path / "units").mkdir()
    for file in planned:
        assert file.content is not None
        file.path.write_bytes(file.content)
    finished = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *([] if is_system else ["--user"]), *(str(file.path) for file in planned)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
    )
    ours = [line for line in finished.stderr.splitlines() if "tallac" in line]
    assert ours == [], finished.stderr


def test_what_the_units_say(tmp_path: Path) -> None:
    """The command is absolute and quoted, what was missed is caught up on, and a job with commands keeps its rights."""
    service, timer, with_commands, _ = Systemd(tmp_path, SETTING).plan([entry(), entry("etc", runs_commands=True)])
    assert service.content is not None
    assert timer.content is not None
    assert with_commands.content is not None
    assert (service.path.name, timer.path.name) == ("tallac-home.service", "tallac-home.timer")
    assert b'ExecStart="/opt/a folder/100%%/tallac" --quiet run --if-due home\n' in service.content
    assert b'Environment="TALLAC_HOME=/srv/a $folder"\n' in service.content
    for line in (b"Nice=10", b"IOSchedulingClass=best-effort", b"NoNewPrivileges=yes", b"RestartForceExitStatus=75"):
        assert line in service.content.splitlines()
    assert b"NoNewPrivileges" not in with_commands.content
    for line in (b"OnCalendar=*-*-* 03:00:00", b"Persistent=true", b"RandomizedDelaySec=600", b"FixedRandomDelay=true"):
        assert line in timer.content.splitlines()


def test_install_change_and_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed is not planned again; a job that is gone takes its units along; removing leaves nothing."""
    systemctl = FakeSystemctl(tmp_path / "bin", monkeypatch)
    folder = tmp_path / "units"
    systemd = Systemd(folder, SETTING)
    systemd.apply(systemd.plan([entry(), entry("etc")]))
    assert sorted(path.name for path in folder.iterdir()) == [
        f"tallac-{name}.{kind}" for name in ("etc", "home") for kind in ("service", "timer")
    ]
    assert systemctl.calls[0] == "--user daemon-reload"
    assert "--user enable --now tallac-home.timer" in systemctl.calls
    assert systemd.plan([entry(), entry("etc")]) == []
    changed = systemd.plan([entry("home", "hour")])
    assert [(file.path.name, file.content is None) for file in changed] == [
        ("tallac-home.timer", False),
        ("tallac-etc.service", True),
        ("tallac-etc.timer", True),
    ]
    systemd.apply(changed)
    assert "--user disable --now tallac-etc.timer" in systemctl.calls
    assert "--user clean --what=state tallac-etc.timer" in systemctl.calls, "systemd's own note of its last time goes as well"
    systemd.apply(systemd.plan([]))
    assert list(folder.iterdir()) == []
    assert systemd.plan([]) == []


def test_units_of_others_are_left_alone(tmp_path: Path) -> None:
    """A unit of the same name that somebody else has written is never replaced or removed."""
    (tmp_path / "tallac-home.service").write_text("[Service]\nExecStart=/home/ann/bin/tallac-daily\n")
    with pytest.raises(ScheduleError, match=r"tallac-home\.service: it was not written by `tallac schedule`"):
        Systemd(tmp_path, SETTING).plan([entry()])
    assert Systemd(tmp_path, SETTING).plan([]) == []


def test_a_systemd_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What systemctl says is reported, and the next attempt goes on from there."""
    FakeSystemctl(tmp_path / "bin", monkeypatch, status=1)
    systemd = Systemd(tmp_path / "units", SETTING)
    with pytest.raises(ScheduleError, match="systemctl --user daemon-reload: it failed with exit status 1: no bus"):
        systemd.apply(systemd.plan([entry()]))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The file is named."""
    (tmp_path / "units").write_text("")
    with pytest.raises(ScheduleError, match=r"tallac-home\.service: can't"):
        Systemd(tmp_path / "units", SETTING).apply([PlannedFile(tmp_path / "units" / "tallac-home.service", b"")])
