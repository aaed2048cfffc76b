"""Checks and their reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from tallac.caps import Cap


class Finding(msgspec.Struct):
    """One result of a check.

    Attributes:
        path: The path below the checked cap; None if it is unknown, or for objects without a path such as an index or a header.
        message: One sentence.
        damaged: True for damage; False for an informational finding, such as a leftover of a killed run.
        stored: The name of the object in the store or the index; "" if it has none.
    """

    path: bytes | None
    message: str
    damaged: bool = True
    stored: str = ""


class CheckReport(msgspec.Struct):
    """The counts and findings of a check.

    Attributes:
        files, directories, objects: The numbers of those that were checked.
        bytes_read: The bytes that were read from the store.
        bytes_total: The bytes of packs that will be read in all; 0 if unknown.
        findings: See `Finding`.
        phase: What is being done; this and the next are for whoever waits.
        objects_total: How many objects there are at most to be checked in this phase; 0 if unknown.
    """

    files: int = 0
    directories: int = 0
    objects: int = 0
    bytes_read: int = 0
    bytes_total: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)
    phase: str = "checking"
    objects_total: int = 0

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


CheckProgress: TypeAlias = Callable[[CheckReport], None]
"""Called now and then with the report so far."""


class CapChecker(Protocol):
    """Checks everything below a read cap or verify cap, and the structure of the grid itself."""

    def check(self, cap: Cap, *, read_data: bool, progress: CheckProgress | None = None) -> CheckReport:
        """Check that everything below a cap is there; with read_data, that all its bytes are correct."""
        ...

    def check_structure(self, *, read_data: bool, progress: CheckProgress | None = None) -> CheckReport:
        """Check the parts that belong to no single cap: headers, index, slots, sessions; with read_data, every stored byte."""
        ...
