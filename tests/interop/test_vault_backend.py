"""A vault's backend on a real Tahoe-LAFS grid: the suite that every backend passes, and what is peculiar to this one."""

from __future__ import annotations

import pickle
from threading import Thread

import pytest
from tests.contract import test_backend_contract as suite
from tests.interop.tahoe_grid import TahoeGrid

from tallac.backends.tahoe import EMBEDDED_SIZE_MAX, STATES_KEPT, TahoeBackend
from tallac.errors import ConflictError, StorePermissionError
from tallac.interfaces import Expect
from tallac.webapi import WebClient


@pytest.fixture
def root(tahoe_grid: TahoeGrid) -> str:
    """Give a new directory's write cap."""
    with WebClient(tahoe_grid.url) as client:
        return client.make_directory("SDMF")


@pytest.fixture
def backend(tahoe_grid: TahoeGrid, root: str) -> TahoeBackend:
    """Give an empty backend."""
    return TahoeBackend(tahoe_grid.url, root, "this node")


test_what_was_put_is_got = suite.test_what_was_put_is_got
test_a_buffer_may_be_reused = suite.test_a_buffer_may_be_reused
test_a_put_replaces = suite.test_a_put_replaces
test_absence_is_told_apart = suite.test_absence_is_told_apart
test_a_deleted_object_is_absent = suite.test_a_deleted_object_is_absent
test_expecting_absence = suite.test_expecting_absence
test_expecting_a_version = suite.test_expecting_a_version
test_deleting_a_version = suite.test_deleting_a_version
test_an_upload_gets_its_name_at_the_end = suite.test_an_upload_gets_its_name_at_the_end
test_an_upload_keeps_what_exists = suite.test_an_upload_keeps_what_exists
test_an_aborted_upload_leaves_nothing = suite.test_an_aborted_upload_leaves_nothing
test_listing_by_prefix = suite.test_listing_by_prefix
test_wrong_names_are_refused = suite.test_wrong_names_are_refused
test_one_of_many_threads_creates = suite.test_one_of_many_threads_creates
test_no_increment_is_lost_between_threads = suite.test_no_increment_is_lost_between_threads
test_uploads_of_many_threads = suite.test_uploads_of_many_threads


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (99, None), (10, 10_000), (5000, None), (7, 3)])
def test_ranges(backend: TahoeBackend, start: int, stop: int | None) -> None:
    """A range gives what Python's slices give, of an object that its cap does not hold."""
    content = bytes(range(100)) * (EMBEDDED_SIZE_MAX // 100 + 1)
    backend.put("a", content)
    assert backend.get("a", start, stop) == content[start:stop]


@pytest.mark.parametrize("size", [55, 56, EMBEDDED_SIZE_MAX, EMBEDDED_SIZE_MAX + 1])
def test_small_objects_are_in_their_directory(backend: TahoeBackend, tahoe_grid: TahoeGrid, root: str, size: int) -> None:
    """What is small is held by its cap, whichever way it was written, and comes back whole to another client."""
    content = bytes(index % 251 for index in range(size))
    backend.put("slots/a", content)
    suite.store(backend, "packs/a", content)
    other = TahoeBackend(tahoe_grid.url, root, "this node")
    assert other.get("slots/a") == other.get("packs/a") == content
    with WebClient(tahoe_grid.url) as client:
        slots = client.look(root, where="root").children["slots"].read
        assert slots is not None
        cap = client.look(slots, where="slots").children["a@1"].read
    assert cap is not None
    assert cap.startswith("URI:LIT:") == (size <= EMBEDDED_SIZE_MAX)


def test_another_client_sees_it_all(backend: TahoeBackend) -> None:
    """What one process wrote, another one that was sent the backend reads, changes and deletes."""
    first = backend.put("slots/a", b"first", expect=Expect.ABSENT)
    other = pickle.loads(pickle.dumps(backend))  # noqa: S301 - it was made here.
    assert isinstance(other, TahoeBackend)
    assert other.get_versioned("slots/a") == (b"first", first)
    second = other.put("slots/a", b"second", expect=first)
    with pytest.raises(ConflictError):
        backend.put("slots/a", b"third", expect=first)
    with pytest.raises(ConflictError):
        backend.delete("slots/a", expect=first)
    backend.delete("slots/a", expect=second)
    assert other.get_versioned("slots/a") is None
    with pytest.raises(ConflictError):
        other.put("slots/a", b"late", expect=second)
    assert list(backend.list("slots/")) == []


def test_old_states_are_removed(backend: TahoeBackend, tahoe_grid: TahoeGrid, root: str) -> None:
    """However often an object changes, few of its states stay."""
    for number in range(2 * STATES_KEPT):
        backend.put("slots/a", b"%d" % number)
    found = backend.get_versioned("slots/a")
    assert found is not None
    assert found[0] == b"%d" % (2 * STATES_KEPT - 1)
    with WebClient(tahoe_grid.url) as client:
        slots = client.look(root, where="root").children["slots"].read
        assert slots is not None
        assert len(client.look(slots, where="slots").children) <= STATES_KEPT + 1


def test_only_one_node_writes(backend: TahoeBackend, tahoe_grid: TahoeGrid, root: str) -> None:
    """A second node may read, and is refused with a sentence when it writes."""
    backend.put("a", b"content")
    other = TahoeBackend(tahoe_grid.url, root, "another node")
    assert other.get("a") == b"content"
    for write in (lambda: other.put("b", b""), lambda: other.delete("a"), lambda: suite.store(other, "c", b"")):
        with pytest.raises(StorePermissionError, match="another Tahoe-LAFS node"):
            write()
    assert [item.name for item in backend.list("")] == ["a"]


def test_what_arrives_together_is_entered_together(backend: TahoeBackend) -> None:
    """Threads that upload at once all find their objects, each once, also two that bring the same one."""
    contents = {f"packs/{number:02}": b"%d" % number * 2000 for number in range(8)}
    threads = [Thread(target=suite.store, args=(backend, name, content)) for name, content in [*contents.items()] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {item.name: item.size for item in backend.list("packs/")} == {name: len(content) for name, content in contents.items()}
    assert all(backend.get(name) == content for name, content in contents.items())
