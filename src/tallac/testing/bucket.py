"""A bucket in memory, as S3 behaves, for the real backend of object stores: with request and answer in the test's hands."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from enum import Enum, auto
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_calls import Listed, StoreCalls, Stored
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.backends.patience import Patience
from tallac.backends.retrying import RetryingBackend
from tallac.backends.traffic import Traffic
from tallac.backends.wait_notices import WaitNotices
from tallac.errors import ConflictError, ObjectNotFoundError, StoreFullError, StorePermissionError, StoreUnavailableError
from tallac.interfaces import Buffer
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.schedule import Schedule

if TYPE_CHECKING:
    from obstore import PutMode

T = TypeVar("T")

SETTINGS = ObjectStoreSettings(kind="s3", bucket="memory")
LATE_MAX = 6
TRIES_SECONDS = 3.0
"""So long a call is tried again, by a clock that only waits move: some four tries."""


class Request(NamedTuple):
    """A request: what S3 calls it (`LIST` and `HEAD` as well), and the object's name, for a listing its folder."""

    method: str
    name: str

    @property
    def is_change(self) -> bool:
        """Whether it changes what is stored."""
        return self.method in {"PUT", "DELETE"}


class Line:
    """The way of requests between a client and the bucket; on this one all pass."""

    def send(self, request: Request, carry_out: Callable[[], T]) -> T:
        """Pass a request on to the bucket, and return its answer."""
        return carry_out()


class Bucket:
    """Objects by name. Thread-safe: each request is carried out as a whole.

    An ETag is the MD5 of the bytes, in quotation marks, so a state that comes back has its ETag back. With `has_bare_tags`, it is
    compared without the marks alone, as on Ceph.
    """

    def __init__(self, *, has_bare_tags: bool = False) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = Lock()
        self._has_bare_tags = has_bare_tags

    def snapshot(self) -> dict[str, bytes]:
        """Return a copy of all objects by name, for `restore`."""
        with self._lock:
            return dict(self._objects)

    def restore(self, objects: Mapping[str, bytes]) -> None:
        """Go back to a state that `snapshot` gave."""
        with self._lock:
            self._objects = dict(objects)

    def backend(self, line: Line | None = None) -> RetryingBackend:
        """Return what a client uses: the backend of object stores, and patience whose waits take no time."""
        passed = [0.0]

        def sleep(seconds: float) -> None:
            passed[0] += seconds

        store = ObjectStoreBackend(SETTINGS, make_calls=lambda _settings, _traffic: _Calls(self, line or Line()))
        return RetryingBackend(store, Patience(TRIES_SECONDS, notices=_NoNotices(Traffic()), sleep=sleep, clock=lambda: passed[0]))

    def put(self, name: str, content: bytes, mode: PutMode) -> str:
        """Carry out a put."""
        with self._lock:
            present = self._objects.get(name)
            if mode == "create":
                holds = present is None
            elif mode == "overwrite":
                holds = True
            else:
                assert isinstance(mode, dict)
                expected = mode.get("e_tag")
                tag = None if present is None else _tag(present)
                holds = tag is not None and expected == (tag.strip('"') if self._has_bare_tags else tag)
            if not holds:
                raise ConflictError(f"{name} in {SETTINGS.where} was changed by somebody else meanwhile: run this again")
            self._objects[name] = content
        return _tag(content)

    def get(self, name: str) -> bytes:
        """Carry out a get."""
        with self._lock:
            if name not in self._objects:
                raise ObjectNotFoundError(f"{SETTINGS.where} has no object {name}")
            return self._objects[name]

    def list(self, folder: str) -> list[Listed]:
        """Carry out a listing."""
        with self._lock:
            names = [name for name in self._objects if not folder or name.startswith(f"{folder}/")]
            return [Listed(name, len(self._objects[name]), _tag(self._objects[name])) for name in names]

    def delete(self, name: str) -> None:
        """Carry out a delete."""
        with self._lock:
            self._objects.pop(name, None)


class _Calls(StoreCalls):
    """The calls of the backend, as requests to the bucket."""

    def __init__(self, bucket: Bucket, line: Line) -> None:
        super().__init__(SETTINGS)
        self._bucket = bucket
        self._line = line

    def put(self, name: str, data: Buffer, *, mode: PutMode, storage_class: str = "") -> str:
        content = bytes(data)
        return self._line.send(Request("PUT", name), lambda: self._bucket.put(name, content, mode))

    def get(self, name: str) -> Stored:
        content = self._line.send(Request("GET", name), lambda: self._bucket.get(name))
        return Stored(content, _tag(content))

    def get_range(self, name: str, start: int, stop: int | None) -> bytes:
        return self._line.send(Request("GET", name), lambda: self._bucket.get(name)[start:stop])

    def tag(self, name: str) -> str:
        return _tag(self._line.send(Request("HEAD", name), lambda: self._bucket.get(name)))

    def list(self, folder: str) -> list[Listed]:
        return self._line.send(Request("LIST", folder), lambda: self._bucket.list(folder))

    def delete(self, name: str) -> None:
        self._line.send(Request("DELETE", name), lambda: self._bucket.delete(name))


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


class _NoNotices(WaitNotices):
    """Nobody is told that waits take no time."""

    def watch(self) -> None:
        """Start no thread for each of the many clients."""

    def tell(self, error: StoreUnavailableError) -> None:
        """Report nothing."""


class CrashingLine(Line):
    """A client that dies at a boundary before or after a request that changes something. Thread-safe.

    So it dies also between the two requests of one call, as of a delete that has a condition.
    """

    def __init__(self, crash_at: int | None = None) -> None:
        """Die at the boundary of this number, from 0; `boundaries` counts those that were passed."""
        self._crash_at = crash_at
        self._lock = Lock()
        self._is_dead = False
        self.boundaries = 0

    def send(self, request: Request, carry_out: Callable[[], T]) -> T:
        """See `Line`."""
        if not request.is_change:
            if self._is_dead:
                raise SimulatedCrash
            return carry_out()
        self._pass_boundary()
        try:
            return carry_out()
        finally:
            self._pass_boundary()

    def _pass_boundary(self) -> None:
        with self._lock:
            self._is_dead = self._is_dead or self.boundaries == self._crash_at
            if self._is_dead:
                raise SimulatedCrash
            self.boundaries += 1


class Fate(Enum):
    """The fate of a request."""

    LOST_REQUEST = auto()
    """It never arrives."""
    LOST_ANSWER = auto()
    """It is carried out, and the client hears nothing."""
    TWICE = auto()
    """It is carried out twice, and the second answer is given."""
    LATE = auto()
    """The client hears nothing, and it is carried out after some later ones."""


class RoughLine(Line):
    """A line that drops, cuts, delays and repeats requests at random, as a seed decides. Thread-safe.

    What is cut off is as what was lost: an answer with a part of a body counts for none.
    """

    def __init__(self, seed: int, rate: float) -> None:
        """Do so with a share, 0 to 1, of all requests."""
        self._chance = random.Random(seed)  # noqa: S311 - foreseeable on purpose
        self._rate = rate
        self._lock = Lock()
        self._late: list[tuple[int, Callable[[], object]]] = []

    def send(self, request: Request, carry_out: Callable[[], T]) -> T:
        """See `Line`."""
        with self._lock:
            fate = self._chance.choice(list(Fate)) if self._chance.random() < self._rate else None
            due = [late for left, late in self._late if left <= 0]
            self._late = [(left - 1, late) for left, late in self._late if left > 0]
            if fate is Fate.LATE and request.is_change:
                self._late.append((self._chance.randrange(LATE_MAX), carry_out))
        for late in due:
            _without_answer(late)
        if fate is Fate.TWICE:
            _without_answer(carry_out)
        if fate is Fate.LOST_ANSWER:
            _without_answer(carry_out)
        if fate is None or fate is Fate.TWICE:
            return carry_out()
        raise StoreUnavailableError(f"injected error: no answer to {request.method} {request.name}")

    def deliver(self) -> None:
        """Carry out what is still on its way."""
        late, self._late = self._late, []
        for _, carry_out in late:
            _without_answer(carry_out)


def _without_answer(carry_out: Callable[[], object]) -> None:
    try:
        carry_out()
    except (ConflictError, ObjectNotFoundError):
        return  # Nobody hears of it.


class ScheduledLine(Line):
    """Before and after each request the schedule may switch to another client."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def send(self, request: Request, carry_out: Callable[[], T]) -> T:
        """See `Line`."""
        self._schedule.pause()
        try:
            return carry_out()
        finally:
            if request.is_change:
                self._schedule.pause()


class FullLine(Line):
    """A bucket with a quota: from a time on, which is counted in puts, no put finds room, and all else is carried out."""

    def __init__(self, puts: int) -> None:
        self.puts_left = puts

    def send(self, request: Request, carry_out: Callable[[], T]) -> T:
        """See `Line`."""
        if request.method == "PUT":
            if self.puts_left <= 0:
                raise StoreFullError(f"{SETTINGS.where}: the store is full, or your quota is used up", is_refusal=True)
            self.puts_left -= 1
        return carry_out()


class ReadOnlyLine(Line):
    """Credentials that may read and nothing else."""

    def send(self, request: Request, carry_out: Callable[[], T]) -> T:
        """See `Line`."""
        if request.is_change:
            raise StorePermissionError(f"{SETTINGS.where}: the key may not do this")
        return carry_out()
