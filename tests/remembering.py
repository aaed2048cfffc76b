"""Backends that remember states, for tests: over a store whose listings tell versions, and are no view of one moment."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tallac.backends.remembering import RememberingBackend, State, Together
from tallac.interfaces import Backend, ListedObject
from tallac.together import outcome

T = TypeVar("T")

PARTS = ("index/", "packs/", "registers/", "sessions/", "slots/", "header")


class KeptStates:
    """What is kept from one process to the next."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}

    def state(self, name: str) -> State | None:
        """See `StateMemory`."""
        return self.states.get(name)

    def keep_state(self, name: str, state: State | None) -> None:
        """See `StateMemory`."""
        self.states.pop(name, None)
        if state is not None:
            self.states[name] = state


def versions_in(store: Backend, pause: Callable[[], None], chance: random.Random) -> Iterator[ListedObject]:
    """List a store part by part, in any order, with a pause before each: a large store's listing takes a while."""
    for part in chance.sample(PARTS, len(PARTS)):
        pause()
        for item in list(store.list(part)):
            found = store.get_versioned(item.name)
            if found is not None:
                yield ListedObject(item, found[1])


class InAnyOrder:
    """Carries out calls that are given together one after the other, in an order that a seed decides. See `Together`."""

    def __init__(self, seed: int) -> None:
        """Begin."""
        self._chance = random.Random(seed)

    def __call__(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Carry out calls; where one raises, some others may have been under way."""
        results: dict[int, T] = {}
        errors: dict[int, BaseException] = {}
        for number in self._chance.sample(range(len(calls)), len(calls)):
            if errors and self._chance.random() < 0.5:
                continue
            try:
                results[number] = calls[number]()
            except BaseException as error:  # noqa: BLE001 - it is raised again below.
                errors[number] = error
        return outcome(results, errors)


def remembering(
    asked: Backend,
    store: Backend,
    memory: KeptStates | None = None,
    *,
    pause: Callable[[], None] = lambda: None,
    seed: int = 0,
    listings: list[int] | None = None,
    tells_versions: bool = True,
    together: Together | None = None,
) -> RememberingBackend:
    """Make a backend that remembers.

    Args:
        asked: What is asked.
        store: The store below, which is listed without leaving a trace in the records of `asked`.
        memory: What is kept; by default nothing is known yet.
        pause: Called while a listing is made.
        seed: Decides in which order it is made.
        listings: Gets the length of each.
        tells_versions: Whether listings do that.
        together: Carries out calls that need not wait for each other; by default in an order that the seed decides.
    """
    chance = random.Random(seed)

    def list_versions() -> Sequence[ListedObject]:
        found = list(versions_in(store, pause, chance))
        if listings is not None:
            listings.append(len(found))
        return found

    return RememberingBackend(
        asked,
        memory or KeptStates(),
        list_versions if tells_versions else None,
        together=together or InAnyOrder(seed),
        # Bytes that were given ahead are put as they are. To nobody else does it make a difference.
        prepare=None if tells_versions else lambda _name, _data: None,
    )
