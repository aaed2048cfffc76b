"""The task of worker processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

Job_contra = TypeVar("Job_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class WorkerTask(Protocol[Job_contra, Answer_co]):
    """Carries out jobs in a worker. It can be pickled, as can jobs and results; its secrets only ever pass through a pipe."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Open file descriptors that a worker inherits with the same numbers."""
        ...

    def open(self) -> AbstractContextManager[Callable[[Job_contra], Answer_co]]:
        """Prepare in the worker; yield the function that carries out one job after the other.

        If the block is left by an exception, nobody waits for results any more, and unfinished work is to be discarded.
        """
        ...


def can_be_sent(thing: object) -> bool:
    """Whether a worker can be sent this: what holds something that lives in one process alone can't be pickled."""
    import pickle  # lazy import: who starts no workers does without it

    try:
        pickle.dumps(thing)
    except (TypeError, AttributeError, pickle.PicklingError):
        return False
    return True
