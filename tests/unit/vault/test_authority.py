import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import (
    DirectoryReadCap,
    ImmutableDirectory,
    ImmutableFile,
    MutableDirectoryRead,
    MutableDirectoryVerify,
    MutableDirectoryWrite,
    storage_index_of,
)
from tallac.crypto.sealing import open_sealed
from tallac.dag import Entry
from tallac.errors import AuthorityError, CorruptObjectError, DamageError, MissingObjectError
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FooterEntry, decode_body
from tallac.vault.format.keys import KeeperKey, LocatorKey, WriterKey
from tallac.vault.format.links import Link, LinkKind, decode_links
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import Kind, object_name_of, open_content
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.slots import Slots
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.vault import Vault, create_vault, open_vault

SHARED: Tree = {b"album": {b"one": noise(1, 60_000), b"two": noise(2, 1_500_000)}, b"note": noise(3, 300)}
TREE: Tree = {b"private": noise(4, 50_000), b"shared": SHARED, b"sibling": {b"diary": noise(5, 70_000)}}


@dataclass(frozen=True)
class Sample:
    """A vault with one snapshot and a mutable directory in it."""

    backend: MemoryBackend
    key: WriterKey
    target: MutableDirectoryWrite
    snapshot: DirectoryReadCap


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """Make the vault."""
    backend = MemoryBackend()
    key = create_vault(backend)
    with open_vault(backend, key, state=tmp_path / "writer") as vault:
        target = create_target(vault)
        snapshot = back_up(vault, target, b"1", TREE)
    assert isinstance(target, MutableDirectoryWrite)
    return Sample(backend, key, target, snapshot)


def structure_of(sample: Sample, key: WriterKey | KeeperKey | LocatorKey) -> Structure:
    """Return what the holder of a key checks stamps with."""
    return Structure(key, Signers.of(sample.key))


def stored_objects(sample: Sample, key: LocatorKey) -> Iterator[tuple[FooterEntry, bytes, bytes]]:
    """Give all objects that a locator key's holder finds, with their sealed contents and links."""
    packs = StoredPacks(sample.backend, structure_of(sample, key))
    for pack in packs.footers(packs.sizes()):
        whole = sample.backend.get(pack_path(pack.name))
        for stored in decode_body(pack.body):
            end = stored.offset + stored.length
            yield stored, whole[stored.offset : end], whole[end : end + stored.links_length]


def walk(vault: Vault, keeper: KeeperKey, backend: MemoryBackend) -> set[Link]:
    """Follow all links from all roots, as a keeper does."""
    slots = Slots(backend, keeper.locator_key, NoMemory(), os.urandom)
    roots = vault.components.require_roots().read()
    waiting = [Link(LinkKind.SLOT, root.storage_index, root.fingerprint) for root in roots]
    found: set[Link] = set()
    while waiting:
        link = waiting.pop()
        if link in found:
            continue
        found.add(link)
        if link.kind is LinkKind.SLOT:
            cap = MutableDirectoryVerify(link.storage_index, link.hash)
            waiting += decode_links(slots.links(cap, slots.read(cap)))
        else:
            waiting += vault.components.reader_with_index().read_links(link)
    return found


def find(vault: Vault, cap: DirectoryReadCap, *path: bytes) -> Entry:
    """Look up an entry."""
    directory = vault.read_directory(cap)
    entry = directory.get(path[0])
    assert entry is not None
    if len(path) == 1:
        return entry
    assert isinstance(entry.cap, DirectoryReadCap)
    return find(vault, entry.cap, *path[1:])


def test_a_keeper_marks_everything(sample: Sample, tmp_path: Path) -> None:
    """From the roots, with links alone, a keeper reaches each stored object, and knows its bytes by their hash."""
    keeper = KeeperKey(sample.key.keeper_key.secret, sample.key.vault)
    vault = open_vault(sample.backend, keeper, state=tmp_path / "keeper")
    links = walk(vault, keeper, sample.backend)
    marked = {link.hash for link in links if link.kind is not LinkKind.SLOT}
    assert marked == {stored.hash for stored, _, _ in stored_objects(sample, keeper.locator_key)}
    slots = {
        f"slots/{object_name_of(keeper.locator_key.naming, link.storage_index).hex()}"
        for link in links
        if link.kind is LinkKind.SLOT
    }
    assert slots == {item.name for item in sample.backend.list("slots/")}


def test_a_keeper_opens_no_content(sample: Sample, tmp_path: Path) -> None:
    """Nothing that a keeper has or finds opens any content: neither keys, nor links, nor what the frame says."""
    keeper = KeeperKey(sample.key.keeper_key.secret, sample.key.vault)
    locator = keeper.locator_key
    vault = open_vault(sample.backend, keeper, state=tmp_path / "keeper")
    links = walk(vault, keeper, sample.backend)
    # A keeper does not even know the storage indexes of chunks; the attacker is given them here.
    indexes = {object_name_of(locator.naming, index): index for index in all_indexes(sample, tmp_path)}
    secrets = {keeper.secret, keeper.roots, locator.secret, locator.naming, locator.structure_key}
    secrets |= {part for link in links for part in (link.storage_index, link.hash) if part}
    tried = 0
    for stored, sealed, _ in stored_objects(sample, locator):
        index = indexes[stored.name]
        for kind in Kind:
            for secret in secrets:
                tried += 1
                with pytest.raises(CorruptObjectError):
                    open_content(kind, secret[:16], index, sealed, size_max=1 << 26, codec=Codec())
        for secret in secrets:
            with pytest.raises(CorruptObjectError):
                open_sealed((secret * 2)[:32], sealed, b"")
    assert tried > 500


def test_a_keeper_opens_no_slot(sample: Sample, tmp_path: Path) -> None:
    """A keeper reads a slot's links and no entry; nor does he write, or make a session."""
    keeper = KeeperKey(sample.key.keeper_key.secret, sample.key.vault)
    vault = open_vault(sample.backend, keeper, state=tmp_path / "keeper")
    roots = vault.components.require_roots().read()
    for root in roots:
        for guess in (root.storage_index, root.fingerprint[:16], keeper.secret[:16]):
            with pytest.raises((CorruptObjectError, MissingObjectError)):
                list(vault.read_directory(MutableDirectoryRead(guess, root.fingerprint)))
    with pytest.raises(AuthorityError, match="needs the writer key"):
        vault.create_directory()
    with pytest.raises(AuthorityError, match="needs the writer key"):
        vault.session().__enter__()


def test_a_keeper_checks_all_there_is(sample: Sample, tmp_path: Path) -> None:
    """With verify caps a keeper checks that everything is there, and says what is not."""
    vault = open_vault(sample.backend, KeeperKey(sample.key.keeper_key.secret, sample.key.vault), state=tmp_path / "keeper")
    report = vault.check(sample.target.verify_cap, read_data=True)
    assert report.findings == []
    assert report.objects == len(list(stored_objects(sample, sample.key.locator_key)))
    assert vault.check_structure(read_data=True).findings == []
    for item in list(sample.backend.list("packs/")):
        whole = sample.backend.get(item.name)
        sample.backend.delete(item.name)
        assert not vault.check(sample.target.verify_cap, read_data=False).is_healthy
        sample.backend.put(item.name, whole)


def test_a_shared_directory_is_all_that_is_shared(sample: Sample, tmp_path: Path) -> None:
    """A locator key and one read cap read what is below it; siblings, parents and the mutable directory stay closed."""
    writer = open_vault(sample.backend, sample.key, state=tmp_path / "writer")
    shared = find(writer, sample.snapshot, b"shared").cap
    assert isinstance(shared, ImmutableDirectory)
    locator = LocatorKey(sample.key.locator_key.secret, sample.key.vault)
    vault = open_vault(sample.backend, locator, state=tmp_path / "reader")
    assert dict(read_tree(vault, shared)) == dict(flatten(SHARED))
    assert vault.check(shared, read_data=True).findings == []

    # Everything that such a reader holds: his keys, all caps below the directory, and what the frame says.
    held = {shared.key, shared.hash, locator.secret, locator.naming, locator.structure_key, *_caps_below(vault, shared)}
    below = {storage_index_of(key[:16]) for key in held}
    names = {object_name_of(locator.naming, index) for index in below}
    opened = 0
    for stored, sealed, links in stored_objects(sample, locator):
        if stored.name in names:
            opened += 1
            continue
        # Without its key nobody even knows the storage index that the seal is bound to; the attacker is given it here.
        for index in (*below, *all_indexes(sample, tmp_path)):
            for secret in held:
                for kind in Kind:
                    with pytest.raises(CorruptObjectError):
                        open_content(kind, secret[:16], index, sealed, size_max=1 << 26, codec=Codec())
        for secret in held:
            with pytest.raises(CorruptObjectError):
                open_sealed((secret * 2)[:32], links, b"")
    assert opened >= 5

    for secret in held:
        for cap in (
            MutableDirectoryRead(secret[:16], sample.target.fingerprint),
            sample.target.read_cap.__class__(secret[:16], bytes(32)),
        ):
            with pytest.raises(DamageError):
                list(vault.read_directory(cap))
    with pytest.raises(AuthorityError):
        vault.create_directory()
    frame = vault.check_structure(read_data=True)
    assert [finding.message for finding in frame.findings] == ["roots and sessions were not checked: that requires a keeper key"]
    for name in ("roots", "quarantine"):
        register = Register(sample.backend, name, locator.structure_key, structure_of(sample, locator), NoMemory(), os.urandom)
        if name == "roots":
            with pytest.raises(CorruptObjectError):
                register.read()


def _caps_below(vault: Vault, cap: DirectoryReadCap) -> Iterator[bytes]:
    for entry in vault.read_directory(cap):
        below = entry.cap
        if isinstance(below, ImmutableFile | ImmutableDirectory):
            yield below.key
            yield below.hash
            if isinstance(below, ImmutableFile) and below.size > 1 << 19:
                reader = vault.components.reader_with_index()
                yield from (child.key for child in reader.read_list(_root_of(below))[1])
        if isinstance(below, DirectoryReadCap):
            yield from _caps_below(vault, below)


def _root_of(cap: ImmutableFile) -> NodeRef:
    return NodeRef(b"", cap.key + cap.hash, cap.size)


def all_indexes(sample: Sample, tmp_path: Path) -> set[bytes]:
    """Return the storage index of each object, as only who reads everything knows them."""
    vault = open_vault(sample.backend, sample.key, state=tmp_path / "who reads everything")
    assert isinstance(sample.snapshot, ImmutableDirectory)
    return {storage_index_of(key[:16]) for key in (sample.snapshot.key, *_caps_below(vault, sample.snapshot))}


def test_a_read_cap_alone_finds_nothing(sample: Sample, tmp_path: Path) -> None:
    """Without the vault's locator key a read cap leads nowhere: one that was made up is refused, and would open nothing."""
    stranger = LocatorKey(os.urandom(32), sample.key.vault)
    with pytest.raises(AuthorityError, match="somebody made it up"):
        open_vault(sample.backend, stranger, state=tmp_path / "stranger")
    assert not (tmp_path / "stranger").exists()
    structure = structure_of(sample, stranger)
    register = Register(sample.backend, "index", structure.secret, structure, NoMemory(), os.urandom)
    with pytest.raises(CorruptObjectError):
        register.read()
    packs = StoredPacks(sample.backend, structure)
    assert packs.sizes()
    assert packs.footers(packs.sizes()) == []
    with pytest.raises(MissingObjectError):
        Slots(sample.backend, stranger, NoMemory(), os.urandom).read(sample.target.read_cap.verify_cap)


def test_caps_of_another_grid(sample: Sample, tmp_path: Path) -> None:
    """A cap that only Tahoe-LAFS can have issued is refused as such."""
    vault = open_vault(sample.backend, sample.key, state=tmp_path / "writer")
    with pytest.raises(AuthorityError, match="belongs to a Tahoe-LAFS grid"):
        vault.open_file(ImmutableFile(bytes(16), bytes(32), 3, 10, 100))
    with pytest.raises(AuthorityError, match="belongs to a Tahoe-LAFS grid"):
        vault.read_directory(ImmutableDirectory(bytes(16), bytes(32), 3, 10, 100))
