from __future__ import annotations

import pytest
from msgspec.structs import replace

from tallac.backup.decide import FAR_CLOCK_NS, Comparison, granularity_ns, is_recorded_safely, is_same_file
from tallac.caps import LiteralFile
from tallac.dag import Entry
from tallac.source import Mounts, SourceEntry, metadata_of

SECOND = 1_000_000_000
FOUND = SourceEntry(b"f", 0o100644, 1, 1, 3, 5 * SECOND + 1, 7 * SECOND + 123_456, 11, 12, 1, 0, 8)


def recorded(found: SourceEntry, *, changed: bool = False) -> Entry:
    """Make the entry that storing a file of three bytes leaves."""
    return Entry.of(found.name, LiteralFile(b"abc"), metadata_of(found, changed=changed))


@pytest.mark.parametrize("ctime_ns", [0, 5 * SECOND, 7 * SECOND + 30_000_000, -2 * SECOND])
def test_whole_seconds_and_hundredths_are_coarse(ctime_ns: int) -> None:
    """A timestamp without a fine part comes from a file system that may count in steps of two seconds."""
    assert granularity_ns(ctime_ns) == 2 * SECOND


@pytest.mark.parametrize("ctime_ns", [1, 5 * SECOND + 1, 7 * SECOND + 123_456_789, -1])
def test_other_timestamps_are_fine(ctime_ns: int) -> None:
    """A timestamp with a fine part ticks with the kernel's clock."""
    assert granularity_ns(ctime_ns) == 20_000_000


def test_a_change_within_a_tick_of_the_reading_is_not_safe() -> None:
    """What changed less than a tick before the reading began may change again and keep its timestamp (row 19)."""
    ctime_ns = 100 * SECOND + 1
    assert not is_recorded_safely(ctime_ns, ctime_ns + 20_000_000)
    assert is_recorded_safely(ctime_ns, ctime_ns + 20_000_001)


def test_a_ctime_in_the_future_is_not_safe() -> None:
    """A file from the future may be changed until then without a trace."""
    assert not is_recorded_safely(10 * SECOND, 5 * SECOND)


def test_a_ctime_before_1970_is_safe() -> None:
    """Times may be negative."""
    assert is_recorded_safely(-100 * SECOND, 5 * SECOND)


def test_a_file_is_the_same_as_itself() -> None:
    """What was recorded of a file is recognised."""
    assert is_same_file(FOUND, recorded(FOUND))


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode", "mode"])
def test_any_difference_counts(field: str) -> None:
    """A file that differs in any deciding field is another one."""
    fields = {name: getattr(FOUND, name) for name in FOUND.__struct_fields__}
    fields[field] += 1
    assert not is_same_file(SourceEntry(**fields), recorded(FOUND))


def test_a_file_that_changed_while_it_was_read_is_not_recognised() -> None:
    """What was stored of it was never its content at one moment, so it is read again."""
    assert not is_same_file(FOUND, recorded(FOUND, changed=True))


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "overlay", "nfs4", "fuse.sshfs", "vfat"])
def test_a_device_never_counts(kind: str) -> None:
    """Most file systems get the number that is free when they are mounted."""
    later = replace(FOUND, device=FOUND.device + 1)
    assert Comparison(Mounts({later.device: kind})).is_as_recorded(later, recorded(FOUND), 1000 * SECOND)


@pytest.mark.parametrize(
    ("kind", "counts"), [("ext4", True), ("nfs4", True), ("vfat", False), ("fuse.mergerfs", False), ("fuseblk", False)]
)
def test_an_inode_counts_where_a_file_keeps_it(kind: str, counts: bool) -> None:
    """FAT has none, and FUSE servers count as they like."""
    later = replace(FOUND, inode=FOUND.inode + 1)
    comparison = Comparison(Mounts({FOUND.device: kind}))
    assert comparison.is_as_recorded(later, recorded(FOUND), 1000 * SECOND) is not counts


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_only_the_wanted_fields_count(field: str) -> None:
    """A user who knows the file system may leave out ctime and inode."""
    later = replace(FOUND, **{field: getattr(FOUND, field) + 1})
    comparison = Comparison(fields=frozenset({"size", "mtime"}))
    assert comparison.is_as_recorded(later, recorded(FOUND), 1000 * SECOND) is (field in ("ctime_ns", "inode"))


@pytest.mark.parametrize("ctime_ns", [0, 90 * SECOND])
def test_a_file_without_a_ctime_is_as_safe_as_its_mtime(ctime_ns: int) -> None:
    """Where ctime says nothing, a second write within the same second shows nowhere."""
    found = replace(FOUND, ctime_ns=ctime_ns, mtime_ns=100 * SECOND)
    comparison = Comparison(Mounts({FOUND.device: "vfat"} if ctime_ns else {}))
    far_ns = FAR_CLOCK_NS if ctime_ns else 0
    assert not comparison.is_safe(found, far_ns + 101 * SECOND)
    assert comparison.is_safe(found, far_ns + 103 * SECOND)


def test_an_mtime_in_the_future_does_no_harm_beside_a_ctime() -> None:
    """Anybody can set mtime; the kernel's own time is enough."""
    assert Comparison().is_safe(replace(FOUND, mtime_ns=1 << 62), 100 * SECOND)


def test_a_server_whose_clock_is_behind_is_not_trusted_at_once() -> None:
    """What was written a moment ago may have a time that seems long past."""
    comparison = Comparison(Mounts({FOUND.device: "nfs"}))
    assert not comparison.is_safe(FOUND, FOUND.ctime_ns + 5 * SECOND)
    assert comparison.is_safe(FOUND, FOUND.ctime_ns + 100 * SECOND)
