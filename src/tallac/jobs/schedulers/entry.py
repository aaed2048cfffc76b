"""A job as schedulers see it, and the protocol of schedulers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from tallac.errors import LocalStateError
from tallac.jobs.times import Schedule

MARK = "Written by `tallac schedule install`; `tallac schedule remove` removes it."
"""Stands in the first lines of every file that is ours; any other file is left alone."""


class ScheduleError(LocalStateError):
    """The system's scheduler could not be told."""


class Entry(msgspec.Struct, frozen=True):
    """A job that runs by itself, as a scheduler sees it.

    Attributes:
        name: The job's name.
        schedule: When it runs.
        delay_seconds_max: How much later it may start.
        delay_seconds: How much later it starts on this machine, for schedulers that have no delay of their own.
        nice: How much it gives way to other programs, from 0 to 19.
        ionice: How much it gives way on the disk: `idle`, `best-effort` or `normal`.
        runs_commands: The job runs commands of the user's, which may need rights that Tallac does not.
    """

    name: str
    schedule: Schedule
    delay_seconds_max: int
    delay_seconds: int
    nice: int
    ionice: str
    runs_commands: bool


class Setting(msgspec.Struct, frozen=True):
    """The part that every entry has in common.

    Attributes:
        command: The absolute path of `tallac`, with what has to stand behind it.
        environment: Variables that it needs: where its own folders are, where those are not the usual ones.
        is_system: The jobs are the machine's, and run as root; otherwise they are a user's.
    """

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    is_system: bool


class PlannedFile(msgspec.Struct, frozen=True):
    """A file as it is to be: its place, and its content; None where it is to go."""

    path: Path
    content: bytes | None


class Scheduler(Protocol):
    """Has jobs run on time.

    Attributes:
        name: The name that users have for it.
    """

    name: str

    def plan(self, entries: Sequence[Entry]) -> list[PlannedFile]:
        """Return the files that would be written, changed or removed so that these jobs run, and no others; none if all is so.

        Raises:
            ScheduleError: What is there can't be read, or is not ours and in the way.
        """
        ...

    def apply(self, planned: Sequence[PlannedFile]) -> None:
        """Write and remove files, and have the scheduler take notice.

        Raises:
            ScheduleError: It could not be done; what was done stays, and a repetition goes on from there.
        """
        ...

    @property
    def remark(self) -> str:
        """A sentence on what a user has to know or do besides; "" for none."""
        ...


def owned_file(path: Path) -> bytes | None:
    """Return the content of a file of ours; None where there is none.

    Raises:
        ScheduleError: It is somebody else's, or can't be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ScheduleError(f"{path}: can't read it ({error.strerror})") from error
    if MARK.encode() not in content[:1000]:
        raise ScheduleError(f"{path}: it was not written by `tallac schedule`; move it away, or rename the job")
    return content


def owned_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of ours in a folder, sorted; of others nothing is said."""
    found = []
    for path in sorted(folder.glob(pattern)):
        try:
            if MARK.encode() in path.read_bytes()[:1000]:
                found.append(path)
        except OSError:
            continue  # What can't be read is not ours.
    return found


def planned_changes(wanted: dict[Path, bytes], folder: Path, patterns: Sequence[str]) -> list[PlannedFile]:
    """Return what differs between files as they should be and what is there.

    Raises:
        ScheduleError: A file that is not ours is in the way.
    """
    changes = [PlannedFile(path, content) for path, content in wanted.items() if owned_file(path) != content]
    stale = [path for pattern in patterns for path in owned_files(folder, pattern) if path not in wanted]
    return [*changes, *(PlannedFile(path, None) for path in stale)]


def write_files(planned: Sequence[PlannedFile]) -> None:
    """Write and remove files; each is written as a whole.

    Raises:
        ScheduleError: One can't be written.
    """
    for file in planned:
        try:
            if file.content is None:
                file.path.unlink(missing_ok=True)
                continue
            file.path.parent.mkdir(parents=True, exist_ok=True)
            new = file.path.with_name(f".{file.path.name}.new")
            new.write_bytes(file.content)
            new.chmod(0o644)
            new.replace(file.path)
        except OSError as error:
            raise ScheduleError(f"{file.path}: can't write it ({error.strerror})") from error
