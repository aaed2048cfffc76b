"""What a check looks at, finds and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tallac.caps import Cap


@dataclass(slots=True)
class Finding:
    """One thing that a check found: `what`, a sentence, and the path below the checked cap; None for an index or a header.

    What is not `damaged` is merely worth knowing, as a leftover of a killed run is.
    """

    path: bytes | None
    what: str
    damaged: bool = True


@dataclass(slots=True)
class CheckReport:
    """What a check looked at and what it found."""

    files: int = 0
    directories: int = 0
    objects: int = 0
    bytes_read: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is damaged."""
        return not any(finding.damaged for finding in self.findings)


class CapChecker(Protocol):
    """Check what hangs below a cap, with a read cap or a verify cap, and the grid's own frame."""

    def check(self, cap: Cap, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Check that all that hangs below a cap is there; with read_data, that all its bytes are right."""
        ...

    def check_frame(self, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Check what belongs to no single cap: headers, index, slots, sessions; with read_data every stored byte."""
        ...
