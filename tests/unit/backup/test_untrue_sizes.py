"""Files whose size is not what `stat` says, and files whose attributes can't be read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from tests.unit.backup.conftest import WatchedFileSystem

from tallac.testing.memory_grid import MemoryCapWriter
from tallac.testing.sample_vault import noise

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench

LARGE = 250_000
"""More than the bench's grid takes for small."""


def _with_size(status: os.stat_result, size: int) -> os.stat_result:
    fields = {name: getattr(status, name) for name in dir(status) if name.startswith("st_") and name.endswith("_ns")}
    fields |= {"st_rdev": status.st_rdev, "st_blocks": status.st_blocks}
    return os.stat_result([*status[:6], size, *status[7:]], fields)


class _Listed:
    def __init__(self, entry: os.DirEntry[str], bend: Callable[[os.stat_result], os.stat_result]) -> None:
        self.name = entry.name
        self._entry = entry
        self._bend = bend

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Tell by the type in the listing."""
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Tell an untrue size."""
        return self._bend(self._entry.stat(follow_symlinks=follow_symlinks))


class UntrueSizes(WatchedFileSystem):
    """Says of each regular file that it has a certain size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def _bend(self, status: os.stat_result) -> os.stat_result:
        return _with_size(status, self._size) if status.st_mode & 0o170000 == 0o100000 else status

    def fstat(self, descriptor: int) -> os.stat_result:
        return self._bend(super().fstat(descriptor))

    @contextmanager
    def _bent(self, listing: AbstractContextManager[Iterator[os.DirEntry[str]]]) -> Iterator[Iterator[os.DirEntry[str]]]:
        with listing as entries:
            yield (cast("os.DirEntry[str]", _Listed(entry, self._bend)) for entry in entries)

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return self._bent(super().scandir(descriptor))


@pytest.mark.parametrize("takes_chunks", [True, False])
@pytest.mark.parametrize("content", [b"", b"x", noise(1, 5000), noise(2, 100_000), noise(3, 100_001), noise(4, LARGE)])
@pytest.mark.parametrize("said", [0, 1, 4096, 100_000, 100_001, 200_000, 300_000])
def test_a_file_is_stored_whole_whatever_its_size_is_said_to_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, content: bytes, said: int, takes_chunks: bool
) -> None:
    """A size is a hint: what counts is where reading ends."""
    monkeypatch.setattr(MemoryCapWriter, "takes_chunks", takes_chunks)
    bench.filesystem = UntrueSizes(said)
    (bench.source / "f").write_bytes(content)
    summary = bench.back_up()
    assert bench.latest(b"f") == content
    assert (summary.unreadable, bench.notices) == (0, [])


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="there is no /proc here")
def test_files_of_proc_are_stored_with_their_content(bench: Bench) -> None:
    """The kernel says that its files have no size."""
    source, bench.source = bench.source, Path("/proc")
    bench.wishes.sources = ("version", "cpuinfo")
    bench.back_up()
    bench.source = source
    assert bench.latest(b"proc", b"version") == Path("/proc/version").read_bytes()
    assert bench.latest(b"proc", b"cpuinfo").startswith(Path("/proc/cpuinfo").read_bytes()[:20])


class UnreadableAttributes(WatchedFileSystem):
    """Can't list attributes."""

    def list_xattrs(self, place: int | bytes) -> list[bytes]:
        raise OSError(errno.E2BIG, "Argument list too long")


def test_attributes_that_cannot_be_read_cost_the_attributes_alone(bench: Bench) -> None:
    """Files, links, directories and the source itself are stored, and it is said in two lines, however many there are."""
    (bench.source / "d").mkdir()
    for number in range(50):
        (bench.source / "d" / f"{number}").write_text("content")
    (bench.source / "large").write_bytes(noise(5, LARGE))
    (bench.source / "link").symlink_to("large")
    bench.filesystem = UnreadableAttributes()
    summary = bench.back_up()
    assert bench.latest(b"d", b"7") == b"content"
    assert bench.latest(b"large") == noise(5, LARGE)
    assert bench.entry(b"backups", b"Latest", b"link").metadata.target == b"large"
    assert summary.unreadable == 0
    assert [message for _, message in bench.notices] == [
        "its attributes can't be read (Argument list too long); it is stored without them",
        "53 others in it can't have attributes read either (Argument list too long); stored without them",
    ]


def test_one_attribute_that_cannot_be_read_does_not_cost_the_others(bench: Bench) -> None:
    """What can be read of the attributes is stored."""

    class OneMissing(WatchedFileSystem):
        def list_xattrs(self, place: int | bytes) -> list[bytes]:
            return [b"user.a", b"user.b", b"$LXUID"]

        def get_xattr(self, place: int | bytes, name: bytes) -> bytes:
            if name == b"user.a":
                raise OSError(errno.EIO, "Input/output error")
            return b"value"

    (bench.source / "f").write_text("content")
    bench.filesystem = OneMissing()
    bench.back_up()
    assert bench.entry(b"backups", b"Latest", b"f").metadata.xattrs == ((b"user.b", b"value"),)
