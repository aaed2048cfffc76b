"""Checks that a gateway carries out."""

from __future__ import annotations

from collections.abc import Iterator

from tallac.caps import Cap, DirectoryReadCap, LiteralFile, VerifyCap
from tallac.dag.child_names import local_name
from tallac.interfaces import CheckProgress, CheckReport, Finding
from tallac.webapi import Health, WebClient
from tallac.webapi.client import health_of


def check_through(
    client: WebClient,
    cap: Cap,
    *,
    verify: bool,
    repair: bool = False,
    add_lease: bool = False,
    progress: CheckProgress | None = None,
) -> CheckReport:
    """Ask a gateway to check everything below a cap, and to repair what it can.

    Args:
        client: The gateway.
        cap: The cap of a file or directory, or a verify cap, for which one object is checked.
        verify: Read and verify all bytes of all shares.
        repair: Upload missing shares again.
        add_lease: Renew the leases of all shares.
        progress: Called from time to time with the state so far.

    Raises:
        MissingObjectError: A directory can't be read, so that what is below it is unknown.
        StoreError: The gateway failed.
    """
    report = CheckReport()
    if isinstance(cap, LiteralFile):
        report.files = 1
    elif isinstance(cap, DirectoryReadCap):
        for path, kind, health in _visit(client, cap, verify=verify, repair=repair, add_lease=add_lease):
            report.directories += kind == "directory"
            report.files += kind == "file"
            _add(report, path, health)
            if progress is not None:
                progress(report)
    else:
        health = client.check(cap.danger_whole_text(), verify=verify, repair=repair, add_lease=add_lease, where=str(cap))
        report.files += not isinstance(cap, VerifyCap)
        _add(report, b"", health)
    return report


def _visit(client: WebClient, cap: DirectoryReadCap, **flags: bool) -> Iterator[tuple[bytes, str, Health]]:
    for found in client.stream(cap.danger_whole_text(), "stream-deep-check", where=str(cap), **flags):
        if found.get("type") == "stats":
            continue
        path = found.get("path")
        names = [local_name(str(name)) for name in path] if isinstance(path, list) else []
        results = found.get("check-and-repair-results") or found.get("check-results")
        yield b"/".join(names), str(found.get("type")), health_of(results)


def _add(report: CheckReport, path: bytes, health: Health) -> None:
    report.objects += 1
    if health.was_repaired:
        report.findings.append(Finding(path, "shares were missing; it is repaired", damaged=False))
    if not health.is_healthy:
        report.findings.append(Finding(path, f"not healthy: {health.summary or 'shares are missing'}"))
