"""Sessions that killed runs have left: the next run on the same machine ends them, and none of a process that lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from tests.remembering import remembering

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.caps import DirectoryReadCap
from tallac.errors import StoreFullError, StoreUnavailableError
from tallac.file_calls import RealFileCalls
from tallac.interfaces import Backend, Buffer, Expect, Version
from tallac.testing.determinism import FakeClock
from tallac.testing.frugal_backend import CachingBackend
from tallac.testing.sample_vault import ARCHIVES, back_up, create_target, noise, put_tree, read_tree
from tallac.vault.format.keys import WriterKey
from tallac.vault.mutable import own_sessions
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault

CHILD = """
import sys
from pathlib import Path
from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.testing.sample_vault import noise, put_tree
from tallac.vault.format.keys import parse_vault_key
from tallac.vault.vault import open_vault
vault = open_vault(LocalBackend(Path(sys.argv[1])), parse_vault_key(sys.argv[3]), state=Path(sys.argv[2]))
with vault.session() as session:
    with session.writing() as writer:
        cap = put_tree(writer, {b"a": noise(7, 100_000)})
    if sys.argv[4] == "committing":
        session.commit([cap])
    print("ready", flush=True)
    sys.stdin.read()
"""


class Place:
    """A vault in a folder, and the processes that tests have begun."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = LocalBackend(folder / "vault")
        self.backend.create()
        self.key: WriterKey = create_vault(self.backend)
        self.processes: list[subprocess.Popen[bytes]] = []

    def open(self, backend: Backend | None = None, clock: FakeClock | None = None, state: str = "state") -> Vault:
        """Open the vault, as the killed process has done."""
        return open_vault(backend or self.backend, self.key, state=self.folder / state, clock=clock or FakeClock())

    def begin(self, state: str) -> subprocess.Popen[bytes]:
        """Begin a session in another process, and bring it to a state."""
        words = [str(self.folder / "vault"), str(self.folder / "state"), self.key.danger_whole_text(), state]
        process = subprocess.Popen([sys.executable, "-c", CHILD, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    def kill(self, state: str) -> None:
        """Begin a session in another process, and kill it."""
        process = self.begin(state)
        process.kill()
        process.wait()

    def sessions(self) -> list[str]:
        """List the vault's sessions."""
        return [item.name for item in self.backend.list("sessions/")]

    def notes(self) -> list[str]:
        """List the files of sessions in the state folder."""
        return [path.name for path in (self.folder / "state").glob(f"*/{own_sessions.OWN_SESSIONS_FOLDER}/*")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Make a vault; end what was begun."""
    made = Place(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("state", ["open", "committing"])
def test_a_killed_run_leaves_nothing_behind(place: Place, state: str) -> None:
    """After a kill the next run ends the session, uses what was stored, and a prune deletes it without a wait."""
    place.kill(state)
    assert len(place.sessions()) == len(place.notes()) == 1
    with place.open() as vault:
        with vault.session() as session:
            assert len(place.sessions()) == len(place.notes()) == 1
            with session.writing() as writer:
                put_tree(writer, {b"a": noise(7, 100_000)})
                stored = writer.bytes_stored
        assert stored == 0
        assert place.sessions() == place.notes() == []
    place.kill(state)
    clock = FakeClock()
    with place.open(clock=clock) as vault:
        before = clock.now_ns()
        assert Prune(vault.components, PruneOptions(unused_max=0)).run().deleted_packs
        assert clock.now_ns() == before
    assert [*place.sessions(), *place.notes(), *place.backend.list("packs/")] == []


def test_a_process_that_lives_keeps_its_session(place: Place) -> None:
    """A run beside another one ends nothing, and the other one ends by itself."""
    process = place.begin("committing")
    with place.open() as vault, vault.session():
        assert len(place.sessions()) == len(place.notes()) == 2
    assert len(place.sessions()) == len(place.notes()) == 1
    process.communicate(b"")
    assert process.returncode == 0
    assert place.sessions() == place.notes() == []


def test_sessions_of_other_machines_and_homes_stay(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the home is shared with another machine, or is another one, nothing is known of the process, and its session stays."""
    place.kill("committing")
    with place.open(state="another home") as vault, vault.session():
        assert len(place.sessions()) == 2
    monkeypatch.setattr(own_sessions, "_machine", lambda: b"another machine")
    with place.open() as vault, vault.session():
        assert len(place.sessions()) == 2
    assert len(place.sessions()) == len(place.notes()) == 1


def test_locks_that_are_not_kept_prove_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that says yes to every lock has no say in who is dead."""
    place.kill("open")
    monkeypatch.setattr(RealFileCalls, "try_lock", lambda *_, **__: True)
    with place.open() as vault, vault.session():
        assert len(place.sessions()) == 2


def test_a_distant_store_may_have_a_link_on_its_way(place: Place) -> None:
    """A committing session in a distant store ends only some minutes after its process was found dead; an open one at once."""
    for process in (place.begin("committing"), place.begin("open")):
        process.kill()
        process.wait()
    clock = FakeClock()
    with place.open(CachingBackend(place.backend, MemoryBackend()), clock) as vault:
        for waited, left in ((0, 1), (own_sessions.ON_THE_WAY_SECONDS - 1, 1), (2, 0)):
            clock.sleep(waited)
            with vault.session():
                pass
            assert len(place.sessions()) == left


@pytest.mark.parametrize("distant", [lambda store: CachingBackend(store, MemoryBackend()), lambda store: remembering(store, store)])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreUnavailableError("no answer"), StoreFullError("after a lost answer")])
def test_an_edit_that_nobody_waits_for_may_be_carried_out_later(
    place: Place, distant: Callable[[Backend], Backend], error: BaseException
) -> None:
    """What a backup has committed outlasts a prune though its edit was interrupted, and the snapshot is whole once that arrives."""
    late = LateEdits(place.backend)
    clock = FakeClock()
    with place.open(distant(late), clock) as vault:
        target = create_target(vault)
        late.error = error
        with pytest.raises(type(error)):
            back_up(vault, target, b"1", {b"a": noise(1, 100_000)})
    assert len(place.sessions()) == len(place.notes()) == 1
    said = []
    for state in ("another machine", "state"):
        with place.open(distant(place.backend), clock, state) as vault:
            report = Prune(vault.components, PruneOptions(unused_max=0, fence_after_seconds=1)).run()
        said += report.entering_sessions
        assert report.entering_objects >= 2
        assert 100_000 < report.entering_bytes < 110_000
    until = datetime.fromtimestamp(clock.now_ns() // 1_000_000_000 + own_sessions.ON_THE_WAY_SECONDS + 60, UTC).astimezone()
    assert [place.sessions()[0] in each for each in said] == [True, True]
    assert "is entering a snapshot" in said[0]
    assert f"stays until {until:%H:%M}; prune again" in said[1]
    assert late.held is not None
    late.held()
    with place.open() as vault:
        archives = next(entry for entry in vault.edit_directory(target, lambda entries: entries) if entry.name == ARCHIVES)
        assert isinstance(archives.cap, DirectoryReadCap)
        (snapshot,) = vault.read_directory(archives.cap)
        assert isinstance(snapshot.cap, DirectoryReadCap)
        assert dict(read_tree(vault, snapshot.cap)) == {b"a": noise(1, 100_000)}
    clock.sleep(own_sessions.ON_THE_WAY_SECONDS)
    with place.open(distant(place.backend), clock) as vault, vault.session():
        pass
    assert place.sessions() == place.notes() == []


@pytest.mark.parametrize("distant", [lambda store: CachingBackend(store, MemoryBackend()), lambda store: remembering(store, store)])
def test_an_edit_that_a_full_store_has_refused_keeps_nothing_back(place: Place, distant: Callable[[Backend], Backend]) -> None:
    """Where the store has answered all that was sent, the session ends at once, and the next prune frees what it has stored."""
    late = LateEdits(place.backend)
    with place.open(distant(late)) as vault:
        target = create_target(vault)
        before = [*place.backend.list("packs/")]
        late.error = StoreFullError("full", is_refusal=True)
        with pytest.raises(StoreFullError):
            back_up(vault, target, b"1", {b"a": noise(1, 100_000)})
        assert place.sessions() == place.notes() == []
        late.error = None
        report = Prune(vault.components, PruneOptions(unused_max=0)).run()
    assert report.deleted_bytes > 100_000
    assert report.entering_sessions == []
    assert [*place.backend.list("packs/")] == before


def test_a_clock_that_was_ahead_when_a_run_broke_off(place: Place) -> None:
    """Where a session's file is of the future, the wait begins anew, and what it keeps is kept no longer than that."""
    late, ahead, right = LateEdits(place.backend), FakeClock(), FakeClock()
    ahead.advance(1000 * 24 * 3600)
    with place.open(remembering(late, late), ahead) as vault:
        target = create_target(vault)
        late.error = StoreUnavailableError("no answer")
        with pytest.raises(StoreUnavailableError):
            back_up(vault, target, b"1", {b"a": noise(1, 1000)})
    for waited, left in ((0, 1), (own_sessions.ON_THE_WAY_SECONDS - 1, 1), (2, 0)):
        right.sleep(waited)
        with place.open(remembering(place.backend, place.backend), right) as vault:
            report = Prune(vault.components, PruneOptions(unused_max=0)).run()
        assert len(place.sessions()) == left
        # It began in the future: by this clock it may be as old.
        assert ["is committing since" in each for each in report.lasting_sessions] == [True] * left


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreUnavailableError("no answer")])
def test_an_interrupted_session_that_has_sent_no_edit_ends_at_once(place: Place, error: BaseException) -> None:
    """An open session protects nothing that may be linked yet; and a store that is near carries out nothing later."""
    with place.open(remembering(place.backend, place.backend)) as vault, pytest.raises(type(error)), vault.session():
        raise error
    assert place.sessions() == place.notes() == []
    late = LateEdits(place.backend)
    with place.open(late) as vault:
        target = create_target(vault)
        late.error = error
        with pytest.raises(type(error)):
            back_up(vault, target, b"1", {b"a": noise(1, 1000)})
    assert place.sessions() == place.notes() == []


def test_a_session_whose_end_fails_is_ended_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store does not take the end of a session, the process's own next session ends it."""
    with place.open() as vault:
        target = create_target(vault)
        with monkeypatch.context() as broken, pytest.raises(StoreUnavailableError), vault.session():
            broken.setattr(LocalBackend, "delete", _fail)
        assert len(place.sessions()) == len(place.notes()) == 1
        back_up(vault, target, b"1", {b"a": noise(1, 1000)})
    assert place.sessions() == place.notes() == []


def test_a_state_folder_that_takes_no_files(place: Place) -> None:
    """Where no file can be made in the state folder, sessions work as ever, and are ended by prunes."""
    with place.open() as vault:
        folder = vault.components.state.folder / own_sessions.OWN_SESSIONS_FOLDER
        folder.write_bytes(b"in the way")
        with vault.session():
            assert len(place.sessions()) == 1
    assert place.sessions() == []


class LateEdits(ForwardingBackend):
    """Another backend, whose next swap of a slot raises an error, and is carried out when `held` is called.

    Attributes:
        error: What is raised; None for nothing yet.
        held: Carries out the swap.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.error: BaseException | None = None
        self.held: Callable[[], object] | None = None

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        if self.error is not None and self.held is None and name.startswith("slots/") and expect is not Expect.ABSENT:
            self.held = partial(super().put, name, bytes(data), expect=expect)
        if self.held is not None and self.error is not None and name.startswith("slots/"):
            raise self.error
        return super().put(name, data, expect=expect)


def _fail(*_: object, **__: object) -> None:
    raise StoreUnavailableError(os.strerror(5))
