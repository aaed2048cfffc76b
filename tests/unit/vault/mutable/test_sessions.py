import io
import os
import struct
from pathlib import Path

import msgspec
import pytest

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, seal
from tallac.dag import decode_cap, encode_cap
from tallac.errors import AuthorityError, CorruptObjectError, FencedError, MalformedObjectError, StoreFullError
from tallac.interfaces import Backend, CapWriter, Chunk
from tallac.testing.determinism import FakeClock
from tallac.testing.faulty_backend import Fault, FaultyBackend, Operation
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import decode_body
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.padding import pad_plain
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.pending_deletions import PendingPack, decode_pending, encode_pending
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.sessions import RegisteredSession, SessionRecord, SessionState, decode_session, seal_session
from tallac.vault.packs.pack import StoredPacks
from tallac.vault.vault import Vault, create_vault, open_vault

TREE: Tree = {b"a": noise(1, 100_000), b"b": {b"c": noise(2, 700_000)}}


@pytest.fixture
def backend() -> MemoryBackend:
    """Give an empty backend."""
    return MemoryBackend()


@pytest.fixture
def key(backend: MemoryBackend) -> WriterKey:
    """Make a vault and give its key."""
    return create_vault(backend)


@pytest.fixture
def vault(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> Vault:
    """Open the vault."""
    return open_vault(backend, key, state=tmp_path / "state", clock=FakeClock())


def structure_of(key: WriterKey) -> Structure:
    """Return what stamps for a writer."""
    return Structure(key, Signers.of(key))


def sessions(backend: Backend) -> list[str]:
    """List the sessions that are under way."""
    return [item.name for item in backend.list("sessions/")]


def pending(backend: Backend, key: WriterKey, packs: list[bytes], *, is_decided: bool = True) -> None:
    """Put packs into quarantine, as a prune does."""
    register = Register(backend, "quarantine", key.keeper_key.roots, structure_of(key), NoMemory(), os.urandom)
    entries = [PendingPack(pack, 1, is_decided, None) for pack in packs]
    register.swap(lambda _: encode_pending(entries))


def all_packs(backend: Backend, key: WriterKey) -> list[bytes]:
    """Give the names of all packs."""
    return list(StoredPacks(backend, structure_of(key)).sizes())


def all_names(backend: Backend, key: WriterKey) -> list[bytes]:
    """Give the names of all stored objects."""
    packs = StoredPacks(backend, structure_of(key))
    return [stored.name for pack in packs.footers(packs.sizes()) for stored in decode_body(pack.body)]


def put_many(writer: CapWriter) -> None:
    """Store more than fits into the open packs."""
    for number in range(70):
        writer.put_file(io.BytesIO(noise(number, 1 << 20)))


def test_a_session_says_where_it_stands(backend: MemoryBackend, key: WriterKey, vault: Vault) -> None:
    """While it lasts there is one session object, open and then committing with its links; afterwards there is none."""
    roots = key.keeper_key.roots
    with vault.session() as session:
        (path,) = sessions(backend)
        record = decode_session(path, backend.get(path), roots, structure_of(key))
        assert record == SessionRecord(SessionState.OPEN, FakeClock().now_ns())
        with session.writing() as writer:
            cap = writer.put_file(io.BytesIO(noise(1, 100)))
        session.commit([cap])
        record = decode_session(path, backend.get(path), roots, structure_of(key))
        assert record.state is SessionState.COMMITTING
        assert record.links
    assert sessions(backend) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", ["session", "writing"])
def test_a_session_ends_with_an_exception_too(backend: MemoryBackend, vault: Vault, place: str) -> None:
    """Left by an exception, the session object is gone, and what was stored is there for the next."""

    def interrupted() -> None:
        with vault.session() as session:
            if place == "session":
                raise KeyboardInterrupt
            with session.writing() as writer:
                put_many(writer)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sessions(backend) == []
    if place == "writing":
        with vault.session() as session, session.writing() as writer:
            put_many(writer)
            assert writer.bytes_stored < 60 << 20


def test_a_fenced_session_commits_nothing(backend: MemoryBackend, key: WriterKey, vault: Vault) -> None:
    """Where a prune has fenced the session, or has removed it, commit says so, and the session can still be left."""
    for is_removed in (False, True):
        with vault.session() as session:
            with session.writing() as writer:
                cap = writer.put_file(io.BytesIO(noise(3, 100)))
            (path,) = sessions(backend)
            if is_removed:
                backend.delete(path)
            else:
                fenced = RegisteredSession(
                    backend, key.keeper_key.roots, structure_of(key), os.urandom, path, SessionRecord(SessionState.FENCED, 0), b""
                )
                fenced._put(fenced.record, hash_file_bytes(backend.get(path)))
            with pytest.raises(FencedError, match="run the command again"):
                session.commit([cap])
        assert sessions(backend) == []


def test_the_order_of_writes(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Session, packs, index object, index register, session, slots: what is entered is durable before (row 14)."""
    recording = RecordingBackend(backend)
    vault = open_vault(recording, key, state=tmp_path / "state")
    target = create_target(vault)
    before = len(recording.writes)
    back_up(vault, target, b"1", TREE)
    kinds = [f"{event.operation} {event.name.partition('/')[0]}" for event in recording.writes[before:]]
    packs = kinds.count("commit packs")
    assert kinds[: 1 + packs] == ["put sessions", *["commit packs"] * packs]
    assert kinds[1 + packs :] == ["put index", "put registers", "put sessions", "put slots", "put slots", "delete sessions"]
    names = [event.name for event in recording.events[:]]
    assert names.index("registers/quarantine") < names.index("registers/index", names.index("registers/quarantine"))


def test_a_quarantine_that_moves_is_looked_at_again(backend: MemoryBackend, key: WriterKey, vault: Vault) -> None:
    """What a session relies on may not be in a quarantine that began meanwhile (rows 4 and 9)."""
    target = create_target(vault)
    back_up(vault, target, b"1", TREE)
    with vault.session() as session:
        with session.writing() as writer:
            cap = writer.put_directory(list(vault.read_directory(back_up(vault, target, b"2", TREE))))
        pending(backend, key, [bytes(32)])
        session.commit([cap])
    with vault.session() as session:
        with session.writing() as writer:
            cap = writer.put_directory(list(vault.read_directory(cap)))
        pending(backend, key, all_packs(backend, key))
        with pytest.raises(FencedError, match="a prune deleted it"):
            session.commit([cap])


def test_what_is_gone_is_noticed_at_the_end(backend: MemoryBackend, key: WriterKey, vault: Vault) -> None:
    """Where a prune has deleted packs meanwhile, commit notices, whatever this client has kept of them."""
    target = create_target(vault)
    cap = back_up(vault, target, b"1", TREE)
    assert dict(read_tree(vault, cap)) == dict(flatten(TREE))
    for lost in [item.name for item in backend.list("packs/")]:
        content = backend.get(lost)
        with vault.session() as session:
            with session.writing():
                pass
            pending(backend, key, [os.urandom(32)])
            backend.delete(lost)
            with pytest.raises(FencedError):
                session.commit([cap])
        backend.put(lost, content)


def test_what_is_quarantined_is_stored_anew(backend: MemoryBackend, key: WriterKey, vault: Vault) -> None:
    """A session that finds an object in quarantine stores it again, and afterwards it is read as before."""
    target = create_target(vault)
    cap = back_up(vault, target, b"1", TREE)
    before = len(all_names(backend, key))
    pending(backend, key, all_packs(backend, key))
    assert back_up(vault, target, b"2", TREE) == cap
    assert len(all_names(backend, key)) == 2 * before
    assert dict(read_tree(vault, cap)) == dict(flatten(TREE))


def test_workers_see_the_quarantine(tmp_path: Path) -> None:
    """A worker process stores anew what is quarantined or lies in a lost pack, and skips what is there."""
    (tmp_path / "vault").mkdir()
    backend = LocalBackend(tmp_path / "vault")
    key = create_vault(backend)
    vault = open_vault(backend, key, state=tmp_path / "state")
    content = noise(1, 100_000)

    def worker_stored(writer: CapWriter) -> bytes:
        recipe = writer.worker_recipe()
        assert recipe is not None
        with recipe.open() as worker:
            encoded = worker.put_small(content)
            writer.adopt(worker.finish())
        return encoded

    with vault.session() as session, session.writing() as writer:
        encoded = worker_stored(writer)
        assert writer.bytes_stored > len(content)
    with vault.session() as session, session.writing() as writer:
        assert worker_stored(writer) == encoded
        assert writer.bytes_stored == 0
    pending(backend, key, all_packs(backend, key))
    with vault.session() as session, session.writing() as writer:
        assert worker_stored(writer) == encoded
        assert writer.bytes_stored > len(content)
    pending(backend, key, [])
    for item in list(backend.list("packs/")):
        backend.delete(item.name)
    with vault.session() as session, session.writing() as writer:
        assert worker_stored(writer) == encoded
        assert writer.bytes_stored > len(content)
    assert encode_cap(decode_cap(encoded)) == encoded
    assert vault.check(decode_cap(encoded), read_data=True).findings == []


def test_the_first_error_is_the_one_that_is_told(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Where ending the batch and the session fails as well, the error that began it is raised."""
    failing: list[Fault] = []
    faulty = FaultyBackend(backend, lambda _operation, _name: failing[0] if failing else None)
    vault = open_vault(faulty, key, state=tmp_path / "state")

    def fail() -> None:
        with vault.session() as session, session.writing() as writer:
            writer.put_file(io.BytesIO(noise(1, 100_000)))
            failing.append(Fault.ERROR)
            raise RuntimeError("the source")

    with pytest.raises(RuntimeError, match="the source"):
        fail()


def test_a_full_store_leaves_nothing_open(tmp_path: Path, backend: MemoryBackend, key: WriterKey) -> None:
    """Where no pack can be finished, the error says so, and all uploads are given up."""

    def plan(operation: Operation, _name: str) -> Fault | None:
        return Fault.FULL if operation is Operation.COMMIT else None

    vault = open_vault(FaultyBackend(backend, plan), key, state=tmp_path / "state")
    target = create_target(vault)
    with pytest.raises(StoreFullError):
        back_up(vault, target, b"1", TREE)
    assert sessions(backend) == []
    assert list(backend.list("packs/")) == []


def test_a_session_object_is_sealed(backend: MemoryBackend, key: WriterKey, vault: Vault) -> None:
    """A session's record opens at its own place only, and not under a locator key."""
    with vault.session():
        (path,) = sessions(backend)
        sealed = backend.get(path)
        for wrong_path, wrong_key in ((path[:-1] + "x", key.keeper_key.roots), (path, key.locator_key.structure_key)):
            with pytest.raises(CorruptObjectError):
                decode_session(wrong_path, sealed, wrong_key, structure_of(key))


def test_a_small_file_has_no_list(vault: Vault) -> None:
    """The pieces of what turned out to be a small file, or of none, are not joined: its cap could not be read."""
    with vault.session() as session, session.writing() as writer:
        for size in (0, 1, writer.small_size_max):
            chunks = [(Chunk(0, size), writer.put_chunk(bytes(size)))] if size else []
            with pytest.raises(ValueError, match="put_small"):
                writer.join(chunks)


def test_a_damaged_quarantine_is_found(backend: MemoryBackend, key: WriterKey, vault: Vault) -> None:
    """A check names a damaged quarantine, and no session goes on as if there were none."""
    pending(backend, key, [bytes(32)])
    assert vault.check_structure(read_data=True).is_healthy
    backend.put("registers/quarantine", backend.get("registers/quarantine")[:-1])
    assert not vault.check_structure(read_data=False).is_healthy
    with vault.session() as session, pytest.raises(CorruptObjectError):
        session.writing().__enter__()


def test_only_a_writer_or_keeper_makes_a_session(backend: MemoryBackend, key: WriterKey) -> None:
    """What is sealed as a session is none without the stamp of a writer or keeper, or with that of another session."""
    roots, path, other = key.keeper_key.roots, "sessions/" + "0" * 32, "sessions/" + "1" * 32
    record = SessionRecord(SessionState.COMMITTING, 5, "a machine", b"links")
    stranger = WriterKey(bytes(range(32)))
    keeper = Structure(key.keeper_key, Signers.of(key))
    for structure in (structure_of(key), keeper):
        assert decode_session(path, seal_session(path, record, roots, structure, os.urandom), roots, keeper) == record
    for stamped_as, structure in ((path, structure_of(stranger)), (other, structure_of(key))):
        stamp = structure.stamp(b"session", msgspec.msgpack.encode([stamped_as, "committing", 5, "a machine", b"links"]))
        fields = ["committing", 5, "a machine", b"links", stamp]
        plain = pad_plain(msgspec.msgpack.encode(fields), Codec(), SEAL_OVERHEAD)
        with pytest.raises(CorruptObjectError, match="signature of a writer or keeper"):
            decode_session(path, seal(roots, os.urandom(SALT_SIZE), plain, b"session\2" + path.encode()), roots, keeper)
    with pytest.raises(AuthorityError):
        seal_session(path, record, roots, Structure(key.locator_key, Signers.of(key)), os.urandom)


@pytest.mark.parametrize(
    "fields",
    [["open", -1, "", b""], ["open", 1 << 62, "", b""], ["open", 1, "x" * 65, b""], ["ended", 1, "", b""], ["open", 1, "", ""]],
)
def test_a_session_out_of_bounds_is_none(key: WriterKey, fields: list[object]) -> None:
    """A start or a client's name beyond the bounds, or a state that there is not, is refused, though its stamp is right."""
    path, structure = "sessions/" + "0" * 32, structure_of(key)
    stamp = structure.stamp(b"session", msgspec.msgpack.encode([path, *fields]))
    plain = pad_plain(msgspec.msgpack.encode([*fields, stamp]), Codec(), SEAL_OVERHEAD)
    sealed = seal(key.keeper_key.roots, os.urandom(SALT_SIZE), plain, b"session\2" + path.encode())
    with pytest.raises(CorruptObjectError, match="is not a session"):
        decode_session(path, sealed, key.keeper_key.roots, structure)


def test_a_session_names_its_client(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> None:
    """Who waits for a session sees which machine it is, as far as 64 bytes go."""
    vault = open_vault(backend, key, state=tmp_path, client=lambda: "z\N{LATIN SMALL LETTER E WITH ACUTE}" * 40)
    with vault.session():
        (path,) = sessions(backend)
        record = decode_session(path, backend.get(path), key.keeper_key.roots, structure_of(key))
        assert record.client == "z\N{LATIN SMALL LETTER E WITH ACUTE}" * 21 + "z"


@pytest.mark.parametrize("since", [0, 1 << 62, (1 << 64) - 1])
def test_pending_deletions_are_bounded(since: int) -> None:
    """A number of a state that can be none, or offsets out of order, make pending deletions malformed."""
    for text in (
        struct.pack(">QB32sI", since, 1, bytes(32), 0),
        struct.pack(">QB32sI2I", 1, 1, bytes(32), 2, 8, 8),
        struct.pack(">QB32sI2I", 1, 1, bytes(32), 2, 9, 8),
    ):
        with pytest.raises(MalformedObjectError):
            decode_pending(text)
    assert decode_pending(struct.pack(">QB32sI2I", 1, 1, bytes(32), 2, 8, 9))[0].offsets == frozenset({8, 9})
