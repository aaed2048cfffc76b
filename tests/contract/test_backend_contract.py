from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.names import check_name, check_prefix
from tallac.errors import ConflictError, ObjectNotFoundError, StoreError
from tallac.interfaces import Backend, Buffer, Expect
from tallac.testing.crashing_backend import CrashingBackend
from tallac.testing.faulty_backend import FaultyBackend, no_faults
from tallac.testing.file_calls import RecordingFileCalls
from tallac.testing.recording_backend import RecordingBackend

BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": LocalBackend,
    "local, watched": lambda folder: LocalBackend(folder, files=RecordingFileCalls()),
    "memory": lambda _folder: MemoryBackend(),
    "faulty without faults": lambda _folder: FaultyBackend(MemoryBackend(), no_faults),
    "recording": lambda folder: RecordingBackend(LocalBackend(folder)),
    "crashing without a crash": lambda _folder: CrashingBackend(MemoryBackend()),
}

NO_NAMES = ["", "/", "a/", "/a", "a//b", ".", "..", "a/..", "../a", ".tmp-1", "a/.lock", "A", "ä", "a b", "a\n", "a\0", "a\\b"]


@pytest.fixture(params=BACKENDS.values(), ids=list(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """An empty backend of each kind in turn."""
    make: Callable[[Path], Backend] = request.param
    return make(tmp_path)


def store(backend: Backend, name: str, *parts: bytes) -> None:
    """Upload an object in parts."""
    upload = backend.upload()
    for part in parts:
        upload.write(part)
    upload.commit(name)


def names(backend: Backend, prefix: str = "") -> list[str]:
    """List names in order."""
    return sorted(item.name for item in backend.list(prefix))


def test_what_was_put_is_got(backend: Backend) -> None:
    """Bytes come back as they went in, from any kind of buffer, empty ones too."""
    contents: dict[str, Buffer] = {"a": b"one", "b/c-1.2_3": bytearray(b"two"), "b/d/e": memoryview(b"three"), "empty": b""}
    for name, content in contents.items():
        backend.put(name, content)
        assert backend.get(name) == content


def test_a_buffer_may_be_reused(backend: Backend) -> None:
    """Changing the caller's buffer afterwards does not change the object."""
    buffer = bytearray(b"before")
    upload = backend.upload()
    backend.put("put", buffer)
    upload.write(buffer)
    buffer[:] = b"after!"
    upload.commit("uploaded")
    assert backend.get("put") == backend.get("uploaded") == b"before"


def test_a_put_replaces(backend: Backend) -> None:
    """Without an expectation the last put wins, also with equal bytes and after a ranged read."""
    backend.put("a", b"long content")
    assert backend.get("a", 5) == b"content"
    backend.put("a", b"short")
    backend.put("a", b"short")
    assert backend.get("a") == b"short"
    assert backend.get("a", 1, 3) == b"ho"


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (3, None), (3, 7), (0, 10), (8, 99), (10, None), (99, 120), (5, 5), (7, 3)])
def test_ranges(backend: Backend, start: int, stop: int | None) -> None:
    """A range gives what Python's slices give: fewer bytes where the object ends before."""
    content = b"0123456789"
    backend.put("a", content)
    assert backend.get("a", start, stop) == content[start:stop]


def test_absence_is_told_apart(backend: Backend) -> None:
    """A missing object is an ObjectNotFoundError or None, and deleting it is not an error."""
    backend.put("folder/there", b"x")
    for name in ["gone", "folder/gone", "no-folder/gone"]:
        with pytest.raises(ObjectNotFoundError, match=name):
            backend.get(name)
        with pytest.raises(ObjectNotFoundError, match=name):
            backend.get(name, 2, 4)
        assert backend.get_versioned(name) is None
        backend.delete(name)
        backend.delete(name, expect=b"some version")


def test_a_deleted_object_is_absent(backend: Backend) -> None:
    """A delete takes effect for whole and ranged reads and for listings, and the name can be used again."""
    backend.put("a/b", b"content")
    assert backend.get("a/b", 1, 2) == b"o"
    backend.delete("a/b")
    assert names(backend) == []
    with pytest.raises(ObjectNotFoundError):
        backend.get("a/b", 1, 2)
    backend.put("a/b", b"again", expect=Expect.ABSENT)
    assert backend.get("a/b", 1, 2) == b"g"


def test_expecting_absence(backend: Backend) -> None:
    """A put that expects absence changes nothing that exists."""
    backend.put("a/b", b"first", expect=Expect.ABSENT)
    with pytest.raises(ConflictError, match="a/b"):
        backend.put("a/b", b"second", expect=Expect.ABSENT)
    assert backend.get("a/b") == b"first"


def test_expecting_a_version(backend: Backend) -> None:
    """A put that expects a version succeeds in that state only; what it gives is the next version."""
    first = backend.put("slots/a", b"first")
    assert backend.get_versioned("slots/a") == (b"first", first)
    second = backend.put("slots/a", b"second", expect=first)
    assert first != second
    with pytest.raises(ConflictError, match="slots/a"):
        backend.put("slots/a", b"third", expect=first)
    assert backend.get_versioned("slots/a") == (b"second", second)
    with pytest.raises(ConflictError, match="slots/b"):
        backend.put("slots/b", b"x", expect=first)
    assert names(backend) == ["slots/a"]


def test_deleting_a_version(backend: Backend) -> None:
    """A delete that expects a version leaves every other state alone."""
    first = backend.put("a", b"first")
    second = backend.put("a", b"second")
    with pytest.raises(ConflictError, match="a"):
        backend.delete("a", expect=first)
    assert backend.get("a") == b"second"
    backend.delete("a", expect=second)
    assert names(backend) == []


def test_an_upload_gets_its_name_at_the_end(backend: Backend) -> None:
    """An upload shows nowhere before its commit, then as a whole."""
    upload = backend.upload()
    upload.write(b"one, ")
    upload.write(memoryview(b"two"))
    assert names(backend) == []
    upload.commit("packs/ab")
    assert list(backend.get("packs/ab")) == list(b"one, two")
    upload.abort()
    assert [(item.name, item.size) for item in backend.list("packs/")] == [("packs/ab", 8)]


def test_an_upload_keeps_what_exists(backend: Backend) -> None:
    """A commit under a name that exists succeeds and leaves the object as it is."""
    store(backend, "packs/ab", b"first")
    store(backend, "packs/ab", b"second")
    assert backend.get("packs/ab") == b"first"


def test_an_aborted_upload_leaves_nothing(backend: Backend) -> None:
    """An upload that was aborted, once or twice, is gone, and takes nothing more."""
    upload = backend.upload()
    upload.write(b"bytes")
    upload.abort()
    upload.abort()
    assert names(backend) == []
    with pytest.raises(StoreError, match="ended"):
        upload.write(b"more")
    with pytest.raises(StoreError, match="ended"):
        upload.commit("packs/ab")
    assert names(backend) == []


def test_listing_by_prefix(backend: Backend) -> None:
    """A prefix may end anywhere in a name, and lists all names that begin with it, with their sizes."""
    for name in ["header", "packs/aa1", "packs/ab2", "packs/ab/deep", "packs-old/ab", "slots/x"]:
        backend.put(name, name.encode())
    assert names(backend) == ["header", "packs-old/ab", "packs/aa1", "packs/ab/deep", "packs/ab2", "slots/x"]
    assert names(backend, "packs") == ["packs-old/ab", "packs/aa1", "packs/ab/deep", "packs/ab2"]
    assert names(backend, "packs/") == ["packs/aa1", "packs/ab/deep", "packs/ab2"]
    assert names(backend, "packs/ab") == ["packs/ab/deep", "packs/ab2"]
    assert names(backend, "packs/ab/") == ["packs/ab/deep"]
    assert names(backend, "header") == ["header"]
    assert names(backend, "no") == names(backend, "no/such/") == names(backend, "packs/zz") == []
    assert all(item.size == len(item.name) for item in backend.list(""))


@pytest.mark.parametrize("name", NO_NAMES)
def test_wrong_names_are_refused(backend: Backend, name: str) -> None:
    """An invalid object name is refused before anything is touched."""
    for call in (backend.get, backend.get_versioned, backend.delete):
        with pytest.raises(ValueError, match="name"):
            call(name)
    with pytest.raises(ValueError, match="name"):
        backend.put(name, b"x")
    upload = backend.upload()
    with pytest.raises(ValueError, match="name"):
        upload.commit(name)
    assert names(backend) == []


def test_names_and_prefixes() -> None:
    """The check gives names and prefixes back, and refuses prefixes that no name has."""
    for name in ["a", "0/-/_", "a.b/c..d"]:
        assert check_name(name) == check_prefix(name) == name
    for prefix in ["", "a/", "a/b/"]:
        assert check_prefix(prefix) == prefix
    for prefix in [".", "a/.t", "/", "a//", "A"]:
        with pytest.raises(ValueError, match="beginning of an object's name"):
            check_prefix(prefix)


def test_one_of_many_threads_creates(backend: Backend) -> None:
    """Of eight threads that put at once and expect absence, exactly one succeeds, and its bytes are there."""
    for turn in range(10):
        barrier = Barrier(8)

        def create(number: int, name: str = f"race/{turn}", barrier: Barrier = barrier) -> bool:
            barrier.wait()
            try:
                backend.put(name, b"by %d" % number, expect=Expect.ABSENT)
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(create, range(8)))
        assert outcomes.count(True) == 1
        assert backend.get(f"race/{turn}") == b"by %d" % outcomes.index(True)


def test_no_increment_is_lost_between_threads(backend: Backend) -> None:
    """Threads that advance a counter by compare-and-swap count every step."""
    backend.put("counter", b"0")

    def count(_number: int) -> None:
        for _ in range(10):
            increment(backend)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert backend.get("counter") == b"40"


def increment(backend: Backend) -> None:
    """Add one to the counter, again until nobody comes between."""
    while True:
        found = backend.get_versioned("counter")
        assert found is not None
        try:
            backend.put("counter", b"%d" % (int(found[0]) + 1), expect=found[1])
        except ConflictError:
            continue
        return


def test_uploads_of_many_threads(backend: Backend) -> None:
    """Threads that upload at once, partly under the same names, leave every object whole."""

    def upload(number: int) -> None:
        store(backend, f"packs/{number % 10}", b"%d" % (number % 10) * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, range(40)))
    assert {item.name: item.size for item in backend.list("packs/")} == {f"packs/{number}": 1000 for number in range(10)}
    assert all(backend.get(f"packs/{number}") == b"%d" % number * 1000 for number in range(10))
