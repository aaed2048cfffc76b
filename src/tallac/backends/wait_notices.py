"""Notices of a store that is waited for: once for all processes and threads of a command, and when that is over."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tallac.backends.traffic import Traffic, Waiting
from tallac.errors import SilentStoreError, StoreUnavailableError
from tallac.local_files import locked
from tallac.together import STOP, Stop

SLOW_SECONDS = 5.0
"""So long nothing may come from a store that was asked something, until that is mentioned."""

INTERVAL_SECONDS = 60.0
"""Within this time nothing is said twice, though the store has answered meanwhile."""

LOOK_SECONDS = 0.5
_SILENCE = "silence"
_FILE = "reported"


def say(text: str) -> None:
    """Write a line to standard error; nobody may be there to read it."""
    try:
        sys.stderr.write(f"tallac: {text}\n")
        sys.stderr.flush()
    except OSError:
        return


class WaitNotices:
    """Reports what keeps a command waiting. Thread-safe.

    A silence is mentioned once, until the store has answered; why the store can't be reached, once a minute.

    What was said stands in a file that all processes share, with the moments of the system's monotonic clock.
    """

    def __init__(
        self,
        traffic: Traffic,
        where: str = "",
        notify: Callable[[str], None] | None = None,
        *,
        slow_seconds: float = SLOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        stop: Stop = STOP,
    ) -> None:
        """Report nothing yet.

        Args:
            traffic: Knows how the store is waited for.
            where: The store's place.
            notify: Told what there is to say; None for standard error.
            slow_seconds: After so much silence it is said.
            clock: That of the traffic.
            stop: Tells that the process is to end, after which nothing is said of a silence.
        """
        self._traffic = traffic
        self._where = where
        self._notify = notify or say
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._stop = stop
        self._lock = threading.Lock()
        self._reported: dict[str, float] = {}
        self._is_watching = False
        self._looked_at = self._awake_since = clock()
        self._began_at: float | None = None

    def __reduce__(self) -> tuple[type[WaitNotices], tuple[Traffic, str]]:
        """Return what another process needs, which leaves the silence to this one."""
        return WaitNotices, (self._traffic, self._where)

    def watch(self) -> None:
        """Look from now on whether the store is silent, in the process that has begun; it does so for the others."""
        if self._is_watching or not self._traffic.is_first:
            return
        with self._lock:
            if self._is_watching:
                return
            self._is_watching = True
            self._looked_at = self._awake_since = self._clock()
        pause = min(LOOK_SECONDS, self._slow_seconds / 4)
        threading.Thread(target=_watch, args=(weakref.ref(self), pause), name="tallac-waiting", daemon=True).start()

    def tell(self, error: StoreUnavailableError) -> None:
        """Report why a call is tried again."""
        self._report(_SILENCE if isinstance(error, SilentStoreError) else str(error), str(error))

    def look(self) -> None:
        """Report that the store has become silent, or answers again, if it has; to be called again and again."""
        now, waiting = self._clock(), self._traffic.waiting()
        if now - self._looked_at > max(self._slow_seconds / 2, LOOK_SECONDS):
            # It was this process that slept.
            self._awake_since = now
        self._looked_at = now
        if self._stop.is_asked_for:
            return
        since = max(waiting.asked_at, waiting.heard_at, self._awake_since)
        if waiting.asked_at and now - since >= self._slow_seconds:
            since_when = f"nothing has come for {self._slow_seconds:g} seconds"
            self._report(_SILENCE, f"{self._where}: {since_when}; check the line and the server")
        self._report_end(waiting)

    def _report_end(self, waiting: Waiting) -> None:
        reported = self._read()
        if self._began_at is None and reported and max(reported.values()) > waiting.answered_at:
            self._began_at = min(at for at in reported.values() if at > waiting.answered_at)
        elif self._began_at is not None and waiting.answered_at > self._began_at:
            # What was over soon needs no second line.
            if waiting.answered_at - self._began_at >= self._slow_seconds:
                self._notify(f"the store answers again: {self._where}")
            self._began_at = None

    def _report(self, key: str, text: str) -> None:
        key = " ".join(key.split())
        with self._lock, self._all_locked():
            now = self._clock()
            reported_at = self._read().get(key)
            is_same_silence = key == _SILENCE and reported_at is not None and reported_at > self._traffic.waiting().answered_at
            if is_same_silence or (reported_at is not None and now - reported_at < INTERVAL_SECONDS):
                return
            self._reported[key] = now
            if (path := self._path()) is not None:
                # What the others can't be told, they say as well.
                with suppress(OSError), path.open("a", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(f"{now!r} {key}\n")
        self._notify(f"waiting for the store: {text}")

    @contextmanager
    def _all_locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            if (path := self._path()) is not None:
                # The folder goes with the command, which says nothing more then.
                with suppress(OSError):
                    stack.enter_context(locked(path))
            yield

    def _path(self) -> Path | None:
        folder = self._traffic.folder
        return None if folder is None else folder / _FILE

    def _read(self) -> dict[str, float]:
        reported, path = dict(self._reported), self._path()
        with suppress(OSError, ValueError):
            for line in path.read_text("utf-8", "surrogateescape").splitlines() if path is not None else ():
                at, _, key = line.partition(" ")
                reported[key] = max(reported.get(key, 0.0), float(at))
        return reported


def _watch(reference: weakref.ref[WaitNotices], pause: float) -> None:
    while (notices := reference()) is not None:
        notices.look()
        del notices
        time.sleep(pause)
