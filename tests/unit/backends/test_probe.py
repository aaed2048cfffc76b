"""The probe of a store finds what would cost a vault data, names it, and leaves nothing behind."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.backends.probe import ONE_CLIENT, Probe
from tallac.backends.probe_report import CHECKS, Outcome, ProbeReport
from tallac.errors import (
    ConfigurationError,
    ConflictError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
    UnsafeStoreError,
    UnsupportedByStoreError,
)
from tallac.interfaces import Backend, Buffer, Expect, Item, Version
from tallac.testing.recording_backend import RecordingBackend


class IgnoresCreate(ForwardingBackend):
    """As rclone's and s3rver's servers are."""

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        return super().put(name, data, expect=None if expect is Expect.ABSENT else expect)


class IgnoresSwap(ForwardingBackend):
    """Creates only where nothing is, and swaps whatever is there."""

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        return super().put(name, data, expect=None if isinstance(expect, bytes) else expect)


class NeverSwaps(ForwardingBackend):
    """Refuses also the right state."""

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        if isinstance(expect, bytes):
            raise ConflictError("no")
        return super().put(name, data, expect=expect)


class KnowsNoConditions(ForwardingBackend):
    """As Swift's emulation of S3 is."""

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        if expect is not None:
            raise UnsupportedByStoreError("memory: this store does not support a request that a vault needs (501)")
        return super().put(name, data)


class OverwritesAndRefuses(ForwardingBackend):
    """Says that it has refused."""

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        try:
            return super().put(name, data, expect=expect)
        except ConflictError:
            super().put(name, data)
            raise


class ReadsOldStates(ForwardingBackend):
    """Gives what an object was before its last change."""

    def __init__(self, inner: MemoryBackend) -> None:
        super().__init__(inner)
        self._old: dict[str, tuple[bytes, Version] | None] = {}

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        before = self._inner.get_versioned(name)
        version = super().put(name, data, expect=expect)
        self._old[name] = before or (bytes(data), version)
        return version

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        return self._old.get(name)


class SameTags(ForwardingBackend):
    """Has one ETag for all states."""

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        super().put(name, data, expect=expect if expect is Expect.ABSENT else None)
        return b"tag"

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        found = super().get_versioned(name)
        return None if found is None else (found[0], b"tag")


class IgnoresRanges(ForwardingBackend):
    """Gives the whole object."""

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        return super().get(name)


class LosesNames(ForwardingBackend):
    """Leaves the last name out."""

    def list(self, prefix: str) -> Iterator[Item]:
        return iter(list(super().list(prefix))[:-1])


class ListsWrongSizes(ForwardingBackend):
    """Gives each object one byte more."""

    def list(self, prefix: str) -> Iterator[Item]:
        return (Item(item.name, item.size + 1) for item in super().list(prefix))


class LooksFirst(ForwardingBackend):
    """Keeps the threads of one process apart, and looks before it writes: processes that begin at once all win."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[LooksFirst], tuple[Backend]]:
        return LooksFirst, (self._inner,)

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        with self._lock:
            found = self._inner.get_versioned(name)
            if (expect is Expect.ABSENT and found is not None) or (isinstance(expect, bytes) and (not found or found[1] != expect)):
                raise ConflictError("no")
            time.sleep(0.01)
            return super().put(name, data)


class NeverDeletes(ForwardingBackend):
    """Says that it has deleted."""

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        return


class ListsDeleted(ForwardingBackend):
    """Lists what was there once."""

    def __init__(self, inner: MemoryBackend) -> None:
        super().__init__(inner)
        self._listed: dict[str, Item] = {}

    def list(self, prefix: str) -> Iterator[Item]:
        self._listed |= {item.name: item for item in super().list(prefix)}
        return iter([item for item in self._listed.values() if item.name.startswith(prefix)])


UNSAFE: dict[str, tuple[Callable[[MemoryBackend], ForwardingBackend], str, str]] = {
    "ignores create": (IgnoresCreate, "create", "ignores the condition that an object must not exist yet"),
    "ignores swap": (IgnoresSwap, "swap", "ignores the condition that an object must be in a certain state"),
    "never swaps": (NeverSwaps, "swap", "refuses to replace an object also in the state that it is in"),
    "knows no conditions": (KnowsNoConditions, "create", "does not support a request that a vault needs (501)"),
    "overwrites and refuses": (OverwritesAndRefuses, "create", "refuses to overwrite an object, and overwrites it nevertheless"),
    "reads old states": (ReadsOldStates, "swap", "reading gives an old state"),
    "same tags": (SameTags, "swap", "ETag stays the same"),
    "ignores ranges": (IgnoresRanges, "range", "other bytes than those of the range"),
    "loses names": (LosesNames, "list", "lacks an object"),
    "lists wrong sizes": (ListsWrongSizes, "list", "other lengths"),
    "never deletes": (NeverDeletes, "delete", "can still be read"),
    "lists deleted": (ListsDeleted, "delete", "is still listed"),
}


def outcomes(report: ProbeReport) -> dict[str, Outcome]:
    """Return what came out of each check."""
    return {row.check: row.outcome for row in report.rows}


def test_a_good_store_passes_in_some_fifteen_requests() -> None:
    """All is well, what was stored is removed, and what a probe costs is known."""
    memory = MemoryBackend({"header": b"a vault's"})
    backend = RecordingBackend(memory)
    report = Probe(backend).run()
    assert outcomes(report) == dict.fromkeys(ONE_CLIENT, Outcome.YES)
    report.require_safe()
    assert memory.snapshot() == {"header": b"a vault's"}
    assert len(backend.events) <= 16


def test_a_workaround_is_told() -> None:
    """A store that needs one is safe with it."""
    report = Probe(MemoryBackend(), lambda: "it wants bare tags").run()
    assert outcomes(report)["swap"] is Outcome.WORKAROUND
    assert report.is_safe


@pytest.mark.parametrize("case", UNSAFE.values(), ids=list(UNSAFE))
def test_an_unsafe_store_is_refused(case: tuple[Callable[[MemoryBackend], ForwardingBackend], str, str]) -> None:
    """What it does wrong is found by the check for it, and is said in the refusal."""
    make, check, words = case
    report = Probe(make(MemoryBackend())).run()
    assert {key for key, outcome in outcomes(report).items() if outcome is Outcome.NO} == {check}
    with pytest.raises(UnsafeStoreError, match="a vault would not be safe in this store") as raised:
        report.require_safe()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_who_may_not_delete_can_use_it() -> None:
    """A client that can only add finds the store safe."""

    class AddOnly(ForwardingBackend):
        def delete(self, name: str, *, expect: Version | None = None) -> None:
            raise StorePermissionError("no")

    report = Probe(AddOnly(MemoryBackend())).run()
    assert report.is_safe
    assert "may not delete" in report.rows[-1].detail


@pytest.mark.parametrize("kind", [StoreUnavailableError, StorePermissionError, StoreError])
def test_a_store_that_cannot_be_asked_is_no_unsafe_one(kind: type[StoreError]) -> None:
    """An error of the line, of the keys or of the location is raised as it is."""

    class Fails(ForwardingBackend):
        def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
            raise kind("as it is")

    with pytest.raises(kind, match="as it is"):
        Probe(Fails(MemoryBackend())).run()


def test_a_store_that_becomes_full_is_no_unsafe_one() -> None:
    """What has no room any more after its first object says nothing of the store."""

    class BecomesFull(ForwardingBackend):
        def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
            if expect is not Expect.ABSENT:
                raise StoreFullError("no room")
            return super().put(name, data, expect=expect)

    with pytest.raises(StoreFullError, match="no room"):
        Probe(BecomesFull(MemoryBackend())).run()


@pytest.mark.slow
def test_at_length_a_good_store_passes_all() -> None:
    """All checks are made, races included, and nothing is left."""
    memory = MemoryBackend()
    said: list[str] = []
    report = Probe(memory, lock_keeper=Locks()).run_at_length(said.append)
    # What lives in one process has no others that could race.
    assert outcomes(report) == dict.fromkeys(CHECKS, Outcome.YES) | {"multiprocess_races": Outcome.UNKNOWN}
    assert said == list(CHECKS.values())
    assert memory.snapshot() == {}


@pytest.mark.slow
def test_races_of_processes_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between processes lies no lock in memory: a folder is exclusive all the same, and one that looks first is found."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    report = Probe(LocalBackend(tmp_path)).run_at_length()
    assert outcomes(report) == dict.fromkeys(CHECKS.keys() - {"locks"}, Outcome.YES)
    assert "20 of 20 races of 4" in next(row.detail for row in report.rows if row.check == "multiprocess_races")
    careless = Probe(LooksFirst(LocalBackend(tmp_path))).run_at_length()
    assert {check for check, outcome in outcomes(careless).items() if outcome is Outcome.NO} == {"multiprocess_races"}


class Locks:
    """Keeps locks as S3 does: a longer one stays."""

    def __init__(self, error: Exception | None = None, *, keeps: bool = True) -> None:
        self.error = error
        self.keeps = keeps
        self.locked: dict[str, float] = {}

    def is_on(self) -> bool:
        if self.error is not None:
            raise self.error
        return True

    def until(self, name: str) -> float | None:
        return self.locked.get(name)

    def lock(self, name: str, until: float) -> None:
        if self.error is not None:
            raise self.error
        self.locked[name] = max(until, self.locked.get(name, 0)) if self.keeps else until


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locks", "outcome", "words"),
    [
        (Locks(), Outcome.YES, "for 60 s"),
        (Locks(keeps=False), Outcome.NO, "does not keep it for as long as it was told"),
        (Locks(StorePermissionError("memory: allow s3:PutObjectRetention")), Outcome.UNKNOWN, "not tried: allow s3:Put"),
        (Locks(ConfigurationError("no keys")), Outcome.UNKNOWN, "not tried: no keys"),
        (Locks(StoreError("501")), None, ""),
    ],
)
def test_locks(locks: Locks, outcome: Outcome | None, words: str) -> None:
    """A lock that can be shortened is found; who may not lock is told; a store that knows none has no such row."""
    rows = [row for row in Probe(MemoryBackend(), lock_keeper=locks).run_at_length().rows if row.check == "locks"]
    assert [row.outcome for row in rows] == ([] if outcome is None else [outcome])
    assert all(words in row.detail for row in rows)


@pytest.mark.slow
def test_races_are_found() -> None:
    """A store that looks before it writes passes alone, and fails among many."""

    class Looks(ForwardingBackend):
        def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
            found = self._inner.get_versioned(name)
            if (expect is Expect.ABSENT and found is not None) or (isinstance(expect, bytes) and (not found or found[1] != expect)):
                raise ConflictError("no")
            time.sleep(0.01)
            return super().put(name, data)

    report = Probe(Looks(MemoryBackend())).run_at_length()
    found = outcomes(report)
    assert [found[check] for check in ONE_CLIENT] == [Outcome.YES] * len(ONE_CLIENT)
    assert found["create_races"] is Outcome.NO
    assert found["swap_races"] is Outcome.UNKNOWN
    assert "not one of them won, but up to" in next(row.detail for row in report.rows if row.check == "create_races")


@pytest.mark.slow
def test_names_that_are_lost_between_pages_are_found() -> None:
    """A listing that loses one name a page is complete while it is short."""

    class LosesOneAPage(ForwardingBackend):
        def list(self, prefix: str) -> Iterator[Item]:
            items = super().list(prefix)
            return itertools.chain.from_iterable(
                page if number == 0 else page[1:]
                for number, page in enumerate(iter(lambda: list(itertools.islice(items, 1000)), []))
            )

    found = outcomes(Probe(LosesOneAPage(MemoryBackend())).run_at_length())
    assert found["list"] is Outcome.YES
    assert found["list_long"] is Outcome.NO


def test_what_a_killed_probe_left_goes_a_day_later() -> None:
    """The next probe removes it; what another one is trying at the same time stays, and so does what is no probe's."""
    backend = MemoryBackend()
    now = int(time.time())
    old, young, other = f"probe/{now - 90_000:08x}01234567/a", f"probe/{now - 80_000:08x}01234567/a", "probe/letter"
    for name in (old, young, other):
        backend.put(name, b"left")
    assert Probe(backend).run().is_safe
    assert {item.name for item in backend.list("")} == {young, other}
