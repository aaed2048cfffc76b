import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tallac.backends.memory import MemoryBackend
from tallac.backends.passing import ForwardingBackend
from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, seal
from tallac.errors import ConflictError, CorruptObjectError, StorePermissionError
from tallac.file_calls import Buffer, RealFileCalls
from tallac.interfaces import Backend, Expect, Item, Version
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, ObjectLocation, encode_body, encode_index, names_in
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.padding import pad_plain
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.index import loader
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.index_objects import IndexStore, index_path
from tallac.vault.index.loader import INDEX_OBJECTS_MAX, RUNS_MAX
from tallac.vault.index.sorted_runs import SortedRun, merge_runs
from tallac.vault.mutable.pending_deletions import PendingDeletions, PendingPack
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.packs.pack import OpenPack, StoredPacks, pack_path

KEY = WriterKey(bytes(range(32)))
STRUCTURE = Structure(KEY, Signers.of(KEY))
FRAME = STRUCTURE.secret
Model = dict[bytes, set[bytes]]


class Client:
    """One client's index, with a local copy of its own."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.register = Register(backend, "index", FRAME, STRUCTURE, NoMemory(), os.urandom)
        self.index = VaultIndex(self.register, IndexStore(backend, STRUCTURE, os.urandom), folder, StoredPacks(backend, STRUCTURE))

    def assert_is(self, model: Model) -> None:
        """See that each object of the model is found in all of its packs, and that nothing else is known."""
        for name, packs in model.items():
            places = {location.pack for location in self.index.locations(name, only_present=False)}
            assert places == packs
            location = find(self.index, name)
            assert location is not None
            assert location.pack in packs
            assert self.index.find(name, os.urandom(16)) is None
        assert set(self.index.packs()) == set().union(*model.values())
        assert find(self.index, os.urandom(16)) is None


def find(index: VaultIndex, name: bytes) -> ObjectLocation | None:
    """Look up an object of `stored`, which has its name for its stored hash as well."""
    location = next(index.present(name), None)
    assert location == index.find(name, name)
    return location


def stored(backend: MemoryBackend, seed: int, model: Model, count: int = 5) -> FinishedPack:
    """Store a pack of small objects, some of which other packs hold too."""
    pack = OpenPack(backend.upload())
    chance = random.Random(seed)
    names = {chance.choice((noise(chance.randrange(40), 16), chance.randbytes(16))) for _ in range(count)}
    for name in sorted(names):
        pack.append(name, name, b"content", b"")
    finished = pack.finish(STRUCTURE, Codec(), os.urandom)
    pack.upload.commit(pack_path(finished.name))
    for name in names:
        model.setdefault(name, set()).add(finished.name)
    return finished


@pytest.fixture
def backend() -> MemoryBackend:
    """Give a backend with an empty index."""
    backend = MemoryBackend()
    Register(backend, "index", FRAME, STRUCTURE, NoMemory(), os.urandom).swap(lambda _: b"")
    return backend


def index_objects(backend: MemoryBackend) -> list[str]:
    """List the index objects."""
    return sorted(item.name for item in backend.list("index/"))


@pytest.mark.parametrize("open_max", [8, 9, 20])
def test_few_files_are_open_while_an_index_is_loaded(
    backend: MemoryBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_max: int
) -> None:
    """A new client that reads many index objects merges their runs on the way, and finds all of them."""
    model: Model = {}
    writer = Client(backend, tmp_path / "writer")
    for number in range(30):
        writer.index.publish([stored(backend, number, model)])
    merged: list[int] = []
    merge = merge_runs

    def counted(folder: Path, runs: list[SortedRun]) -> SortedRun:
        merged.append(len(runs))
        return merge(folder, runs)

    monkeypatch.setattr(loader, "merge_runs", counted)
    monkeypatch.setattr(loader, "RUNS_OPEN_MAX", open_max)
    reader = Client(backend, tmp_path / "reader")
    reader.index.refresh()
    reader.assert_is(model)
    assert len(merged) > 1
    assert max(merged) <= open_max
    assert len(list((tmp_path / "reader").glob("*.run"))) == len(reader.index.runs()) <= RUNS_MAX


@pytest.mark.parametrize("reverse", [False, True])
def test_which_copy_comes_first_hangs_from_the_index_alone(backend: MemoryBackend, tmp_path: Path, reverse: bool) -> None:
    """Files of a local copy have made-up names; whatever these are, a client that begins anew finds the same copy first."""
    model: Model = {}
    writer = Client(backend, tmp_path / "writer")
    for number in range(RUNS_MAX):
        pack = stored(backend, number, model)
        writer.index.publish([pack])
        writer.index.refresh()
    files = sorted(writer.folder.glob("*.run"), key=lambda path: path.read_bytes(), reverse=reverse)
    assert len(files) > 1
    for place, path in enumerate(files):
        path.rename(path.with_name(f"{place}.run"))
    again = Client(backend, writer.folder)
    again.index.refresh()
    assert [run.covers for run in again.index.runs()] == sorted((run.covers for run in again.index.runs()), key=sorted)
    again.assert_is(model)


def test_what_one_publishes_the_other_finds(backend: MemoryBackend, tmp_path: Path) -> None:
    """A client finds after a refresh what another has published, and before that what it knew."""
    one, other = Client(backend, tmp_path / "one"), Client(backend, tmp_path / "two")
    model: Model = {}
    one.index.refresh()
    other.index.refresh()
    one.index.publish([stored(backend, 1, model)])
    one.assert_is(model)
    assert find(other.index, next(iter(model))) is None
    other.index.refresh()
    other.assert_is(model)
    other.index.publish([stored(backend, 2, model), stored(backend, 3, model)])
    one.index.refresh()
    one.assert_is(model)
    again = Client(backend, tmp_path / "one")
    again.index.refresh()
    again.assert_is(model)
    assert again.index.damage == []


def test_small_index_objects_are_compacted(backend: MemoryBackend, tmp_path: Path) -> None:
    """Above 32 the small ones become one, their files go, and nothing is lost for anybody (rows 12 and 13)."""
    one, other, model = Client(backend, tmp_path / "one"), Client(backend, tmp_path / "two"), Model()
    for number in range(INDEX_OBJECTS_MAX + 5):
        (one, other)[number % 2].index.publish([stored(backend, number, model)])
        if number == INDEX_OBJECTS_MAX - 2:
            assert len(index_objects(backend)) == number + 1
    assert len(index_objects(backend)) < 10
    state = one.register.read()
    assert state is not None
    assert sorted(f"index/{name.hex()}" for name in names_in(state.text)) == index_objects(backend)
    for client in (one, other, Client(backend, tmp_path / "three")):
        client.index.refresh()
        client.assert_is(model)
        assert len(client.index._runs) <= RUNS_MAX
        assert len(list(client.folder.glob("*.run"))) == len(client.index._runs)


def test_index_objects_are_united_a_part_at_a_time(backend: MemoryBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is united at a time than one index object holds, and what is known to be large is not read again (row 12)."""
    size_max = 4 * len(stored(MemoryBackend(), 1, {}, count=20).body)
    monkeypatch.setattr(loader, "INDEX_BODY_SIZE_MAX", size_max)
    recording, model = RecordingBackend(backend), Model()
    one, store = Client(recording, tmp_path / "one"), IndexStore(backend, STRUCTURE, os.urandom)
    for number in range(INDEX_OBJECTS_MAX):
        one.index.publish([stored(backend, number, model, count=20)])
    # Each holds one pack; two together are large.
    monkeypatch.setattr(loader, "SMALL_SIZE_MAX", max(item.size for item in backend.list("index/")) * 5 // 4)
    one.index.publish([stored(backend, INDEX_OBJECTS_MAX, model, count=20)])
    named = [bytes.fromhex(name.removeprefix("index/")) for name in index_objects(backend)]
    sizes = {index_path(name): sum(len(pack.body) for pack in store.get(name)) for name in named}
    assert max(sizes.values()) <= size_max
    large = {name for name, size in sizes.items() if size >= size_max // 2}
    assert len(large) in range(INDEX_OBJECTS_MAX // 4, INDEX_OBJECTS_MAX // 2)
    before = len(recording.events)
    for number in range(100, 100 + INDEX_OBJECTS_MAX):
        one.index.publish([stored(backend, number, model, count=20)])
    read = Counter(event.name for event in recording.events[before:] if event.operation == "get")
    # Once, since the local copy is made anew where what it was made of was replaced.
    assert {read[name] for name in large} == {1}
    assert large <= set(index_objects(backend))
    for client in (one, Client(backend, tmp_path / "two")):
        client.index.refresh()
        client.assert_is(model)


def test_large_index_objects_are_read_once(backend: MemoryBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each client reads large index objects once, however many there are, while small ones beside them become one."""
    store, model = RecordingBackend(backend), Model()
    one, other = Client(store, tmp_path / "one"), Client(store, tmp_path / "two")
    monkeypatch.setattr(loader, "LARGE_COUNT", 10)
    monkeypatch.setattr(loader, "SMALL_SIZE_MAX", 0)
    for number in range(INDEX_OBJECTS_MAX + 5):
        one.index.publish([stored(backend, number, model, 40)])
    large = set(index_objects(backend))
    assert len(large) == INDEX_OBJECTS_MAX + 5
    monkeypatch.setattr(loader, "SMALL_SIZE_MAX", min(item.size for item in backend.list("index/")))
    for number in range(2 * INDEX_OBJECTS_MAX + 1):
        one.index.publish([stored(backend, 100 + number, model, 2)])
        other.index.refresh()
    assert large < set(index_objects(backend))
    assert len(index_objects(backend)) <= len(large) + INDEX_OBJECTS_MAX
    reads = [event.name for event in store.events if event.operation == "get" and event.name in large]
    assert sorted(reads) == sorted(large)
    for client in (one, other, Client(backend, tmp_path / "three")):
        client.index.refresh()
        client.assert_is(model)
        assert len(client.index.runs()) <= RUNS_MAX


class PacksListedAlone(ForwardingBackend):
    """Another backend, as a client sees it whose policy allows to list the packs alone."""

    def list(self, prefix: str = "") -> Iterator[Item]:
        if not prefix.startswith("packs/"):
            raise StorePermissionError("this client may not list that")
        return super().list(prefix)


def test_a_client_that_may_list_the_packs_alone(backend: MemoryBackend, tmp_path: Path) -> None:
    """Its packs are entered, however many index objects there are; that these become one is left to a client that may list them."""
    one, other, model = Client(PacksListedAlone(backend), tmp_path / "one"), Client(backend, tmp_path / "two"), Model()
    for number in range(INDEX_OBJECTS_MAX + 5):
        one.index.publish([stored(backend, number, model)])
    one.index.refresh()
    one.assert_is(model)
    assert len(index_objects(backend)) == INDEX_OBJECTS_MAX + 5
    other.index.publish([stored(backend, 100, model)])
    assert len(index_objects(backend)) < 10
    for client in (one, other):
        client.index.refresh()
        client.assert_is(model)


class Unanswered(ForwardingBackend):
    """Another backend, whose first answer about the index register comes when others have changed it once more."""

    def __init__(self, inner: Backend, change: Callable[[], object]) -> None:
        super().__init__(inner)
        self._changes = [change]

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        version = super().put(name, data, expect=expect)
        if name == "registers/index" and self._changes:
            self._changes.pop()()
            raise ConflictError("it is another version by now")
        return version


def test_what_was_entered_without_an_answer_and_united_meanwhile(backend: MemoryBackend, tmp_path: Path) -> None:
    """A client that enters its packs a second time names no index object that another has united with its own and deleted."""
    other, model = Client(backend, tmp_path / "two"), Model()
    for number in range(INDEX_OBJECTS_MAX - 1):
        other.index.publish([stored(backend, number, model)])
    unanswered = Unanswered(backend, lambda: other.index.publish([stored(backend, 98, model)]))
    one = Client(unanswered, tmp_path / "one")
    one.index.publish([stored(backend, 99, model)])
    state = one.register.read()
    assert state is not None
    assert sorted(f"index/{name.hex()}" for name in names_in(state.text)) == index_objects(backend)
    for client in (one, Client(backend, tmp_path / "three")):
        client.index.refresh()
        client.assert_is(model)
        assert client.index.damage == []


def test_what_was_entered_without_an_answer_is_entered_once(backend: MemoryBackend, tmp_path: Path) -> None:
    """A client that enters its packs a second time, and finds that the register names them, adds nothing."""
    model = Model()
    one = Client(Unanswered(backend, lambda: None), tmp_path / "one")
    one.index.publish([stored(backend, 99, model)])
    assert len(index_objects(backend)) == 1
    one.index.refresh()
    one.assert_is(model)


def test_an_interrupted_compaction(backend: MemoryBackend, tmp_path: Path) -> None:
    """Index objects that a killed run left beside the new one change nothing (row 11)."""
    one, model = Client(backend, tmp_path / "one"), Model()
    for number in range(INDEX_OBJECTS_MAX):
        one.index.publish([stored(backend, number, model)])
    before = {name: backend.get(name) for name in index_objects(backend)}
    one.index.publish([stored(backend, 99, model)])
    for name, content in before.items():
        backend.put(name, content)
    for client in (one, Client(backend, tmp_path / "two")):
        client.index.refresh()
        client.assert_is(model)


def test_a_run_is_closed_before_it_is_thrown_away(backend: MemoryBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of an earlier form goes on Windows too, which removes no file that is open."""
    one = Client(backend, tmp_path / "one")
    path = one.folder / "earlier.run"
    path.write_bytes(b"tlcrun02" + bytes(100))
    done: list[str] = []

    def note(owner: type, name: str) -> None:
        call = getattr(owner, name)

        def noted(*args: object) -> object:
            done.append(name)
            return call(*args)

        monkeypatch.setattr(owner, name, noted)

    for owner, name in ((RealFileCalls, "open"), (RealFileCalls, "close"), (Path, "unlink")):
        note(owner, name)
    one.index.refresh()
    assert done[:3] == ["open", "close", "unlink"]
    assert not path.exists()


def disturb(backend: MemoryBackend, step: str) -> None:
    """Let the store lose what it can lose of an index."""
    if step == "lose":
        for name in index_objects(backend)[:2]:
            backend.delete(name)
    elif step == "damage register":
        backend.put("registers/index", b"damaged")


def reopened(backend: MemoryBackend, client: Client, step: str, number: int) -> Client:
    """Open a client again, after its local copy was lost, or with a file in it that only says it is a run."""
    if step == "forget":
        for path in client.folder.iterdir():
            path.unlink()
    elif step == "stray":
        (client.folder / f"{number}.run").write_bytes(noise(number, number * 7))
    return Client(backend, client.folder)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["publish", "refresh", "reopen", "forget", "lose", "damage register", "look", "stray"]),
            st.integers(0, 1),
        ),
        max_size=25,
    )
)
@settings(max_examples=60)
def test_the_index_is_the_union_of_the_footers(tmp_path: Path, steps: list[tuple[str, int]]) -> None:
    """Whatever two clients do, and the store loses, the index is all packs' footers together, in any order (rows 12, 13, 15)."""
    backend, model = MemoryBackend(), Model()
    Register(backend, "index", FRAME, STRUCTURE, NoMemory(), os.urandom).swap(lambda _: b"")
    base = tmp_path / os.urandom(4).hex()
    base.mkdir()
    clients = [Client(backend, base / "0"), Client(backend, base / "1")]
    for client in clients:
        client.index.refresh()
    for number, (step, who) in enumerate(steps):
        if step == "publish":
            clients[who].index.refresh()
            found = clients[who].index.look_at_packs()
            clients[who].index.publish([*found, stored(backend, number, model)])
            clients[who].assert_is(model)
        elif step == "look":
            clients[who].index.refresh()
            clients[who].index.look_at_packs()
            clients[who].assert_is(model)
        elif step in {"refresh", "lose", "damage register"}:
            disturb(backend, step)
            clients[who].index.refresh()
        else:
            clients[who] = reopened(backend, clients[who], step, number)
    for client in clients:
        client.index.refresh()
        client.index.publish(client.index.look_at_packs())
        client.assert_is(model)
        assert client.index.damage == []


def test_a_lost_index_object_is_made_again(backend: MemoryBackend, tmp_path: Path) -> None:
    """What a lost or damaged index object said is read from the packs, said to be damage, and written anew by the next publish."""
    one, model = Client(backend, tmp_path / "one"), Model()
    for number in range(3):
        one.index.publish([stored(backend, number, model)])
    lost, damaged, _ = index_objects(backend)
    backend.delete(lost)
    backend.put(damaged, backend.get(damaged)[:-1])
    two = Client(backend, tmp_path / "two")
    two.index.refresh()
    assert len(two.index.damage) == 2
    two.assert_is(model)
    two.index.publish(two.index.prove(two.index.look_at_packs()))
    assert two.index.damage == []
    three = Client(backend, tmp_path / "three")
    three.index.refresh()
    three.assert_is(model)
    assert three.index.damage == []
    assert damaged not in index_objects(backend)


def test_a_cut_listing_only_costs(backend: MemoryBackend, tmp_path: Path) -> None:
    """A pack that a listing leaves out counts as absent for writers, is still read, and is there again with the next listing."""
    one, model = Client(backend, tmp_path / "one"), Model()
    pack = stored(backend, 1, model, count=1)
    one.index.publish([pack])
    (name,) = model
    whole = backend.get(pack_path(pack.name))
    backend.delete(pack_path(pack.name))
    assert one.index.look_at_packs() == []
    assert find(one.index, name) is None
    assert [location.pack for location in one.index.locations(name, only_present=False)] == [pack.name]
    assert list(one.index.locations(name, only_present=True)) == []
    backend.put(pack_path(pack.name), whole)
    assert one.index.look_at_packs() == []
    assert find(one.index, name) is not None
    one.index.pending = PendingDeletions(1, {pack.name: PendingPack(pack.name, 1, is_decided=True, offsets=None)})
    assert find(one.index, name) is None
    assert list(one.index.locations(name, only_present=False)) == []


def test_records_have_numbers(backend: MemoryBackend, tmp_path: Path) -> None:
    """Each object has a number of its own below the count, whichever run it lies in."""
    one, model = Client(backend, tmp_path / "one"), Model()
    for number in range(4):
        one.index.publish([stored(backend, number, model, count=20)])
    numbers = [one.index.number_of(name, name) for name in model]
    assert len(set(numbers)) == len(model)
    name = next(iter(model))
    assert all(number is not None and 0 <= number < one.index.count() for number in numbers)
    assert one.index.number_of(name, os.urandom(16)) is None


def test_no_other_frame_passes_for_an_index_object(backend: MemoryBackend) -> None:
    """What was sealed under the same key as something else, a footer or a register, is no index object."""
    store = IndexStore(backend, STRUCTURE, os.urandom)
    pack = FinishedPack(bytes(32), 100, encode_body([bytes(16)], [bytes(16)], [90], [0]))
    assert store.get(store.put([pack])) == [pack]
    entries = encode_index([pack])
    plain = pad_plain(STRUCTURE.stamp(b"index", entries) + entries, Codec(), SEAL_OVERHEAD)
    for context in (b"footer\2", b"trailer\2", b"registerindex\2", b"slot\2", b"index\1", b""):
        sealed = seal(FRAME, os.urandom(SALT_SIZE), plain, context)
        backend.put(index_path(hash_file_bytes(sealed)), sealed)
        with pytest.raises(CorruptObjectError):
            store.get(hash_file_bytes(sealed))


def test_only_what_writers_and_keepers_say_counts(backend: MemoryBackend) -> None:
    """Who has the locator key seals index objects as well as anybody, and has no stamp for them; too much in a pack is refused."""
    store = IndexStore(backend, STRUCTURE, os.urandom)
    body = encode_body([bytes(16)], [bytes(16)], [90], [0])
    entries = encode_index([FinishedPack(bytes(32), 100, body)])
    stranger = WriterKey(bytes(32))
    other = Structure(stranger, Signers.of(stranger)).stamp(b"index", entries)
    huge = encode_index([FinishedPack(os.urandom(32), 5, encode_body([bytes(16)] * 3, [bytes(16)] * 3, [0x7FFFFFFF] * 3, [0] * 3))])
    small = encode_index([FinishedPack(bytes(32), 90, body)])
    for text in (
        entries,
        bytes(65) + entries,
        other + entries,
        STRUCTURE.stamp(b"footer", entries) + entries,
        STRUCTURE.stamp(b"index", huge) + huge,
        STRUCTURE.stamp(b"index", small) + small,
    ):
        sealed = seal(FRAME, os.urandom(SALT_SIZE), pad_plain(text, Codec(), SEAL_OVERHEAD), b"index\2")
        backend.put(index_path(hash_file_bytes(sealed)), sealed)
        with pytest.raises(CorruptObjectError):
            store.get(hash_file_bytes(sealed))
