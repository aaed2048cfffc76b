"""A line in the user's crontab, which looks every few minutes whether a job is due: cron itself does not catch up."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tallac.jobs.schedulers.entry import MARK, Entry, PlannedFile, ScheduleError, Setting

BEGIN, END = f"# BEGIN tallac. {MARK}", "# END tallac"
PLACE = Path("crontab")
"""Stands for the user's crontab, which has no place that is the same everywhere."""

_TICK_MINUTES_MAX = 15
_SECONDS = 60


class Crontab:
    """The user's crontab, through crontab(1)."""

    name = "cron"
    remark = "cron mails what a job says when something is wrong; `crontab -l` shows the line"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def plan(self, entries: Sequence[Entry]) -> list[PlannedFile]:
        """See `Scheduler`. The one file stands for the crontab as a whole."""
        before = _read()
        after = with_block(before, self.block(entries) if entries else "")
        return [] if after == before else [PlannedFile(PLACE, after.encode("utf-8", "surrogateescape") or None)]

    def apply(self, planned: Sequence[PlannedFile]) -> None:
        """See `Scheduler`."""
        for file in planned:
            if file.content is None:
                _call("-r")
            else:
                _call("-", text=file.content)

    def block(self, entries: Sequence[Entry]) -> str:
        """Return the lines that are ours."""
        return f"{BEGIN}\n{tick(entries)} * * * * {self._command(entries)}\n{END}\n"

    def _command(self, entries: Sequence[Entry]) -> str:
        words = [f"{name}={shlex.quote(value)}" for name, value in self._setting.environment]
        # One command for all jobs: it gives way as much as the one of them that gives way least.
        if nice := min(entry.nice for entry in entries):
            words += ["nice", "-n", str(nice)]
        classes = {entry.ionice for entry in entries}
        if "normal" not in classes and shutil.which("ionice") is not None:
            words += ["ionice", "-c", "2", "-n", "7"] if "best-effort" in classes else ["ionice", "-c", "3"]
        words += [shlex.quote(part) for part in self._setting.command]
        # In a crontab, a percent sign ends the command.
        return " ".join([*words, "--quiet", "run"]).replace("%", "\\%")


def tick(entries: Sequence[Entry]) -> str:
    """Return the minutes at which is looked: each quarter of an hour, and as often as the most frequent job needs."""
    shortest = min(entry.schedule.interval_seconds for entry in entries) // 60
    every = max(minutes for minutes in range(1, _TICK_MINUTES_MAX + 1) if 60 % minutes == 0 and minutes <= max(shortest, 1))
    return "*" if every == 1 else f"*/{every}"


def with_block(text: str, block: str) -> str:
    """Return a crontab with these lines in place of ours, or at its end; without them where there are none.

    Raises:
        ScheduleError: Our lines have no end.
    """
    before, begin, rest = text.partition(BEGIN + "\n")
    if not begin:
        return text + ("" if not text or text.endswith("\n") else "\n") + block
    _, end, after = rest.partition(END + "\n")
    if not end:
        raise ScheduleError(f"crontab: the line {END!r} is missing; remove Tallac's lines with `crontab -e`, and try again")
    return before + block + after


def _read() -> str:
    finished = _run(["crontab", "-l"])
    if finished.returncode == 0:
        return finished.stdout.decode("utf-8", "surrogateescape")
    said = finished.stderr.decode("utf-8", "replace").strip()
    if "no crontab for" in said.lower():
        return ""
    raise ScheduleError(f"crontab -l: it failed with exit status {finished.returncode}: {said}")


def _call(argument: str, *, text: bytes = b"") -> None:
    finished = _run(["crontab", argument], text)
    if finished.returncode:
        said = finished.stderr.decode("utf-8", "replace").strip()
        raise ScheduleError(f"crontab {argument}: it failed with exit status {finished.returncode}: {said}")


def _run(command: list[str], text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=text, capture_output=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ScheduleError(f"{' '.join(command)}: it does not answer") from error
    except OSError as error:
        raise ScheduleError(f"{command[0]}: can't be run ({error.strerror})") from error
