"""Calls that are tried again: what is told of a full store when the answer to an earlier try was lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.backends.patience import Patience
from tallac.backends.retrying import RetryingBackend
from tallac.errors import ConflictError, StoreFullError, StoreUnavailableError
from tallac.interfaces import Buffer, Expect, Version


class Failing(ForwardingBackend):
    """A store in memory, some of whose next puts fail, each in a way of its own, and are not carried out."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self.errors: list[Exception | None] = []

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return super().put(name, data, expect=expect)


LOST = StoreUnavailableError("no answer")
CONFLICT = ConflictError("somebody else is just changing it")


def refused() -> StoreFullError:
    """Return what a store says that is full."""
    return StoreFullError("full", is_refusal=True)


def unclear() -> StoreFullError:
    """Return what is told of a full store that may have carried out some of a change."""
    return StoreFullError("full")


@pytest.mark.parametrize(
    ("make", "is_refusal"),
    [
        (lambda: [[refused()]], True),
        (lambda: [[unclear()]], False),
        (lambda: [[LOST, refused()]], False),
        # A conflict may be with the very try that is on its way.
        (lambda: [[LOST, CONFLICT], [refused()]], False),
        (lambda: [[LOST, LOST, refused()], [refused()]], False),
        (lambda: [[unclear()], [refused()]], False),
        (lambda: [[refused()], [refused()]], True),
        (lambda: [[CONFLICT], [refused()]], True),
        # What is on its way was to follow another state.
        (lambda: [[LOST, None], [refused()]], True),
    ],
)
def test_a_refusal_is_told_where_all_tries_were_answered(
    make: Callable[[], list[list[Exception | None]]], is_refusal: bool
) -> None:
    """A store that is full has refused a change only where nothing of it may be on its way from an earlier try or call."""
    store = Failing()
    backend = RetryingBackend(store, Patience(sleep=lambda _: None))  # type: ignore[arg-type]  # All that is asked of it is here.
    version = backend.put("slots/a", b"0", expect=Expect.ABSENT)
    told: list[bool] = []
    for number, errors in enumerate(make()):
        store.errors = errors
        try:
            version = backend.put("slots/a", b"%d" % (number + 1), expect=version)
        except ConflictError:
            continue
        except StoreFullError as error:
            told.append(error.is_refusal)
    assert told[-1] is is_refusal
    store.errors = [refused()]
    with pytest.raises(StoreFullError) as raised:
        backend.put("slots/b", b"0", expect=Expect.ABSENT)
    assert raised.value.is_refusal
