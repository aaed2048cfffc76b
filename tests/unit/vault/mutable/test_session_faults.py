"""Sessions under wrong clocks and failing calls: a writer that lives keeps its session, and one that is gone holds up nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import FencedError, StoreError
from tallac.testing.determinism import START_NS, FakeClock
from tallac.testing.faulty_backend import Fault, FaultAt, FaultyBackend
from tallac.testing.sample_vault import Tree, back_up, create_target, enter, flatten, noise, put_tree, read_tree
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.sessions import RegisteredSession
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import create_vault, open_vault

TREE: Tree = {b"a": noise(1, 100_000), b"b": {b"c": noise(2, 700_000)}}
HOUR = 3600
CLOCKS_OFF = [-48 * HOUR, -HOUR // 2, 0, HOUR // 2, 48 * HOUR]


class Pruning(FakeClock):
    """A prune's clock, wrong by some seconds. It counts how long the prune has waited, and whoever waits with it has a turn."""

    def __init__(self, seconds_off: int) -> None:
        super().__init__(START_NS + seconds_off * 1_000_000_000)
        self.waited = 0.0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.waited += seconds
        self.turn()

    def turn(self) -> None:
        """Do nothing while a prune waits."""


@pytest.mark.parametrize("seconds_off", CLOCKS_OFF)
def test_a_wrong_clock_ends_no_living_session(tmp_path: Path, seconds_off: int) -> None:
    """A writer with a heartbeat is waited for, for an hour here, by a prune whose clock is off by up to two days (row 5)."""
    backend = MemoryBackend()
    key = create_vault(backend)
    with open_vault(backend, key, state=tmp_path / "writer", clock=FakeClock()) as vault:
        target = create_target(vault)
        with vault.session() as session:
            with session.writing() as writer:
                cap = put_tree(writer, TREE)

            class Beating(Pruning):
                def turn(self) -> None:
                    if self.waited < HOUR:
                        assert session._registered.send_heartbeat()  # What its thread does every 20 s.
                    else:
                        session.commit([cap])

            clock = Beating(seconds_off)
            with open_vault(backend, key.keeper_key, state=tmp_path / "keeper", clock=clock) as keeper:
                Prune(keeper.components, PruneOptions()).run()
            assert clock.waited >= HOUR
            enter(vault, target, b"1", cap)
    with open_vault(backend, key, state=tmp_path / "reader") as vault:
        assert dict(read_tree(vault, cap)) == dict(flatten(TREE))
        assert vault.check(target, read_data=True).is_healthy


@pytest.mark.parametrize("seconds_off", CLOCKS_OFF)
def test_a_wrong_clock_keeps_no_dead_session(tmp_path: Path, seconds_off: int) -> None:
    """A writer without a heartbeat is fenced after the same few minutes, whatever the two clocks say."""
    backend = MemoryBackend()
    key = create_vault(backend)
    with open_vault(backend, key, state=tmp_path / "writer", clock=FakeClock()) as vault:
        back_up(vault, create_target(vault), b"1", TREE)
        with vault.session() as session:
            with session.writing() as writer:
                cap = put_tree(writer, {b"new": noise(3, 1000)})
            clock = Pruning(seconds_off)
            with open_vault(backend, key.keeper_key, state=tmp_path / "keeper", clock=clock) as keeper:
                Prune(keeper.components, PruneOptions()).run()
            assert 0 < clock.waited < 300
            with pytest.raises(FencedError, match="a prune"):
                session.commit([cap])


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.FULL, Fault.TIMEOUT, Fault.LOST_ANSWER, Fault.DUPLICATE])
def test_a_fault_at_any_call_ends_no_living_session(fault: Fault) -> None:
    """Whichever call for a session fails, another one stays untouched, and a failed heartbeat does not end its own (row 6)."""
    backend = MemoryBackend()
    key = create_vault(backend)
    roots, structure = key.keeper_key.roots, Structure(key, Signers.of(key))
    other = RegisteredSession.register(backend, roots, structure, os.urandom, FakeClock())
    untouched = backend.get(other.path)
    failed = 0
    for index in range(20):
        plan = FaultAt(index, fault)
        try:
            session = RegisteredSession.register(FaultyBackend(backend, plan), roots, structure, os.urandom, FakeClock())
            assert session.send_heartbeat()
            assert session.send_heartbeat()
            session.commit(b"")
            session.end()
        except FencedError as error:
            raise AssertionError(f"call {index}: nobody has fenced this session") from error
        except StoreError:
            failed += 1
        assert backend.get(other.path) == untouched, f"call {index}"
        if plan.calls <= index:
            break
    else:
        raise AssertionError("a session's life has more calls than are tried")
    assert index >= 4
    assert failed or fault in (Fault.LOST_ANSWER, Fault.DUPLICATE)
    assert other.send_heartbeat()
    other.commit(b"")
    other.end()
    assert backend.get_versioned(other.path) is None
