"""A wrapper that holds a line to a rate in each direction, and to a number of requests at a time, over all processes of a command.

What the processes share are files in a folder of the command's own: one for each direction, with the moment up to which the line is
taken, and one for each request that may be under way, whose lock goes with its process.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from tallac.backends.spooled_upload import SpooledUpload
from tallac.backends.traffic import PacedBackend
from tallac.errors import StoreError, StoreUnavailableError
from tallac.file_calls import REAL
from tallac.interfaces import (
    Buffer,
    ConnectsAhead,
    Expect,
    Item,
    ListedObject,
    ListsVersions,
    MakesAhead,
    ReportsFreeSpace,
    RereadingBackend,
    Version,
)
from tallac.local_files import locked
from tallac.together import STOP

if TYPE_CHECKING:
    from tallac.backends.retrying import WholeObjectBackend

SMALL_SIZE = 64 << 10
"""So little is counted and not waited for: a sign of life of a session must not stand behind a pack for minutes."""

_MOMENT = struct.Struct("<d")
_PAUSE_SECONDS = 0.005
SPOOLED_IN_MEMORY_MAX = 1 << 20
SIGNS_OF_LIFE = "sessions/"
"""Others take a session that shows none for dead, so these go beside all other requests."""


def pause(seconds: float) -> None:
    """Wait for a turn.

    Raises:
        StoreUnavailableError: This process is to end: what waits is not begun.
    """
    if STOP.wait(seconds) and threading.current_thread() is not threading.main_thread():
        raise StoreUnavailableError("nothing more is sent or received, since this process is to end")


class Limits(msgspec.Struct, frozen=True):
    """The limits that a user sets for lines. None, or 0, is no limit.

    Attributes:
        upload, download: Bytes of content a second.
        connections: Requests at a time.
    """

    upload: float | None = None
    download: float | None = None
    connections: int | None = None

    @property
    def are_any(self) -> bool:
        """Whether there is one at all."""
        return bool(self.upload or self.download or self.connections)

    def over(self, other: Limits) -> Limits:
        """Return these limits, and for what they say nothing of those of another."""
        return Limits(
            other.upload if self.upload is None else self.upload,
            other.download if self.download is None else self.download,
            other.connections if self.connections is None else self.connections,
        )


class RateLimit:
    """A rate that all processes with the same file keep together. Thread-safe.

    From the beginning to any moment no more has passed than the rate allows, but for what is small; what was not used is not made
    up for. The clock has to be one for all processes, as the system's monotonic one is.
    """

    def __init__(
        self,
        rate: float,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        """Keep to `rate` bytes a second; the file holds up to when the line is taken."""
        self._rate = rate
        self._path = path
        self._clock = clock
        self._sleep = sleep

    def reserve(self, size: int) -> float:
        """Take the next turn for so many bytes, behind all others; return in how many seconds they may have passed."""
        if size == 0:
            return 0.0
        with locked(self._path):
            now = self._clock()
            descriptor = os.open(self._path, os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
            with open(descriptor, "r+b", buffering=0) as file:
                row = file.read(_MOMENT.size)
                taken = _MOMENT.unpack(row)[0] if len(row) == _MOMENT.size else now
                until = max(taken, now) + size / self._rate
                file.seek(0)
                file.write(_MOMENT.pack(until))
        return until - now

    def wait(self, size: int) -> None:
        """Wait until so many bytes may have passed, behind all that others wait for.

        Raises:
            StoreUnavailableError: This process is to end.
        """
        seconds = self.reserve(size)
        if size > SMALL_SIZE:
            self._sleep(seconds)


class ConnectionLimit:
    """A number of requests at a time that all processes with the same folder keep to. Thread-safe."""

    def __init__(self, number: int, folder: Path, *, sleep: Callable[[float], None] = pause) -> None:
        """Each of `number` files in the folder stands for one request."""
        self._number = number
        self._folder = folder
        self._sleep = sleep

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be the one that makes a request; wait for one of the others to end where there are too many."""
        descriptor = self._take()
        try:
            yield
        finally:
            REAL.unlock(descriptor)

    def _take(self) -> int:
        for number in count():
            descriptor = os.open(
                self._folder / f"{number % self._number}.line", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600
            )
            if REAL.try_lock(descriptor, shared=False):
                return descriptor
            os.close(descriptor)
            if number % self._number == self._number - 1:
                self._sleep(_PAUSE_SECONDS)
        raise AssertionError("numbers end")


class SharedLimits:
    """Limits that the processes of a command share. Can be sent to them; the folder goes with the object that made it."""

    def __init__(
        self,
        limits: Limits,
        folder: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        """Begin with a line that is free; with a folder, share what another process has begun.

        Raises:
            StoreError: There is no room for it among the temporary files.
        """
        self._limits = limits
        self._folder = folder
        self._remove: Callable[[], object] = lambda: None
        if not folder:
            try:
                self._folder = tempfile.mkdtemp(prefix="tallac-limits-")
            except OSError as error:
                raise StoreError(f"{tempfile.gettempdir()}: can't keep there what limits the line ({error.strerror})") from error
            self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = Path(self._folder)
        self._upload = RateLimit(limits.upload, path / "up", clock=clock, sleep=sleep) if limits.upload else None
        self._download = RateLimit(limits.download, path / "down", clock=clock, sleep=sleep) if limits.download else None
        self._connections = ConnectionLimit(limits.connections, path) if limits.connections else None

    def __reduce__(self) -> tuple[type[SharedLimits], tuple[Limits, str]]:
        """Return what another process needs."""
        return SharedLimits, (self._limits, self._folder)

    def remove(self) -> None:
        """Remove the folder, if this object has made it; nothing passes any more."""
        self._remove()

    @contextmanager
    def request(self, name: str = "", *, sent: int = 0) -> Iterator[None]:
        """Make a request about an object, with so many bytes of content, in the block, when the line has room for it."""
        if self._upload is not None:
            self._upload.wait(sent)
        if self._connections is None or name.startswith(SIGNS_OF_LIFE):
            yield
            return
        with self._connections.one():
            yield

    @property
    def has_rates(self) -> bool:
        """Whether a line is held to a rate."""
        return self._upload is not None or self._download is not None

    def sending(self, size: int) -> float:
        """See `Pace`."""
        return 0.0 if self._upload is None else self._upload.reserve(size)

    def receiving(self, size: int) -> float:
        """See `Pace`."""
        return 0.0 if self._download is None else self._download.reserve(size)

    def received(self, size: int) -> None:
        """Wait until so many bytes may have come."""
        if self._download is not None:
            self._download.wait(size)


class LimitedBackend:
    """Another backend, below whatever tries calls again, so that what is sent again counts again. Thread-safe."""

    def __init__(self, inner: WholeObjectBackend, limits: SharedLimits) -> None:
        self.inner = inner
        self._limits = limits
        self._sends_in_steps = self._receives_in_steps = False
        if limits.has_rates and isinstance(inner, PacedBackend):
            inner.keep_pace(limits)
            self._sends_in_steps, self._receives_in_steps = inner.sends_in_steps, True

    def __reduce__(self) -> tuple[type[LimitedBackend], tuple[WholeObjectBackend, SharedLimits]]:
        """Return what another process needs."""
        return LimitedBackend, (self.inner, self._limits)

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        with self._limits.request(name, sent=0 if self._sends_in_steps else memoryview(data).nbytes):
            return self.inner.put(name, data, expect=expect)

    def upload(self) -> SpooledUpload:
        return SpooledUpload(self.location(), self.add, SPOOLED_IN_MEMORY_MAX)

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """See `WholeObjectBackend`."""
        with self._limits.request(name, sent=0 if self._sends_in_steps else size):
            self.inner.add(name, file, size)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        with self._limits.request(name):
            self.inner.delete(name, expect=expect)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        with self._limits.request(name):
            content = self.inner.get(name, start, stop)
        self._received(len(content))
        return content

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        with self._limits.request(name):
            found = self.inner.get_versioned(name)
        self._received(0 if found is None else len(found[0]))
        return found

    def _received(self, size: int) -> None:
        if not self._receives_in_steps:
            self._limits.received(size)

    def get_again(self, name: str, unlike: bytes) -> tuple[bytes, Version] | None:
        """See `RereadingBackend`."""
        if not isinstance(self.inner, RereadingBackend):
            return None
        with self._limits.request(name):
            return self.inner.get_again(name, unlike)

    def list(self, prefix: str) -> Iterator[Item]:
        with self._limits.request():
            return self.inner.list(prefix)

    def list_versions(self) -> Sequence[ListedObject] | None:
        """See `ListsVersions`."""
        if not isinstance(self.inner, ListsVersions):
            return None
        with self._limits.request():
            return self.inner.list_versions()

    def connect_ahead(self) -> None:
        """See `ConnectsAhead`."""
        if isinstance(self.inner, ConnectsAhead):
            self.inner.connect_ahead()

    def leave(self) -> None:
        """See `MakesAhead`."""
        if isinstance(self.inner, MakesAhead):
            self.inner.leave()

    def room(self) -> int | None:
        """See `ReportsFreeSpace`."""
        if not isinstance(self.inner, ReportsFreeSpace):
            return None
        with self._limits.request():
            return self.inner.room()

    def location(self) -> str:
        return self.inner.location()

    def is_empty(self) -> bool:
        """See `WholeObjectBackend`."""
        with self._limits.request():
            return self.inner.is_empty()

    def create(self) -> None:
        """See `WholeObjectBackend`."""
        with self._limits.request():
            self.inner.create()

    def examine(self) -> None:
        """See `WholeObjectBackend`."""
        with self._limits.request():
            self.inner.examine()
