"""Property lists of launchd on macOS: one for each job, for the user or for the machine."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

from tallac.jobs.commands import CommandError, run_command
from tallac.jobs.schedulers.entry import MARK, Entry, PlannedFile, ScheduleError, Setting, planned_changes, write_files
from tallac.jobs.times import Fields

PREFIX = "org.tallac."
INTERVALS_MAX = 200
"""Of more times than these, launchd is told to look so often."""

_SECONDS = 60.0


class Launchd:
    """Property lists in a folder of launchd."""

    name = "launchd"
    remark = "`launchctl list` shows the jobs; what is missed while the machine sleeps is done when it wakes"

    def __init__(self, folder: Path, setting: Setting, logs: Path) -> None:
        """Name the folders that property lists are in, and where what jobs say goes; they need not exist."""
        self._folder = folder
        self._setting = setting
        self._logs = logs

    def plan(self, entries: Sequence[Entry]) -> list[PlannedFile]:
        """See `Scheduler`."""
        wanted = {self._folder / f"{PREFIX}{entry.name}.plist": self._property_list(entry) for entry in entries}
        return planned_changes(wanted, self._folder, [f"{PREFIX}*.plist"])

    def apply(self, planned: Sequence[PlannedFile]) -> None:
        """See `Scheduler`."""
        domain = "system" if self._setting.is_system else f"gui/{os.getuid()}"
        for file in planned:
            # What is not loaded has nothing to be taken out.
            with suppress(ScheduleError):
                _launchctl("bootout", f"{domain}/{file.path.stem}")
        write_files(planned)
        for file in planned:
            if file.content is not None:
                _launchctl("bootstrap", domain, str(file.path))

    def _property_list(self, entry: Entry) -> bytes:
        content: dict[str, object] = {
            "Label": f"{PREFIX}{entry.name}",
            "ProgramArguments": [*self._setting.command, "--quiet", "run", "--if-due", entry.name],
            # A run that was ended by a shutdown is due again: somebody has to look.
            "RunAtLoad": True,
            "ProcessType": "Standard" if entry.ionice == "normal" else "Background",
            "LowPriorityIO": entry.ionice != "normal",
            "Nice": entry.nice,
            "StandardErrorPath": str(self._logs / f"tallac-{entry.name}.log"),
        }
        if self._setting.environment:
            content["EnvironmentVariables"] = dict(self._setting.environment)
        intervals = calendar_intervals(entry.schedule.cron)
        if len(intervals) <= INTERVALS_MAX:
            content["StartCalendarInterval"] = intervals
        else:
            content["StartInterval"] = entry.schedule.interval_seconds
        head, line, rest = plistlib.dumps(content).partition(b"\n")
        return head + line + f"<!-- {MARK} -->\n".encode() + rest


def calendar_intervals(cron: str) -> list[Mapping[str, int]]:
    """Translate a cron line to the times of launchd.plist(5); a field that may have any value is left out of each."""
    fields = Fields.of(cron)
    months = {"Month": fields.months if len(fields.months) < 12 else ()}
    times = {"Hour": fields.hours if len(fields.hours) < 24 else (), "Minute": fields.minutes if len(fields.minutes) < 60 else ()}
    days = {"Day": fields.days if len(fields.days) < 31 else ()}
    weekdays = {"Weekday": tuple(day % 7 for day in fields.weekdays) if len(fields.weekdays) < 7 else ()}
    if fields.joins_days_by_or and days["Day"] and weekdays["Weekday"]:
        return [*_combined(months | days | times), *_combined(months | weekdays | times)]
    return _combined(months | days | weekdays | times)


def _combined(fields: Mapping[str, Sequence[int]]) -> list[Mapping[str, int]]:
    limited = {name: numbers for name, numbers in fields.items() if numbers}
    return [dict(zip(limited, values, strict=True)) for values in product(*limited.values())]


def _launchctl(*arguments: str) -> None:
    try:
        run_command(["launchctl", *arguments], seconds=_SECONDS, name=f"launchctl {arguments[0]}")
    except CommandError as error:
        raise ScheduleError(str(error)) from error
