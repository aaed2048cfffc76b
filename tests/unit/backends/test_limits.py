"""A line's rate and its requests at a time are held, by all threads and processes that share a limit."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from tallac.backends.limits import SMALL_SIZE, ConnectionLimit, LimitedBackend, Limits, RateLimit, SharedLimits
from tallac.backends.memory import MemoryBackend
from tallac.errors import StoreUnavailableError
from tallac.interfaces import Expect, Item

MEGABYTE = 1_000_000


class FakeTime:
    """A clock that moves when somebody sleeps, and only then."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @property
    def passed(self) -> float:
        """How long it has been."""
        return self.now - 1000.0


class WholeMemory(MemoryBackend):
    """A store that takes objects as a whole, and notes how many calls are under way."""

    def __init__(self, delay: threading.Event | None = None) -> None:
        super().__init__()
        self._gate = delay
        self._counting = threading.Lock()
        self.under_way = 0
        self.most = 0

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """Store an object, when the gate is open."""
        with self._counting:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        if self._gate is not None:
            self._gate.wait(0.05)
        with self._counting:
            self.under_way -= 1
        self.put(name, file.read(), expect=Expect.ABSENT)

    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not any(True for _ in self.list(""))

    def create(self) -> None:
        """Do nothing."""

    def examine(self) -> None:
        """Do nothing."""


def limited(limits: Limits, time: FakeTime, inner: WholeMemory | None = None) -> LimitedBackend:
    """Give a store behind limits, with a clock of its own."""
    return LimitedBackend(inner or WholeMemory(), SharedLimits(limits, clock=time.clock, sleep=time.wait))


def test_what_is_sent_takes_its_time_and_reading_does_not() -> None:
    """Ten megabytes at two a second take five seconds, before the last of them has gone; reading them takes none."""
    time = FakeTime()
    backend = limited(Limits(upload=2 * MEGABYTE), time)
    for number in range(5):
        backend.add(f"packs/{number}", io.BytesIO(bytes(MEGABYTE)), MEGABYTE)
        backend.put(f"slots/{number}", bytes(MEGABYTE))
    assert time.passed == pytest.approx(5)
    assert len(backend.get("packs/1")) == MEGABYTE
    assert time.passed == pytest.approx(5)


def test_an_upload_counts_when_it_is_sent() -> None:
    """What waits on this machine takes no time yet; what is sent does."""
    time = FakeTime()
    backend = limited(Limits(upload=MEGABYTE), time)
    upload = backend.upload()
    upload.write(bytes(3 * MEGABYTE))
    assert time.passed == 0
    upload.commit("packs/a")
    assert time.passed == pytest.approx(3)


def test_what_is_read_takes_its_time_whole_and_in_part() -> None:
    """Objects, parts of objects and versioned ones count with the bytes that came, and with no more."""
    time = FakeTime()
    backend = limited(Limits(download=MEGABYTE), time)
    backend.put("packs/a", bytes(4 * MEGABYTE))
    assert time.passed == 0
    backend.get("packs/a")
    backend.get_versioned("packs/a")
    backend.get("packs/a", 3 * MEGABYTE, 100 * MEGABYTE)
    assert backend.get_versioned("packs/b") is None
    assert time.passed == pytest.approx(9)


def test_time_that_was_not_used_is_not_made_up_for() -> None:
    """After an hour without a request the next megabyte takes as long as the first."""
    time = FakeTime()
    backend = limited(Limits(upload=MEGABYTE), time)
    backend.put("a", bytes(MEGABYTE))
    time.wait(3600)
    backend.put("b", bytes(MEGABYTE))
    assert time.passed == pytest.approx(3602)


def test_what_is_small_does_not_wait_and_is_counted() -> None:
    """A sign of life goes at once, behind however much; the next large object waits for it as well."""
    time = FakeTime()
    backend = limited(Limits(upload=SMALL_SIZE), time)
    for number in range(10):
        backend.put(f"sessions/{number}", bytes(SMALL_SIZE))
    assert time.passed == 0
    backend.put("packs/a", bytes(2 * SMALL_SIZE))
    assert time.passed == pytest.approx(12)


def test_what_is_sent_again_counts_again() -> None:
    """A put that fails has used the line as one that succeeds."""
    time = FakeTime()

    class Failing(WholeMemory):
        def add(self, name: str, file: IO[bytes], size: int) -> None:
            raise StoreUnavailableError("the line broke")

    backend = limited(Limits(upload=MEGABYTE), time, Failing())
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            backend.add("packs/a", io.BytesIO(bytes(MEGABYTE)), MEGABYTE)
    assert time.passed == pytest.approx(3)


def test_threads_share_a_rate(tmp_path: Path) -> None:
    """Of ten threads that send at once, the last may send when the line has room for all that went before."""
    time = FakeTime()
    slept: list[float] = []
    limit = RateLimit(MEGABYTE, tmp_path / "up", clock=time.clock, sleep=slept.append)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(limit.wait, [MEGABYTE] * 10))
    assert sorted(slept) == pytest.approx([float(second) for second in range(1, 11)])


def _send(limits: SharedLimits, number: int) -> None:
    backend = LimitedBackend(WholeMemory(), limits)
    for index in range(3):
        backend.put(f"packs/{number}-{index}", bytes(SMALL_SIZE))


def test_processes_share_a_rate() -> None:
    """What other processes have sent stands before the next large object of this one."""
    time = FakeTime()
    # The others have the real clock, by which the fake one begins.
    import time as real

    time.now = start = real.monotonic()
    shared = SharedLimits(Limits(upload=1), clock=time.clock, sleep=time.wait)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_send, args=(shared, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    LimitedBackend(WholeMemory(), shared).put("packs/last", bytes(SMALL_SIZE + 1))
    # As many seconds as bytes: what the processes took to start is a few of half a million.
    assert time.now - start == pytest.approx(7 * SMALL_SIZE, rel=0.001)


def test_so_many_requests_are_under_way_and_no_more() -> None:
    """Of eight threads three are let in at a time, and all of them at last."""
    inner = WholeMemory(threading.Event())
    backend = LimitedBackend(inner, SharedLimits(Limits(connections=3)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: backend.add(f"packs/{number}", io.BytesIO(b"x"), 1), range(16)))
    assert inner.most == 3
    assert len(list(backend.list(""))) == 16


def test_another_process_counts_among_the_requests(tmp_path: Path) -> None:
    """A copy of the limits that was sent elsewhere waits for the same places, and goes on once one is free."""
    waits: list[float] = []
    first = ConnectionLimit(1, tmp_path)
    held = first.one()
    held.__enter__()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            held.__exit__(None, None, None)

    with ConnectionLimit(1, tmp_path, sleep=sleep).one():
        assert len(waits) == 3


def test_a_sign_of_life_waits_for_no_other_request() -> None:
    """A session's own object goes beside as many requests as there may be."""
    shared = SharedLimits(Limits(connections=1))
    backend = LimitedBackend(WholeMemory(), shared)
    with shared.request("packs/a"):
        backend.put("sessions/a", b"alive")
    assert backend.get("sessions/a") == b"alive"


def test_the_folder_goes_with_who_made_it() -> None:
    """A copy in another process leaves the folder; nothing is left in the end."""
    shared = SharedLimits(Limits(connections=1))
    copy = pickle.loads(pickle.dumps(shared))  # noqa: S301 - it was made here.
    folder = Path(shared.__reduce__()[1][1])
    del copy
    assert folder.is_dir()
    del shared
    assert not folder.exists()


def test_what_a_command_says_comes_first() -> None:
    """A limit of the command counts in place of a remembered one, and 0 lifts it."""
    remembered = Limits(upload=5, download=6, connections=7)
    assert Limits(download=1, connections=0).over(remembered) == Limits(5, 1, 0)
    assert not Limits(0, 0, 0).over(remembered).are_any


def test_everything_else_is_passed_on() -> None:
    """Listing, deleting, looking and making ready work as without limits."""
    backend = limited(Limits(upload=MEGABYTE, download=MEGABYTE, connections=2), FakeTime())
    backend.create()
    backend.examine()
    assert backend.is_empty()
    version = backend.put("slots/a", b"one", expect=Expect.ABSENT)
    assert backend.get_versioned("slots/a") == (b"one", version)
    assert backend.get_again("slots/a", b"one") is None
    assert list(backend.list("slots/")) == [Item("slots/a", 3)]
    backend.delete("slots/a", expect=version)
    assert backend.is_empty()
    assert backend.location() == MemoryBackend().location()
