"""Somebody with the writer key, or with the right to add files alone, stores something else under a name (SECURITY 3 and 6)."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import zstandard
from tests.hostile.crafting import FILE, Sealed, sealed_as, size_of

from tallac.backends.local import LocalBackend
from tallac.caps import DirectoryReadCap, ImmutableDirectory, ImmutableFile, MutableDirectoryWrite, storage_index_of
from tallac.crypto.hashing import hash_file_bytes
from tallac.dag import Entry, encode_cap
from tallac.errors import CorruptObjectError
from tallac.interfaces import Buffer
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.objects import Kind, object_name_of, read_key_of, seal_links
from tallac.vault.format.structure import Structure
from tallac.vault.packs.pack import OpenPack, StoredPacks, pack_path
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault
from tallac.vault.writing import object_writer

REPORT = b"the report that both of them have " * 300


@pytest.fixture
def store(tmp_path: Path) -> LocalBackend:
    """Give an empty folder for a vault."""
    (tmp_path / "vault").mkdir()
    return LocalBackend(tmp_path / "vault")


@pytest.fixture
def key(store: LocalBackend) -> WriterKey:
    """Make a vault there that several people write to."""
    return create_vault(store)


def _put_pack(store: LocalBackend, key: WriterKey, objects: list[tuple[Sealed, bytes]]) -> FinishedPack:
    """Store a pack of anything; its stamp is right, since a co-writer may make packs."""
    pack = OpenPack(store.upload())
    for made, links in objects:
        pack.append(made.name, made.hash, made.sealed, links)
    finished = pack.finish(Structure(key, read_header(store).signers), Codec(), os.urandom)
    pack.upload.commit(pack_path(finished.name))
    return finished


def _publish(store: LocalBackend, key: WriterKey, packs: list[FinishedPack], state: Path) -> None:
    with open_vault(store, key, state=state) as vault:
        vault.components.index.refresh()
        vault.components.index.publish(packs)


def _put_file(vault: Vault, content: bytes) -> ImmutableFile:
    with vault.session() as session, session.writing() as writer:
        cap = writer.put_file(io.BytesIO(content))
    assert isinstance(cap, ImmutableFile)
    return cap


def _put_directory(vault: Vault, content: bytes) -> DirectoryReadCap:
    with vault.session() as session, session.writing() as writer:
        return writer.put_directory([Entry(b"report.pdf", encode_cap(writer.put_file(io.BytesIO(content))), FILE)])


POISON = {
    "noise": noise(1, 500) + b"\1",
    "nothing": b"\1",
    "one byte": b"x\1",
    "the same length": bytes(len(REPORT)) + b"\1",
    "no frame": noise(2, 300) + b"\2",
    "a newer method": REPORT + b"\3",
}


@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_file_is_stored_anew(store: LocalBackend, key: WriterKey, tmp_path: Path, poison: str) -> None:
    """A co-writer has stored something else under the name of a file to come: the victim's backup opens what it uses again."""
    _publish(
        store, key, [_put_pack(store, key, [(sealed_as(key, Kind.CHUNK, REPORT, POISON[poison]), b"")])], tmp_path / "attacker"
    )
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        cap = _put_file(victim, REPORT)
        assert victim.open_file(cap).read() == REPORT
    with open_vault(store, key.locator_key, state=tmp_path / "new machine") as reader:
        assert reader.open_file(cap).read() == REPORT
    # What this machine has stored it uses again without a look.
    before = len(list(store.list("packs/")))
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        assert _put_file(victim, REPORT) == cap
    assert len(list(store.list("packs/"))) == before


def test_poison_that_comes_during_a_backup_is_not_used(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """A co-writer's pack that enters a running backup's index, with its own packs, is opened as those that were there before."""
    with open_vault(store, key, state=tmp_path / "victim") as victim, victim.session() as session:
        with session.writing() as writer:
            poisoned = _put_pack(store, key, [(sealed_as(key, Kind.CHUNK, REPORT, POISON["one byte"]), b"")])
            _publish(store, key, [poisoned], tmp_path / "attacker")
            victim.components.index.publish([])
            assert poisoned.name in victim.components.index.packs()
            cap = writer.put_file(io.BytesIO(REPORT))
        assert isinstance(cap, ImmutableFile)
        assert victim.open_file(cap).read() == REPORT


@pytest.mark.parametrize("poison", POISON)
def test_poison_that_was_used_is_an_alarm(
    store: LocalBackend, key: WriterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    """Where nothing is opened at the backup, as on a far store, no reader takes the poison for the file."""
    made = sealed_as(key, Kind.CHUNK, REPORT, POISON[poison])
    _publish(store, key, [_put_pack(store, key, [(made, b"")])], tmp_path / "attacker")
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        victim.components.own_packs.add(list(StoredPacks(store, victim.components.structure).sizes()))
        cap = _put_file(victim, REPORT)
        assert cap.hash[:16] == made.hash
        with pytest.raises(CorruptObjectError):
            victim.open_file(cap).read()


def test_a_directory_with_other_links_is_stored_anew(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """A co-writer stores the victim's directory to come with links that lead nowhere: a prune would delete what hangs below."""
    with open_vault(store, key, state=tmp_path / "model") as model:
        right = _put_directory(model, REPORT)
        assert isinstance(right, ImmutableDirectory)
        content = model.components.reader._content(Kind.DIRECTORY, right.key, right.hash, 1 << 20)
    for item in list(store.list("packs/")):
        store.delete(item.name)
    for links in (b"", b"\0" + bytes(16), b"\xff" * 5):
        sealed_links = seal_links(Kind.DIRECTORY, right.verify_cap.storage_index, links)
        made = sealed_as(key, Kind.DIRECTORY, content, content + b"\1", sealed_links)
        _publish(store, key, [_put_pack(store, key, [(made, sealed_links)])], tmp_path / "attacker")
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        assert _put_directory(victim, REPORT) == right
        report = victim.check(right.verify_cap, read_data=True)
        assert report.is_healthy
        assert report.objects == 2


def test_a_copied_footer_behind_noise_is_not_used(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """Without any key somebody copies a pack with noise before its footer; when the right one is gone, backups store anew."""
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        cap = _put_file(victim, REPORT)
    (item,) = list(store.list("packs/"))
    whole = store.get(item.name)
    names = set()
    for size in (1, 100, 300):
        forged = noise(size, size) + whole[size:]
        names.add(hash_file_bytes(forged))
        store.put(pack_path(hash_file_bytes(forged)), forged)
    with open_vault(store, key, state=tmp_path / "other") as other:
        # The good copy is found, whatever lies beside it.
        assert other.open_file(cap).read() == REPORT
        _put_file(other, REPORT + b"x")
        assert other.components.index.packs().keys() & names == set()
    store.delete(item.name)
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        again = _put_file(victim, REPORT)
        assert victim.open_file(again).read() == REPORT


def test_a_wrong_copy_hides_no_good_one(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """Wrong copies under the right name, in whatever packs, with whatever hash they claim: a new machine reads the good one."""
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        cap = _put_file(victim, REPORT)
    made = []
    for poison in POISON.values():
        sealed = sealed_as(key, Kind.CHUNK, REPORT, poison)
        made += [(sealed, b""), (sealed._replace(hash=cap.hash[:16]), b"")]
    while True:
        pack = _put_pack(store, key, made)
        if all(pack.name.hex() <= item.name.removeprefix("packs/") for item in store.list("packs/")):
            break
        store.delete(pack_path(pack.name))
    _publish(store, key, [pack], tmp_path / "attacker")
    for number in range(3):
        with open_vault(store, key.locator_key, state=tmp_path / f"new machine {number}") as reader:
            assert reader.open_file(cap).read() == REPORT


def test_a_right_copy_that_claims_another_hash_is_read(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """The bytes count, not what a footer says of them."""
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        cap = _put_file(victim, REPORT)
        name, location = next(iter(victim.components.index.records()))
        sealed = store.get(pack_path(location.pack), location.offset, location.offset + location.length)
    (item,) = list(store.list("packs/"))
    store.delete(item.name)
    lying = Sealed(cap.key, name, bytes(16), b"", sealed)
    _publish(store, key, [_put_pack(store, key, [(lying, b"")])], tmp_path / "attacker")
    with open_vault(store, key.locator_key, state=tmp_path / "new machine") as reader:
        assert reader.open_file(cap).read() == REPORT


def test_a_locator_key_adds_nothing_that_counts(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """Who has a read cap and the locator key seals what he likes, and has no stamp for it."""
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        cap = _put_file(victim, REPORT)
    stranger = WriterKey(noise(9, 32))
    forger = Structure(stranger, read_header(store).signers)
    forger.secret = key.locator_key.structure_key
    pack = OpenPack(store.upload())
    made = sealed_as(key, Kind.CHUNK, REPORT, b"x\1")
    pack.append(made.name, cap.hash[:16], made.sealed, b"")
    finished = pack.finish(forger, Codec(), os.urandom)
    pack.upload.commit(pack_path(finished.name))
    with open_vault(store, key, state=tmp_path / "other") as other:
        assert other.open_file(cap).read() == REPORT
        _put_file(other, REPORT + b"x")
        assert finished.name not in other.components.index.packs()
        with pytest.raises(CorruptObjectError):
            StoredPacks(store, other.components.structure).footer(finished.name, finished.size)


def _prune(store: LocalBackend, key: WriterKey, state: Path) -> set[bytes]:
    """Prune on a machine; give the packs that it has made for what stays."""
    before = {item.name for item in store.list("packs/")}
    with open_vault(store, key, state=state) as vault:
        report = Prune(vault.components, PruneOptions(unused_max=0)).run()
    made = {bytes.fromhex(item.name.removeprefix("packs/")) for item in store.list("packs/") if item.name not in before}
    assert report.repacked_packs
    return made


def test_what_a_machine_has_repacked_of_its_own_is_its_own(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """A prune moves what this machine has stored: the next backup uses it without opening it, and others' packs stay others'."""
    for name in (b"mine", b"theirs"):
        state, randomness = tmp_path / name.decode(), SeededRandomness(len(name))
        with open_vault(store, key, state=state, randomness=randomness) as vault, vault.session() as session:
            with session.writing() as writer:
                caps = [encode_cap(writer.put_file(io.BytesIO(name + noise(number, 5_000)))) for number in range(12)]
            kept = [Entry(b"%d" % number, cap, FILE) for number, cap in enumerate(caps) if number % 2]
            vault.edit_directory(make_root(vault), lambda _, kept=kept: kept)  # type: ignore[misc]
    made = _prune(store, key, tmp_path / "mine")
    with open_vault(store, key, state=tmp_path / "mine") as vault:
        vault.components.index.refresh()
        own = set(vault.components.own_packs.names())
        for owner, is_own in ((b"mine", True), (b"theirs", False)):
            index = storage_index_of(read_key_of(key.convergence, Kind.CHUNK, hash_file_bytes(owner + noise(1, 5_000))))
            (location,) = vault.components.index.present(object_name_of(key.locator_key.naming, index))
            assert location.pack in made
            assert (location.pack in own) == is_own


def test_poison_that_a_machine_has_repacked_stays_others(store: LocalBackend, key: WriterKey, tmp_path: Path) -> None:
    """A victim's own prune moves a co-writer's poison: it does not become what the victim's machine has made."""
    made = sealed_as(key, Kind.CHUNK, REPORT, POISON["noise"])
    dead = sealed_as(key, Kind.CHUNK, b"dead" * 20, POISON["one byte"])
    _publish(store, key, [_put_pack(store, key, [(made, b""), (dead, b"")])], tmp_path / "attacker")
    poison = Entry(b"x", b"C" + made.key + made.hash + made.commitment + size_of(len(REPORT)), FILE)
    with open_vault(store, key, state=tmp_path / "attacker") as attacker:
        attacker.edit_directory(make_root(attacker), lambda _: [poison])
    moved = _prune(store, key, tmp_path / "victim")
    with open_vault(store, key, state=tmp_path / "victim") as victim:
        assert moved.isdisjoint(victim.components.own_packs.names())
        cap = _put_file(victim, REPORT)
        assert victim.open_file(cap).read() == REPORT


def make_root(vault: Vault) -> MutableDirectoryWrite:
    """Make a mutable directory."""
    cap = vault.create_directory()
    assert isinstance(cap, MutableDirectoryWrite)
    return cap


class _OtherCodec(Codec):
    """Compresses as another version of zstd may."""

    def compress(self, plain: Buffer) -> bytes | None:
        """Compress harder."""
        return zstandard.ZstdCompressor(level=19).compress(plain)


def test_another_compressor_changes_no_directory(
    store: LocalBackend, key: WriterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an update of zstd, or beside a writer with another one, what is there is opened and used again under its cap."""
    text = b"".join(b"%d " % number**3 for number in range(2000))
    with open_vault(store, key, state=tmp_path / "one") as one, one.session() as session, session.writing() as writer:
        entries = [Entry(b"%04d.pdf" % number, encode_cap(writer.put_file(io.BytesIO(text))), FILE) for number in range(500)]
        cap = writer.put_directory(entries)
    before = sorted(item.name for item in store.list("packs/"))
    monkeypatch.setattr(object_writer, "Codec", _OtherCodec)
    for state in ("one", "two"):
        with open_vault(store, key, state=tmp_path / state) as other, other.session() as session, session.writing() as writer:
            assert writer.put_directory(entries) == cap
    assert sorted(item.name for item in store.list("packs/")) == before
