import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from tests.remembering import KeptStates

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.remembering import RememberingBackend
from tallac.caps import LiteralFile, MutableDirectoryWrite
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, seal
from tallac.dag import Entry
from tallac.errors import (
    AuthorityError,
    ConflictError,
    CorruptObjectError,
    MalformedObjectError,
    MissingObjectError,
    RollbackDetectedError,
    StoreUnavailableError,
)
from tallac.interfaces import Backend, Buffer, Expect, Version
from tallac.testing.faulty_backend import Fault, FaultyBackend, Operation
from tallac.testing.sample_vault import back_up, create_target, noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.padding import pad_plain
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable import registers as registers_module
from tallac.vault.mutable.registers import NO_PREDECESSOR, Register
from tallac.vault.mutable.rollback import SEEN_FILE, NoMemory, SeenStates
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import Slots, make_write_cap
from tallac.vault.vault import Vault, create_vault, open_vault

SEAL = bytes(range(32))
OWN = WriterKey(bytes(32))
STRUCTURE = Structure(OWN, Signers.of(OWN))


@pytest.fixture
def backend() -> MemoryBackend:
    """Give an empty backend."""
    return MemoryBackend()


@pytest.fixture
def key(backend: MemoryBackend) -> WriterKey:
    """Make a vault and give its key."""
    return create_vault(backend)


def named(number: int) -> Entry:
    """Make up an entry."""
    return Entry.of(b"%04d" % number, LiteralFile(b"%d" % number))


def add(vault: Vault, cap: MutableDirectoryWrite, entry: Entry) -> None:
    """Add an entry to a directory."""
    vault.edit_directory(cap, lambda entries: [*entries, entry])


def opened(backend: Backend, key: WriterKey, folder: Path) -> tuple[Vault, MutableDirectoryWrite]:
    """Open a vault and make a directory in it."""
    vault = open_vault(backend, key, state=folder)
    cap = vault.create_directory()
    assert isinstance(cap, MutableDirectoryWrite)
    return vault, cap


def roots_of(backend: Backend, key: WriterKey) -> Roots:
    """Return the roots of a vault."""
    structure = Structure(key, Signers.of(key))
    return Roots(Register(backend, "roots", key.keeper_key.roots, structure, NoMemory(), os.urandom))


def test_editing(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """A new directory is empty; entries are sorted; write caps come back to who has the write cap, and to nobody else."""
    vault, cap = opened(backend, key, tmp_path)
    below = vault.create_directory()
    assert list(vault.read_directory(cap.read_cap)) == []
    vault.edit_directory(cap, lambda _: [named(2), Entry.of(b"0000", below), named(1)])
    entries = vault.edit_directory(cap, lambda entries: entries)
    assert [entry.name for entry in entries] == [b"0000", b"0001", b"0002"]
    assert entries[0].write == below.danger_whole_text().encode()
    assert [entry.write for entry in vault.read_directory(cap.read_cap)] == [None] * 3
    directory = vault.read_directory(cap.read_cap)
    assert directory.get(b"0001") == named(1)
    assert directory.get(b"absent") is None


def test_an_edit_without_effect_stores_nothing(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Reading by way of editing changes no byte; what the edit raises leaves the directory as it was."""
    vault, cap = opened(backend, key, tmp_path)
    add(vault, cap, named(1))
    before = backend.snapshot()
    vault.edit_directory(cap, lambda entries: entries)

    def fail(entries: list[Entry]) -> list[Entry]:
        entries.clear()
        raise KeyError

    with pytest.raises(KeyError):
        vault.edit_directory(cap, fail)
    assert backend.snapshot() == before


@pytest.mark.parametrize("names", [[b"a", b"a"], [b""]])
def test_a_table_that_nobody_could_read_is_not_stored(
    backend: MemoryBackend, key: WriterKey, tmp_path: Path, names: list[bytes]
) -> None:
    """Names twice or empty are refused before they destroy the directory."""
    vault, cap = opened(backend, key, tmp_path)
    add(vault, cap, named(1))
    before = backend.snapshot()
    with pytest.raises(MalformedObjectError):
        vault.edit_directory(cap, lambda _: [Entry.of(name, LiteralFile(b"")) for name in names])
    assert backend.snapshot() == before


def test_a_lost_update_is_impossible_in_threads(tmp_path: Path) -> None:
    """Editors in threads, each a client of its own, all get their entries in (row 24)."""
    (tmp_path / "vault").mkdir()
    backend = LocalBackend(tmp_path / "vault")
    key = create_vault(backend)
    _, cap = opened(backend, key, tmp_path / "state")

    def edit(first: int) -> None:
        vault = open_vault(LocalBackend(tmp_path / "vault"), key, state=tmp_path / f"state {first}")
        for number in range(first, first + 8):
            add(vault, cap, named(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(edit, range(0, 400, 100)))
    reader = open_vault(backend, key, state=tmp_path / "reader")
    expected = [named(first + number) for first in range(0, 400, 100) for number in range(8)]
    assert list(reader.read_directory(cap.read_cap)) == expected


def test_a_conflict_is_edited_again(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Who loses the race edits what the other one has stored."""
    vault, cap = opened(backend, key, tmp_path / "one")
    other = open_vault(backend, key, state=tmp_path / "two")
    seen: list[int] = []

    def edit(entries: list[Entry]) -> list[Entry]:
        seen.append(len(entries))
        if len(seen) < 4:
            add(other, cap, named(len(seen)))
        return [*entries, named(100)]

    vault.edit_directory(cap, edit)
    assert seen == [0, 1, 2, 3]
    assert list(other.read_directory(cap.read_cap)) == [named(1), named(2), named(3), named(100)]


def test_an_endless_race_ends(backend: MemoryBackend, key: WriterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After very many lost races an error says so, and nothing of one's own was entered."""
    monkeypatch.setattr("tallac.vault.mutable.slots.SWAPS_MAX", 5)
    monkeypatch.setattr(registers_module, "SWAPS_MAX", 5)
    vault, cap = opened(backend, key, tmp_path / "one")
    other = open_vault(backend, key, state=tmp_path / "two")
    numbers = iter(range(10))

    def edit(entries: list[Entry]) -> list[Entry]:
        add(other, cap, named(next(numbers)))
        return [*entries, named(100)]

    with pytest.raises(ConflictError, match="try again"):
        vault.edit_directory(cap, edit)
    assert list(other.read_directory(cap.read_cap)) == [named(number) for number in range(5)]


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.DUPLICATE])
def test_an_answer_that_is_lost(backend: MemoryBackend, key: WriterKey, tmp_path: Path, fault: Fault) -> None:
    """A put that conflicts with itself is no conflict; after a lost answer the error is told, and trying again works."""
    faults: list[Fault] = []

    def plan(operation: Operation, name: str) -> Fault | None:
        return faults.pop() if operation is Operation.PUT and name.startswith(("slots/", "registers/")) and faults else None

    vault, cap = opened(FaultyBackend(backend, plan), key, tmp_path)
    faults.append(fault)
    calls: list[int] = []

    def edit(entries: list[Entry]) -> list[Entry]:
        calls.append(1)
        return [entry for entry in entries if entry != named(1)] + [named(1)]

    if fault is Fault.LOST_ANSWER:
        with pytest.raises(StoreUnavailableError):
            vault.edit_directory(cap, edit)
    vault.edit_directory(cap, edit)
    assert len(calls) == (2 if fault is Fault.LOST_ANSWER else 1)
    assert list(vault.read_directory(cap.read_cap)) == [named(1)]
    faults.append(Fault.DUPLICATE)
    vault.create_directory()


def test_nobody_else_can_sign(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """A state that another write cap signed, one whose fields were changed, or one of another slot, is refused."""
    vault, cap = opened(backend, key, tmp_path)
    add(vault, cap, named(1))
    slots = Slots(backend, key.locator_key, NoMemory(), os.urandom)
    path = slots.path_of(cap.storage_index)
    genuine = slots._open(path, backend.get(path))
    other = make_write_cap(os.urandom)
    slots.create(other, key.keeper_key)
    foreign = slots._open(slots.path_of(other.storage_index), backend.get(slots.path_of(other.storage_index)))
    replace = msgspec.structs.replace
    for forged in (
        foreign,
        replace(genuine, public=foreign.public),
        replace(genuine, public=b"short"),
        replace(genuine, number=9),
        replace(genuine, predecessor=bytes(32)),
        replace(genuine, content=foreign.content),
        replace(genuine, links=foreign.links),
        replace(genuine, root=foreign.root),
        replace(genuine, signature=foreign.signature),
        replace(genuine, signature=b""),
    ):
        inside = pad_plain(msgspec.msgpack.encode(forged), Codec(), SEAL_OVERHEAD)
        backend.put(path, seal(key.locator_key.structure_key, os.urandom(SALT_SIZE), inside, b"slot\2" + path.encode()))
        with pytest.raises(CorruptObjectError, match="not signed"):
            slots.read(cap.verify_cap)
    for junk in (b"", b"\x97", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode(["x"] * 7)):
        inside = pad_plain(junk, Codec(), SEAL_OVERHEAD)
        backend.put(path, seal(key.locator_key.structure_key, os.urandom(SALT_SIZE), inside, b"slot\2" + path.encode()))
        with pytest.raises(CorruptObjectError):
            slots.read(cap.verify_cap)


def test_a_slot_opens_in_its_place_only(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """A slot that lies where another belongs is damaged; one that is absent is missing."""
    vault, cap = opened(backend, key, tmp_path)
    other = vault.create_directory()
    assert isinstance(other, MutableDirectoryWrite)
    slots = Slots(backend, key.locator_key, NoMemory(), os.urandom)
    backend.put(slots.path_of(cap.storage_index), backend.get(slots.path_of(other.storage_index)))
    fresh = open_vault(backend, key, state=tmp_path / "fresh")
    with pytest.raises(CorruptObjectError):
        fresh.read_directory(cap.read_cap)
    with pytest.raises(MissingObjectError, match="belongs elsewhere, or is lost"):
        fresh.read_directory(make_write_cap(os.urandom).read_cap)


@pytest.fixture
def seen(tmp_path: Path) -> SeenStates:
    """Give a rollback memory in a file."""
    return SeenStates(tmp_path, "somewhere")


def test_one_slot_that_is_rolled_back(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """An older state of one slot, another state of the same number, or none at all, is refused by who saw the newer one."""
    vault, cap = opened(backend, key, tmp_path / "one")
    slots = Slots(backend, key.locator_key, NoMemory(), os.urandom)
    path = slots.path_of(cap.storage_index)
    add(vault, cap, named(1))
    older = backend.get(path)
    add(vault, cap, named(2))
    newer = backend.get(path)
    vault.close()
    backend.put(path, older)
    other = open_vault(backend, key, state=tmp_path / "two")
    add(other, cap, named(3))
    forked = backend.get(path)
    for state in (older, forked, None):
        if state is None:
            backend.delete(path)
        else:
            backend.put(path, state)
        vault = open_vault(backend, key, state=tmp_path / "one")
        with pytest.raises(RollbackDetectedError, match="rolled back to an older copy"):
            vault.read_directory(cap.read_cap)
        with pytest.raises(RollbackDetectedError):
            add(vault, cap, named(4))
    backend.put(path, newer)
    assert list(open_vault(backend, key, state=tmp_path / "one").read_directory(cap.read_cap)) == [named(1), named(2)]


def test_what_was_seen_is_merged(tmp_path: Path) -> None:
    """Two processes that end at different times keep the highest number of each object."""
    one, other = SeenStates(tmp_path, "somewhere"), SeenStates(tmp_path, "somewhere")
    one.check("slots/a", 5, b"five")
    one.check("slots/b", 1, b"one")
    other.check("slots/a", 7, b"seven")
    other.save()
    one.save()
    again = SeenStates(tmp_path, "somewhere")
    again.check("slots/a", 7, b"seven")
    for path, number, state_hash in (("slots/a", 6, b"six"), ("slots/a", 7, b"other"), ("slots/b", 0, b""), ("slots/b", 1, b"two")):
        with pytest.raises(RollbackDetectedError):
            again.check(path, number, state_hash)
    again.check("slots/c", 0, NO_PREDECESSOR)


def register_of(backend: Backend, seen: SeenStates | NoMemory) -> Register:
    """Name a register."""
    return Register(backend, "roots", SEAL, STRUCTURE, seen, os.urandom)


def test_registers_count(backend: MemoryBackend, seen: SeenStates) -> None:
    """Each swap counts, names its predecessor, and is read back; an edit that gives None leaves all as it is."""
    register = register_of(backend, seen)
    assert register.read() is None
    first = register.swap(lambda text: b"one" if text is None else None)
    second = register.swap(lambda text: (text or b"") + b" two")
    assert first is not None
    assert second is not None
    assert (first.number, first.predecessor, second.number, second.predecessor) == (1, NO_PREDECESSOR, 2, first.hash)
    assert register.read() == second
    assert register.swap(lambda _: None) == second
    for name, secret in (("index", SEAL), ("roots", bytes(32))):
        wrong = Register(backend, name, secret, STRUCTURE, NoMemory(), os.urandom)
        backend.put("registers/index", backend.get("registers/roots"))
        with pytest.raises(CorruptObjectError, match="is damaged"):
            wrong.read()


def test_a_register_that_is_rolled_back(backend: MemoryBackend, seen: SeenStates) -> None:
    """An older state, and a missing register, are refused by who saw a later one."""
    register = register_of(backend, seen)
    register.swap(lambda _: b"one")
    older = backend.get("registers/roots")
    register.swap(lambda _: b"two")
    backend.put("registers/roots", older)
    with pytest.raises(RollbackDetectedError):
        register.read()
    backend.delete("registers/roots")
    with pytest.raises(RollbackDetectedError):
        register.swap(lambda _: b"three")


def test_no_root_gets_lost(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Where the register of roots is lost, making a directory brings the other roots back instead of leaving them out."""
    vault = open_vault(backend, key, state=tmp_path / "one")
    create_target(vault)
    roots = roots_of(backend, key)
    before = roots.read()
    assert len(before) == 2
    backend.delete("registers/roots")
    fresh = open_vault(backend, key, state=tmp_path / "two")
    fresh.create_directory()
    assert set(before) < set(roots.read())
    assert len(roots.read()) == 3
    assert fresh.check_structure(read_data=True).is_healthy


def test_a_lost_register_of_the_index_is_made_again(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Whoever has seen the register of the index goes on without it, and what is written anew is later than all that was seen."""
    with open_vault(backend, key, state=tmp_path / "other") as other:
        target = create_target(other)
        back_up(other, target, b"1", {b"a": noise(1, 5_000)})
    with open_vault(backend, key, state=tmp_path / "one") as vault:
        assert [entry.name for entry in vault.read_directory(target.read_cap)] == [b"Archives", b"Latest"]
        backend.delete("registers/index")
        vault.components.index.refresh()
        back_up(vault, target, b"2", {b"a": noise(2, 5_000)})
    for state in ("one", "other"):
        with open_vault(backend, key, state=tmp_path / state) as vault:
            assert vault.check_structure(read_data=True).is_healthy
            assert vault.check(target.read_cap, read_data=True).is_healthy


def test_many_entries(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """A directory with thousands of entries works."""
    vault, cap = opened(backend, key, tmp_path)
    entries = [Entry.of(b"%05d" % number, LiteralFile(noise(number, 50))) for number in range(5_000)]
    vault.edit_directory(cap, lambda _: entries)
    assert list(vault.read_directory(cap.read_cap)) == entries


def test_no_swap_of_a_register_is_lost(backend: MemoryBackend, seen: SeenStates) -> None:
    """Who is overtaken between reading and swapping a register begins again, also where it was absent before."""
    one, other = register_of(backend, seen), register_of(backend, NoMemory())
    for number in range(3):
        calls: list[bytes | None] = []

        def edit(text: bytes | None, number: int = number, calls: list[bytes | None] = calls) -> bytes:
            calls.append(text)
            if len(calls) == 1:
                other.swap(lambda text: (text or b"") + b"other %d " % number)
            return (text or b"") + b"one %d " % number

        one.swap(edit)
        assert len(calls) == 2
    state = other.read()
    assert state is not None
    assert state.text == b"other 0 one 0 other 1 one 1 other 2 one 2 "
    assert state.number == 6


def test_directories_made_at_once_are_all_roots(tmp_path: Path) -> None:
    """Clients that make directories at the same time all find theirs among the roots."""
    (tmp_path / "vault").mkdir()
    key = create_vault(LocalBackend(tmp_path / "vault"))

    def make(number: int) -> MutableDirectoryWrite:
        return opened(LocalBackend(tmp_path / "vault"), key, tmp_path / str(number))[1]

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(12)))
    roots = roots_of(LocalBackend(tmp_path / "vault"), key).read()
    assert {cap.verify_cap for cap in made} == set(roots)


def test_only_a_writer_or_keeper_makes_a_register(backend: MemoryBackend) -> None:
    """A register that somebody sealed without the stamp of a writer or keeper is damaged; a locator key can't make one at all."""
    for key in (OWN, OWN.keeper_key):
        structure = Structure(key, Signers.of(OWN))
        Register(backend, "index", SEAL, structure, NoMemory(), os.urandom).swap(lambda _: b"text")
    register = Register(backend, "index", SEAL, STRUCTURE, NoMemory(), os.urandom)
    state = register.read()
    assert state is not None
    assert state.number == 2
    locator = Structure(OWN.locator_key, Signers.of(OWN))
    with pytest.raises(AuthorityError):
        Register(backend, "index", SEAL, locator, NoMemory(), os.urandom).swap(lambda _: b"other")
    assert register.read() == state
    stranger = WriterKey(bytes(range(32)))
    # Another vault's writer; the right writer for another vault; the right writer for another register.
    for structure, name in (
        (Structure(stranger, Signers.of(stranger)), "index"),
        (Structure(OWN, Signers(bytes(16), STRUCTURE.signers.writer, STRUCTURE.signers.keeper)), "index"),
        (STRUCTURE, "roots"),
    ):
        forged = Register(backend, name, SEAL, structure, NoMemory(), os.urandom)
        forged._context = register._context
        forged.path = register.path
        backend.delete(register.path)
        forged.swap(lambda _: b"text")
        with pytest.raises(CorruptObjectError, match="signature of a writer or keeper"):
            register.read()


@pytest.mark.parametrize("number", [0, 1 << 62, (1 << 64) - 1])
def test_a_number_out_of_bounds_is_damage(backend: MemoryBackend, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A register whose number is no state's is damaged, nobody writes such a one, and a repair writes it anew."""
    register = register_of(backend, NoMemory())
    with pytest.raises(MalformedObjectError):
        register._put(None, b"text", number)
    with monkeypatch.context() as patch:
        patch.setattr(registers_module, "require_number", lambda _: None)
        register._put(None, b"text", number)
    with pytest.raises(CorruptObjectError, match="out of bounds"):
        register.read()
    register.rewrite(b"repaired")
    state = register.read()
    assert state is not None
    assert state.text == b"repaired"


def test_a_number_that_leaps_is_damage(backend: MemoryBackend, seen: SeenStates) -> None:
    """Who has seen a number takes one that is 2^32 above it and none above that; a repair goes on from what was seen."""
    register = register_of(backend, seen)
    register.swap(lambda _: b"one")
    for number, is_taken in ((2 + (1 << 32), False), (1 + (1 << 32), True)):
        backend.delete(register.path)
        register_of(backend, NoMemory())._put(None, b"leapt", number)
        if is_taken:
            register.read()
            continue
        with pytest.raises(CorruptObjectError, match="grown by more than anybody makes changes"):
            register.read()
        register.rewrite(b"repaired")
        state = register.read()
        assert state is not None
        assert 1 < state.number < 1 << 32
        seen._seen[register.path].number = 1


def test_a_slots_number_is_bounded(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Whoever has the write cap makes a directory nobody's any more, but stops nothing else: the others are read as before."""
    vault, cap = opened(backend, key, tmp_path / "one")
    other = vault.create_directory()
    slots = Slots(backend, key.locator_key, NoMemory(), os.urandom)
    state = slots.read(cap.read_cap.verify_cap)
    leapt = msgspec.structs.replace(state, number=1 << 40)
    slots._put(cap, [named(1)], leapt, state.root)
    with pytest.raises(CorruptObjectError, match="grown by more"):
        vault.read_directory(cap.read_cap)
    assert list(vault.read_directory(other.read_cap)) == []
    with pytest.raises(MalformedObjectError, match="out of bounds"):
        slots._put(cap, [named(1)], msgspec.structs.replace(state, number=(1 << 62) - 1), state.root)


def test_all_of_a_process_share_a_memory(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """What one of several open vaults of a process has seen, the others know at once, and it is on disk before the swap returns."""
    vault, cap = opened(backend, key, tmp_path)
    lane = open_vault(backend, key, state=tmp_path)
    path = lane.components.slots.path_of(cap.storage_index)
    older = backend.get(path)
    add(vault, cap, named(1))
    # Another process begins after this one was killed: nothing was closed.
    another = SeenStates(tmp_path / vault.identity, "somewhere")
    assert another.highest(path) == 2
    backend.put(path, older)
    for reader in (vault, lane):
        with pytest.raises(RollbackDetectedError):
            reader.read_directory(cap.read_cap)


def test_a_memory_that_can_not_be_kept_is_shared_too(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Where the state folder can't be written, all of a process share what they have seen all the same, and leave nothing."""
    (tmp_path / "file").write_bytes(b"")
    vault, cap = opened(backend, key, tmp_path / "file")
    other = open_vault(backend, key, state=tmp_path / "file")
    lane = open_vault(backend, key, state=tmp_path / "file")
    path = lane.components.slots.path_of(cap.storage_index)
    older = backend.get(path)
    add(vault, cap, named(1))
    other.close()
    vault.close()
    backend.put(path, older)
    with pytest.raises(RollbackDetectedError):
        lane.read_directory(cap.read_cap)
    lane.close()
    assert not any(each.components.state.folder.exists() for each in (vault, other, lane))


def test_what_another_process_has_seen_counts_before_a_state_is_compared(tmp_path: Path) -> None:
    """A process that runs for long takes in what others write meanwhile, also beside what it has not written yet."""
    one, other = SeenStates(tmp_path, "somewhere"), SeenStates(tmp_path, "somewhere")
    one.check("slots/b", 1, b"one")
    other.remember("slots/a", 7, b"seven")
    with pytest.raises(RollbackDetectedError):
        one.check("slots/a", 6, b"six")
    assert one.highest("slots/a") == 7
    one.save()
    assert SeenStates(tmp_path, "somewhere").highest("slots/a") == 7
    assert SeenStates(tmp_path, "somewhere").highest("slots/b") == 1


def test_who_deletes_the_memory_accepts_what_is_there(tmp_path: Path) -> None:
    """After its user has deleted the file, a process that runs on forgets too, as the message promises."""
    memory = SeenStates(tmp_path, "somewhere")
    memory.remember("slots/a", 7, b"seven")
    (tmp_path / SEEN_FILE).unlink()
    memory.check("slots/a", 6, b"six")
    memory.save()
    assert SeenStates(tmp_path, "somewhere").highest("slots/a") == 6


def test_an_older_index_is_noticed(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """The register of the index is remembered too, for each copy of the vault by itself: a mirror may have its own."""
    # It is only a way to find packs, so an older one is damage, which harms nothing and is mended, and no reason to read nothing.
    vault = open_vault(backend, key, state=tmp_path)
    target = create_target(vault)
    older = backend.get("registers/index")
    back_up(vault, target, b"1", {b"a": noise(1, 1000)})
    vault.close()
    mirror = MirrorBackend()
    for name, content in backend.snapshot().items():
        mirror.put(name, content)
    backend.put("registers/index", older)
    vault = open_vault(backend, key, state=tmp_path)
    vault.components.index.refresh()
    (damage,) = vault.components.index.damage
    assert "registers/index" in str(damage)
    assert "rolled back" in str(damage)
    back_up(vault, target, b"2", {b"a": noise(1, 1000)})
    vault.components.index.refresh()
    assert vault.components.index.damage == []
    mirror.put("registers/index", older)
    other = open_vault(mirror, key, state=tmp_path)
    other.components.index.refresh()
    assert other.components.index.damage == []


class MirrorBackend(MemoryBackend):
    """Another place."""

    def location(self) -> str:
        return "another place"


class Preparing(RememberingBackend):
    """Notes what is prepared and what is put.

    Attributes:
        given, stored: Names, and their bytes.
    """

    def __init__(self, inner: Backend) -> None:
        self.given: list[tuple[str, bytes]] = []
        self.stored: list[tuple[str, bytes]] = []
        super().__init__(inner, KeptStates(), prepare=lambda name, data: self.given.append((name, bytes(data))))

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        self.stored.append((name, bytes(data)))
        return super().put(name, data, expect=expect)


def test_an_edit_puts_what_was_prepared(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """What was prepared is put byte for byte where the edit comes to the same, once, and changes nothing before."""
    preparing = Preparing(backend)
    vault, cap = opened(preparing, key, tmp_path)
    preparing.look_away()
    add(vault, cap, named(1))
    before = backend.snapshot()
    assert vault.prepare_edit(cap, lambda entries: [*entries, named(2)]) == [named(1), named(2)]
    assert backend.snapshot() == before
    add(vault, cap, named(2))
    assert preparing.given == preparing.stored[-1:]
    vault.edit_directory(cap, lambda _entries: [named(1)])
    add(vault, cap, named(2))
    assert preparing.stored[-1] not in preparing.given
    assert list(open_vault(backend, key, state=tmp_path / "other").read_directory(cap.read_cap)) == [named(1), named(2)]


def test_an_edit_that_comes_to_something_else_does_without(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Other entries, or another state than the one that was known, are not what was prepared."""
    preparing = Preparing(backend)
    vault, cap = opened(preparing, key, tmp_path)
    preparing.look_away()
    add(vault, cap, named(1))
    vault.prepare_edit(cap, lambda entries: [*entries, named(2)])
    add(vault, cap, named(3))
    vault.prepare_edit(cap, lambda entries: [*entries, named(4)])
    add(open_vault(backend, key, state=tmp_path / "other"), cap, named(5))
    add(vault, cap, named(4))
    assert len(preparing.given) == 2
    # The second was put against the state that it follows, which was there no more.
    assert [each in preparing.stored for each in preparing.given] == [False, True]
    entries = list(open_vault(backend, key, state=tmp_path / "third").read_directory(cap.read_cap))
    assert entries == [named(1), named(3), named(4), named(5)]


def test_nothing_is_prepared_without_use(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """What changes nothing is not stored, and what is not remembered, or where puts are not prepared, is not read for it."""
    preparing = Preparing(backend)
    vault, cap = opened(preparing, key, tmp_path)
    preparing.look_away()
    assert vault.prepare_edit(cap, list) == []
    assert open_vault(backend, key, state=tmp_path / "other").prepare_edit(cap, list) is None
    assert open_vault(Preparing(backend), key, state=tmp_path / "third").prepare_edit(cap, list) is None
    assert preparing.given == []
