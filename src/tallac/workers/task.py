"""What worker processes are started for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

Job_contra = TypeVar("Job_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class WorkerTask(Protocol[Job_contra, Answer_co]):
    """Says how to carry out jobs. It can be pickled, as can jobs and answers; it may hold secrets, which go through a pipe only."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Open files that a worker inherits under their numbers."""
        ...

    def open(self) -> AbstractContextManager[Callable[[Job_contra], Answer_co]]:
        """Get ready, in the worker; what this gives answers one job after the other.

        Where the block is left by an exception, nobody waits for answers any more, and what is not finished is to be thrown away.
        """
        ...
