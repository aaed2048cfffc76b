"""One file of a directory changes; its neighbours, which are not looked up one by one, have gone from the vault in some way."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from tests.ticks import AHEAD_NS, pass_a_tick

from tallac.backends.memory import MemoryBackend
from tallac.backup.request import BackupRequest
from tallac.backup.run import back_up
from tallac.caps import Cap, MutableDirectoryWrite
from tallac.dag import Entry
from tallac.errors import MissingObjectError
from tallac.sourcedb import SourceDatabase
from tallac.testing.determinism import FakeClock, SeededRandomness
from tallac.testing.sample_vault import noise, read_tree
from tallac.vault.format.keys import WriterKey
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions
from tallac.vault.vault import Vault, create_vault, open_vault


class Machine:
    """A machine with a source of three directories, a source database, and a vault of several packs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = MemoryBackend()
        self.seeds = count(2)
        self.clock = FakeClock(time.time_ns() + AHEAD_NS)
        self.key: WriterKey = create_vault(self.backend, randomness=SeededRandomness(1))
        with self.open() as vault:
            target = vault.create_directory()
        assert isinstance(target, MutableDirectoryWrite)
        self.target = target
        self.source = folder / "source"
        for number in range(12):
            (self.source / f"{number % 3}").mkdir(parents=True, exist_ok=True)
            (self.source / f"{number % 3}" / f"file {number}").write_bytes(noise(number, 5_000))

    def open(self) -> Vault:
        """Open the vault."""
        randomness = SeededRandomness(next(self.seeds))
        return open_vault(self.backend, self.key, state=self.folder / "state", randomness=randomness, clock=self.clock)

    def change(self) -> None:
        """Change one file of each directory but the last."""
        for number in (0, 1):
            (self.source / f"{number}" / f"file {number}").write_bytes(noise(50 + number, 6_000))

    def back_up(self) -> dict[bytes, object]:
        """Make a snapshot, a minute after the last one, and return what it holds once it was checked whole."""
        self.clock.advance(60)
        request = BackupRequest(self.target, (b"docs",), os.fsencode(self.source), workers=0)
        with self.open() as vault, SourceDatabase(self.folder / "source.db", pytest.fail) as database:
            cap = back_up(vault, request, database, self.clock).cap
            assert vault.check(cap, read_data=True).findings == []
            found = dict(read_tree(vault, cap))
        pass_a_tick(self.folder)
        return dict(found)

    def exchange(self, name: str, content: bytes | None) -> None:
        """Put other bytes in an object's place, or none, behind the vault's back."""
        objects = {other: kept for other, kept in self.backend.snapshot().items() if other != name}
        self.backend.restore(objects if content is None else objects | {name: content})

    def content(self) -> dict[bytes, object]:
        """Read the source as snapshots are read."""
        paths = [path for path in self.source.rglob("*") if path.is_file()]
        return {os.fsencode(path.relative_to(self.source)): path.read_bytes() for path in paths}

    def forget_all(self) -> None:
        """Unlink everything, in all mutable directories below the target."""
        waiting: list[Cap | None] = [self.target]

        def take_all(entries: list[Entry]) -> list[Entry]:
            waiting.extend(entry.write_cap for entry in entries)
            return []

        with self.open() as vault:
            while waiting:
                cap = waiting.pop()
                if isinstance(cap, MutableDirectoryWrite):
                    vault.edit_directory(cap, take_all)


def machines(folder: Path) -> Iterator[tuple[Machine, str]]:
    """Give a machine for each pack of its first snapshot, with that pack's name, after a file of its source has changed."""
    packs = 1
    for number in range(10):
        if number >= packs:
            break
        (folder / f"{number}").mkdir()
        machine = Machine(folder / f"{number}")
        machine.back_up()
        names = sorted(name for name in machine.backend.snapshot() if name.startswith("packs/"))
        packs = len(names)
        machine.change()
        yield machine, names[number]
    assert packs >= 2


def lose_a_pack(machine: Machine, pack: str) -> None:
    """Delete a pack behind the vault's back."""
    machine.exchange(pack, None)


def cut_a_pack(machine: Machine, pack: str) -> None:
    """Cut a pack short."""
    machine.exchange(pack, machine.backend.get(pack)[:-1])


def repair_a_flipped_pack(machine: Machine, pack: str) -> None:
    """Flip a bit of a pack's first object, and have it put out of the way."""
    content = machine.backend.get(pack)
    machine.exchange(pack, content[:100] + bytes((content[100] ^ 1,)) + content[101:])
    with machine.open() as vault:
        Repair(vault.components, RepairOptions()).run([])


def repair_a_lost_pack(machine: Machine, pack: str) -> None:
    """Lose a pack, and have the index forget it, so that no loss is to be seen any more."""
    lose_a_pack(machine, pack)
    with machine.open() as vault:
        Repair(vault.components, RepairOptions()).run([])


def prune_all(machine: Machine, pack: str) -> None:
    """Forget the snapshot and prune it; the source database knows of it still."""
    machine.forget_all()
    with machine.open() as vault:
        Prune(vault.components, PruneOptions(unused_max=0)).run()
    assert pack not in machine.backend.snapshot()


@pytest.mark.parametrize(
    "damage", [lose_a_pack, cut_a_pack, repair_a_flipped_pack, repair_a_lost_pack, prune_all], ids=lambda damage: damage.__name__
)
def test_what_has_gone_is_stored_again(tmp_path: Path, damage: Callable[[Machine, str], None]) -> None:
    """Each pack once, in each way: the next snapshot of a tree in which something has changed is whole (row 21)."""
    for machine, pack in machines(tmp_path):
        damage(machine, pack)
        assert machine.back_up() == machine.content()


def lose_the_index_objects(machine: Machine) -> None:
    """Lose what named the packs."""
    for name in [name for name in machine.backend.snapshot() if name.startswith("index/")]:
        machine.exchange(name, None)


def lose_the_register(machine: Machine) -> None:
    """Lose what names the index objects."""
    machine.exchange("registers/index", None)


def nobody(_machine: Machine) -> None:
    """Leave it."""


def another_writes(machine: Machine) -> None:
    """Store something from another machine, which mends the index."""
    vault = open_vault(machine.backend, machine.key, state=machine.folder / "other", clock=machine.clock)
    with vault, vault.session() as session, session.writing() as writer:
        writer.put_file(io.BytesIO(noise(99, 5_000)))


def another_prunes(machine: Machine) -> None:
    """Prune from another machine; where directories are lost, it mends the index and then stops."""
    vault = open_vault(machine.backend, machine.key, state=machine.folder / "other", clock=machine.clock)
    with vault, suppress(MissingObjectError):
        Prune(vault.components, PruneOptions()).run()


def another_repairs(machine: Machine) -> None:
    """Repair from another machine."""
    with open_vault(machine.backend, machine.key, state=machine.folder / "other", clock=machine.clock) as vault:
        Repair(vault.components, RepairOptions()).run([])


@pytest.mark.parametrize("keeps_runs", [True, False])
@pytest.mark.parametrize("mend", [nobody, another_writes, another_prunes, another_repairs], ids=lambda mend: mend.__name__)
@pytest.mark.parametrize("lose", [lose_the_index_objects, lose_the_register], ids=lambda lose: lose.__name__)
def test_what_no_index_names_any_more_is_stored_again(
    tmp_path: Path, lose: Callable[[Machine], None], mend: Callable[[Machine], None], keeps_runs: bool
) -> None:
    """A pack is lost together with what named it, so that nothing tells of it: the next snapshot is whole all the same."""
    for machine, pack in machines(tmp_path):
        lose_a_pack(machine, pack)
        lose(machine)
        if not keeps_runs:
            for path in list((machine.folder / "state").rglob("*.run")):
                path.unlink()
        mend(machine)
        assert machine.back_up() == machine.content()
