"""How many requests a command sends to a distant store, and how many bytes go both ways: its worker processes count as well."""

from __future__ import annotations

import mmap
import shutil
import struct
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from tallac.interfaces import TrafficCount

STEP_SIZE = 64 << 10
"""Where a line is held to a rate, more than this is sent and received step by step."""

_ROW = struct.Struct("<QQQ")


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
    """

    def __init__(self, folder: str = "") -> None:
        """Count from now on; in a folder that another process's object has made, add to its count."""
        self._lock = threading.Lock()
        self._folder = folder
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

    def add(self, *, requests: int = 1, sent: int = 0, received: int = 0) -> None:
        """Count a request that was made, whatever came of it."""
        with self._lock:
            old = self._count
            self._count = TrafficCount(old.requests + requests, old.sent + sent, old.received + received)
            if self._folder and self._own is None:
                self._own = self._row()
            if self._own is not None:
                _ROW.pack_into(self._own, 0, *msgspec.structs.astuple(self._count))

    def total(self) -> TrafficCount:
        """Return what all processes have counted by now."""
        with self._lock:
            count, folder = self._count, self._folder
        requests, sent, received = msgspec.structs.astuple(count)
        for path in Path(folder).glob("*.count") if folder else ():
            if str(path) == self._own_path:
                continue
            with suppress(OSError, struct.error):
                row = _ROW.unpack(path.read_bytes())
                requests, sent, received = requests + row[0], sent + row[1], received + row[2]
        return TrafficCount(requests, sent, received)

    def _share(self) -> None:
        if not self._folder:
            self._folder = tempfile.mkdtemp(prefix="tallac-traffic-")
            self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def _row(self) -> mmap.mmap | None:
        try:
            # A name of its own: another object of this process may count into the same folder, and a mapped file must not shrink.
            descriptor, self._own_path = tempfile.mkstemp(suffix=".count", dir=self._folder)
            with open(descriptor, "r+b") as file:
                file.write(bytes(_ROW.size))
                file.flush()
                return mmap.mmap(file.fileno(), _ROW.size)
        except OSError:
            return None  # Then what this process does is missing from the count, which nothing relies on.
