"""A distant store is asked less often, and never believed to be what it no longer is."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from tests.remembering import KeptStates, remembering

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.remembering import RememberingBackend
from tallac.errors import ConflictError, StorePermissionError, VaultNotFoundError
from tallac.interfaces import Expect, Item, ListedObject, RemembersStates
from tallac.testing.recording_backend import RecordingBackend

OBJECTS = {
    "header": b"the header",
    "registers/index": b"an index",
    "registers/roots": b"roots",
    "slots/a": b"a slot",
    "packs/p": b"p",
}

Listed = Callable[[], Sequence[ListedObject] | None]


@pytest.fixture
def store() -> MemoryBackend:
    """Give the store."""
    return MemoryBackend(OBJECTS)


@pytest.fixture
def asked(store: MemoryBackend) -> RecordingBackend:
    """Give a record of what the store was asked, but for listings of everything."""
    return RecordingBackend(store)


@pytest.fixture
def memory(store: MemoryBackend) -> KeptStates:
    """Give what an earlier process has seen: all of it."""
    memory = KeptStates()
    for name in ("header", "registers/index", "registers/roots", "slots/a"):
        memory.keep_state(name, store.get_versioned(name))
    return memory


def test_one_listing_stands_in_for_reads(store: MemoryBackend, asked: RecordingBackend, memory: KeptStates) -> None:
    """What an earlier process has read is not read again where the listing says that it is the same; packs are listed with it."""
    backend = remembering(asked, store, memory)
    assert isinstance(backend, RemembersStates)
    backend.look()
    for name in ("registers/index", "registers/roots", "slots/a"):
        assert backend.get_versioned(name) == store.get_versioned(name)
    assert [item.name for item in backend.list("packs/")] == ["packs/p"]
    assert backend.get_versioned("registers/quarantine") is None
    assert not asked.events
    backend.look_away()
    backend.get_versioned("registers/index")
    assert list(backend.list("packs/"))
    assert [event.operation for event in asked.events] == ["get", "list"]


def test_what_has_changed_is_read(store: MemoryBackend, asked: RecordingBackend, memory: KeptStates) -> None:
    """A state that the listing does not confirm is not used, neither for a read nor for a swap."""
    store.put("slots/a", b"somebody else's")
    backend = remembering(asked, store, memory)
    backend.look()
    assert backend.get_versioned("slots/a") == store.get_versioned("slots/a")
    assert [event.name for event in asked.events] == ["slots/a"]
    store.put("registers/roots", b"changed after the listing")
    backend.look_away()
    assert backend.remembered("registers/roots") == memory.state("registers/roots")
    roots = backend.remembered("registers/roots")
    assert roots is not None
    with pytest.raises(ConflictError):
        backend.put("registers/roots", b"new", expect=roots[1])
    assert backend.remembered("registers/roots") is None


def test_packs_are_not_judged_by_a_listing_that_is_older_than_a_register(
    store: MemoryBackend, asked: RecordingBackend, memory: KeptStates
) -> None:
    """Where a register has to be read, what the listing said is over: the packs that it names may have come since."""
    store.put("registers/index", b"another index")
    backend = remembering(asked, store, memory)
    backend.look()
    store.put("packs/q", b"q")
    backend.get_versioned("registers/index")
    assert sorted(item.name for item in backend.list("packs/")) == ["packs/p", "packs/q"]


def test_absence_is_believed_of_a_register_alone_that_was_never_seen(
    store: MemoryBackend, asked: RecordingBackend, memory: KeptStates
) -> None:
    """A slot, or a register that was there, is asked for: a listing may lag behind."""
    backend = remembering(asked, MemoryBackend(), memory)
    store.put("slots/b", b"new")
    backend.look_away()
    backend.look()
    assert backend.get_versioned("slots/b") == store.get_versioned("slots/b")
    assert backend.get_versioned("registers/index") == store.get_versioned("registers/index")


def test_own_writes_are_seen(store: MemoryBackend, asked: RecordingBackend) -> None:
    """What was written after the listing is what is read, without asking."""
    backend = remembering(asked, store)
    backend.look()
    version = backend.put("slots/new", b"new", expect=Expect.ABSENT)
    assert backend.get_versioned("slots/new") == (b"new", version)
    backend.look_away()
    assert backend.remembered("slots/new") == (b"new", version)
    backend.delete("slots/new")
    assert backend.remembered("slots/new") is None
    assert [event.operation for event in asked.events] == ["put", "delete"]


def test_an_older_state_serves_no_swap_before_it_is_seen(store: MemoryBackend, asked: RecordingBackend, memory: KeptStates) -> None:
    """What another process has kept counts only once a listing has confirmed it."""
    backend = remembering(asked, store, memory)
    assert backend.remembered("slots/a") is None
    backend.look()
    backend.look_away()
    assert backend.remembered("slots/a") == store.get_versioned("slots/a")


def test_other_threads_are_answered_by_the_store(store: MemoryBackend, asked: RecordingBackend, memory: KeptStates) -> None:
    """A listing is its thread's alone: another may need to know what is there now."""
    backend = remembering(asked, store, memory)
    backend.look()
    store.put("registers/roots", b"newer")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(backend.get_versioned, "registers/roots").result() == store.get_versioned("registers/roots")


def looks(backend: RememberingBackend) -> None:
    """Look at everything."""
    backend.look()


def reads(backend: RememberingBackend) -> None:
    """Read a slot that is not there."""
    backend.get_versioned("slots/gone")


@pytest.mark.parametrize("use", [looks, reads])
@pytest.mark.parametrize("instead", [None, b"another header"])
def test_a_vault_that_is_gone_is_missed(
    store: MemoryBackend, memory: KeptStates, use: Callable[[RememberingBackend], None], instead: bytes | None
) -> None:
    """A header from memory is looked for once something is amiss; the next process asks for it."""
    store.restore({} if instead is None else {"header": instead})
    backend = remembering(store, store, memory)
    assert backend.remembered_header() == b"the header"
    with pytest.raises(VaultNotFoundError, match="gone, or another one has taken its place"):
        use(backend)
    assert remembering(store, store, memory).remembered_header() == instead


def test_a_missing_slot_in_a_vault_that_is_there_is_no_more_than_that(
    store: MemoryBackend, asked: RecordingBackend, memory: KeptStates
) -> None:
    """The header is read once, and found to be what it was."""
    backend = remembering(asked, store, memory)
    assert backend.remembered_header() == b"the header"
    for _ in range(3):
        assert backend.get_versioned("slots/gone") is None
    assert [event.name for event in asked.events].count("header") == 1


def test_a_store_whose_listings_tell_no_versions(asked: RecordingBackend, store: MemoryBackend, memory: KeptStates) -> None:
    """As over SFTP: what is named is read once, beside the listings of registers and packs; what is as it was is read no more."""
    backend = RememberingBackend(asked, memory)
    backend.look(("registers/index", "slots/a", "slots/unknown"))
    before = len(asked.events)
    for name in ("registers/index", "slots/a"):
        assert backend.get_versioned(name) == store.get_versioned(name)
    assert backend.get_versioned("registers/quarantine") is None
    assert [item.name for item in backend.list("packs/")] == ["packs/p"]
    assert len(asked.events) == before
    assert sorted(event.name for event in asked.events) == ["header", "packs/", "registers/", "registers/index", "slots/a"]
    # What was not named is asked for, and with a register that ends the look.
    assert backend.get_versioned("registers/roots") == store.get_versioned("registers/roots")
    assert not backend.is_looking
    backend.put("slots/a", b"another", expect=backend.get_versioned("slots/a")[1])  # type: ignore[index]


@pytest.mark.parametrize("is_remembered", [False, True])
def test_what_has_changed_while_versions_are_read(store: MemoryBackend, memory: KeptStates, *, is_remembered: bool) -> None:
    """A register that is no more what it was before the look is read anew, even if another process has remembered it by then."""

    class Changing(RecordingBackend):
        def list(self, prefix: str) -> Iterator[Item]:
            if prefix == "registers/" and not self.events:
                store.put("registers/index", b"a new index")
                if is_remembered:
                    memory.keep_state("registers/index", store.get_versioned("registers/index"))
            return super().list(prefix)

    asked = Changing(store)
    backend = RememberingBackend(asked, memory)
    backend.look(("registers/index",))
    before = len(asked.events)
    assert backend.get_versioned("registers/index") == store.get_versioned("registers/index")
    assert [event.name for event in asked.events[before:]] == ["registers/index"]
    assert not backend.is_looking


@pytest.mark.parametrize("is_known", [False, True])
def test_what_has_changed_while_everything_is_listed(store: MemoryBackend, memory: KeptStates, *, is_known: bool) -> None:
    """A register that another process has changed and remembered since the listing began is read anew, and the packs are listed."""
    asked = RecordingBackend(store)
    if not is_known:
        memory.keep_state("registers/index", None)

    def list_versions() -> list[ListedObject]:
        packs = [ListedObject(item, b"") for item in store.list("packs/")]
        store.delete("packs/p")
        store.put("registers/index", b"an index without it")
        found = store.get_versioned("registers/index")
        assert found is not None
        memory.keep_state("registers/index", found)
        registers = {item.name: store.get_versioned(item.name) for item in store.list("registers/")}
        return packs + [ListedObject(Item(name, len(state[0])), state[1]) for name, state in registers.items() if state]

    backend = RememberingBackend(asked, memory, list_versions)
    backend.look(("registers/index",))
    assert backend.get_versioned("registers/index") == store.get_versioned("registers/index")
    assert [event.name for event in asked.events] == ["registers/index"]
    assert not backend.is_looking
    assert list(backend.list("packs/")) == []


def test_what_is_done_beside_a_look(asked: RecordingBackend, memory: KeptStates) -> None:
    """It is done once, in any case, and its error is raised."""
    done: list[int] = []
    for listed in (None, list[ListedObject], lambda: None):
        RememberingBackend(asked, memory, cast("Listed | None", listed)).look(beside=lambda: done.append(1))
    assert done == [1, 1, 1]

    def fail() -> None:
        raise ConflictError("it failed")

    with pytest.raises(ConflictError):
        RememberingBackend(asked, memory).look(beside=fail)


def test_a_client_that_may_not_list_everything(asked: RecordingBackend, store: MemoryBackend, memory: KeptStates) -> None:
    """It goes on as one whose store tells no versions: a policy may allow the packs alone."""

    def refuse() -> None:
        raise StorePermissionError("this client may not do this")

    backend = RememberingBackend(asked, memory, refuse)
    backend.look()
    assert backend.get_versioned("slots/a") == store.get_versioned("slots/a")
    assert [item.name for item in backend.list("packs/")] == ["packs/p"]


def test_other_processes_get_the_store_alone(tmp_path: Path) -> None:
    """What was seen is not sent along."""
    sent = pickle.loads(pickle.dumps(RememberingBackend(LocalBackend(tmp_path), KeptStates())))  # noqa: S301 - it was made here.
    assert isinstance(sent, LocalBackend)
