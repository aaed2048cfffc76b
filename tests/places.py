"""Where the vaults of the hard tests are: a plain store in memory, and a bucket behind the real backend of object stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from tallac.backends.memory import MemoryBackend
from tallac.interfaces import Backend
from tallac.testing.bucket import Bucket, CrashingLine, RoughLine, ScheduledLine
from tallac.testing.crashing_backend import CrashingBackend
from tallac.testing.faulty_backend import Fault, FaultyBackend, RandomFaults
from tallac.testing.schedule import Schedule, ScheduledBackend

UNTRUE = (Fault.SHORT_READ, Fault.FLIPPED_BIT, Fault.CUT_LISTING, Fault.STALE_LISTING)
"""What no line does, and a store may."""


class Place(ABC):
    """A store, and ways to it.

    Attributes:
        straight: The way on which nothing goes wrong.
    """

    straight: Backend

    @abstractmethod
    def rough(self, seed: int, rate: float) -> Backend:
        """Return a way on which a share of all calls goes wrong, as a seed decides."""

    @abstractmethod
    def crashing(self, crash_at: int | None = None) -> Backend:
        """Return the way of a client that dies at a boundary before or after a change, or never."""

    @property
    @abstractmethod
    def boundaries(self) -> int:
        """How many boundaries the last client of `crashing` has passed."""

    @abstractmethod
    def scheduled(self, schedule: Schedule) -> Backend:
        """Return the way of one of several clients that take turns."""

    @abstractmethod
    def snapshot(self) -> dict[str, bytes]:
        """Return a copy of all objects, for `restore`."""

    @abstractmethod
    def restore(self, objects: Mapping[str, bytes]) -> None:
        """Go back to a state that `snapshot` gave."""

    @abstractmethod
    def settle(self) -> None:
        """Carry out what is still on its way."""


class InMemory(Place):
    """A plain store in memory."""

    def __init__(self) -> None:
        self._memory = MemoryBackend()
        self.straight = self._memory
        self._crashing = CrashingBackend(self._memory)

    @property
    def boundaries(self) -> int:
        return self._crashing.boundaries

    def rough(self, seed: int, rate: float) -> Backend:
        return FaultyBackend(self._memory, RandomFaults(seed, rate), seed=seed)

    def settle(self) -> None:
        pass

    def crashing(self, crash_at: int | None = None) -> Backend:
        self._crashing = CrashingBackend(self._memory, crash_at)
        return self._crashing

    def scheduled(self, schedule: Schedule) -> Backend:
        return ScheduledBackend(self._memory, schedule)

    def snapshot(self) -> dict[str, bytes]:
        return self._memory.snapshot()

    def restore(self, objects: Mapping[str, bytes]) -> None:
        self._memory.restore(objects)


class InBucket(Place):
    """A bucket, which is asked as S3 is: what goes wrong are single requests, and the backend above tries again."""

    def __init__(self) -> None:
        self._bucket = Bucket(has_bare_tags=True)
        self.straight = self._bucket.backend()
        self._crashing = CrashingLine()
        self._rough: RoughLine | None = None

    @property
    def boundaries(self) -> int:
        return self._crashing.boundaries

    def rough(self, seed: int, rate: float) -> Backend:
        self.settle()
        # Half of all calls are tried again, so there is to be more to it than for a plain store.
        self._rough = RoughLine(seed, rate * 4)
        return FaultyBackend(self._bucket.backend(self._rough), RandomFaults(seed, rate / 2, UNTRUE), seed=seed)

    def settle(self) -> None:
        if self._rough is not None:
            self._rough.deliver()

    def crashing(self, crash_at: int | None = None) -> Backend:
        self._crashing = CrashingLine(crash_at)
        return self._bucket.backend(self._crashing)

    def scheduled(self, schedule: Schedule) -> Backend:
        return self._bucket.backend(ScheduledLine(schedule))

    def snapshot(self) -> dict[str, bytes]:
        return self._bucket.snapshot()

    def restore(self, objects: Mapping[str, bytes]) -> None:
        self._bucket.restore(objects)


PLACES = (InMemory, InBucket)
