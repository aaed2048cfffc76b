"""The traffic between a command and a distant store, and since when that is waited for: worker processes count as well."""

from __future__ import annotations

import mmap
import shutil
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from tallac.interfaces import TrafficCount

STEP_SIZE = 64 << 10
"""Where a line is held to a rate, more than this is sent and received step by step."""

NOTE_SECONDS = 0.1
"""Signs of life within this time of each other are one."""

_ROW = struct.Struct("<QQQddd")


class Waiting(msgspec.Struct, frozen=True):
    """How the store stands to those who wait for it: moments of the system's monotonic clock, which all processes share.

    Attributes:
        asked_at: When the oldest question was asked that is open; 0 where none is.
        heard_at: When anything came from the store last.
        answered_at: When a question was answered last as it was to be.
    """

    asked_at: float = 0.0
    heard_at: float = 0.0
    answered_at: float = 0.0


class Pace(Protocol):
    """The rates that a line is held to; see `tallac.backends.limits`. Thread-safe."""

    def sending(self, size: int) -> float:
        """Take the next turn for so many bytes, and return in how many seconds they may be sent."""
        ...

    def receiving(self, size: int) -> float:
        """Take the next turn for so many bytes, and return in how many seconds they may have come."""
        ...


@runtime_checkable
class PacedBackend(Protocol):
    """A backend that can hold to a rate within an object. The first step of each goes at once, and counts.

    Attributes:
        sends_in_steps: Whether it does so also with what it sends.
    """

    sends_in_steps: bool

    def keep_pace(self, pace: Pace) -> None:
        """Hold to a rate from now on."""
        ...


class Traffic:
    """A count that processes share: each object has a file of its own, so that none waits for another. Thread-safe.

    What a process has counted is there also when it was killed. The folder goes with the object that made it.

    Attributes:
        is_first: Whether it is the one that the others were made from.
    """

    def __init__(self, folder: str = "", *, clock: Callable[[], float] = time.monotonic) -> None:
        """Count from now on; in a folder that another process's object has made, add to its count."""
        self.is_first = not folder
        self._lock = threading.Lock()
        self._clock = clock
        self._folder = folder
        self._asked: dict[object, float] = {}
        self._heard_at = self._answered_at = 0.0
        self._own: mmap.mmap | None = None
        self._own_path = ""
        self._count = TrafficCount()
        self._remove: Callable[[], object] = lambda: None

    def __reduce__(self) -> tuple[type[Traffic], tuple[str]]:
        """Return what lets another process add to this count."""
        with self._lock, suppress(OSError):
            self._share()
        return Traffic, (self._folder,)

    def remove(self) -> None:
        """Remove the folder, if this object has made it: a command ends without the interpreter's tidying up."""
        self._remove()

    @property
    def folder(self) -> Path | None:
        """A folder that all processes share; None where this one is alone so far."""
        return Path(self._folder) if self._folder else None

    def add(self, *, requests: int = 1, sent: int = 0, received: int = 0) -> None:
        """Count a request that was made, whatever came of it. What was received was also heard."""
        with self._lock:
            old = self._count
            self._count = TrafficCount(old.requests + requests, old.sent + sent, old.received + received)
            if received:
                self._heard_at = self._clock()
            self._write()

    def hear(self, *, is_answer: bool = False) -> None:
        """Note a sign of life of the store; or an answer as it was to be."""
        with self._lock:
            now = self._clock()
            if not is_answer and now - self._heard_at < NOTE_SECONDS:
                return
            self._heard_at = now
            if is_answer:
                self._answered_at = now
            self._write()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Note for the length of the block that the store is asked something that it answers at once; then, that it has.

        Where an exception leaves the block, nothing more is noted.
        """
        question = object()
        with self._lock:
            self._asked[question] = self._clock()
            self._write()
        try:
            yield
        except BaseException:
            with self._lock:
                del self._asked[question]
                self._write()
            raise
        with self._lock:
            del self._asked[question]
            self._heard_at = self._answered_at = self._clock()
            self._write()

    def total(self) -> TrafficCount:
        """Return what all processes have counted by now."""
        rows = self._rows()
        return TrafficCount(*(sum(int(row[column]) for row in rows) for column in range(3)))

    def waiting(self) -> Waiting:
        """Return how all processes wait."""
        rows = self._rows()
        return Waiting(
            asked_at=min((row[3] for row in rows if row[3]), default=0.0),
            heard_at=max(row[4] for row in rows),
            answered_at=max(row[5] for row in rows),
        )

    def _row(self) -> tuple[float, ...]:
        asked_at = min(self._asked.values(), default=0.0)
        return (*msgspec.structs.astuple(self._count), asked_at, self._heard_at, self._answered_at)

    def _rows(self) -> list[tuple[float, ...]]:
        with self._lock:
            rows, folder = [self._row()], self._folder
        # Another thread may remove the folder just now, at the end of the command; and no descriptor may be free.
        with suppress(OSError):
            for path in Path(folder).glob("*.count") if folder else ():
                if str(path) != self._own_path:
                    with suppress(OSError, struct.error):
                        rows.append(_ROW.unpack(path.read_bytes()))
        return rows

    def _write(self) -> None:
        if self._folder and self._own is None:
            self._own = self._mapped()
        if self._own is not None:
            # In one piece: `pack_into` writes zeros first, byte by byte, which others would read.
            self._own[:] = _ROW.pack(*self._row())

    def _share(self) -> None:
        if not self._folder:
            self._folder = tempfile.mkdtemp(prefix="tallac-traffic-")
            self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def _mapped(self) -> mmap.mmap | None:
        try:
            # A name of its own: another object of this process may count into the same folder, and a mapped file must not shrink.
            descriptor, self._own_path = tempfile.mkstemp(suffix=".count", dir=self._folder)
            with open(descriptor, "r+b") as file:
                file.write(bytes(_ROW.size))
                file.flush()
                return mmap.mmap(file.fileno(), _ROW.size)
        except OSError:
            return None  # Then what this process does is missing from the count, which nothing relies on.
