from __future__ import annotations

import errno
import os
import tempfile
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from tests.unit.source.conftest import BentFileSystem

from tallac.errors import LocalStateError
from tallac.source import SourceEntry, scan, signature
from tallac.source.scan import LongScan

ENTRY = SourceEntry(b"name", 0o100644, 1, 2, 3, 4, 5, 6, 7, 1, 0, 8)


def test_a_scan_lists_every_name_in_byte_order_with_what_lstat_tells(tmp_path: Path, root: int) -> None:
    """Names of any bytes come sorted, each as `lstat` describes it, links unfollowed."""
    names = [b"b", b"a", b"\xff\xfe", b"new\nline", "ä".encode()]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(b"x")
    (tmp_path / "link").symlink_to("nowhere")
    with scan(root) as listing:
        entries = list(listing)
        assert listing.failures == []
    assert [entry.name for entry in entries] == sorted([*names, b"link"])
    for entry in entries:
        assert entry == SourceEntry.of(entry.name, os.stat(entry.name, dir_fd=root, follow_symlinks=False))


def test_a_scan_opens_nothing(tmp_path: Path, root: int, bent: BentFileSystem) -> None:
    """Looking at a directory costs no open, FIFO or not."""
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / "fifo")
    with scan(root, filesystem=bent) as listing:
        listing.signature()
        assert len(listing) == 2
    assert bent.opened == []


def test_what_vanished_is_left_out_and_what_fails_is_named(tmp_path: Path, root: int, bent: BentFileSystem) -> None:
    """ENOENT after the listing means gone; any other error is a failure of that name."""
    for name in ("gone", "bad", "good"):
        (tmp_path / name).write_bytes(b"")
    bent.refused_stats = {"gone": FileNotFoundError(errno.ENOENT, "gone"), "bad": OSError(errno.EIO, "broken disk")}
    with scan(root, filesystem=bent) as listing:
        assert [entry.name for entry in listing] == [b"good"]
        (failure,) = listing.failures
        assert (failure.name, failure.error.errno, failure.is_directory) == (b"bad", errno.EIO, False)


class Unanswering(BentFileSystem):
    """Answers to no name that begins with `__`, listed or not."""

    def lstat(self, name: bytes, directory: int) -> os.stat_result:
        if name.startswith(b"__"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return super().lstat(name, directory)


def test_a_name_that_is_listed_and_never_found_is_named(tmp_path: Path, root: int) -> None:
    """What exFAT lists and does not answer to is there and can't be read, which is no absence."""
    for name in ("__.txt", "good"):
        (tmp_path / name).write_bytes(b"")
    bent = Unanswering()
    bent.refused_stats = {"__.txt": FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))}
    with scan(root, filesystem=bent) as listing:
        assert [entry.name for entry in listing] == [b"good"]
        (failure,) = listing.failures
        assert (failure.name, failure.error.errno) == (b"__.txt", errno.EIO)
        assert "answers to no such name" in str(failure.error.strerror)


def test_a_long_listing_goes_through_disk_and_is_the_same(tmp_path: Path, root: int) -> None:
    """A spilled listing can be read several times and equals the one in memory, signature included."""
    for number in range(1_000):
        (tmp_path / f"{number * 7919 % 1_000}").touch()
    with scan(root) as short, scan(root, run_count_max=150) as long:
        assert isinstance(long, LongScan)
        assert not isinstance(short, LongScan)
        assert len(long) == len(short) == 1_000
        assert list(long) == list(short)
        assert list(long) == list(short)
        assert long.signature() == short.signature()


@pytest.mark.slow
def test_a_long_listing_takes_bounded_memory(tmp_path: Path, root: int) -> None:
    """Ten runs on disk take about the memory of one."""
    for number in range(3_000):
        (tmp_path / f"a rather long name to make the entries large {number}").touch()
    tracemalloc.start()
    with scan(root, run_count_max=100) as listing:
        assert sum(1 for _ in listing) == 3_000
    _, spilled = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    with scan(root) as listing:
        assert sum(1 for _ in listing) == 3_000
    _, whole = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert whole > 600_000
    # Merging holds a block a run, which here is a whole run; so only the listing itself is compared.
    assert spilled < 2 * whole


def test_a_spill_without_room_is_an_error_of_local_state(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unusable folder for temporary files is not taken for an unreadable source."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(LocalStateError, match="TMPDIR"):
        scan(root, run_count_max=1)


@pytest.mark.parametrize("field", ["name", "mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "links", "rdev"])
def test_each_field_counts_in_the_signature(field: str) -> None:
    """A change of any field that a snapshot keeps or that shows a change changes the signature."""
    value = b"other" if field == "name" else getattr(ENTRY, field) + 1
    assert signature([ENTRY]) != signature([msgspec.structs.replace(ENTRY, **{field: value})])


def test_allocated_blocks_do_not_count_in_the_signature() -> None:
    """Delayed allocation changes blocks without a change of the file."""
    assert signature([ENTRY]) == signature([msgspec.structs.replace(ENTRY, blocks=99)])


def test_the_signature_is_unambiguous() -> None:
    """Bytes that move from one name to the next, or an entry more, give another signature."""
    entries = [msgspec.structs.replace(ENTRY, name=name) for name in (b"a", b"bc", b"ab", b"c")]
    assert signature(entries[:2]) != signature(entries[2:])
    assert signature([]) != signature(entries[:1]) != signature(entries[:2])


@pytest.mark.parametrize("mtime_ns", [-(10**12), 2**63, 2**64, -(2**63) - 1, 253_402_300_799 * 10**9])
def test_times_of_any_size_have_a_signature(mtime_ns: int) -> None:
    """Times before 1970 and beyond 64 bits are told apart."""
    at, after = (msgspec.structs.replace(ENTRY, mtime_ns=value) for value in (mtime_ns, mtime_ns + 1))
    assert signature([at]) != signature([after])
    assert signature([at]) == signature([msgspec.structs.replace(at)])
