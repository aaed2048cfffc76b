"""Whether a store does what a vault relies on: found out by trying, before anything is entrusted to it.

Many servers take a condition and ignore it, or say that they list everything and don't. What a request promises is believed only
after the store has kept the promise. Races, which no short look shows, are for `run_at_length`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Protocol

from tallac.backends.names import PROBE_FOLDER, is_left_by_probe, new_probe_name
from tallac.backends.probe_report import CHECKS, Outcome, ProbeReport, ProbeRow
from tallac.errors import (
    ConfigurationError,
    ConflictError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
    TallacError,
    UnsupportedByStoreError,
)
from tallac.interfaces import Backend, Expect, Version
from tallac.together import run_together

if TYPE_CHECKING:
    from tallac.backends.races import RaceOf

RANGE_SIZE = 1000
LARGE_SIZE = 8 << 20
RACES = ((2, 20), (8, 20))
"""Clients at a time, and rounds."""

LARGE_RACES = (4, 3)
PROCESS_RACES = (4, 20)
LOCK_SECONDS = 60
NAMES_MANY = 1100
"""More than a server of S3 lists in one answer."""

THREADS = 8

ONE_CLIENT = ("create", "swap", "range", "list", "delete")
"""The checks before a vault is made."""


class _Failure(Exception):  # noqa: N818 - it is no error of the program.
    """The store does not do what was tried."""


class _Untried(Exception):  # noqa: N818 - likewise.
    """This can't be tried here."""


class LockKeeper(Protocol):
    """Sets locks on objects, and asks for them; see `tallac.backends.s3_lock.S3Lock`."""

    def is_on(self) -> bool: ...

    def until(self, name: str) -> float | None: ...

    def lock(self, name: str, until: float) -> None: ...


class Probe:
    """Tries out one store, below a name of its own. Use it in a `with` block: what it has stored goes at its end."""

    def __init__(self, backend: Backend, workaround: Callable[[], str] = lambda: "", lock_keeper: LockKeeper | None = None) -> None:
        """Store nothing yet.

        Args:
            backend: The store, as a vault would use it.
            workaround: Says after the checks what the backend had to do differently here; "" for nothing.
            lock_keeper: Sets locks in this store; None where none can be set.
        """
        self._backend = backend
        self._workaround = workaround
        self._lock_keeper = lock_keeper
        self._folder = new_probe_name()
        self._lock = threading.Lock()
        self._stored: set[str] = set()
        self._version: Version = b""
        self._content = b""
        self.report = ProbeReport(backend.location())

    def run(self) -> ProbeReport:
        """Try what a vault relies on, in some fifteen requests.

        Raises:
            StoreUnavailableError, StorePermissionError, StoreFullError, StoreError: The store can't be asked at all, or may not be
                written to, or is full.
        """
        with self._tidying():
            for check in ONE_CLIENT:
                self._try(check)
                if not self.report.is_safe:
                    break
        return self.report

    def run_at_length(self, progress: Callable[[str], None] = lambda _: None) -> ProbeReport:
        """Try all of it, with races. Takes some thousand requests. Raises as `run`."""
        with self._tidying():
            for check, sentence in CHECKS.items():
                if check == "locks" and not self._has_locks():
                    continue
                progress(sentence)
                if check in ONE_CLIENT or self.report.is_safe or not check.endswith("_races"):
                    self._try(check)
                else:
                    self.report.rows.append(ProbeRow(check, Outcome.UNKNOWN, "not tried, since something is wrong already"))
        return self.report

    def _try(self, check: str) -> None:
        try:
            detail = getattr(self, f"_{check}")() or ""
        except _Failure as failure:
            self.report.rows.append(ProbeRow(check, Outcome.NO, str(failure)))
        except _Untried as untried:
            self.report.rows.append(ProbeRow(check, Outcome.UNKNOWN, f"not tried: {untried}"))
        except (StoreUnavailableError, StorePermissionError, StoreFullError):
            raise
        except StoreError as error:
            if check == "create" and not isinstance(error, UnsupportedByStoreError):
                raise  # Nothing was stored: there is no such bucket, or something else is wrong with the location.
            self.report.rows.append(ProbeRow(check, Outcome.NO, f"{CHECKS[check]}: {_without_place(error, self._backend)}"))
        else:
            is_workaround = check == "swap" and detail
            self.report.rows.append(ProbeRow(check, Outcome.WORKAROUND if is_workaround else Outcome.YES, detail))

    # One client, in this order, each on what the one before has left

    def _create(self) -> None:
        first, second = _unique(b"first"), _unique(b"second")
        try:
            self._put(self._name("a"), first, Expect.ABSENT)
        except ConflictError:
            raise _Failure("a name that was never used is said to exist already") from None
        try:
            self._put(self._name("a"), second, Expect.ABSENT)
        except ConflictError:
            pass
        else:
            raise _Failure("it ignores the condition that an object must not exist yet, and overwrites it")
        found = self._backend.get_versioned(self._name("a"))
        if found is None or found[0] != first:
            raise _Failure("it refuses to overwrite an object, and overwrites it nevertheless")
        self._version = found[1]

    def _swap(self) -> str:
        name, content = self._name("a"), _unique(b"overwritten")
        newer = self._put(name, content)
        if newer == self._version:
            raise _Failure("an object's ETag stays the same when its content changes")
        try:
            self._put(name, _unique(b"stale"), self._version)
        except ConflictError:
            pass
        else:
            raise _Failure("it ignores the condition that an object must be in a certain state, and overwrites it")
        found = self._backend.get_versioned(name)
        if found is None or found[0] != content:
            raise _Failure("it refuses to replace an object, and replaces it nevertheless; or reading gives an old state")
        if found[1] != newer:
            raise _Failure("reading an object gives another ETag than writing it has given")
        self._content = os.urandom(RANGE_SIZE)
        try:
            self._put(name, self._content, found[1])
        except ConflictError:
            raise _Failure("it refuses to replace an object also in the state that it is in") from None
        return self._workaround()

    def _range(self) -> None:
        if self._backend.get(self._name("a"), 10, 500) != self._content[10:500]:
            raise _Failure("it gives other bytes than those of the range that was asked for, or those of an old state")

    def _list(self) -> None:
        self._put(self._name("b"), b"listed")
        found = {item.name: item.size for item in self._backend.list(f"{self._folder}/")}
        if set(found) != {self._name("a"), self._name("b")}:
            raise _Failure("a listing lacks an object that was stored before")
        if found[self._name("a")] != RANGE_SIZE or found[self._name("b")] != 6:
            raise _Failure("a listing gives objects other lengths than they have")

    def _delete(self) -> str:
        name = self._name("a")
        try:
            self._remove(name)
        except StorePermissionError:
            return "these credentials may not delete: a prune needs others"
        if self._backend.get_versioned(name) is not None:
            raise _Failure("a deleted object can still be read")
        if any(item.name == name for item in self._backend.list(f"{self._folder}/")):
            raise _Failure("a deleted object is still listed")
        # One that is gone already: some servers call it an error, and the backend must not.
        self._backend.delete(name)
        return ""

    # Many clients

    def _create_races(self) -> str:
        return self._races(RACES, self._create_race)

    def _swap_races(self) -> str:
        return self._races(RACES, self._swap_race)

    def _large_races(self) -> str:
        return self._races((LARGE_RACES,), lambda clients: self._create_race(clients, os.urandom(LARGE_SIZE)))

    def _races(self, races: tuple[tuple[int, int], ...], race: Callable[[int], int]) -> str:
        for clients, rounds in races:
            winners = [race(clients) for _ in range(rounds)]
            wrong = [count for count in winners if count != 1]
            if wrong:
                raise _Failure(
                    f"in {len(wrong)} of {rounds} races of {clients} clients not one of them won, but up to {max(wrong)}"
                    if max(wrong) > 1
                    else f"in {len(wrong)} of {rounds} races of {clients} clients nobody won"
                )
        return ", ".join(f"{rounds} of {rounds} races of {clients}" for clients, rounds in races)

    def _create_race(self, clients: int, tail: bytes = b"") -> int:
        from tallac.backends.races import race_threads  # lazy import: only `check-store` has races

        return self._race(race_threads, clients, None, tail)

    def _swap_race(self, clients: int) -> int:
        from tallac.backends.races import race_threads  # lazy import: likewise

        return self._race(race_threads, clients, _unique(b"start"))

    def _multiprocess_races(self) -> str:
        from tallac.backends.races import can_race_processes, racing_processes  # lazy import: likewise

        if not can_race_processes(self._backend):
            raise _Untried("this store lives in this process alone")
        with racing_processes(self._backend, PROCESS_RACES[0]) as race:
            starts = cycle([None, b"start"])
            return self._races((PROCESS_RACES,), lambda count: self._race(race, count, next(starts)))

    def _race(self, race: RaceOf, clients: int, start: bytes | None, tail: bytes = b"") -> int:
        """Put several contents at once, where nothing is or over a start; return how many won, and 2 where another is there."""
        name = self._name(f"race-{os.urandom(4).hex()}")
        with self._lock:
            self._stored.add(name)
        expect = Expect.ABSENT if start is None else self._put(name, start)
        won = race(self._backend, name, expect, [_unique(b"%d" % number) + tail for number in range(clients)])
        stored = self._backend.get(name)
        self._remove_if_allowed(name)
        return 2 if len(won) == 1 and stored != won[0] else len(won)

    # Locks

    def _has_locks(self) -> bool:
        """Whether the store has locks. Where that may not be asked it counts as so, and the reason is found when it is tried."""
        try:
            return self._lock_keeper is not None and self._lock_keeper.is_on()
        except (ConfigurationError, StorePermissionError):
            return True
        except StoreUnavailableError:
            raise
        except StoreError:
            return False  # The server does not know what it was asked.

    def _locks(self) -> str:
        assert self._lock_keeper is not None
        try:
            self._try_lock(self._lock_keeper)
        except (ConfigurationError, StorePermissionError) as error:
            raise _Untried(_without_place(error, self._backend)) from error
        return f"for {LOCK_SECONDS} s; a hidden version of a few bytes is left"

    def _try_lock(self, keeper: LockKeeper) -> None:
        name, until = self._name("locked"), time.time() + LOCK_SECONDS
        self._put(name, b"locked")
        for seconds in (until, until - LOCK_SECONDS / 2):
            keeper.lock(name, seconds)
            if (keeper.until(name) or 0) < int(until):
                raise _Failure("it accepts a lock, and does not keep it for as long as it was told")

    # Much at a time

    def _large(self) -> None:
        name, content = self._name("large"), os.urandom(LARGE_SIZE)
        upload = self._backend.upload()
        with self._lock:
            self._stored.add(name)
        upload.write(content)
        upload.commit(name)
        if self._backend.get(name) != content:
            raise _Failure("a large object comes back with other bytes")

    def _list_long(self) -> str:
        folder = self._name("long")
        names = {f"{folder}/{number:05}" for number in range(NAMES_MANY)}
        run_together([partial(self._put, name, b"x") for name in names], THREADS)
        listed = [item.name for item in self._backend.list(f"{folder}/")]
        run_together([partial(self._remove_if_allowed, name) for name in names], THREADS)
        if len(set(listed)) != NAMES_MANY:
            raise _Failure(f"a listing of {NAMES_MANY} names gives {len(set(listed))} of them")
        if len(listed) != NAMES_MANY:
            raise _Failure(f"a listing gives {len(listed) - NAMES_MANY} names twice")
        return f"{NAMES_MANY} of {NAMES_MANY}"

    def _list_busy(self) -> None:
        folder = self._name("busy")
        stay = {f"{folder}/stay-{number}" for number in range(20)}
        for name in stay:
            self._put(name, b"x")
        is_over = threading.Event()

        def change() -> list[set[str]]:
            number = 0
            while not is_over.is_set():
                name = f"{folder}/pass-{number % 50}"
                self._put(name, b"x")
                self._remove_if_allowed(name)
                number += 1
            return []

        def look() -> list[set[str]]:
            try:
                return [{item.name for item in self._backend.list(f"{folder}/")} for _ in range(20)]
            finally:
                is_over.set()

        calls: list[Callable[[], list[set[str]]]] = [look, change]
        if any(not stay <= listed for listed in run_together(calls, len(calls))[0]):
            raise _Failure("a listing lacks objects that were there all the time, while others wrote and deleted")

    # What is stored

    def _name(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _put(self, name: str, content: bytes, expect: Expect | Version | None = None) -> Version:
        with self._lock:
            self._stored.add(name)
        return self._backend.put(name, content, expect=expect)

    def _remove(self, name: str) -> None:
        self._backend.delete(name)
        with self._lock:
            self._stored.discard(name)

    def _remove_if_allowed(self, name: str) -> None:
        try:
            self._remove(name)
        except (StorePermissionError, ObjectNotFoundError):
            return  # A client may be one that can only add.

    @contextmanager
    def _tidying(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._tidy()

    def _tidy(self) -> None:
        """Remove what this probe has stored, and what others left that were killed. The rest costs a few bytes."""
        with suppress(StoreUnavailableError):
            names = sorted(self._stored)
            with suppress(StoreError):
                names += [item.name for item in self._backend.list(f"{PROBE_FOLDER}/") if is_left_by_probe(item.name)]
            for name in names:
                try:
                    self._remove(name)
                except StoreUnavailableError:
                    raise
                except StoreError:
                    continue


def _unique(beginning: bytes) -> bytes:
    return beginning + b" " + os.urandom(16).hex().encode("ascii")


def _without_place(error: TallacError, backend: Backend) -> str:
    return str(error).removeprefix(f"{backend.location()}: ")
