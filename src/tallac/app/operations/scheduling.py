"""Having jobs run on time: which scheduler this system has, and what it is told."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tallac.app.configuration.folders import HOME_VARIABLE
from tallac.app.operations.jobs import Jobs
from tallac.errors import UsageError
from tallac.jobs.schedulers.crontab import Crontab
from tallac.jobs.schedulers.entry import Entry, PlannedFile, Scheduler, Setting
from tallac.jobs.schedulers.launchd import Launchd
from tallac.jobs.schedulers.systemd import Systemd

KINDS = ("systemd", "cron", "launchd")
SYSTEMD_RUNS = Path("/run/systemd/system")


class Scheduling:
    """Has jobs run on time."""

    def __init__(self, jobs: Jobs, *, command: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
        """Use jobs; `command` is how `tallac` is started, None for the way in which this process was."""
        self._jobs = jobs
        self._command = tuple(command or own_command())
        self._environment = environment

    def scheduler(self, kind: str | None = None, *, is_user: bool = False) -> Scheduler:
        """Return this system's scheduler, or the one that is named.

        Args:
            kind: One of `KINDS`; None for what the system has.
            is_user: The jobs are this user's also where that is root; root's are the machine's otherwise.

        Raises:
            UsageError: There is none.
        """
        is_system = os.name == "posix" and os.geteuid() == 0 and not is_user
        home = self._environment.get(HOME_VARIABLE)
        kept = ((HOME_VARIABLE, os.path.abspath(home)),) if home else ()
        setting = Setting(self._command, kept, is_system)
        match kind or self._present():
            case "systemd":
                return Systemd(self._unit_folder(is_system=is_system), setting)
            case "cron":
                return Crontab(setting)
            case "launchd":
                library = Path("/Library") if is_system else Path.home() / "Library"
                folder = library / ("LaunchDaemons" if is_system else "LaunchAgents")
                return Launchd(folder, setting, library / "Logs")
            case other:
                raise UsageError(f"{other}: no such scheduler; there are {', '.join(KINDS)}")

    def plan(self, scheduler: Scheduler) -> list[PlannedFile]:
        """Return what has to change so that all jobs with a time run on time; nothing if they do.

        Raises:
            JobFileError: A file of jobs is malformed.
            ScheduleError: What is there can't be read, or is not ours and in the way.
            UsageError: No job has a time.
        """
        entries = self._entries()
        if not entries:
            raise UsageError(f'{self._jobs.files[-1]}: no job has a time; add a line as in every = "day at 03:00"')
        return scheduler.plan(entries)

    def _entries(self) -> list[Entry]:
        return [
            Entry(
                name=job.name,
                schedule=job.schedule,
                delay_seconds_max=job.delay_seconds_max,
                delay_seconds=self._jobs.delay_seconds(job),
                nice=job.keys.nice,
                ionice=job.keys.ionice,
                runs_commands=bool(job.command_kinds),
            )
            for job in self._jobs.read().values()
            if job.schedule is not None and job.keys.enabled
        ]

    def _present(self) -> str:
        if sys.platform == "darwin":
            return "launchd"
        if SYSTEMD_RUNS.is_dir() and shutil.which("systemctl") is not None:
            return "systemd"
        if shutil.which("crontab") is not None:
            return "cron"
        raise UsageError(
            f"no scheduler found on this system; have it run `{' '.join(self._command)} --quiet run` every 15 minutes, "
            "or name one with --with"
        )

    def _unit_folder(self, *, is_system: bool) -> Path:
        if is_system:
            return Path("/etc/systemd/system")
        # lazy import: as for our own folders
        import platformdirs

        return platformdirs.user_config_path("systemd") / "user"


def own_command() -> list[str]:
    """Return the absolute command that starts Tallac as this process was started."""
    name = sys.argv[0]
    if os.path.basename(name).partition(".")[0] == "tallac" and os.path.isfile(name):
        return [os.path.abspath(name)]
    found = shutil.which("tallac")
    beside = os.path.join(os.path.dirname(sys.executable), "tallac")
    for command in (beside, found):
        if command is not None and os.path.isfile(command):
            return [os.path.abspath(command)]
    return [sys.executable, "-m", "tallac"]
