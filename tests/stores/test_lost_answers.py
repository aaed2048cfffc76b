"""What becomes of calls whose request or answer is lost, refused, sent twice or cut off: none is lost, none is doubled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.contract import test_backend_contract as suite
from tests.stores.engines import Engine
from tests.stores.rough_line import Fate, Once, Plan, RoughLine, rough_line

from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_calls import StoreCalls
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.backends.patience import DELAY_MAX_SECONDS, FIRST_CONTACT_SECONDS, PATIENCE_SECONDS, Patience
from tallac.backends.retrying import RetryingBackend
from tallac.backends.traffic import Traffic
from tallac.backends.wait_notices import WaitNotices
from tallac.errors import ConflictError, StoreBusyError, StoreUnavailableError
from tallac.interfaces import Expect

SPOILED = [Fate.LOST_REQUEST, Fate.LOST_ANSWER, Fate.TWICE, Fate.BUSY, Fate.FAILED_AFTER, Fate.STALLED]


def calls_with_little_time(settings: ObjectStoreSettings, traffic: Traffic) -> StoreCalls:
    """Make calls that take half a second of silence for a hanging line."""
    return StoreCalls(settings, traffic, read_timeout_seconds=0.5)


class Waits:
    """Waits for nothing, and records for how long; the clock goes on by that."""

    def __init__(self) -> None:
        self.now = 0.0
        self.notices: list[str] = []
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, seconds: float | None = 600) -> Patience:
        """Make patience by this clock, with the longest pauses that chance allows."""
        notices = WaitNotices(Traffic(), notify=self.notices.append, clock=lambda: self.now)
        return Patience(seconds, notices=notices, sleep=self.sleep, clock=lambda: self.now, chance=lambda: 1.0)


OnLine = Callable[[RoughLine], RetryingBackend]


@pytest.fixture
def waits() -> Waits:
    """Give a clock."""
    return Waits()


@pytest.fixture
def at(moto: Engine, settings_of: Callable[..., ObjectStoreSettings], waits: Waits) -> OnLine:
    """Return a function that opens this test's place behind a line."""

    def at(line: RoughLine) -> RetryingBackend:
        store = ObjectStoreBackend(settings_of(moto, endpoint=line.url), make_calls=calls_with_little_time)
        return RetryingBackend(store, waits.patience())

    return at


@pytest.fixture
def straight(moto: Engine, store_of: Callable[..., ObjectStoreBackend]) -> ObjectStoreBackend:
    """Give the same place, without the line."""
    return store_of(moto)


def plan_for(fate: Fate, method: str) -> Plan:
    """Plan a fate for the first request with a method."""
    return Once(fate, method)


@pytest.mark.parametrize("fate", SPOILED)
def test_a_create_happens_once(moto: Engine, at: OnLine, straight: ObjectStoreBackend, fate: Fate) -> None:
    """The first put of an object succeeds, and gives the version that is stored, whatever becomes of its request."""
    with rough_line(moto.endpoint, plan_for(fate, "PUT")) as line:
        backend = at(line)
        if fate is Fate.TWICE:
            # The first answer is lost without a trace: who puts conditionally reads back, as the protocol says.
            with pytest.raises(ConflictError):
                backend.put("slots/a", b"mine", expect=Expect.ABSENT)
            assert straight.get("slots/a") == b"mine"
        else:
            version = backend.put("slots/a", b"mine", expect=Expect.ABSENT)
            assert straight.get_versioned("slots/a") == (b"mine", version)
    assert suite.names(straight) == ["slots/a"]


@pytest.mark.parametrize("fate", [fate for fate in SPOILED if fate is not Fate.TWICE])
def test_a_swap_happens_once(moto: Engine, at: OnLine, straight: ObjectStoreBackend, fate: Fate) -> None:
    """A swap succeeds, gives the version that is stored, and the next one follows on it."""
    first = straight.put("slots/a", b"first")
    with rough_line(moto.endpoint, plan_for(fate, "PUT")) as line:
        backend = at(line)
        second = backend.put("slots/a", b"second", expect=first)
        assert straight.get_versioned("slots/a") == (b"second", second)
        third = backend.put("slots/a", b"third", expect=second)
    assert straight.get_versioned("slots/a") == (b"third", third)


@pytest.mark.parametrize("fate", [Fate.LOST_ANSWER, Fate.LOST_REQUEST, Fate.FAILED_AFTER])
def test_somebody_elses_swap_is_no_success(moto: Engine, at: OnLine, straight: ObjectStoreBackend, fate: Fate) -> None:
    """Where another client swaps before the second try, the put is a conflict, and what is stored is the other one's."""
    first = straight.put("slots/a", b"first")
    once = Once(fate, "PUT")

    def plan(method: str, path: str) -> Fate:
        found = once(method, path)
        if method == "GET":
            straight.put("slots/a", b"another's")
        return found

    with rough_line(moto.endpoint, plan) as line, pytest.raises(ConflictError):
        at(line).put("slots/a", b"mine", expect=first)
    assert straight.get("slots/a") == b"another's"


@pytest.mark.parametrize("fate", SPOILED)
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_all_other_calls_come_through(moto: Engine, at: OnLine, straight: ObjectStoreBackend, fate: Fate, method: str) -> None:
    """An upload, reads, listings and deletes succeed after a spoiled request of any kind."""
    with rough_line(moto.endpoint, plan_for(fate, method)) as line:
        backend = at(line)
        suite.store(backend, "packs/a", b"0123456789" * 1000)
        assert backend.get("packs/a", 5, 8) == b"567"
        assert suite.names(backend, "packs/") == ["packs/a"]
        backend.delete("packs/a")
    assert suite.names(straight) == []


def test_a_body_that_is_cut_off_is_read_again(moto: Engine, at: OnLine, straight: ObjectStoreBackend) -> None:
    """An answer that ends early is no content."""
    content = bytes(range(256)) * 1000
    straight.put("packs/a", content)
    with rough_line(moto.endpoint, Once(Fate.CUT, "GET", 2)) as line:
        backend = at(line)
        assert backend.get("packs/a") == content
        assert backend.get("packs/a", 10, 200_000) == content[10:200_000]


def test_a_delete_of_a_state_happens_once(moto: Engine, at: OnLine, straight: ObjectStoreBackend) -> None:
    """A conditional delete whose swap was carried out, and its answer lost, has succeeded."""
    version = straight.put("sessions/a", b"old")
    with rough_line(moto.endpoint, Once(Fate.LOST_ANSWER, "PUT")) as line:
        at(line).delete("sessions/a", expect=version)
    assert straight.get_versioned("sessions/a") is None
    version = straight.put("sessions/b", b"old")
    straight.put("sessions/b", b"new")
    with rough_line(moto.endpoint, Once(Fate.LOST_REQUEST, "GET")) as line, pytest.raises(ConflictError):
        at(line).delete("sessions/b", expect=version)
    assert straight.get("sessions/b") == b"new"


def test_patience_ends(moto: Engine, at: OnLine, waits: Waits) -> None:
    """A store that stays busy is asked with growing pauses while there is patience, which is said now and then; then it fails."""
    with rough_line(moto.endpoint, lambda _method, _path: Fate.BUSY) as line, pytest.raises(StoreBusyError, match="busy"):
        at(line).get("packs/a")
    assert waits.pauses == sorted(waits.pauses)
    assert waits.pauses[-1] == DELAY_MAX_SECONDS
    assert 600 - DELAY_MAX_SECONDS <= sum(waits.pauses) <= 600
    assert len(line.requests) == len(waits.pauses) + 1
    assert all(notice.startswith("waiting for the store: s3://") for notice in waits.notices)
    assert 5 <= len(waits.notices) <= 10


def test_a_store_that_never_answered_is_given_up_soon() -> None:
    """Whoever has mistyped a name learns it in seconds, and a store that has answered once is waited for."""
    waits = Waits()
    patience = waits.patience(None)

    def fail() -> None:
        raise StoreUnavailableError("down")

    with pytest.raises(StoreUnavailableError):
        patience.insist(fail)
    assert sum(waits.pauses) <= FIRST_CONTACT_SECONDS
    patience.insist(lambda: None)
    waits.pauses.clear()
    with pytest.raises(StoreUnavailableError):
        patience.insist(fail)
    assert PATIENCE_SECONDS - DELAY_MAX_SECONDS <= sum(waits.pauses) <= PATIENCE_SECONDS


def test_other_errors_are_not_tried_again(moto: Engine, at: OnLine, waits: Waits) -> None:
    """A bucket that is not there stays so; it is asked for once."""
    with rough_line(moto.endpoint, lambda _method, _path: Fate.PASS) as line:
        backend = at(line)
        assert backend.get_versioned("slots/none") is None
    assert waits.pauses == []
    assert len(line.requests) == 1
