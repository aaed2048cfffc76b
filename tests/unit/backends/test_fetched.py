"""What is asked for beforehand is answered once, and never for longer than its block lasts."""

from __future__ import annotations

import threading

import pytest
from tests.remembering import KeptStates

from tallac.backends import remembering
from tallac.backends.memory import MemoryBackend
from tallac.backends.remembering import RememberingBackend
from tallac.errors import ObjectNotFoundError, VaultNotFoundError
from tallac.interfaces import DistantBackend
from tallac.testing.faulty_backend import Fault, FaultAt, FaultyBackend
from tallac.testing.recording_backend import RecordingBackend

OBJECTS = {"index/a": b"an index object", "registers/index": b"an index", "slots/a": b"a slot", "packs/p": b"p"}
NAMES = ("registers/index", "slots/a", "index/a", "slots/none")


@pytest.fixture
def store() -> MemoryBackend:
    """Give the store."""
    return MemoryBackend(OBJECTS)


@pytest.fixture
def asked(store: MemoryBackend) -> RecordingBackend:
    """Give a record of what the store was asked."""
    return RecordingBackend(store)


@pytest.fixture
def backend(asked: RecordingBackend) -> RememberingBackend:
    """Give what remembers and fetches."""
    return RememberingBackend(asked, KeptStates())


def test_fetched_objects_are_not_asked_for_again(
    backend: RememberingBackend, asked: RecordingBackend, store: MemoryBackend
) -> None:
    """Objects and listings are asked for when the block begins, and not when they are read."""
    assert isinstance(backend, DistantBackend)
    with backend.fetched(NAMES, ("packs/", "packs/")):
        events = asked.events
        assert backend.get_versioned("registers/index") == store.get_versioned("registers/index")
        assert backend.get_versioned("slots/a") == store.get_versioned("slots/a")
        assert backend.get("index/a") == OBJECTS["index/a"]
        assert backend.get_versioned("slots/none") is None
        assert [[item.name for item in backend.list("packs/")] for _ in range(2)] == [["packs/p"]] * 2
        assert asked.events == events


def test_an_answer_serves_as_often_as_it_was_asked_for(backend: RememberingBackend, store: MemoryBackend) -> None:
    """Who reads once more than was said, or after the block, reads what is there then."""
    with backend.fetched(("slots/a", "slots/a")):
        store.put("slots/a", b"another")
        assert [found[0] for _ in range(3) if (found := backend.get_versioned("slots/a"))] == [b"a slot", b"a slot", b"another"]
    with backend.fetched(("slots/a",)):
        store.put("slots/a", b"a third")
    found = backend.get_versioned("slots/a")
    assert found is not None
    assert found[0] == b"a third"


def test_two_listings_are_two(store: MemoryBackend) -> None:
    """Who wants two listings, since one may leave something out, gets no single one twice."""
    faulty = FaultyBackend(store, FaultAt(0, Fault.CUT_LISTING))
    backend = RememberingBackend(faulty, KeptStates())
    with backend.fetched(prefixes=("packs/", "packs/")):
        assert sorted([item.name for item in backend.list("packs/")] for _ in range(2)) == [[], ["packs/p"]]


def test_own_changes_and_a_second_look_are_seen(backend: RememberingBackend, store: MemoryBackend) -> None:
    """What this process changes itself is read anew, and so is everything after `look_away`."""
    with backend.fetched(NAMES):
        backend.put("slots/a", b"own")
        backend.delete("index/a")
        store.put("registers/index", b"of somebody else")
        assert (backend.get_versioned("slots/a") or (b"",))[0] == b"own"
        with pytest.raises(ObjectNotFoundError):
            backend.get("index/a")
        backend.look_away()
        assert (backend.get_versioned("registers/index") or (b"",))[0] == b"of somebody else"


def test_what_failed_is_asked_for_anew(store: MemoryBackend) -> None:
    """A failure is none before somebody wants the object, and then the store is asked."""
    faulty = FaultyBackend(store, FaultAt(0))
    backend = RememberingBackend(faulty, KeptStates())
    with backend.fetched(("slots/a",)):
        assert (backend.get_versioned("slots/a") or (b"",))[0] == b"a slot"


def test_other_threads_are_not_answered(backend: RememberingBackend, asked: RecordingBackend) -> None:
    """What one thread has fetched is not given to another one, which may want the present state."""
    with backend.fetched(("slots/a",)):
        count = len(asked.events)
        thread = threading.Thread(target=backend.get_versioned, args=("slots/a",))
        thread.start()
        thread.join()
        assert len(asked.events) == count + 1


def test_what_another_thread_changes_is_asked_for(backend: RememberingBackend) -> None:
    """A change by any thread of this process, an upload among them, is seen by all, in objects and in listings."""

    def change() -> None:
        backend.put("slots/a", b"another thread's")
        upload = backend.upload()
        upload.write(b"q")
        upload.commit("packs/q")
        backend.delete("index/a")

    with backend.fetched(NAMES, ("packs/", "index/", "registers/")):
        thread = threading.Thread(target=change)
        thread.start()
        thread.join()
        assert (backend.get_versioned("slots/a") or (b"",))[0] == b"another thread's"
        assert [item.name for item in backend.list("packs/")] == ["packs/p", "packs/q"]
        assert list(backend.list("index/")) == []


def test_no_more_is_kept_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many large objects so many are asked for as fit, the others when they are read, and all are right."""
    monkeypatch.setattr(remembering, "FETCHED_SIZE_MAX", 10_000)
    objects = {f"slots/{number:02}": bytes([number]) * 3000 for number in range(50)}
    asked = RecordingBackend(MemoryBackend(objects))
    backend = RememberingBackend(asked, KeptStates())
    with backend.fetched(list(objects)):
        assert len(asked.events) == 4
        for name, content in objects.items():
            assert (backend.get_versioned(name) or (b"",))[0] == content
    assert len(asked.events) == len(objects)


def test_a_vault_that_is_gone_is_noticed(store: MemoryBackend) -> None:
    """That the vault is gone shows to a thread that asks for something alone too, and is not forgotten there."""
    memory = KeptStates()
    memory.keep_state("header", (b"what it was", b"version"))
    backend = RememberingBackend(store, memory)
    assert backend.remembered_header() == b"what it was"
    with backend.fetched(("slots/none",)), pytest.raises(VaultNotFoundError, match="is gone"):
        backend.get_versioned("slots/none")
