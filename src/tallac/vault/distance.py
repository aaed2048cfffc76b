"""Requests that need not wait for each other, where the store is behind a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from tallac.interfaces import Backend, DistantBackend, Extent, RemembersStates
from tallac.together import one_by_one

T = TypeVar("T")

GAP_SIZE_MAX = 128 << 10
"""So many bytes between two parts are read along with them: a request of their own takes longer."""

BATCH_SIZE_MAX = 8 << 20
"""So many bytes of objects are asked for together."""


def fetched(backend: Backend, names: Sequence[str] = (), prefixes: Sequence[str] = ()) -> AbstractContextManager[None]:
    """See `DistantBackend.fetched`; elsewhere nothing is read before it is asked for."""
    return backend.fetched(names, prefixes) if isinstance(backend, DistantBackend) else nullcontext()


def at_hand(backend: Backend, sizes: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Iterate over the names of objects, given with their sizes, of which some are asked for together, so that none is waited for.

    Each can be read once by `get` or `get_versioned` until the next name is asked for. What is in memory is bounded.
    """
    batch: list[str] = []
    size = 0
    for name, length in sizes:
        if batch and size + length > BATCH_SIZE_MAX:
            with fetched(backend, batch):
                yield from batch
            batch, size = [], 0
        batch.append(name)
        size += length
    with fetched(backend, batch):
        yield from batch


def ask_anew(backend: Backend) -> None:
    """Forget what was fetched, or listed, and not asked for yet."""
    if isinstance(backend, RemembersStates):
        backend.look_away()


def expect(backend: Backend, extents: Iterable[Extent]) -> None:
    """See `DistantBackend.expect`; elsewhere nothing is done. Extents of one object that follow each other closely become one."""
    if isinstance(backend, DistantBackend):
        backend.expect(_joined(extents))


def run_together(backend: Backend, calls: Sequence[Callable[[], T]]) -> list[T]:
    """Carry out calls of a backend, several at a time where it is distant; raises as `tallac.together.run_together` does."""
    return backend.run_together(calls) if isinstance(backend, DistantBackend) else one_by_one(calls)


def _joined(extents: Iterable[Extent]) -> list[Extent]:
    joined: list[Extent] = []
    for each in extents:
        last = joined[-1] if joined else None
        if last is not None and last.name == each.name and last.start <= each.start <= last.stop + GAP_SIZE_MAX:
            joined[-1] = Extent(last.name, last.start, max(last.stop, each.stop))
        else:
            joined.append(each)
    return joined
