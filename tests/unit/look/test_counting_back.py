from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.command import PATIENCE_SECONDS, Tallac, clean_environment
from tests.unit.look.test_stats import MeasuredGrid
from tests.unit.look.test_tables import random_tree

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.sftp import SftpBackend
from tallac.backends.sftp_session import SftpSettings
from tallac.dag import EncodedCap, Entry
from tallac.errors import AuthorityError
from tallac.interfaces import StoredObject
from tallac.look.counting_back import count_back
from tallac.look.read_errors import ReadError
from tallac.look.stats import TargetStats, gather
from tallac.look.tally import Tally
from tallac.vault.vault import create_vault, open_vault

if TYPE_CHECKING:
    from tests.unit.look.conftest import Shelf


class DividedGrid(MeasuredGrid):
    """The same, whose files of an odd size have two objects, one of which they share with others of this size."""

    def objects_of(self, encoded: bytes) -> list[StoredObject]:
        found = super().objects_of(encoded)
        size = EncodedCap(encoded).size
        return [*found, StoredObject(b"shared" + size.to_bytes(10, "big"), 7)] if found and size % 2 else found


class Messages:
    """A process that has counted everything, and whose messages come some at a time."""

    def __init__(self, chance: random.Random, messages: list[bytes]) -> None:
        self._chance = chance
        self._left = messages
        self.has_ended = False

    def receive(self) -> list[bytes]:
        """Give up to two of them."""
        count = self._chance.randrange(3)
        found, self._left = self._left[:count], self._left[count:]
        return found

    def end(self) -> None:
        """Note it."""
        self.has_ended = True


Found = tuple[TargetStats, list[ReadError]]


def gathered(shelf: Shelf, snapshots: list[Entry]) -> Found:
    """Gather, and give what was reported, too."""
    errors: list[ReadError] = []
    return gather(shelf.grid, snapshots, errors.append), errors


def test_the_same_from_both_ends(shelf: Shelf, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever both meet, whatever is lost and however often both were in a directory, figures and reports are the same."""
    shelf.grid = DividedGrid(shelf.grid.contents.folder)
    for number in range(60):
        snapshots = [shelf.directory(random_tree(chance, 3)) for _ in range(4)]  # type: ignore[arg-type]
        if number % 3 == 1:
            del shelf.grid.tables[chance.choice(sorted(shelf.grid.tables))]
        if number % 3 == 2:
            shelf.grid.lost = frozenset(chance.sample(sorted(shelf.grid.tables), 2))
        alone = gathered(shelf, snapshots)
        messages: list[bytes] = []
        count_back(shelf.grid, snapshots, messages.append)
        process = Messages(chance, messages)
        with monkeypatch.context() as changed:
            changed.setattr("tallac.look.counting_back._started", lambda *_, process=process: process)
            assert gathered(shelf, snapshots) == alone
        assert process.has_ended


def test_what_was_counted_is_not_read(shelf: Shelf, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that was counted from the end on is not read by the walk."""
    snapshot = shelf.directory({f"d{number}": {"f": b"%d" % number * 99} for number in range(50)})
    messages: list[bytes] = []
    count_back(shelf.grid, [snapshot], messages.append)
    monkeypatch.setattr("tallac.look.counting_back._started", lambda *_: Messages(chance, messages))
    shelf.grid.events.clear()
    found, errors = gathered(shelf, [snapshot])
    assert (found.snapshots[0].files, errors) == (50, [])
    assert shelf.reads() < 40


def test_what_can_not_be_told(shelf: Shelf) -> None:
    """Nothing is sent of a directory in which the objects of something can't be told, nor of what precedes it."""
    foreign = shelf.file(b"1" * 101)

    class Doubtful(MeasuredGrid):
        def objects_of(self, encoded: bytes) -> list[StoredObject]:
            if encoded == foreign.encoded:
                raise AuthorityError("it belongs to another grid")
            return super().objects_of(encoded)

    grid = Doubtful(shelf.grid.contents.folder)
    grid.tables = shelf.grid.tables
    snapshot = shelf.directory({"a": {"f": b"1" * 99}, "b": {"x": foreign}, "c": {"f": b"2" * 99}, "d": {"f": b"3" * 99}})
    sent: list[bytes] = []
    count_back(grid, [snapshot], sent.append)
    assert [msgspec.msgpack.decode(message, type=Tally).path for message in sent] == [b"d", b"c"]


SCRIPT = """
import os, sys
import tallac
from tallac.look import counting_back
counting_back.FILES_MIN = int(sys.argv[2])
started, processes = counting_back._started, []
counting_back._started = lambda *given: processes.append(started(*given)) or processes[-1]
with tallac.Client(tallac.Folders.under(sys.argv[1])) as client:
    print(client.inspect.stats("home:", print))
    assert [process is not None for process in processes] == [sys.argv[3] == "True"]
try:
    os.waitpid(-1, os.WNOHANG)
    raise AssertionError("there is a child")
except ChildProcessError:
    pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
def test_in_a_process_of_its_own(tallac: Tallac, source: Path) -> None:
    """Stats of a vault in a folder are the same with a second process as without, and nothing is left of it."""
    for number in range(60):
        (source / f"d{number}").mkdir()
        (source / f"d{number}" / "f").write_text(f"{number}" * 100)
    tallac("-q", "create-alias", "home")
    tallac("-q", "backup", source, "home:")
    (source / "d7" / "f").write_text("changed")
    tallac("-q", "backup", source, "home:")
    found = []
    for files_min in (1, 1000):
        is_forked = str(files_min == 1 and len(os.sched_getaffinity(0)) > 1)
        # A process of its own: one that runs tests has threads, and is not to be forked.
        command: list[str | Path] = [sys.executable, "-c", SCRIPT, tallac.home, str(files_min), is_forked]
        done = subprocess.run(command, capture_output=True, check=False, env=clean_environment(), timeout=PATIENCE_SECONDS)
        assert (done.returncode, done.stderr) == (0, b"")
        found.append(done.stdout)
    assert found[0] == found[1]


def test_no_process_for_a_store_elsewhere(tmp_path: Path) -> None:
    """A vault in a folder of this machine can be read by a forked process, another one can't."""
    for backend, is_here in ((MemoryBackend(), False), (LocalBackend(tmp_path), True)):
        with open_vault(backend, create_vault(backend), state=tmp_path.with_name(f"state {is_here}")) as vault:
            assert vault.prepare_fork() is is_here
    assert not SftpBackend(SftpSettings(host="localhost", path="/nowhere")).may_be_forked()
