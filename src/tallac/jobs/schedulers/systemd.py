"""Timers of systemd: a service and a timer for each job, for the user or for the machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tallac.jobs.commands import CommandError, run_command
from tallac.jobs.schedulers.entry import MARK, Entry, PlannedFile, ScheduleError, Setting, planned_changes, write_files
from tallac.jobs.times import Fields

PREFIX = "tallac-"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SECONDS = 60.0

# The exit statuses of `tallac run` for a snapshot that lacks files, and for a job that waits for mains power or a connection.
_INCOMPLETE, _WAITS = 3, 75

# Nothing of this keeps a backup from reading and writing files, whoever owns them, wherever they are.
_HARDENING = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "SystemCallArchitectures=native",
)
_SYSTEM_HARDENING = (
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
)


class Systemd:
    """Timers in a folder of units."""

    name = "systemd"

    def __init__(self, folder: Path, setting: Setting) -> None:
        """Name the folder that units are in, which need not exist."""
        self._folder = folder
        self._setting = setting

    @property
    def remark(self) -> str:
        """See `Scheduler`."""
        if self._setting.is_system:
            return "`systemctl list-timers 'tallac-*'` shows the timers, and `journalctl -u 'tallac-*'` what runs have said"
        return (
            "`systemctl --user list-timers` shows the timers; they run while you are logged in, "
            "and always after `loginctl enable-linger`"
        )

    def plan(self, entries: Sequence[Entry]) -> list[PlannedFile]:
        """See `Scheduler`."""
        wanted = {}
        for entry in entries:
            wanted[self._folder / f"{PREFIX}{entry.name}.service"] = self._service(entry).encode()
            wanted[self._folder / f"{PREFIX}{entry.name}.timer"] = self._timer(entry).encode()
        return planned_changes(wanted, self._folder, [f"{PREFIX}*.service", f"{PREFIX}*.timer"])

    def apply(self, planned: Sequence[PlannedFile]) -> None:
        """See `Scheduler`."""
        timers = [file for file in planned if file.path.suffix == ".timer"]
        for file in timers:
            if file.content is None:
                # A timer that is not running has nothing to stop, and one that never ran has left nothing to clean.
                for verb in (["disable", "--now"], ["clean", "--what=state"]):
                    with suppress(ScheduleError):
                        self._systemctl(*verb, file.path.name)
        write_files(planned)
        self._systemctl("daemon-reload")
        for file in planned:
            if file.content is None:
                with suppress(ScheduleError):
                    self._systemctl("reset-failed", file.path.name)
        for file in timers:
            if file.content is not None:
                self._systemctl("enable", "--now", file.path.name)
                # What runs already has the times of before.
                self._systemctl("restart", file.path.name)

    def _systemctl(self, *arguments: str) -> None:
        command = ["systemctl", *([] if self._setting.is_system else ["--user"]), *arguments]
        try:
            run_command(command, seconds=_SECONDS, name=" ".join(command))
        except CommandError as error:
            raise ScheduleError(str(error)) from error

    def _service(self, entry: Entry) -> str:
        setting = self._setting
        network = ["Wants=network-online.target", "After=network-online.target"] if setting.is_system else []
        io = {"idle": ["IOSchedulingClass=idle"], "best-effort": ["IOSchedulingClass=best-effort", "IOSchedulingPriority=7"]}
        # A user's own commands may want what is taken away here.
        hardening = [] if entry.runs_commands else [*_HARDENING, *(_SYSTEM_HARDENING if setting.is_system else ())]
        lines = [
            f"# {MARK}",
            "[Unit]",
            f"Description=Tallac job {entry.name}",
            *network,
            "# A job that waits is tried again for as long as it takes.",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            # A oneshot service could not be tried again.
            "Type=exec",
            f"ExecStart={_command_line((*setting.command, '--quiet', 'run', '--if-due', entry.name))}",
            *(f"Environment={_quoted(f'{name}={value}')}" for name, value in setting.environment),
            "# 3: the snapshot lacks what could not be read. 75: the job waits for mains power or a connection.",
            f"SuccessExitStatus={_INCOMPLETE} {_WAITS}",
            f"RestartForceExitStatus={_WAITS}",
            "RestartSec=15min",
            "# What a job runs after its backup is run also when it is stopped.",
            "TimeoutStopSec=5min",
            f"Nice={entry.nice}",
            *io.get(entry.ionice, []),
            *hardening,
        ]
        return "\n".join(lines) + "\n"

    def _timer(self, entry: Entry) -> str:
        # A run that was ended by a shutdown is due again: somebody has to look.
        after_start = "OnBootSec=10min" if self._setting.is_system else "OnStartupSec=10min"
        lines = [
            f"# {MARK}",
            "[Unit]",
            f"Description=Tallac job {entry.name}: {entry.schedule.text}",
            "",
            "[Timer]",
            *(f"OnCalendar={text}" for text in calendar_events(entry.schedule.cron)),
            after_start,
            "Persistent=true",
            f"RandomizedDelaySec={entry.delay_seconds_max}",
            "FixedRandomDelay=true",
            "AccuracySec=30s",
            "",
            "[Install]",
            "WantedBy=timers.target",
        ]
        return "\n".join(lines) + "\n"


def calendar_events(cron: str) -> list[str]:
    """Translate a cron line to calendar events of systemd.time(7); two where cron joins days of month and week by *or*."""
    fields = Fields.of(cron)
    days = "*" if len(fields.days) == 31 else _numbers(fields.days)
    months = "*" if len(fields.months) == 12 else _numbers(fields.months)
    weekdays = "" if len(fields.weekdays) == 7 else ",".join(_DAYS[(day - 1) % 7] for day in fields.weekdays) + " "
    times = f"{_all_or(fields.hours, 24)}:{_all_or(fields.minutes, 60)}:00"
    if fields.joins_days_by_or and days != "*" and weekdays:
        return [f"*-{months}-{days} {times}", f"{weekdays}*-{months}-* {times}"]
    return [f"{weekdays}*-{months}-{days} {times}"]


def _all_or(numbers: Sequence[int], count: int) -> str:
    return "*" if len(numbers) == count else _numbers(numbers)


def _numbers(numbers: Sequence[int]) -> str:
    return ",".join(f"{number:02}" for number in numbers)


def _command_line(command: Sequence[str]) -> str:
    """Write a command for a unit: in its arguments dollars begin variables, in its program they do not."""
    program, *arguments = command
    return " ".join([_quoted(program), *(_quoted(argument.replace("$", "$$")) for argument in arguments)])


def _quoted(text: str) -> str:
    """Quote a word of a unit's line, in which percent signs have a meaning."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return escaped if escaped and not any(character in escaped for character in " \t'\"\\;#") else f'"{escaped}"'
