"""Measure what Tallac asks of a store, and write what a month costs at public prices into docs/guide/costs.md.

Run it in a clone with what tests need: `.venv/bin/python -m scripts.costs`. It takes half a minute. Requests are counted between
Tallac and a store on loopback, for two sizes of a first backup, for one without changes, for a prune, a check and a restore;
what is in proportion to the data is scaled, what is not is taken as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import boto3  # type: ignore[import-untyped]
from tests.stores.engines import free_port, start, stop
from tests.stores.rough_line import Fate, rough_line

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "costs.md"
BEGIN, END = "<!-- written by scripts/costs.py -->", "<!-- end -->"
SMALL, LARGE, CHANGE = 64, 192, 16
"""Megabytes of the two first backups, and of a day's changes."""


class Prices(NamedTuple):
    """What a provider takes, in US dollars.

    Attributes:
        name: Of the class.
        stored: For a GB and a month.
        write, read: For 1,000 requests that write or list, and that read.
        retrieved: For a GB that is read.
        sent: For a GB that leaves the provider for the internet.
        days: The shortest time that an object is paid for.
    """

    name: str
    stored: float
    write: float
    read: float
    retrieved: float
    sent: float
    days: int


PRICES = (
    Prices("S3 Standard", 0.023, 0.005, 0.0004, 0, 0.09, 0),
    Prices("S3 Standard-IA", 0.0125, 0.01, 0.001, 0.01, 0.09, 30),
    Prices("S3 Glacier Instant Retrieval", 0.004, 0.02, 0.01, 0.03, 0.09, 90),
    Prices("R2 Standard", 0.015, 0.0045, 0.00036, 0, 0, 0),
    Prices("R2 Infrequent Access", 0.01, 0.009, 0.0009, 0.01, 0, 30),
)


class User(NamedTuple):
    """A typical user: gigabytes that are stored, gigabytes that change in a day, backups a day; one prune and one check a month."""

    name: str
    stored: float
    changed: float
    backups: int


USERS = (
    User("A: a laptop, 100 GB, 0.2 GB a day, a backup a day", 100, 0.2, 1),
    User("B: a family's photos, 1 TB, 0.5 GB a day, a backup a day", 1000, 0.5, 1),
    User("C: a small office, 2 TB, 10 GB a day, a backup an hour", 2000, 10, 24),
)


class Asked(NamedTuple):
    """What a command asks: requests that write or list, requests that read, and bytes that come."""

    writes: float
    reads: float
    received: float

    def __add__(self, other: object) -> Asked:
        """Return the sum of both."""
        assert isinstance(other, Asked)
        return Asked(self.writes + other.writes, self.reads + other.reads, self.received + other.received)

    def __mul__(self, factor: object) -> Asked:
        """Return so many times as much."""
        assert isinstance(factor, float | int)
        return Asked(self.writes * factor, self.reads * factor, self.received * factor)


class Measuring:
    """Runs commands on a vault of its own, through a line that counts."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        """Begin with a source and no vault."""
        self._folder = folder
        self.source = folder / "source"
        self.source.mkdir()
        self._endpoint = endpoint
        self._environment = {
            **os.environ,
            "TALLAC_HOME": str(folder / "home"),
            "AWS_ACCESS_KEY_ID": "KEYID",
            "AWS_SECRET_ACCESS_KEY": "SECRET",
        }

    def add(self, megabytes: int) -> None:
        """Add files of half a megabyte that no compressor makes smaller."""
        for _ in range(megabytes * 2):
            (self.source / os.urandom(8).hex()).write_bytes(os.urandom(500_000))

    def remove_half(self) -> None:
        """Remove every second file."""
        for path in sorted(self.source.iterdir())[::2]:
            path.unlink()

    def run(self, *arguments: str | Path) -> Asked:
        """Run a command, and return what it has asked."""
        with rough_line(self._endpoint, lambda _method, _path: Fate.PASS) as line:
            command = [sys.executable, "-m", "tallac", "-q", *map(str, arguments)]
            if arguments[0] == "init":
                command += ["--store", f"endpoint={line.url}"]
            else:
                command += ["--vault", f"s3://costs/{self._folder.name}?endpoint={line.url}"]
            subprocess.run(command, env=self._environment, check=True, stdout=subprocess.DEVNULL)
            methods = Counter(
                "LIST" if request.startswith("GET") and "list-type" in request else request.partition(" ")[0]
                for request in line.requests
            )
            return Asked(methods["PUT"] + methods["LIST"], methods["GET"] + methods["HEAD"], line.received)


class Measured(NamedTuple):
    """What was measured, by command; what is in proportion to the data is for a GB."""

    first_fixed: Asked
    first_gb: Asked
    unchanged: Asked
    prune_fixed: Asked
    prune_gb: Asked
    check: Asked
    restore_gb: Asked


def measure(folder: Path, endpoint: str) -> Measured:
    """Run each command, and return what it has asked."""
    small, large = Measuring(folder / "small", endpoint), Measuring(folder / "large", endpoint)
    first = []
    for run, size in ((small, SMALL), (large, LARGE)):
        run.run("init", f"s3://costs/{'small' if run is small else 'large'}")
        run.add(size)
        first.append(run.run("backup", run.source))
    per_mb = (first[1] + first[0] * -1) * (1 / (LARGE - SMALL))
    unchanged = large.run("backup", large.source)
    check = large.run("check")
    restored = large.run("restore", "tallac:Latest", folder / "out")
    large.remove_half()
    large.add(CHANGE)
    large.run("backup", large.source)
    large.run("forget", "tallac:", "--keep-last", "1")
    pruned = large.run("prune")
    again = large.run("prune")
    return Measured(
        first[0] + per_mb * -SMALL,
        per_mb * 1000,
        unchanged,
        again,
        (pruned + again * -1) * (1000 / (LARGE / 2)),
        check,
        restored * (1000 / LARGE),
    )


def month(user: User, prices: Prices, measured: Measured) -> dict[str, float]:
    """Return what a user pays in a month for what is stored, the backups, and one prune and check; and what comes once."""
    backups = measured.unchanged * (user.backups * 30) + measured.first_gb * (user.changed * 30)
    kept = measured.prune_fixed + measured.prune_gb * (user.changed * 30) + measured.check
    early = user.changed * 30 * prices.stored * max(prices.days - 30, 0) / 30
    return {
        "stored": user.stored * prices.stored,
        "backups": _price(backups, prices),
        "prune, check": _price(kept, prices) + early,
        "first": _price(measured.first_fixed + measured.first_gb * user.stored, prices),
        "restore": _price(measured.restore_gb * user.stored, prices),
    }


def _price(asked: Asked, prices: Prices) -> float:
    gigabytes = asked.received / 1e9
    return asked.writes * prices.write / 1000 + asked.reads * prices.read / 1000 + gigabytes * (prices.retrieved + prices.sent)


def tables(measured: Measured) -> str:
    """Write what was measured and what it costs."""
    rows = ["| measured | writing, listing | reading | MB fetched |", "|---|---|---|---|"]
    names = (
        ("a first backup, once", measured.first_fixed),
        ("a first backup, for each GB", measured.first_gb),
        ("a backup without changes", measured.unchanged),
        ("a prune with nothing to do", measured.prune_fixed),
        ("a prune, for each GB that went, more", measured.prune_gb),
        ("a check", measured.check),
        ("a restore, for each GB", measured.restore_gb),
    )
    rows += [
        f"| {name} | {max(a.writes, 0):,.0f} | {max(a.reads, 0):,.0f} | {max(a.received, 0) / 1e6:,.1f} |" for name, a in names
    ]
    for user in USERS:
        rows += [
            "",
            f"**{user.name}**",
            "",
            "| class | stored | backups | prune, check | a month | first backup | restore of all |",
        ]
        rows += ["|---|---|---|---|---|---|---|"]
        for prices in PRICES:
            cost = month(user, prices, measured)
            total = cost["stored"] + cost["backups"] + cost["prune, check"]
            values = (cost["stored"], cost["backups"], cost["prune, check"], total, cost["first"], cost["restore"])
            rows.append(f"| {prices.name} | " + " | ".join(f"{value:,.2f}" for value in values) + " |")
    return "\n".join(rows)


def main() -> None:
    """Measure, and write the tables into the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("small", "large"):
            (folder / each).mkdir()
        port = free_port()
        code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
        server = start([sys.executable, "-c", code], port, folder / "log")
        try:
            endpoint = f"http://127.0.0.1:{port}"
            keys = {"aws_access_key_id": "KEYID", "aws_secret_access_key": "SECRET", "region_name": "us-east-1"}
            boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket="costs")
            written = tables(measure(folder, endpoint))
        finally:
            stop(server.pid)
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
