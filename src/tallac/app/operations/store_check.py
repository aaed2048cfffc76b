"""Trying out whether a store does what a vault relies on."""

from __future__ import annotations

from collections.abc import Callable

from tallac.app.workspace import Workspace
from tallac.backends.probe_report import CHECKS, Outcome, ProbeReport, ProbeRow

__all__ = ["CHECKS", "Outcome", "ProbeReport", "ProbeRow", "StoreCheck"]


class StoreCheck:
    """Tries out stores."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def run(self, location: str, *, quickly: bool = False, progress: Callable[[str], None] = lambda _: None) -> ProbeReport:
        """Try out the store at a location, with many clients at a time, or `quickly` as before a vault is made.

        What is stored for it lies under `probe/` there, and is removed. A vault that is there is not touched.

        Raises:
            StoreError: The store can't be reached, or may not be written to.
        """
        probe = self._workspace.backends.probe(self._workspace.location_of(location))
        return probe.run() if quickly else probe.run_at_length(progress)
