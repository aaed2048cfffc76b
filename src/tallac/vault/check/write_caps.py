"""Check that write caps lead where the read caps beside them do. This takes the write cap of the directory that has them."""

from __future__ import annotations

from tallac.caps import Cap, MutableDirectoryWrite
from tallac.errors import DamageError
from tallac.interfaces import CheckReport, Finding
from tallac.vault.check.reachable import FINDINGS_MAX
from tallac.vault.mutable.slots import Slots


def check_write_caps(slots: Slots, cap: Cap | None, report: CheckReport) -> None:
    """Add to a report which entries have a write cap that leads elsewhere than it should, wherever a write cap reaches.

    What somebody stores by such an entry, nobody finds again. By read caps and links nothing of it is to be seen.

    Args:
        slots: The vault's.
        cap: What was checked; nothing comes of it unless it is the write cap of a mutable directory.
        report: What the check has found.
    """
    waiting = [(b"", cap)] if isinstance(cap, MutableDirectoryWrite) else []
    seen: set[bytes] = set()
    while waiting and len(report.findings) <= FINDINGS_MAX:
        path, directory = waiting.pop()
        if directory.writekey in seen:
            continue
        seen.add(directory.writekey)
        try:
            entries, _ = slots.entries(directory.read_cap, directory)
        except DamageError as error:
            # What its readers notice as well is named already.
            if str(error) not in {finding.message for finding in report.findings}:
                report.findings.append(Finding(path, str(error)))
            continue
        for entry in entries:
            below = path + b"/" + entry.name if path else entry.name
            try:
                write = entry.write_cap
            except DamageError as error:
                report.findings.append(Finding(below, str(error)))
            else:
                if isinstance(write, MutableDirectoryWrite):
                    waiting.append((below, write))
