"""Check everything below one cap."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from tallac.caps import Cap, ReadCap, WriteCap
from tallac.interfaces import CheckProgress, CheckReport
from tallac.vault.check.reachable import CapCheck, limit_findings
from tallac.vault.components import VaultComponents
from tallac.vault.reading.object_reader import Finder, ObjectReader


def check_below(components: VaultComponents, cap: Cap, *, read_data: bool, progress: CheckProgress | None = None) -> CheckReport:
    """Check what hangs below a cap, over a fresh index and the packs that are there.

    Args:
        components: The vault.
        cap: Of any kind.
        read_data: Read all content, too.
        progress: Called now and then with the report so far.

    Raises:
        AuthorityError: The cap was issued by another grid.
    """
    from tallac.vault.check.by_links import LinkCheck, top_link  # lazy import: a session, which needs what is below, does without
    from tallac.vault.check.write_caps import check_write_caps  # lazy import: likewise

    components.index.refresh()
    components.index.look_at_packs()
    opens = isinstance(cap, ReadCap | WriteCap)
    links = LinkCheck(components, read_data=read_data and not opens, progress=progress)
    links.check([top_link(cap)])
    report = links.report
    if opens and (read_data or not report.is_healthy):
        report = with_paths(report, check_contents(components, cap, read_data=read_data, progress=progress))
    check_write_caps(components.slots, cap, report)
    return report


def check_contents(
    components: VaultComponents,
    cap: Cap,
    *,
    read_data: bool,
    progress: CheckProgress | None = None,
    finder: Finder | None = None,
    wrong: Mapping[bytes, Collection[int]] = MappingProxyType({}),
    foreign_packs: Collection[bytes] | None = None,
) -> CheckReport:
    """Check what hangs below a read cap by opening every directory, so that what is damaged is named by its path.

    Args:
        components: The vault; its index was refreshed, and its packs were looked at.
        cap: A read cap, or a write cap.
        read_data: Open all files, too.
        progress: Called now and then with the report so far.
        finder: Looks objects up; None for the index itself.
        wrong: For some packs the offsets of copies that are known to be damaged.
        foreign_packs: Open only the files that lie in these; None for all.
    """
    check = cap_check(components, read_data=read_data, progress=progress, finder=finder, wrong=wrong, foreign_packs=foreign_packs)
    check.check(cap)
    limit_findings(check.report)
    return check.report


def cap_check(
    components: VaultComponents,
    *,
    read_data: bool,
    progress: CheckProgress | None = None,
    finder: Finder | None = None,
    wrong: Mapping[bytes, Collection[int]] = MappingProxyType({}),
    foreign_packs: Collection[bytes] | None = None,
) -> CapCheck:
    """Prepare a check of contents; see `check_contents`."""
    # A reader of its own: what another one has kept of a pack may be gone from the store.
    reader = ObjectReader(components.backend, components.locator, finder or components.index, only_present=True, check_links=True)
    return CapCheck(
        reader,
        components.slots,
        components.index,
        components.locator,
        read_data=read_data,
        progress=progress,
        wrong=wrong,
        foreign_packs=foreign_packs,
    )


def with_paths(links: CheckReport, contents: CheckReport) -> CheckReport:
    """Return a check of contents, with what only a check by links has found: sealed links that are not those of the content."""
    named = {finding.stored for finding in contents.findings}
    if contents.is_healthy:
        contents.findings += [finding for finding in links.findings if finding.stored not in named]
    return contents
