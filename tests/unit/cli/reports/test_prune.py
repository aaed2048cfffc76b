"""What is said of a prune beside its figures."""

from __future__ import annotations

from tallac.cli.reports.prune import held_back
from tallac.vault.prune.report import PruneReport


def test_what_is_held_back_is_said_with_its_size() -> None:
    """Where sessions keep something that nothing else leads to, a line says how much; where they keep nothing, none does."""
    report = PruneReport(entering_sessions=["sessions/a stays"], entering_objects=3, entering_bytes=2_500_000)
    assert held_back(report) == [
        "sessions/a stays",
        "sessions that enter a snapshot keep 3 objects, 2.50 MB, to which nothing else leads",
    ]
    assert held_back(PruneReport(entering_sessions=["sessions/a stays"])) == ["sessions/a stays"]
    assert held_back(PruneReport()) == []
