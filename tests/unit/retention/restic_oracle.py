"""What restic would keep: a repository of empty snapshots with chosen dates, and `forget --dry-run`."""

from __future__ import annotations

import json
import os
import random
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

History = list[tuple[str, list[str]]]
"""Snapshots of one host: local time as `2026-11-23 17:02:11`, and tags."""

COUNTED = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
WITHIN = ("within", *(f"within-{kind}" for kind in COUNTED[1:]))
TAGS = ("a", "b", "c")


def random_history(source: random.Random, count: int) -> History:
    """Make up snapshots, distinct in time, at all distances from seconds to years."""
    moment = datetime(2014 + source.randrange(8), source.randrange(1, 13), source.randrange(1, 29), source.randrange(24))  # noqa: DTZ001
    moments: set[datetime] = set()
    while len(moments) < count:
        moments.add(moment)
        unit = source.choice((1, 60, 3600, 3600, 86400, 86400, 86400 * 7, 86400 * 30, 86400 * 200))
        moment += timedelta(seconds=int(unit * source.uniform(0.2, 2.5)) + 1)
        if source.random() < 0.1:
            # Ends of months and years are where rules differ.
            moment = datetime(moment.year + 1, 1, 1) - timedelta(seconds=source.randrange(1, 7200))  # noqa: DTZ001
    return [(f"{moment:%Y-%m-%d %H:%M:%S}", source.sample(TAGS, source.choice((0, 0, 0, 1, 2)))) for moment in sorted(moments)]


def random_options(source: random.Random) -> list[list[str]]:
    """Make up rules, as pairs of an option's name after `--keep-` and its value; not of tags alone: restic refuses to drop all."""
    options: list[list[str]] = []
    while all(kind == "tag" for kind, _ in options):
        for kind in COUNTED:
            if source.random() < 0.3:
                count = source.choice((1, 2, 3, 5, 8, 30))
                options.append([kind, "unlimited" if source.random() < 0.05 else str(count)])
        options += [[kind, _random_duration(source)] for kind in WITHIN if source.random() < 0.12]
        sets = [source.sample(TAGS, source.choice((1, 1, 2))) for _ in range(source.choice((0, 0, 0, 0, 1, 2)))]
        options += [["tag", ",".join(tags)] for tags in sets]
    return options


def _random_duration(source: random.Random) -> str:
    parts = [f"{source.randrange(1, 4 if unit == 'y' else 40)}{unit}" for unit in "ymdh" if source.random() < 0.4]
    return "".join(parts) or "1d"


@dataclass
class Restic:
    """A restic binary and a repository of its own."""

    binary: str
    folder: Path
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Make the repository and an empty source."""
        (self.folder / "empty").mkdir()
        self._run("init")

    def add(self, host: str, snapshot: tuple[str, list[str]]) -> None:
        """Add a snapshot."""
        time, tags = snapshot
        tagged = [f"--tag={tag}" for tag in tags]
        self._run("backup", "--host", host, "--time", time, *tagged, str(self.folder / "empty"))

    def kept(self, options: list[list[str]]) -> dict[str, dict[int, list[str]]]:
        """Say what is kept of each host, by its place in order of time, with restic's reasons."""
        given = [f"--keep-{kind}={value}" for kind, value in options]
        answer = json.loads(
            self._run("forget", "--dry-run", "--json", "--no-lock", "--group-by=host", "--unsafe-allow-remove-all", *given)
        )
        return {group["host"]: _kept_of(group) for group in answer}

    def _run(self, *arguments: str) -> str:
        environment = {"RESTIC_PASSWORD": "oracle", "TZ": self.zone, "PATH": os.environ["PATH"], "HOME": str(self.folder)}
        command = [self.binary, "--no-cache", "--repo", str(self.folder / "repository"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True, timeout=60).stdout


def _kept_of(group: dict[str, list[dict[str, object]] | None]) -> dict[int, list[str]]:
    kept, removed = group["keep"] or [], group["remove"] or []
    order = sorted((str(snapshot["time"]) for snapshot in kept + removed), key=datetime.fromisoformat)
    matches = {str(reason["snapshot"]["time"]): reason["matches"] for reason in group["reasons"] or []}  # type: ignore[index]
    return {order.index(str(snapshot["time"])): matches[str(snapshot["time"])] for snapshot in kept}  # type: ignore[misc]
