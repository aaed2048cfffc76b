import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.backends.local import LocalBackend
from tallac.backends.passing import ForwardingBackend
from tallac.backends.swapping import Takeover, claim_path, former_path
from tallac.backends.temporary import LEFTOVER_AGE_SECONDS, PREFIX
from tallac.errors import ConflictError, StoreError, StoreFullError
from tallac.file_calls import RealFileCalls
from tallac.interfaces import Expect, Version
from tallac.mounts import file_system_kind
from tallac.testing.crash_disk import Survival
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.fat_disk import FatDisk
from tallac.testing.file_calls import FileCall, RecordingFileCalls, WatchedFileCalls

# Each waits for others, as real ones do.
pytestmark = pytest.mark.slow

COUNT_WITHOUT_LOCKS = """
import sys
from pathlib import Path
from tallac.backends.local import LocalBackend
from tallac.errors import ConflictError
from tests.contract.test_local_swaps import Lockless

backend = LocalBackend(Path(sys.argv[1]), files=Lockless())
for _ in range(60):
    while True:
        content, version = backend.get_versioned("slots/counter")
        try:
            backend.put("slots/counter", b"%d" % (int(content) + 1), expect=version)
        except ConflictError:
            continue
        break
"""


class Lockless(RealFileCalls):
    """A network file system that takes locks and keeps none."""

    def lock_folder(self, folder: str, *, shared: bool) -> int:
        return os.open(folder, os.O_RDONLY)

    def try_lock(self, descriptor: int, *, shared: bool) -> bool:
        return True

    def unlock(self, descriptor: int) -> None:
        os.close(descriptor)


class Remote(WatchedFileCalls):
    """A file system that others may reach past this machine."""

    def locks_reach_all(self, folder: str) -> bool:
        return False


class Pausing(Remote):
    """A machine that stands still before a call, until it is told to go on."""

    def __init__(self, name: str, at: str) -> None:
        super().__init__(Lockless())
        self._name = name
        self._at = at
        self.is_waiting = False
        self.may_go_on = False

    def before(self, call: FileCall) -> None:
        if call.name == self._name and self._at in call.path + call.destination and not self.may_go_on:
            self.is_waiting = True
            while not self.may_go_on:
                time.sleep(0.005)


def visible(folder: Path) -> list[str]:
    """List everything in a vault's folder, hidden files too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_nothing_is_lost_without_locks(tmp_path: Path) -> None:
    """Four processes that advance a counter where no lock holds off anybody lose no increment."""
    LocalBackend(tmp_path).put("slots/counter", b"0")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen([sys.executable, "-c", COUNT_WITHOUT_LOCKS, str(tmp_path)], env=environment) for _ in range(4)]
    assert [process.wait(timeout=PATIENCE_SECONDS) for process in processes] == [0, 0, 0, 0]
    assert LocalBackend(tmp_path).get("slots/counter") == b"240"
    assert visible(tmp_path) == ["slots/counter"]


@pytest.mark.parametrize(("call", "at"), [("link", "slots/"), ("rename", "slots/")])
def test_a_writer_that_is_paused_replaces_nothing_later(tmp_path: Path, call: str, at: str) -> None:
    """A machine that falls asleep in a swap, before its claim or with it, loses to nobody silently when it wakes up."""
    first = LocalBackend(tmp_path).put("slots/a", b"first")
    asleep = Pausing(call, at)
    # A claim needs a second name, and whether there are any is tried first.
    backend = LocalBackend(tmp_path, files=asleep)
    asleep.may_go_on = True
    second = backend.put("slots/a", b"second", expect=first)
    asleep.may_go_on = False
    outcome: list[Version | str] = []

    def swap() -> None:
        try:
            outcome.append(backend.put("slots/a", b"of the sleeper", expect=second))
        except ConflictError:
            outcome.append("conflict")

    thread = Thread(target=swap)
    thread.start()
    while not asleep.is_waiting:
        time.sleep(0.005)
    other = LocalBackend(tmp_path, files=Remote(Lockless()), takeover=Takeover(0.1))
    while True:
        content, version = other.get_versioned("slots/a") or (b"", b"")
        try:
            other.put("slots/a", content + b", and another", expect=version)
        except ConflictError:
            continue
        break
    asleep.may_go_on = True
    thread.join()
    if outcome == ["conflict"]:
        assert other.get("slots/a") == b"second, and another"
    else:
        assert other.get("slots/a") == b"of the sleeper, and another"
    assert (outcome == ["conflict"]) == (call == "link")
    assert visible(tmp_path) == ["slots/a"]


def test_a_claim_of_the_dead_is_entered(tmp_path: Path) -> None:
    """A writer killed between its claim and the swap is helped by the next one, which then builds on it."""
    backend = LocalBackend(tmp_path, takeover=Takeover(0.05))
    first = backend.put("slots/a", b"first")
    Path(claim_path(str(tmp_path / "slots/a"), first)).write_bytes(b"of the dead")
    with pytest.raises(ConflictError):
        backend.put("slots/a", b"mine", expect=first)
    assert backend.get("slots/a") == b"of the dead"
    assert visible(tmp_path) == ["slots/a"]


def test_a_claim_without_links(tmp_path: Path) -> None:
    """Where there are neither links nor locks, an empty file is the claim, and one that stays is removed after a while."""

    class Bare(Remote):
        """A FUSE file system."""

        def before(self, call: FileCall) -> None:
            if call.name == "link":
                raise PermissionError(errno.EPERM, "no links here")

    backend = LocalBackend(tmp_path, files=Bare(Lockless()), takeover=Takeover(0.05))
    first = backend.put("slots/a", b"first", expect=Expect.ABSENT)
    claim = Path(claim_path(str(tmp_path / "slots/a"), first))
    claim.write_bytes(b"")
    with pytest.raises(ConflictError):
        backend.put("slots/a", b"second", expect=first)
    assert backend.get("slots/a") == b"first"
    backend.put("slots/a", b"second", expect=first)
    assert backend.get("slots/a") == b"second"
    with pytest.raises(ConflictError):
        backend.put("slots/a", b"third", expect=Expect.ABSENT)
    assert visible(tmp_path) == ["slots/.a.old", "slots/a"]


@pytest.mark.parametrize("code", [errno.EIO, errno.EPERM, errno.ENOSYS])
def test_no_links_by_any_word(tmp_path: Path, code: int) -> None:
    """Some mounts say EIO for a link; on a network file system that is no failing disk."""

    class NoLinks(Remote):
        """Refuse links."""

        def before(self, call: FileCall) -> None:
            if call.name == "link":
                raise OSError(code, os.strerror(code))

    backend = LocalBackend(tmp_path, files=NoLinks())
    backend.put("a", b"x", expect=Expect.ABSENT)
    upload = backend.upload()
    upload.write(b"y")
    upload.commit("packs/a")
    assert (backend.get("a"), backend.get("packs/a")) == (b"x", b"y")


@pytest.mark.parametrize("files", [Lockless(), Remote()], ids=["lockless", "remote"])
def test_files_that_others_write_are_no_leftovers(tmp_path: Path, files: RealFileCalls | Remote) -> None:
    """Where a free lock proves nothing, a file in the making is left alone until nobody has written to it for a day."""
    slow = LocalBackend(tmp_path, files=files).upload()
    slow.write(b"slow")
    (tmp_path / f"{PREFIX}2").write_bytes(b"of another machine")
    (tmp_path / f"{PREFIX}3").write_bytes(b"of long ago")
    long_ago = time.time() - LEFTOVER_AGE_SECONDS - 60
    os.utime(tmp_path / f"{PREFIX}3", (long_ago, long_ago))
    backend = LocalBackend(tmp_path, files=files)
    assert [leftover.name for leftover in backend.leftovers()] == [f"{PREFIX}3"]
    backend.put("a", b"x")
    assert not (tmp_path / f"{PREFIX}3").exists()
    assert (tmp_path / f"{PREFIX}2").exists()
    slow.commit("packs/a")
    assert backend.get("packs/a") == b"slow"


class Stale(Remote):
    """A network file system that remembers how long a file was, by its name."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self.is_fresh = False

    def stat(self, file: str | int) -> os.stat_result:
        status = super().stat(file)
        path = file if isinstance(file, str) else self.path_of(file)
        if self.is_fresh or not path.endswith("slots/a"):
            return status
        return os.stat_result([self._size if index == 6 else value for index, value in enumerate(status)])

    def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
        limit = self.stat(descriptor).st_size
        return super().read_at(descriptor, min(size, limit - offset), offset) if offset < limit else b""


def test_a_size_of_the_past(tmp_path: Path) -> None:
    """A file is read to its end whatever its size seems to be: nothing is called damaged or a failing disk for that."""
    LocalBackend(tmp_path).put("slots/a", b"the content")
    for size in (3, 0, 400):
        files = Stale(size)
        backend = ForwardingBackend(LocalBackend(tmp_path, files=files))
        found = backend.get("slots/a")
        assert found == b"the content"[:size]
        again = backend.get_again("slots/a", found)
        assert (again or (found,))[0] == b"the content"
    assert visible(tmp_path) == ["slots/a"]


def test_what_can_t_be_linked_is_waited_for(tmp_path: Path) -> None:
    """Where no second name gets past what is remembered, a reader waits until it is forgotten; on a local disk it never does."""

    class ReadOnly(Stale):
        """A mount for reading."""

        def before(self, call: FileCall) -> None:
            if call.name == "link":
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    LocalBackend(tmp_path).put("slots/a", b"the content")
    files = ReadOnly(3)
    moments = iter(range(100))

    def forget(_seconds: float) -> None:
        files.is_fresh = True

    backend = LocalBackend(tmp_path, files=files, takeover=Takeover(clock=lambda: next(moments), sleep=forget))
    again = backend.get_again("slots/a", backend.get("slots/a"))
    assert again is not None
    assert again[0] == b"the content"
    assert backend.get_again("slots/a", b"the content") is None
    assert LocalBackend(tmp_path).get_again("slots/a", b"what was got") is None


def test_a_pulled_stick(tmp_path: Path) -> None:
    """On FAT, an acknowledged state survives, and one that was being replaced is there or has its former state beside it."""
    for boundary in range(200):
        folder = tmp_path / str(boundary)
        folder.mkdir()
        disk = FatDisk(folder, boundary)
        backend = LocalBackend(folder, files=disk)
        states = [b"state %d" % number for number in range(4)]
        acknowledged: list[bytes] = []
        version: Version | Expect = Expect.ABSENT
        try:
            for state in states:
                version = backend.put("slots/a", state, expect=version)
                acknowledged.append(state)
        except SimulatedCrash:
            pass
        for seed in range(12):
            after = tmp_path / f"{boundary} {seed}"
            disk.surviving(list(Survival)[seed % 4], seed).write_to(after)
            found = LocalBackend(after).get_versioned("slots/a")
            content = None if found is None else found[0]
            if not acknowledged:
                continue
            may_be = states[: len(acknowledged) + 1][-2:]
            assert content in may_be or LocalBackend(after).get_former("slots/a") in acknowledged[-1:], (boundary, seed)
        if len(acknowledged) == len(states):
            assert boundary > 40
            return
    raise AssertionError("the writes never end")


def test_a_deleted_object_has_no_former_state(tmp_path: Path) -> None:
    """What is deleted on FAT is gone with its former state, which would cost room for ever."""
    backend = LocalBackend(tmp_path, files=FatDisk(tmp_path))
    backend.put("slots/a", b"1")
    backend.put("slots/a", b"2")
    assert Path(former_path(str(tmp_path / "slots/a"))).read_bytes() == b"1" == backend.get_former("slots/a")
    backend.delete("slots/a")
    assert visible(tmp_path) == []


def test_a_folder_that_takes_no_more_names(tmp_path: Path) -> None:
    """A folder of FAT is full with 10,922 packs, and the message says so on a disk with room; on a full one it says that."""

    class Full(RecordingFileCalls):
        """Take no further name."""

        free = 1 << 30

        def before(self, call: FileCall) -> None:
            if call.name == "link":
                raise PermissionError(errno.EPERM, "no links here")
            if call.name == "rename" and "/packs/" in call.destination:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def room(self, folder: str) -> int:
            return self.free

    files = Full()
    backend = LocalBackend(tmp_path, files=files)
    for free, words in ((1 << 30, "no more names fit into .*packs.*prune joins small packs"), (4096, "no space left")):
        files.free = free
        upload = backend.upload()
        upload.write(b"x")
        with pytest.raises(StoreFullError, match=words):
            upload.commit("packs/a")


def test_a_short_file_of_a_local_disk(tmp_path: Path) -> None:
    """On a disk of this machine a file that ends before its size is an error; over a network its bytes are what the server has."""

    class Short(WatchedFileCalls):
        """Give nothing."""

        def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
            return b""

    LocalBackend(tmp_path).put("a", b"content")
    with pytest.raises(StoreError, match="ends before its own size"):
        LocalBackend(tmp_path, files=Short()).get("a")
    assert LocalBackend(tmp_path, files=Remote(Short())).get("a") == b""


def test_the_kind_of_a_file_system(tmp_path: Path) -> None:
    """The innermost mount decides, the last one of several on a folder, and names with blanks are read."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
        f"40 22 0:40 / {tmp_path}/a\\040b rw - fuse.sshfs h: rw\n"
        f"41 22 0:41 / {tmp_path}/c rw - vfat /dev/x rw\n"
        f"42 41 0:42 / {tmp_path}/c rw shared:9 master:2 - nfs4 h: rw\n"
    )
    expected = {"a b/vault": "fuse.sshfs", "a b": "fuse.sshfs", "a": "ext4", "c/d": "nfs4", "": "ext4"}
    assert {path: file_system_kind(str(tmp_path / path), str(table)) for path in expected} == expected
    assert file_system_kind(str(tmp_path), str(tmp_path / "none")) is None
