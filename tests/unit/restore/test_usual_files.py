"""Files with an owner, a mode and a time, and nothing else: most files are such, and are set in as few calls as that takes."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from tallac.dag import Entry, Metadata
from tallac.restore.filesystem import Place

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored

OWN = Metadata(mode=0o100640, uid=os.geteuid(), gid=os.getegid(), mtime=(1, 2))
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root sets owners")


def _files(count: int, metadata: Metadata = OWN) -> list[Entry]:
    return [Entry(b"f%d" % number, b"Lx", metadata) for number in range(count)]


def _owner(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def test_an_owner_that_is_right_is_not_set(grid: FakeGrid, restored: Restored) -> None:
    """Each file takes one call for its mode and one for its time."""
    restored(Entry.of(b"s", grid.put_directory(_files(3))))
    assert restored.system.calls[1:13] == ["create", "write", "set_mode", "set_time"] * 3
    for path in restored.out.iterdir():
        assert _owner(path.stat()) == (os.geteuid(), os.getegid(), 0o640)
        assert path.stat().st_mtime_ns == 1_000_000_002


@needs_root
def test_another_owner_is_set(grid: FakeGrid, restored: Restored) -> None:
    """Files of several owners in one directory, and between them one's own."""
    owners = [(0, 0), (1, 0), (0, 1), (0, 0), (1, 1)]
    entries = [
        Entry(b"f%d" % number, b"Lx", Metadata(mode=0o100640, uid=uid, gid=gid, mtime=(1, 2)))
        for number, (uid, gid) in enumerate(owners)
    ]
    restored(Entry.of(b"s", grid.put_directory(entries)))
    assert [_owner((restored.out / f"f{number}").stat())[:2] for number in range(5)] == owners
    assert restored.problems == []


@needs_root
def test_a_folder_that_gives_its_group_does_not_keep_it(grid: FakeGrid, restored: Restored) -> None:
    """Beside it, in a directory of its own, and below that, files get the group that they had."""
    restored.out.mkdir()
    os.chown(restored.out, 0, 1)
    restored.out.chmod(0o2755)
    below = grid.put_directory(_files(2))
    entries = [Entry.of(b"d", below, Metadata(mode=0o40755, uid=0, gid=0)), *_files(2)]
    restored(Entry.of(b"s", grid.put_directory(entries)))
    for path in (restored.out / "f0", restored.out / "f1", restored.out / "d/f0", restored.out / "d/f1"):
        assert _owner(path.stat()) == (0, 0, 0o640)


@needs_root
def test_a_group_that_changes_meanwhile_is_noticed(grid: FakeGrid, restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody makes the folder give its group after the first file: the look at the end finds it, and the owner is set."""
    create = restored.system.create

    def given(name: bytes, directory: int) -> int:
        descriptor = create(name, directory)
        if name != b"f0":
            os.fchown(descriptor, 0, 1)
        return descriptor

    monkeypatch.setattr(restored.system, "create", given)
    restored(Entry.of(b"s", grid.put_directory(_files(3))))
    assert {_owner(path.stat()) for path in restored.out.iterdir()} == {(0, 0, 0o640)}
    assert restored.problems == []


@pytest.mark.parametrize("call", ["set_mode", "set_time", "look"])
def test_what_fails_is_named_for_each_file(grid: FakeGrid, restored: Restored, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A call that does not work on regular files is reported for all of them, and their content is there."""
    real = getattr(restored.system, call)

    def refused(place: Place, *rest: int) -> object:
        if isinstance(place, int) and stat.S_ISREG(os.fstat(place).st_mode):
            raise OSError(errno.EPERM, "not here")
        return real(place, *rest)

    monkeypatch.setattr(restored.system, call, refused)
    summary = restored(Entry.of(b"s", grid.put_directory(_files(3))))
    assert restored.said.keys() == {b"f0", b"f1", b"f2"}
    assert all("not here" in message for message in restored.said.values())
    assert (summary.files, summary.unset) == (3, 3)


@pytest.mark.parametrize(("call", "counts"), [("set_mode", (3, 0, 0)), ("set_time", (0, 0, 3)), ("set_owner", (0, 3, 0))])
def test_what_is_not_kept_is_counted(
    grid: FakeGrid, restored: Restored, monkeypatch: pytest.MonkeyPatch, call: str, counts: tuple[int, int, int]
) -> None:
    """A file system that takes modes, times or owners without a word and keeps its own: each file counts once."""
    if call == "set_owner" and os.geteuid() != 0:
        pytest.skip("only root sets owners")
    owner = 1 if call == "set_owner" else os.geteuid()
    monkeypatch.setattr(restored.system, call, lambda *_: None)
    metadata = Metadata(mode=0o100640, uid=owner, gid=os.getegid(), mtime=(1, 2))
    summary = restored(Entry.of(b"s", grid.put_directory(_files(3, metadata)), Metadata()))
    assert (summary.modes_unkept, summary.owners_unkept, summary.times_unkept) == counts
    assert restored.problems == []
