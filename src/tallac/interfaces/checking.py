"""Checks, and what they report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from tallac.caps import Cap


class Finding(msgspec.Struct):
    """One thing that a check found.

    Attributes:
        path: Where it is, below the checked cap; None where that is not known, or it is part of no path, as an index or a header.
        message: A sentence.
        damaged: True for damage; False for an informational finding, such as a leftover of a killed run.
        stored: The name of what is hit, as the store or the index has it; "" where it has none.
    """

    path: bytes | None
    message: str
    damaged: bool = True
    stored: str = ""


class CheckReport(msgspec.Struct):
    """What a check looked at and what it found.

    Attributes:
        files, directories, objects: How many were looked at.
        bytes_read: What was read of the store for it.
        bytes_total: What is to be read of packs in all; 0 where that is not known.
        findings: See `Finding`.
    """

    files: int = 0
    directories: int = 0
    objects: int = 0
    bytes_read: int = 0
    bytes_total: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is damaged."""
        return not any(finding.damaged for finding in self.findings)

    def with_structure(self, structure: CheckReport) -> CheckReport:
        """Return the sum of this report on caps and one on the grid's structure, naming once what both have found."""
        named = {finding.message for finding in self.findings}
        return CheckReport(
            files=self.files,
            directories=self.directories,
            objects=self.objects + structure.objects,
            bytes_read=self.bytes_read + structure.bytes_read,
            bytes_total=self.bytes_total + structure.bytes_total,
            findings=self.findings + [each for each in structure.findings if each.stored or each.message not in named],
        )


class CapChecker(Protocol):
    """Checks what hangs below a cap, with a read cap or a verify cap, and the structure of the grid itself."""

    def check(self, cap: Cap, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Check that all that hangs below a cap is there; with read_data, that all its bytes are right."""
        ...

    def check_structure(self, *, read_data: bool, progress: Callable[[CheckReport], None] | None = None) -> CheckReport:
        """Check what belongs to no single cap: headers, index, slots, sessions; with read_data every stored byte."""
        ...
