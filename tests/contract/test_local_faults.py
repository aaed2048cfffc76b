import errno
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.os_errors import printable, store_error
from tallac.backends.temporary import PREFIX
from tallac.errors import (
    ConflictError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
)
from tallac.interfaces import Expect
from tallac.testing.crash_disk import CrashDisk, Survival
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.file_calls import FaultyFileCalls, FileCall

OLD, NEW = b"old content", b"new content"
OLD_VERSION = MemoryBackend().put("a", OLD)
CODES = [errno.ENOSPC, errno.EDQUOT, errno.EIO]

Change = Callable[[LocalBackend], object]


def upload(backend: LocalBackend, name: str = "packs/new", content: bytes = NEW) -> None:
    """Store an object in two parts."""
    upload = backend.upload()
    try:
        upload.write(content[:4])
        upload.write(content[4:])
        upload.commit(name)
    finally:
        upload.abort()


CHANGES: dict[str, Change] = {
    "put": lambda backend: backend.put("slots/new", NEW),
    "replace": lambda backend: backend.put("slots/old", NEW),
    "swap": lambda backend: backend.put("slots/old", NEW, expect=OLD_VERSION),
    "create": lambda backend: backend.put("slots/new", NEW, expect=Expect.ABSENT),
    "upload": upload,
    "delete": lambda backend: backend.delete("slots/old"),
}


@pytest.fixture(autouse=True)
def no_garbage() -> None:
    """Collect garbage first, so that no file of an earlier test is closed while this one counts open files."""
    gc.collect()


def descriptors() -> int:
    """Count what this process has open."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES, ids=[errno.errorcode[code] for code in CODES])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_call_may_fail(tmp_path: Path, change: Change, code: int) -> None:
    """Whichever call fails: the error is reported, each object is whole, no temporary file and no descriptor is left."""
    for index in range(100):
        folder = tmp_path / str(index)
        folder.mkdir()
        LocalBackend(folder).put("slots/old", OLD)
        files = FaultyFileCalls(index, code)
        opened = descriptors()
        try:
            change(LocalBackend(folder, files=files))
        except StoreError as error:
            assert isinstance(error, StoreFullError) == (code != errno.EIO)
            assert str(folder) in str(error)
        else:
            assert not files.failed, files.failed
            break
        assert descriptors() == opened
        check_state(folder, files.failed)
        try_again(folder, change)
    assert 5 < index < 99


def try_again(folder: Path, change: Change) -> None:
    """On the disk that works now, the same change succeeds, or finds that its first attempt took effect."""
    backend = LocalBackend(folder)
    with suppress(ConflictError):
        change(backend)
    if change is CHANGES["delete"]:
        assert list(backend.list("")) == []
    else:
        assert NEW in [backend.get(item.name) for item in backend.list("")]


def check_state(folder: Path, failed: list[FileCall]) -> None:
    """Look at what a failed change left."""
    backend = LocalBackend(folder)
    for item in backend.list(""):
        content = backend.get(item.name)
        assert content in ((OLD, NEW) if item.name == "slots/old" else (NEW,)), (failed, item)
    left = [name for name in os.listdir(folder) if name.startswith(PREFIX)]
    # What a writer is told to have failed is not to be entered by somebody who takes it for dead.
    left += [path.name for path in folder.rglob(".*.next-*")]
    assert not left or failed[0].name == "unlink", failed


@pytest.mark.parametrize("change", [upload, CHANGES["create"], CHANGES["swap"]])
def test_a_disk_that_stays_full(tmp_path: Path, change: Change) -> None:
    """On a disk that is full and stays so, nothing changes, and what is there can be read, listed and deleted."""
    LocalBackend(tmp_path).put("slots/old", OLD)
    backend = LocalBackend(tmp_path, files=FaultyFileCalls(0, errno.ENOSPC, stays_full=True))
    for _ in range(2):
        with pytest.raises(StoreFullError, match=r"no space left in .*free some space"):
            change(backend)
    assert backend.get("slots/old") == OLD
    assert [item.name for item in backend.list("")] == ["slots/old"]
    backend.delete("slots/old")
    assert [item.name for item in backend.list("")] == []


@pytest.mark.parametrize("start", [0, 1])
def test_every_call_of_a_read_may_fail(tmp_path: Path, start: int) -> None:
    """A failed read or listing is an error and never absence, a shorter object or a shorter listing."""
    LocalBackend(tmp_path).put("a/b", OLD)
    LocalBackend(tmp_path).put("a/c", OLD)
    for index in range(100):
        files = FaultyFileCalls(index, errno.EIO)
        backend = LocalBackend(tmp_path, files=files)
        try:
            assert backend.get("a/b", start) == OLD[start:]
            assert [item.name for item in sorted(backend.list(""), key=lambda item: item.name)] == ["a/b", "a/c"]
        except StoreError as error:
            assert type(error) is StoreError
            assert files.failed
        else:
            assert not files.failed
            break
    assert index > 5


def test_a_file_that_ends_before_its_size(tmp_path: Path) -> None:
    """Where the file system gives fewer bytes than the file has, that is an error and no short object."""

    class Truncating(FaultyFileCalls):
        """Read nothing."""

        def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
            return b""

    LocalBackend(tmp_path).put("a", OLD)
    backend = LocalBackend(tmp_path, files=Truncating())
    for stop in (None, 5):
        with pytest.raises(StoreError, match="ends before its own size"):
            backend.get("a", 0, stop)
    with pytest.raises(StoreError, match="ends before its own size"):
        backend.get_ranges("a", [(0, 5)])


def test_short_writes_and_reads_are_continued(tmp_path: Path) -> None:
    """A call that takes or gives fewer bytes than asked for is repeated for the rest."""

    class Halting(FaultyFileCalls):
        """Move three bytes at a time."""

        def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> int:
            return super().write(descriptor, memoryview(data)[:3])

        def read_at(self, descriptor: int, size: int, offset: int) -> bytes:
            return super().read_at(descriptor, min(size, 3), offset)

    backend = LocalBackend(tmp_path, files=Halting())
    backend.put("a", OLD)
    upload(backend, "b", NEW)
    assert (tmp_path / "a").read_bytes() == backend.get("a") == OLD
    assert backend.get("b", 1, 9) == NEW[1:9]
    assert backend.get_ranges("b", [(1, 9), (2, 4), (8, 99)]) == [NEW[1:9], NEW[2:4], NEW[8:]]
    with pytest.raises(ObjectNotFoundError):
        backend.get_ranges("c", [(1, 9)])


@pytest.mark.parametrize(
    ("code", "writing", "kind", "words"),
    [
        (errno.ENOSPC, True, StoreFullError, "no space left in /x/vault: free some space"),
        (errno.EDQUOT, True, StoreFullError, "quota"),
        (errno.EROFS, True, StorePermissionError, "read-only file system"),
        (errno.EACCES, True, StorePermissionError, "can't be written"),
        (errno.EPERM, True, StorePermissionError, "can't be written"),
        (errno.EACCES, False, StoreError, "can't be read"),
        (errno.EIO, True, StoreError, "disk error"),
        (errno.ESTALE, False, StoreUnavailableError, "does not answer"),
        (errno.EXDEV, True, StoreError, "spans several file systems"),
        (errno.EMFILE, False, StoreError, "can't be read"),
        (errno.EFBIG, True, StoreError, "can't be written"),
    ],
)
def test_an_errno_has_one_meaning(code: int, writing: bool, kind: type[StoreError], words: str) -> None:
    """Each errno becomes one error, whose message names the place on one line and says what to do."""
    error = store_error(OSError(code, "whatever"), "/x/vault", writing=writing)
    assert type(error) is kind
    assert words in str(error)
    assert "/x/vault" in str(error)
    assert "\n" not in str(error)


def test_a_place_is_printable() -> None:
    """A path with a line break, an escape or bytes that are no text is shown on one line."""
    assert printable("/a\nb\x1b[0m\udcff/ü") == "/a\\nb\\x1b[0m\\udcff/ü"


# Power loss

Step = tuple[str, bytes | None, Change]

WORKLOAD: list[Step] = [
    ("header", OLD, lambda backend: backend.put("header", OLD, expect=Expect.ABSENT)),
    ("packs/a", NEW, lambda backend: upload(backend, "packs/a")),
    ("slots/x", OLD, lambda backend: backend.put("slots/x", OLD)),
    ("packs/b", OLD, lambda backend: upload(backend, "packs/b", OLD)),
    ("slots/x", NEW, lambda backend: backend.put("slots/x", NEW, expect=OLD_VERSION)),
    ("packs/a", NEW, lambda backend: upload(backend, "packs/a", OLD)),
    ("header", None, lambda backend: backend.delete("header")),
    ("slots/x", OLD, lambda backend: backend.put("slots/x", OLD)),
]


def run_until_crash(disk: CrashDisk, folder: Path) -> tuple[dict[str, bytes], Step | None]:
    """Run the workload; give what was acknowledged, and the step during which the power failed."""
    backend = LocalBackend(folder, files=disk)
    acknowledged: dict[str, bytes] = {}
    for step in WORKLOAD:
        name, content, change = step
        try:
            change(backend)
        except SimulatedCrash:
            return acknowledged, step
        if content is None:
            del acknowledged[name]
        else:
            acknowledged[name] = content
    return acknowledged, None


def violations(disk: CrashDisk, acknowledged: dict[str, bytes], step: Step | None) -> list[str]:
    """Return the surviving states in which an acknowledged change is lost, or another one is neither absent nor complete."""
    with_step = dict(acknowledged)
    if step is not None:
        name, content, _ = step
        with_step.pop(name, None)
        if content is not None:
            with_step[name] = content
    found: list[str] = []
    for survival in Survival:
        for seed in range(20 if survival is Survival.RANDOM else 1):
            objects = disk.surviving(survival, seed).objects()
            if objects not in (acknowledged, with_step):
                found.append(f"boundary {disk.boundaries}, {survival.value}, seed {seed}: {objects}")
    return found


def crash_everywhere(tmp_path: Path, make: Callable[[Path, int], CrashDisk]) -> list[str]:
    """Crash at each boundary of the workload in turn, and gather what is wrong afterwards."""
    found: list[str] = []
    for boundary in range(1000):
        folder = tmp_path / str(boundary)
        folder.mkdir()
        disk = make(folder, boundary)
        opened = descriptors()
        acknowledged, step = run_until_crash(disk, folder)
        assert descriptors() == opened
        found += violations(disk, acknowledged, step)
        if step is None:
            assert boundary > 40
            return found
    raise AssertionError("the workload never ends")


@pytest.mark.slow
def test_power_may_fail_at_every_boundary(tmp_path: Path) -> None:
    """Whenever the power fails and whatever unsynced part survives: an acknowledged change is there, another whole or absent."""
    assert crash_everywhere(tmp_path, CrashDisk) == []


@pytest.mark.slow
@pytest.mark.parametrize("forgotten", ["fdatasync", "sync_folder"])
def test_a_forgotten_sync_is_found(tmp_path: Path, forgotten: str) -> None:
    """The simulation notices a backend that leaves out the syncs: this is the test of the test above."""

    class Forgetful(CrashDisk):
        """Take one kind of call for made, without its effect."""

        def after(self, call: FileCall, data: bytes = b"") -> None:
            if call.name != forgotten:
                super().after(call, data)

    assert crash_everywhere(tmp_path, Forgetful)


def test_life_goes_on_after_a_crash(tmp_path: Path) -> None:
    """The state that survived opens in a fresh folder; its leftovers go away and everything can be stored again."""
    for boundary in (5, 12, 20, 30, 40):
        folder = tmp_path / f"before-{boundary}"
        folder.mkdir()
        disk = CrashDisk(folder, boundary)
        run_until_crash(disk, folder)
        after = tmp_path / f"after-{boundary}"
        disk.surviving(Survival.ALL).write_to(after)
        backend = LocalBackend(after)
        upload(backend, "packs/a")
        assert backend.leftovers() == []
        assert [name for name in os.listdir(after) if name.startswith(PREFIX)] == []
        assert backend.get("packs/a") == NEW
        backend.put("slots/x", NEW)
        assert backend.get("slots/x") == NEW
