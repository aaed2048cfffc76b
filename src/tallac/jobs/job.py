"""A job, as it was read from its file and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tallac.jobs.keys import JobKeys
from tallac.jobs.times import Often, Schedule
from tallac.retention.rules import Rules

DELAY_SECONDS_MAX = 600
DRILL_FILES = 50


class CheckPlan(msgspec.Struct, frozen=True):
    """How often to check, and how many percent of the data are read each time; 0 for none of it."""

    often: Often
    percent: float


class DrillPlan(msgspec.Struct, frozen=True):
    """How often a restore is tried, and with how many files."""

    often: Often
    files: int


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Everything in it makes sense by itself; whether its target is there, its run will tell.

    Attributes:
        name: Its name, which is a file's name too, on every platform.
        file: Where it was read.
        keys: Its keys, `[defaults]` included.
        options: Those of its keys that are options of `backup`, by their names there; only what was given.
        schedule: When it runs; None where it runs only when it is named.
        delay_seconds_max: How much later it may start.
        rules: Which snapshots stay; None where nothing is forgotten.
        prune: How often the vault is pruned; None for never.
        check: How often the vault is checked; None for never.
        drill: How often a restore is tried; None for never.
        timeout_seconds: How long each of its commands may take.
    """

    name: str
    file: Path
    keys: JobKeys
    options: Mapping[str, bool | str | int | tuple[str, ...]]
    schedule: Schedule | None
    delay_seconds_max: int
    rules: Rules | None
    prune: Often | None
    check: CheckPlan | None
    drill: DrillPlan | None
    timeout_seconds: int

    def delay_seconds(self, machine: str) -> int:
        """Return how much later this job starts on a machine: always the same, and spread evenly over jobs and machines."""
        digest = hashlib.sha256(f"{machine}\0{self.name}".encode()).digest()
        return int.from_bytes(digest[:8]) % (self.delay_seconds_max + 1)

    @property
    def command_kinds(self) -> tuple[str, ...]:
        """The keys of this job that run commands."""
        return tuple(key for key in ("before", "after", "on_failure", "dumps", "snapshot") if getattr(self.keys, key))
