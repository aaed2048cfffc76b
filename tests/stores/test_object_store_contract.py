"""The suite that every backend passes, on object stores: their real engines, and the library's own in memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.contract import test_backend_contract as suite

from tallac.backends.object_store import TOMBSTONE_SIZE, ObjectStoreBackend
from tallac.backends.object_store_calls import StoreCalls
from tallac.backends.object_store_settings import AZURE, MEMORY, ObjectStoreSettings
from tallac.backends.patience import Patience
from tallac.backends.retrying import RetryingBackend
from tallac.errors import ConflictError, ObjectNotFoundError
from tallac.interfaces import Backend, Expect

ENGINES = ("memory", "moto", "azurite", pytest.param("ceph", marks=pytest.mark.slow))


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest) -> ObjectStoreBackend:
    """Give an empty place in a store of each kind in turn."""
    if request.param == "memory":
        return ObjectStoreBackend(ObjectStoreSettings(kind=MEMORY, bucket="memory", prefix="some/where"))
    make: Callable[..., ObjectStoreBackend] = request.getfixturevalue("store_of")
    return make(request.getfixturevalue(str(request.param)))


@pytest.fixture
def backend(store: ObjectStoreBackend) -> Backend:
    """Give it as it is used: behind the wrapper that tries again, since Ceph tells losers of a race that it has failed itself."""
    return RetryingBackend(store, Patience())


test_what_was_put_is_got = suite.test_what_was_put_is_got
test_a_buffer_may_be_reused = suite.test_a_buffer_may_be_reused
test_a_put_replaces = suite.test_a_put_replaces
test_ranges = suite.test_ranges
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
test_uploads_of_many_threads = suite.test_uploads_of_many_threads


RACERS = ("memory", "azurite", "ceph")
"""The stores that let one client win of those who put at once; moto lets two, now and then on a busy machine."""


@pytest.mark.parametrize("store", RACERS, indirect=True)
def test_one_of_many_threads_creates(backend: Backend) -> None:
    """As in the suite."""
    suite.test_one_of_many_threads_creates(backend)


@pytest.mark.parametrize("store", RACERS, indirect=True)
def test_no_increment_is_lost_between_threads(backend: Backend) -> None:
    """As in the suite."""
    suite.test_no_increment_is_lost_between_threads(backend)


def test_empty_ranges_of_an_empty_object(store: ObjectStoreBackend) -> None:
    """An object without bytes has no bytes in any range."""
    store.put("a", b"")
    assert store.get("a") == store.get("a", 0, 1) == store.get("a", 3) == store.get("a", 0, 0) == b""


def test_a_listing_tells_the_versions_that_reads_tell(store: ObjectStoreBackend) -> None:
    """By a listing a client knows what has not changed since it was read: an ETag that is written otherwise there never says so."""
    first = store.put("slots/a", b"first", expect=Expect.ABSENT)
    versions = {"slots/a": store.put("slots/a", b"second", expect=first), "registers/b": store.put("registers/b", b"b")}
    assert {listed.item.name: listed.version for listed in store.list_versions()} == versions
    assert {name: found[1] for name in versions if (found := store.get_versioned(name)) is not None} == versions


def test_another_process_reads_and_swaps(store: ObjectStoreBackend) -> None:
    """What was sent to another process is the same place, and what is sent holds no secret."""
    if store.settings.kind == MEMORY:
        pytest.skip("memory is this process's alone")
    first = store.put("slots/a", b"first", expect=Expect.ABSENT)
    sent = pickle.dumps(store)
    assert b"SECRET" not in sent
    other = pickle.loads(sent)  # noqa: S301 - it was made here.
    assert isinstance(other, ObjectStoreBackend)
    assert other.get_versioned("slots/a") == (b"first", first)
    other.put("slots/a", b"second", expect=first)
    with pytest.raises(ConflictError):
        store.put("slots/a", b"third", expect=first)


def test_a_delete_that_was_killed_leaves_absence(store: ObjectStoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the tombstone and the delete, the object is absent for everybody, and its name can be deleted."""
    version = store.put("sessions/a", b"alive")
    store.put("sessions/b", bytes(TOMBSTONE_SIZE))
    with monkeypatch.context() as patch:
        patch.setattr(StoreCalls, "delete", lambda _calls, _name: None)
        store.delete("sessions/a", expect=version)
    assert suite.names(store) == ["sessions/b"]
    assert store.get_versioned("sessions/a") is None
    with pytest.raises(ObjectNotFoundError):
        store.get("sessions/a")
    with pytest.raises(ConflictError):
        store.put("sessions/a", b"heartbeat", expect=version)
    store.delete("sessions/a", expect=version)
    store.delete("sessions/a")
    store.put("sessions/a", b"another", expect=Expect.ABSENT)
    assert suite.names(store) == ["sessions/a", "sessions/b"]


@pytest.mark.slow
def test_a_long_listing_is_complete(store: ObjectStoreBackend) -> None:
    """More names than fit into one answer are all listed, each once."""
    if store.settings.kind == AZURE:
        pytest.skip("Azurite gives 5,000 names in one answer")
    expected = [f"packs/{number:05}" for number in range(1103)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, b""), expected))
    assert suite.names(store, "packs/") == expected
