"""What a prune says of packs that it leaves: nothing that is false, whatever comes between two of its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.vault.prune.test_prune import FIRST, SECOND, Place

from tallac.backends.passing import ForwardingBackend
from tallac.interfaces import Backend, Buffer, Expect, Item, Version
from tallac.testing.crashing_backend import CrashingBackend, SimulatedCrash
from tallac.testing.sample_vault import back_up


class Between(ForwardingBackend):
    """Another backend, where something is done once, before the call of a number."""

    def __init__(self, inner: Backend, action: Callable[[], None], at: int) -> None:
        super().__init__(inner)
        self._action = action
        self._at = at
        self._calls = 0
        self.has_come = False

    def _come_between(self) -> None:
        self._calls += 1
        if self._calls == self._at:
            self.has_come = True
            self._action()

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        self._come_between()
        return super().put(name, data, expect=expect)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        self._come_between()
        super().delete(name, expect=expect)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        self._come_between()
        return super().get(name, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        self._come_between()
        return super().get_versioned(name)

    def list(self, prefix: str) -> Iterator[Item]:
        self._come_between()
        return super().list(prefix)


@pytest.mark.parametrize("boundary", [8, 10])
def test_a_backup_between_two_calls_of_a_prune(tmp_path: Path, boundary: int) -> None:
    """What a killed prune has decided, and a backup stores anew while the next prune looks, is no alarm, and nothing is lost."""
    for at in range(24, 36):
        place = Place(tmp_path / f"{at}")
        with suppress(SimulatedCrash):
            place.prune(backend=CrashingBackend(place.backend, boundary))

        def enter(place: Place = place) -> None:
            with place.open() as vault:
                back_up(vault, place.target, b"3", FIRST)

        backend = Between(place.backend, enter, at)
        report = place.prune(backend=backend)
        if not backend.has_come:
            break
        assert report.skipped == [], at
        place.look(s2=SECOND, s3=FIRST)
