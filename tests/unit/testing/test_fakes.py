from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import ConflictError, StoreError, StoreFullError, StoreUnavailableError
from tallac.interfaces import Backend, Clock, Expect, Randomness
from tallac.testing.crash_disk import SurvivingState
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.determinism import START_NS, FakeClock, SeededRandomness
from tallac.testing.faulty_backend import Fault, FaultAt, FaultyBackend, Operation, RandomFaults
from tallac.testing.recording_backend import BackendEvent, RecordingBackend


def work(backend: Backend) -> None:
    """Change the store in each way once."""
    upload = backend.upload()
    upload.write(b"pack")
    upload.commit("packs/a")
    version = backend.put("slots/a", b"first", expect=Expect.ABSENT)
    backend.put("slots/a", b"second", expect=version)
    backend.delete("packs/a")


def faulty(inner: Backend, fault: Fault, index: int = 0) -> FaultyBackend:
    """Return a backend with one fault."""
    return FaultyBackend(inner, FaultAt(index, fault))


def test_a_clock_that_stands_still() -> None:
    """The fake clock moves when somebody sleeps, and backwards on request."""
    clock = FakeClock()
    seen: Clock = clock
    seen.sleep(1.5)
    assert seen.now_ns() == START_NS + 1_500_000_000
    clock.advance(-2)
    assert seen.now_ns() == START_NS - 500_000_000


def test_randomness_that_can_be_repeated() -> None:
    """The same seed gives the same bytes, another one others."""
    one: Randomness = SeededRandomness(1)
    again, other = SeededRandomness(1), SeededRandomness(2)
    drawn = [one(16), one(3)]
    assert [again(16), again(3)] == drawn
    assert [len(each) for each in drawn] == [16, 3]
    assert other(16) != drawn[0]


def test_what_is_recorded() -> None:
    """The recording backend lists what succeeded, in order; what failed is not in it."""
    backend = RecordingBackend(MemoryBackend())
    work(backend)
    backend.get("slots/a")
    list(backend.list("slots/"))
    with pytest.raises(ConflictError):
        backend.put("slots/a", b"x", expect=Expect.ABSENT)
    assert [tuple(event) for event in backend.writes] == [
        ("commit", "packs/a"),
        ("put", "slots/a"),
        ("put", "slots/a"),
        ("delete", "packs/a"),
    ]
    assert backend.events[-2:] == (BackendEvent("get", "slots/a"), BackendEvent("list", "slots/"))


def test_a_crash_at_every_boundary() -> None:
    """A crash leaves what was done before its boundary, and nothing happens after it."""
    whole = CrashingBackend(MemoryBackend())
    work(whole)
    assert whole.boundaries == 8
    states = []
    for boundary in range(8):
        inner = MemoryBackend()
        backend = CrashingBackend(inner, boundary)
        with pytest.raises(SimulatedCrash):
            work(backend)
        with pytest.raises(SimulatedCrash):
            backend.put("late", b"x")
        with pytest.raises(SimulatedCrash):
            backend.get("slots/a")
        states.append(inner.snapshot())
    pack = {"packs/a": b"pack"}
    first, second = {**pack, "slots/a": b"first"}, {**pack, "slots/a": b"second"}
    assert states == [{}, pack, pack, first, first, second, second, {"slots/a": b"second"}]


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.ERROR, StoreError), (Fault.FULL, StoreFullError), (Fault.TIMEOUT, StoreUnavailableError)]
)
def test_failures_without_effect(fault: Fault, kind: type[StoreError]) -> None:
    """An injected error changes nothing, whichever call it hits."""
    for index in range(3):
        inner = MemoryBackend()
        with pytest.raises(kind, match="injected") as caught:
            work(faulty(inner, fault, index))
        assert type(caught.value) is kind
        assert inner.snapshot() == {}


def test_a_lost_answer() -> None:
    """A change whose answer is lost has happened and is reported as a failure that may be retried."""
    inner = MemoryBackend()
    with pytest.raises(StoreUnavailableError, match="answer"):
        faulty(inner, Fault.LOST_ANSWER).put("a", b"x")
    assert inner.get("a") == b"x"


def test_a_duplicate() -> None:
    """A conditional put that arrives twice loses to itself; an unconditional one does not."""
    inner = MemoryBackend()
    with pytest.raises(ConflictError):
        faulty(inner, Fault.DUPLICATE).put("a", b"x", expect=Expect.ABSENT)
    assert inner.get("a") == b"x"
    faulty(inner, Fault.DUPLICATE).put("a", b"y")
    faulty(inner, Fault.DUPLICATE).delete("a")
    assert inner.snapshot() == {}


def test_damaged_reads() -> None:
    """A short read misses bytes at the end, a flipped bit is one bit; the stored object is as it was."""
    content = bytes(range(100))
    inner = MemoryBackend({"a": content})
    short = faulty(inner, Fault.SHORT_READ).get("a")
    assert len(short) < 100
    assert content.startswith(short)
    found = faulty(inner, Fault.FLIPPED_BIT).get_versioned("a")
    assert found is not None
    assert sum((one ^ other).bit_count() for one, other in zip(found[0], content, strict=True)) == 1
    assert inner.get("a") == content


def test_wrong_listings() -> None:
    """A cut listing lacks objects and says nothing of it; a stale one shows an earlier time."""
    inner = MemoryBackend({f"a/{number}": b"" for number in range(10)})
    assert len(list(faulty(inner, Fault.CUT_LISTING).list("a/"))) < 10
    backend = faulty(inner, Fault.STALE_LISTING, 1)
    before = list(backend.list("a/"))
    inner.delete("a/3")
    assert list(backend.list("a/")) == before
    assert len(list(backend.list("a/"))) == 9


def test_random_faults_can_be_repeated() -> None:
    """A seed gives the same faults each time, about as many as asked for, and only of the kinds asked for."""
    calls = [(operation, "a") for operation in Operation] * 100

    def faults(seed: int, *kinds: Fault) -> list[Fault | None]:
        plan = RandomFaults(seed, 0.1, kinds or tuple(Fault))
        return [plan(*call) for call in calls]

    assert faults(1) == faults(1) != faults(2)
    assert 30 < sum(fault is not None for fault in faults(3)) < 120
    assert set(faults(4, Fault.FLIPPED_BIT)) == {None, Fault.FLIPPED_BIT}


def test_memory_goes_back() -> None:
    """A memory backend goes back to a state that was copied before, and the copy is its own."""
    backend = MemoryBackend()
    backend.put("a", b"1")
    state = backend.snapshot()
    backend.put("a", b"2")
    assert state == {"a": b"1"}
    backend.restore(state)
    backend.put("b", b"3")
    assert state == {"a": b"1"}
    assert MemoryBackend(state).get("a") == backend.get("a") == b"1"


def test_a_surviving_state_as_a_folder(tmp_path: Path) -> None:
    """A state is written with its folders; its objects are the files whose names have no dot in front."""
    state = SurvivingState({"a/b": b"1", ".tmp-1": b"2", "a/.lock": b""}, ["a"])
    state.write_to(tmp_path / "new")
    assert (tmp_path / "new" / "a" / "b").read_bytes() == b"1"
    assert (tmp_path / "new" / ".tmp-1").exists()
    assert state.objects() == {"a/b": b"1"}
