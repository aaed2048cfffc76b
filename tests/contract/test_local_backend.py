import gc
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.backends.descriptors import DescriptorCache
from tallac.backends.local import LocalBackend
from tallac.backends.temporary import PREFIX, TemporaryFile
from tallac.errors import ConflictError, ObjectNotFoundError, StoreError, StorePermissionError
from tallac.file_calls import REAL
from tallac.interfaces import Expect
from tallac.testing.file_calls import FileCall, RecordingFileCalls
from tallac.testing.readonly_backend import ReadOnlyBackend

COUNT = """
import sys
from pathlib import Path
from tallac.backends.local import LocalBackend
from tallac.errors import ConflictError

backend = LocalBackend(Path(sys.argv[1]))
for _ in range(50):
    while True:
        content, version = backend.get_versioned("slots/counter")
        try:
            backend.put("slots/counter", b"%d" % (int(content) + 1), expect=version)
        except ConflictError:
            continue
        break
"""

LEAVE = """
import os, sys
from pathlib import Path
from tallac.backends.local import LocalBackend

upload = LocalBackend(Path(sys.argv[1])).upload()
upload.write(b"never finished")
os._exit(9)
"""


def run(script: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a script in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


@pytest.fixture
def umask_0() -> Iterator[None]:
    """Set a umask of 0, so that modes are as requested."""
    previous = os.umask(0)
    yield
    os.umask(previous)


def test_no_increment_is_lost_between_processes(tmp_path: Path) -> None:
    """Four processes that advance a counter fifty times each by compare-and-swap bring it to 200."""
    backend = LocalBackend(tmp_path)
    backend.put("slots/counter", b"0")
    processes = [run(COUNT, tmp_path) for _ in range(4)]
    assert [process.wait(timeout=PATIENCE_SECONDS) for process in processes] == [0, 0, 0, 0]
    assert backend.get("slots/counter") == b"200"


def order_of(calls: list[FileCall], folder: Path) -> list[str]:
    """Show calls on one line each, with paths relative to a folder and no random names."""

    def shown(path: str) -> str:
        relative = os.path.relpath(path, folder)
        return "tmp" if relative.startswith(PREFIX) else relative

    return [" ".join([call.name, shown(call.path), *([shown(call.destination)] if call.destination else [])]) for call in calls]


def test_a_put_is_durable_before_it_returns(tmp_path: Path) -> None:
    """Bytes are synced before they get their name, and the folder after it; so is a new folder's name."""
    files = RecordingFileCalls()
    LocalBackend(tmp_path, files=files).put("slots/a", b"content")
    # The second sync of the upper folder: nobody knows yet that a file can have two names here.
    assert order_of(files.changes, tmp_path) == [
        "mkdir slots",
        "sync_folder .",
        "create tmp",
        "write tmp",
        "fdatasync tmp",
        "rename tmp slots/a",
        "sync_folder .",
        "fsync slots/a",
        "sync_folder slots",
    ]


def test_a_put_that_expects_absence_is_durable_before_it_returns(tmp_path: Path) -> None:
    """The order is the same where a link gives the name."""
    (tmp_path / "slots").mkdir()
    files = RecordingFileCalls()
    LocalBackend(tmp_path, files=files).put("slots/a", b"content", expect=Expect.ABSENT)
    # The first sync is for a folder that another process has made and may not have synced.
    assert order_of(files.changes, tmp_path) == [
        "sync_folder .",
        "create tmp",
        "write tmp",
        "fdatasync tmp",
        "link tmp slots/a",
        "sync_folder slots",
        "unlink tmp",
    ]


def test_an_upload_is_durable_before_its_commit_returns(tmp_path: Path) -> None:
    """An upload's bytes are synced before they get their name, and the folder after it."""
    files = RecordingFileCalls()
    upload = LocalBackend(tmp_path, files=files).upload()
    upload.write(b"one")
    upload.write(b"two")
    upload.commit("pack")
    assert order_of(files.changes, tmp_path) == [
        "create tmp",
        "write tmp",
        "write tmp",
        "fdatasync tmp",
        "link tmp pack",
        "sync_folder .",
        "unlink tmp",
    ]


def test_what_somebody_else_wrote_is_durable_before_it_is_relied_on(tmp_path: Path) -> None:
    """A commit or conflict that finds an object, and a delete that finds none, sync the folder for the one who may not have."""
    backend = LocalBackend(tmp_path)
    backend.put("a", b"x")
    files = RecordingFileCalls()
    watched = LocalBackend(tmp_path, files=files)
    upload = watched.upload()
    upload.commit("a")
    for expect in (Expect.ABSENT, b"other"):
        with pytest.raises(ConflictError):
            watched.put("a", b"y", expect=expect)
    watched.delete("gone")
    assert sum(call.name == "sync_folder" for call in files.changes) == 4


def test_a_delete_is_durable_before_it_returns(tmp_path: Path) -> None:
    """A delete syncs the folder after it."""
    files = RecordingFileCalls()
    backend = LocalBackend(tmp_path, files=files)
    backend.put("a", b"x")
    files.calls.clear()
    backend.delete("a")
    assert order_of(files.changes, tmp_path) == ["unlink a", "sync_folder ."]


@pytest.mark.usefixtures("umask_0")
def test_nobody_else_can_read(tmp_path: Path) -> None:
    """Folders have mode 0700 and files 0600, from creation on, with a umask of 0 as well."""
    backend = LocalBackend(tmp_path / "above" / "vault")
    backend.create()
    backend.put("slots/deep/a", b"x")
    backend.put("b", b"x", expect=Expect.ABSENT)
    upload = backend.upload()
    upload.write(b"x")
    for path in (tmp_path / "above").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((tmp_path / "above").stat().st_mode) == 0o700
    upload.abort()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """A vanished folder is never taken for an empty one, nor created by the way."""
    backend = LocalBackend(tmp_path / "gone")
    for call in (
        lambda: backend.get("a"),
        lambda: backend.get("a", 1, 2),
        lambda: backend.get_versioned("a"),
        lambda: list(backend.list("")),
        lambda: list(backend.list("packs/")),
        lambda: backend.put("a", b"x"),
        lambda: backend.put("b/a", b"x", expect=Expect.ABSENT),
        backend.upload,
        lambda: backend.delete("a"),
    ):
        with pytest.raises(StoreError, match="gone does not exist: attach its disk") as caught:
            call()
        assert not isinstance(caught.value, ObjectNotFoundError)
    assert not (tmp_path / "gone").exists()


def test_create_twice(tmp_path: Path) -> None:
    """A folder is created with those above it, and once is as good as twice."""
    backend = LocalBackend(tmp_path / "a" / "b")
    backend.create()
    backend.create()
    backend.put("x", b"1")
    assert (tmp_path / "a" / "b" / "x").read_bytes() == b"1"


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    """A file where the folder should be is an error that names it."""
    (tmp_path / "vault").write_bytes(b"")
    with pytest.raises(StoreError, match="vault"):
        LocalBackend(tmp_path / "vault").put("a", b"x")


def test_listings_leave_out_what_is_no_object(tmp_path: Path) -> None:
    """Temporary files, lock files and what others put there are no objects."""
    backend = LocalBackend(tmp_path)
    backend.put("a/b", b"x")
    for name in [".tmp-1", ".lock", "a/.lock", "Thumbs.db", "a/ü"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "lost+found").mkdir(mode=0)
    os.mkfifo(tmp_path / "fifo")
    assert [item.name for item in backend.list("")] == ["a/b"]


@pytest.mark.parametrize("name", ["packs", "packs/a"])
def test_a_link_that_leads_nowhere(tmp_path: Path, name: str) -> None:
    """A link to a disk that is not attached makes a listing fail rather than look empty."""
    backend = LocalBackend(tmp_path)
    backend.put("packs/b" if "/" in name else "other", b"x")
    (tmp_path / name).symlink_to(tmp_path / "not-attached")
    for prefix in ("", "packs/"):
        with pytest.raises(StoreError, match="can't be read"):
            list(backend.list(prefix))


def test_a_fifo_in_the_place_of_an_object(tmp_path: Path) -> None:
    """A FIFO makes no reader wait."""
    os.mkfifo(tmp_path / "a")
    assert LocalBackend(tmp_path).get("a") == b""


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    """Closing a backend closes the files that it keeps open."""
    files = RecordingFileCalls()
    backend = LocalBackend(tmp_path, files=files)
    backend.put("a", b"content")
    backend.get("a", 1, 2)
    before = [call.name for call in files.calls].count("close")
    del backend
    gc.collect()
    assert [call.name for call in files.calls].count("close") == before + 1


def test_a_listing_holds_off_who_replaces(tmp_path: Path) -> None:
    """Each folder is listed under its lock: some file systems lose a name from a listing while it is replaced."""
    LocalBackend(tmp_path).put("slots/a", b"x")
    files = RecordingFileCalls()
    list(LocalBackend(tmp_path, files=files).list("slots/"))
    calls = order_of([call for call in files.calls if call.name != "stat"], tmp_path)
    assert calls == ["lock_folder slots", "list_folder slots", "unlock slots"]


def test_the_copy_of_another_process(tmp_path: Path) -> None:
    """A backend can be pickled, also while it has files open; the copy opens the same folder."""
    backend = LocalBackend(tmp_path)
    backend.put("a", b"content")
    backend.get("a", 1, 3)
    copy = pickle.loads(pickle.dumps(backend))  # noqa: S301 - it was pickled in this line
    assert isinstance(copy, LocalBackend)
    assert copy.get("a", 1, 3) == b"on"
    assert copy.location() == backend.location() == str(tmp_path)


def test_what_another_process_changed_is_seen(tmp_path: Path) -> None:
    """A ranged read of a file that is kept open notices that it was replaced or deleted."""
    mine, other = LocalBackend(tmp_path), LocalBackend(tmp_path)
    other.put("a", b"first")
    assert mine.get("a", 0, 3) == b"fir"
    other.put("a", b"second")
    assert mine.get("a", 0, 3) == b"sec"
    other.delete("a")
    with pytest.raises(ObjectNotFoundError):
        mine.get("a", 0, 3)


def test_files_are_not_kept_open_without_end(tmp_path: Path) -> None:
    """The cache closes the least recently read file, though never one that is being read, and all of them on request."""
    paths = [str(tmp_path / f"{number}") for number in range(5)]
    for path in paths:
        Path(path).write_text(path)
    files = RecordingFileCalls()
    cache = DescriptorCache(files, kept_max=2)
    with cache.borrow(paths[0]) as descriptor:
        for path in paths[1:]:
            with cache.borrow(path) as other:
                assert os.pread(other, 1000, 0).decode() == path
        assert os.pread(descriptor, 1000, 0).decode() == paths[0]
    assert [call.path for call in files.calls if call.name == "close"] == [paths[1], paths[2], paths[0]]
    cache.close()
    assert sum(call.name == "close" for call in files.calls) == sum(call.name == "open" for call in files.calls) == 5


def test_leftovers_of_a_killed_run(tmp_path: Path) -> None:
    """A killed run's leftover file is no object, and the next run's first upload removes it; that of a living writer stays."""
    backend = LocalBackend(tmp_path)
    living = LocalBackend(tmp_path).upload()
    living.write(b"slow")
    assert backend.leftovers() == []
    assert run(LEAVE, tmp_path).wait(timeout=PATIENCE_SECONDS) == 9
    (leftover,) = backend.leftovers()
    assert (leftover.name[:5], leftover.size) == (PREFIX, len(b"never finished"))
    assert list(backend.list("")) == []
    backend.upload().abort()
    assert backend.leftovers() == []
    living.commit("packs/a")
    assert backend.get("packs/a") == b"slow"
    assert [name for name in os.listdir(tmp_path) if name.startswith(PREFIX)] == []


def test_what_is_put_removes_leftovers_too(tmp_path: Path) -> None:
    """Leftovers of killed runs are removed before anything is written, since they may be what fills the disk."""
    assert run(LEAVE, tmp_path).wait(timeout=60) == 9
    backend = LocalBackend(tmp_path)
    assert backend.leftovers()
    backend.put("a", b"content")
    assert sorted(os.listdir(tmp_path)) == ["a"]


def test_a_leftover_that_has_a_name_already(tmp_path: Path) -> None:
    """A run killed between link and unlink leaves an object that is whole; only its second name is removed."""
    backend = LocalBackend(tmp_path)
    backend.put("a", b"content")
    os.link(tmp_path / "a", tmp_path / f"{PREFIX}1")
    LocalBackend(tmp_path).upload().abort()
    assert backend.get("a") == b"content"
    assert sorted(os.listdir(tmp_path)) == ["a"]


def test_a_temporary_file_that_was_taken_for_a_leftover(tmp_path: Path) -> None:
    """A writer whose new file was removed before it could lock it begins again with another one."""

    class Thief(RecordingFileCalls):
        """Remove the first file before it is locked."""

        def before(self, call: FileCall) -> None:
            if call.name == "try_lock" and not self.calls[:-1]:
                os.unlink(call.path)

    files = Thief()
    file = TemporaryFile(str(tmp_path), files)
    assert [call.name for call in files.calls].count("create") == 2
    file.write(b"x")
    file.rename_to(str(tmp_path / "a"))
    assert os.listdir(tmp_path) == ["a"]


def test_a_claim_that_somebody_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put whose claim was removed, rather than entered by somebody else, is a conflict, and not taken for done."""
    backend = LocalBackend(tmp_path)
    version = backend.put("slots/a", b"before")
    rename = type(REAL).rename

    def rename_too_late(files: object, source: str, target: str) -> None:
        if ".next-" in source:
            os.unlink(source)
        rename(REAL, source, target)

    monkeypatch.setattr(type(REAL), "rename", rename_too_late)
    with pytest.raises(ConflictError):
        backend.put("slots/a", b"after", expect=version)
    assert backend.get("slots/a") == b"before"


def test_without_links(tmp_path: Path) -> None:
    """On a file system without hard links the lock keeps the promise: nothing that exists is replaced."""

    class NoLinks(RecordingFileCalls):
        """A FAT file system."""

        def before(self, call: FileCall) -> None:
            if call.name == "link":
                raise PermissionError(1, "no links here")

    files = NoLinks()
    backend = LocalBackend(tmp_path, files=files)
    backend.put("a", b"first", expect=Expect.ABSENT)
    with pytest.raises(ConflictError):
        backend.put("a", b"second", expect=Expect.ABSENT)
    upload = backend.upload()
    upload.write(b"third")
    upload.commit("a")
    assert backend.get("a") == b"first"
    assert os.listdir(tmp_path) == ["a"]
    assert order_of(files.changes, tmp_path)[:6] == [
        "create tmp",
        "write tmp",
        "fdatasync tmp",
        "rename tmp a",
        "fsync a",
        "sync_folder .",
    ]


def test_a_wrapper_for_reading_only(tmp_path: Path) -> None:
    """A read-only backend reads everything and refuses every change, naming the place."""
    inner = LocalBackend(tmp_path)
    version = inner.put("a", b"content")
    backend = ReadOnlyBackend(inner)
    assert backend.get("a") == b"content"
    assert backend.get("a", 2, 4) == b"nt"
    assert backend.get_versioned("a") == (b"content", version)
    assert [item.name for item in backend.list("")] == ["a"]
    assert backend.location() == inner.location()
    for call in (lambda: backend.put("b", b"x"), backend.upload, lambda: backend.delete("a")):
        with pytest.raises(StorePermissionError, match="opened for reading only"):
            call()
    assert [item.name for item in inner.list("")] == ["a"]


def test_reading_needs_no_writes(tmp_path: Path) -> None:
    """Reading, listing and looking for leftovers change nothing on the disk and take no lock that only a writer can."""
    LocalBackend(tmp_path).put("a/b", b"content")
    files = RecordingFileCalls(REAL)
    backend = LocalBackend(tmp_path, files=files)
    backend.get("a/b")
    backend.get("a/b", 1, 2)
    backend.get_versioned("a/b")
    assert len(list(backend.list(""))) == 1
    assert backend.leftovers() == []
    assert files.changes == []
