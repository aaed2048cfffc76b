from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tallac.caps import Cap
from tallac.dag import ARCHIVES, LATEST, Entry, Metadata, SnapshotFacts, encode_cap, snapshot_name
from tallac.interfaces import CheckReport, Finding
from tallac.retention.record import RetentionRecord
from tallac.retention.target import Target
from tallac.testing.determinism import FakeClock
from tallac.testing.memory_grid import MemoryGrid

DAY_NS = 86_400 * 10**9
NOW_NS = 1_795_453_331 * 10**9


class CheckedGrid(MemoryGrid):
    """A grid in memory whose check looks for a cap, no deeper."""

    def check(self, cap: Cap, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        report = CheckReport()
        if not self.has(encode_cap(cap)):
            report.findings.append(Finding(b"", "the snapshot is gone"))
        return report


@dataclass
class Bench:
    """A target on a grid in memory, and what a machine remembers of it."""

    record: RetentionRecord
    grid: CheckedGrid = field(default_factory=CheckedGrid)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW_NS))

    def __post_init__(self) -> None:
        """Make the target."""
        directory, archives = self.grid.create_directory(), self.grid.create_directory()
        self.grid.edit_directory(directory, lambda _: [Entry.of(ARCHIVES, archives)])
        self.target = Target(directory, archives, "home:docs")

    def enter(self, time_ns: int, content: bytes = b"", *, host: str = "here", tags: tuple[str, ...] = ()) -> bytes:
        """Enter a snapshot with a file, whatever its clock says, and give its name."""
        with self.grid.session() as session, session.writing() as writer:
            file = Entry(b"file", writer.put_small(content or b"%d" % time_ns))
            deep = writer.put_directory(
                [Entry(b"other", writer.put_small(b"x" * 100)), Entry(b"secret", writer.put_small(b"y" * 100))]
            )
            cap = writer.put_directory([Entry.of(b"deep", deep), file])
        facts = SnapshotFacts(host=host, sources=(b"/source",), files=3, directories=1, size=200 + file.size, tags=tags)
        entry = Entry.of(snapshot_name(time_ns), cap, Metadata(mode=0o40755, snapshot=facts))
        self.grid.edit_directory(self.target.archives, lambda found: [*found, entry])
        return entry.name

    def enter_days(self, count: int) -> list[bytes]:
        """Enter a snapshot for each of so many days, the last one now."""
        return [self.enter(self.clock.now_ns() - day * DAY_NS) for day in range(count - 1, -1, -1)]

    def names(self) -> list[bytes]:
        """List the snapshots."""
        return [entry.name for entry in self.target.read(self.grid)]

    def entry(self, name: bytes) -> Entry:
        """Find a snapshot."""
        return next(entry for entry in self.target.read(self.grid) if entry.name == name)

    def latest(self) -> Entry | None:
        """Give what `Latest` leads to."""
        entries = self.grid.edit_directory(self.target.directory, list)
        assert {entry.name for entry in entries} <= {ARCHIVES, LATEST}
        return next((entry for entry in entries if entry.name == LATEST), None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give an empty target."""
    with RetentionRecord(tmp_path / "state" / "retention.db") as record:
        yield Bench(record)
