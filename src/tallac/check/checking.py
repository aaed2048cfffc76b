"""One report about a cap and, where asked, the grid's own frame."""

from __future__ import annotations

from collections.abc import Callable

from tallac.caps import Cap, WriteCap
from tallac.interfaces import CapChecker, CheckReport

Progress = Callable[[CheckReport], None]


def check_cap(
    grid: CapChecker, cap: Cap, *, read_data: bool, with_structure: bool, progress: Progress | None = None
) -> CheckReport:
    """Check that all that hangs below a cap is there; with `read_data`, that all its bytes are right.

    With `with_structure`, also what belongs to no single cap: headers, index, slots and sessions. A write cap is attenuated first:
    a check needs no more than reading. Nothing is written. Findings come in the report; what stops the check as a whole is raised.

    Raises:
        AuthorityError: The cap was issued by another grid, or is of an unknown kind.
        StoreError: The store can't be asked.
    """
    report = grid.check(cap.read_cap if isinstance(cap, WriteCap) else cap, read_data=read_data, progress=progress)
    if with_structure:
        frame = grid.check_structure(read_data=read_data, progress=progress)
        report = CheckReport(
            files=report.files,
            directories=report.directories,
            objects=report.objects + frame.objects,
            bytes_read=report.bytes_read + frame.bytes_read,
            findings=report.findings + frame.findings,
        )
    return report
