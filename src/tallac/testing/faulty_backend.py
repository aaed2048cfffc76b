"""A backend that fails as real stores do: with errors, lost answers, damaged reads and listings that are cut short."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock

from tallac.backends.passing import ForwardingBackend
from tallac.errors import StoreError, StoreFullError, StoreUnavailableError
from tallac.interfaces import Backend, Buffer, Expect, Item, Upload, Version


class Fault(Enum):
    """A fault of one call."""

    ERROR = auto()
    """The call fails without effect."""
    FULL = auto()
    """The store has no space left."""
    TIMEOUT = auto()
    """The call fails without effect, and a retry may succeed."""
    LOST_ANSWER = auto()
    """The call succeeds and is reported as failed."""
    DUPLICATE = auto()
    """The call is carried out twice and the second result is reported: a conditional put conflicts with itself."""
    SHORT_READ = auto()
    """The last bytes are missing."""
    FLIPPED_BIT = auto()
    """One bit is wrong."""
    CUT_LISTING = auto()
    """The listing ends early without an error."""
    STALE_LISTING = auto()
    """The listing is outdated."""


class Operation(Enum):
    """The calls that can fail."""

    PUT = auto()
    UPLOAD = auto()
    WRITE = auto()
    COMMIT = auto()
    DELETE = auto()
    GET = auto()
    LIST = auto()


_CHANGE = (Fault.ERROR, Fault.FULL, Fault.TIMEOUT, Fault.LOST_ANSWER, Fault.DUPLICATE)
_FAULTS: dict[Operation, tuple[Fault, ...]] = {
    Operation.PUT: _CHANGE,
    Operation.UPLOAD: (Fault.ERROR, Fault.FULL, Fault.TIMEOUT),
    Operation.WRITE: (Fault.ERROR, Fault.FULL, Fault.TIMEOUT),
    Operation.COMMIT: (Fault.ERROR, Fault.FULL, Fault.TIMEOUT, Fault.LOST_ANSWER),
    Operation.DELETE: (Fault.ERROR, Fault.TIMEOUT, Fault.LOST_ANSWER, Fault.DUPLICATE),
    Operation.GET: (Fault.ERROR, Fault.TIMEOUT, Fault.SHORT_READ, Fault.FLIPPED_BIT),
    Operation.LIST: (Fault.ERROR, Fault.TIMEOUT, Fault.CUT_LISTING, Fault.STALE_LISTING),
}

Plan = Callable[[Operation, str], Fault | None]
"""Returns the fault of a call on a name (b"" while an upload has none); None for no fault."""


def no_faults(_operation: Operation, _name: str) -> None:
    """Plan no faults."""


class FaultAt:
    """Plan one fault, at the call of this number, counted from 0. Thread-safe."""

    def __init__(self, index: int, fault: Fault = Fault.ERROR) -> None:
        self._index = index
        self._fault = fault
        self._lock = Lock()
        self.calls = 0

    def __call__(self, operation: Operation, name: str) -> Fault | None:
        """Count the call and return its fault, unless this operation can't have it."""
        with self._lock:
            is_due = self.calls == self._index
            self.calls += 1
        return self._fault if is_due and self._fault in _FAULTS[operation] else None


class RandomFaults:
    """Plan faults at random calls, determined by a seed. Thread-safe, but with several threads the order of calls varies."""

    def __init__(self, seed: int, rate: float, faults: Collection[Fault] = tuple(Fault)) -> None:
        """Plan one of these faults for a share, 0 to 1, of all calls."""
        self._random = random.Random(seed)  # noqa: S311 - foreseeable on purpose
        self._rate = rate
        self._faults = frozenset(faults)
        self._lock = Lock()

    def __call__(self, operation: Operation, name: str) -> Fault | None:
        """Return a random fault, or None."""
        with self._lock:
            possible = [fault for fault in _FAULTS[operation] if fault in self._faults]
            return self._random.choice(possible) if possible and self._random.random() < self._rate else None


class FaultyBackend(ForwardingBackend):
    """Another backend with planned faults. Thread-safe."""

    def __init__(self, inner: Backend, plan: Plan, *, seed: int = 0) -> None:
        """Use a plan; the seed decides which bit is flipped, and where a read or a listing is cut."""
        super().__init__(inner)
        self._plan = plan
        self._random = random.Random(seed)  # noqa: S311 - foreseeable on purpose
        self._lock = Lock()
        self._earlier_listings: dict[str, list[Item]] = {}

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        with self.failing(Operation.PUT, name) as fault:
            version = self._inner.put(name, data, expect=expect)
            if fault is Fault.DUPLICATE:
                version = self._inner.put(name, data, expect=expect)
            return version

    def upload(self) -> Upload:
        with self.failing(Operation.UPLOAD, ""):
            return _FaultyUpload(self._inner.upload(), self)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        with self.failing(Operation.DELETE, name) as fault:
            self._inner.delete(name, expect=expect)
            if fault is Fault.DUPLICATE:
                self._inner.delete(name, expect=expect)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        with self.failing(Operation.GET, name) as fault:
            return self._damaged(self._inner.get(name, start, stop), fault)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        with self.failing(Operation.GET, name) as fault:
            found = self._inner.get_versioned(name)
            return None if found is None else (self._damaged(found[0], fault), found[1])

    def list(self, prefix: str) -> Iterator[Item]:
        with self.failing(Operation.LIST, prefix) as fault:
            items = list(self._inner.list(prefix))
            with self._lock:
                earlier = self._earlier_listings.setdefault(prefix, items)
                if fault is Fault.STALE_LISTING:
                    return iter(earlier)
                self._earlier_listings[prefix] = items
                if fault is Fault.CUT_LISTING and items:
                    return iter(items[: self._random.randrange(len(items))])
            return iter(items)

    @contextmanager
    def failing(self, operation: Operation, name: str) -> Iterator[Fault | None]:
        """Ask the plan; fail before the block, or after it for a lost answer."""
        fault = self._plan(operation, name)
        message = f"{operation.name.lower()} {name or 'an upload'} in {self.location()}"
        if fault is Fault.ERROR:
            raise StoreError(f"injected error: {message} failed")
        if fault is Fault.FULL:
            raise StoreFullError(f"injected error: no space left for {message}")
        if fault is Fault.TIMEOUT:
            raise StoreUnavailableError(f"injected error: no answer to {message}")
        yield fault
        if fault is Fault.LOST_ANSWER:
            raise StoreUnavailableError(f"injected error: the answer to {message} was lost")

    def _damaged(self, content: bytes, fault: Fault | None) -> bytes:
        if not content:
            return content
        with self._lock:
            if fault is Fault.SHORT_READ:
                return content[: self._random.randrange(len(content))]
            if fault is Fault.FLIPPED_BIT:
                flipped = bytearray(content)
                flipped[self._random.randrange(len(content))] ^= 1 << self._random.randrange(8)
                return bytes(flipped)
        return content


class _FaultyUpload:
    def __init__(self, inner: Upload, backend: FaultyBackend) -> None:
        self._inner = inner
        self._backend = backend

    def write(self, data: Buffer) -> None:
        try:
            with self._backend.failing(Operation.WRITE, ""):
                self._inner.write(data)
        except StoreError:
            self.abort()
            raise

    def commit(self, name: str) -> None:
        try:
            with self._backend.failing(Operation.COMMIT, name):
                self._inner.commit(name)
        except StoreError:
            self.abort()
            raise

    def abort(self) -> None:
        self._inner.abort()
