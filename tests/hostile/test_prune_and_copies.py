"""Who prunes, checks, repairs and mirrors believes nobody's word (SECURITY 1a to 1e, 3, 6 and 16): only bytes that were verified.

Each attack is one that made an honest prune delete good data, or that stopped one for good, under the former format.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from tests.hostile.crafting import Sealed, sealed_as

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, MutableDirectoryWrite, parse
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import DamageError
from tallac.interfaces import Backend
from tallac.testing.sample_vault import Tree, back_up, create_target, flatten, noise, read_tree
from tallac.vault.check.options import CheckOptions, PackSubset
from tallac.vault.check.vault_check import check_vault
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, decode_body, encode_body
from tallac.vault.format.keys import WriterKey, make_writer_key
from tallac.vault.format.objects import Kind
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.mirror.full import VaultCopy
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.vault.mirror.rollback_guard import MirrorMemory
from tallac.vault.mutable.pending_deletions import PendingPack, encode_pending
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.packs.pack import OpenPack, StoredPacks, pack_path
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.vault.repair.repair import Repair
from tallac.vault.repair.report import RepairOptions, RepairReport
from tallac.vault.vault import Vault, create_vault, open_vault

REPORT = b"the report that both of them have " * 300
TREE: Tree = {
    b"a": noise(1, 30_000),
    b"d": {b"e": {b"f": noise(2, 5_000)}, b"large": noise(3, 1_200_000)},
    b"report": REPORT,
    b"z": noise(4, 400),
}
CHANGED: Tree = {**TREE, b"a": noise(5, 30_000)}


class Place:
    """A vault in memory with a snapshot, and everything that its users and its enemies do with it."""

    def __init__(self, folder: Path) -> None:
        self.backend = MemoryBackend()
        self.key = create_vault(self.backend)
        self.structure = Structure(self.key, Signers.of(self.key))
        self._folder = folder
        self._numbers = count()
        with self.open() as vault:
            target = create_target(vault)
            assert isinstance(target, MutableDirectoryWrite)
            self.target = target
            self.snapshot = back_up(vault, target, b"1", TREE)

    def open(self, backend: Backend | None = None) -> Vault:
        """Open as a client that has never seen the vault."""
        return open_vault(backend or self.backend, self.key, state=self._folder / str(next(self._numbers)))

    def _keeper(self, backend: Backend | None = None) -> Vault:
        return open_vault(backend or self.backend, self.key.keeper_key, state=self._folder / str(next(self._numbers)))

    def prune(self, *, is_dry_run: bool = False, backend: Backend | None = None) -> PruneReport:
        """Prune as a keeper who has never seen the vault."""
        with self._keeper(backend) as vault:
            return Prune(vault.components, PruneOptions(is_dry_run=is_dry_run, unused_max=0)).run()

    def repair(self, *, with_caps: bool = True) -> RepairReport:
        """Repair, as somebody who has the target's read cap, or as a keeper."""
        with self._keeper() as vault:
            return Repair(vault.components, RepairOptions()).run([self.target.read_cap] if with_caps else [])

    def check(self, *, reads: bool = True, as_keeper: bool = True) -> list[str]:
        """Check the whole vault; give what is found damaged."""
        with self._keeper() as vault:
            options = CheckOptions(PackSubset() if reads else None, opens_content=reads)
            report = check_vault(vault.components, None if as_keeper else self.target.read_cap, options)
        return [finding.message for finding in report.findings if finding.damaged]

    def mirror(self, mirror: Backend, *, deletes: bool = False, verifies: bool = False) -> MirrorReport:
        """Copy to a mirror, as a keeper."""
        options = MirrorOptions(deletes=deletes, verifies=verifies)
        run = VaultCopy(self.backend, mirror, self.key.keeper_key, MirrorMemory(None), options)
        run.run()
        return run.report

    def restored(self, snapshot: DirectoryReadCap | None = None, backend: Backend | None = None) -> list[bytes]:
        """Restore on a new machine; give the paths that are not what was backed up."""
        with self.open(backend) as vault:
            try:
                found = dict(read_tree(vault, snapshot or self.snapshot))
            except DamageError:
                return [path for path, _ in flatten(TREE)]
        return [path for path, content in flatten(TREE) if found.get(path) != content]

    def back_up(self, name: bytes, tree: Tree = TREE) -> DirectoryReadCap:
        """Back up on a new machine."""
        with self.open() as vault:
            return back_up(vault, self.target, name, tree)

    def packs(self) -> set[str]:
        """List the packs."""
        return {item.name for item in self.backend.list("packs/")}

    def listed(self) -> list[FinishedPack]:
        """Read the footers of all packs."""
        stored = StoredPacks(self.backend, self.structure)
        return stored.footers(stored.sizes())

    # What enemies do

    def put_pack(self, structure: Structure, objects: list[tuple[bytes, bytes, bytes, bytes]]) -> FinishedPack:
        """Store a pack of any objects, with a name that sorts before all others."""
        names = sorted(pack.name for pack in self.listed())
        while True:
            pack = OpenPack(self.backend.upload())
            for each in objects:
                pack.append(*each)
            finished = pack.finish(structure, Codec(), os.urandom)
            if finished.name < names[0]:
                pack.upload.commit(pack_path(finished.name))
                return finished
            pack.upload.abort()

    def publish(self, packs: list[FinishedPack], structure: Structure, *, replaces: bool = False) -> None:
        """Enter packs in the index, or replace it by them."""
        name = IndexStore(self.backend, structure, os.urandom).put(packs)
        register = Register(self.backend, "index", structure.secret, structure, NoMemory(), os.urandom)
        if structure is self.structure:
            register.swap(lambda text: name if replaces else (text or b"") + name)
        else:
            register.rewrite(name)

    def stranger(self) -> Structure:
        """Give what somebody has who knows the locator key alone: everything can be sealed, and nothing stamped."""
        forger = Structure(make_writer_key(os.urandom), self.structure.signers)
        forger.secret = self.structure.secret
        return forger

    def decide(self, entries: list[PendingPack]) -> None:
        """Write pending deletions, as who has the writer key can."""
        register = Register(self.backend, "quarantine", self.key.keeper_key.roots, self.structure, NoMemory(), os.urandom)
        register.swap(lambda _: encode_pending(entries))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault with a snapshot."""
    return Place(tmp_path)


def assert_prune_harms_nothing(place: Place) -> PruneReport:
    """Look first, as the guide says, then prune: the run does what the dry run said, and everything comes back."""
    before = place.packs()
    foreseen = place.prune(is_dry_run=True)
    assert place.packs() == before
    report = place.prune()
    assert (foreseen.deleted_packs, foreseen.deleted_bytes) == (report.deleted_packs, report.deleted_bytes)
    assert (foreseen.alive_objects, foreseen.dead_objects) == (report.alive_objects, report.dead_objects)
    assert sorted(foreseen.skipped) == sorted(report.skipped)
    assert place.restored() == []
    assert place.prune().deleted_packs == 0
    return report


@pytest.mark.parametrize("noisy_share", [0.9, 0.5, 0.01])
def test_a_footer_copied_behind_noise(place: Place, noisy_share: float) -> None:
    """1a: without any key somebody copies each pack's end behind noise, under a name that sorts first; backups come in between."""
    packs = sorted(place.packs())
    for name in packs:
        whole = place.backend.get(name)
        cut = max(1, int(len(whole) * noisy_share))
        while True:
            forged = os.urandom(cut) + whole[cut:]
            # Before all real ones: to come before those forged by now as well would take longer with each.
            if hash_file_bytes(forged).hex() < packs[0].removeprefix("packs/"):
                break
        place.backend.put(pack_path(hash_file_bytes(forged)), forged)
    assert_prune_harms_nothing(place)
    place.back_up(b"2")
    assert_prune_harms_nothing(place)
    assert place.check(as_keeper=True) == []
    assert place.check(as_keeper=False) == []
    assert place.repair().is_healthy
    assert place.restored() == []


@pytest.mark.parametrize("noisy_share", [0.9, 0.5, 0.01])
def test_backups_count_on_no_copied_footer(place: Place, noisy_share: float) -> None:
    """6: the real packs are lost, and copies of their footers behind noise are there: the next backup stores everything anew."""
    for name in sorted(place.packs()):
        whole = place.backend.get(name)
        cut = max(1, int(len(whole) * noisy_share))
        forged = os.urandom(cut) + whole[cut:]
        place.backend.put(pack_path(hash_file_bytes(forged)), forged)
        place.backend.delete(name)
    assert place.restored()
    assert place.check(reads=False)
    assert place.restored(place.back_up(b"2")) == []
    assert place.check(reads=False, as_keeper=False) == []
    assert_prune_harms_nothing(place)


def worthless(place: Place, *, only_nodes: bool, with_links: bool) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """Give a one-byte copy of each object, with its real name and hash, and its real links beside it."""
    objects = []
    for pack in place.listed():
        whole = place.backend.get(pack_path(pack.name))
        for each in decode_body(pack.body):
            if each.links_length or not only_nodes:
                links = whole[each.offset + each.length : each.end] if with_links else b""
                objects.append((each.name, each.hash, os.urandom(1), links))
    return objects


@pytest.mark.parametrize("is_published", [False, True])
@pytest.mark.parametrize("only_nodes", [False, True])
@pytest.mark.parametrize("has_writer_key", [False, True])
def test_worthless_copies(place: Place, has_writer_key: bool, only_nodes: bool, is_published: bool) -> None:
    """1b: one small pack has a worthless copy of everything, or of all directories; with the writer key its stamps are right."""
    forger = place.structure if has_writer_key else place.stranger()
    pack = place.put_pack(forger, worthless(place, only_nodes=only_nodes, with_links=True))
    if is_published:
        place.publish([pack], forger)
    report = assert_prune_harms_nothing(place)
    # The plan itself was right: it did not take the packs' own footers to stop it.
    assert report.skipped == []
    if not has_writer_key:
        assert any(pack.name.hex() in message for message in report.ignored)
    assert place.repair().is_healthy
    place.back_up(b"2", CHANGED)
    assert_prune_harms_nothing(place)
    assert place.check() == []


def test_copies_under_another_name(place: Place) -> None:
    """A co-writer stores right bytes with the right hash under a name by which nobody finds them: the real ones stay."""
    objects = []
    for pack in place.listed():
        whole = place.backend.get(pack_path(pack.name))
        for each in decode_body(pack.body):
            content, links = whole[each.offset : each.offset + each.length], whole[each.offset + each.length : each.end]
            objects.append((os.urandom(16), each.hash, content, links))
    place.publish([place.put_pack(place.structure, objects)], place.structure)
    assert_prune_harms_nothing(place)


@pytest.mark.parametrize("is_whole", [True, False])
def test_everything_is_decided_upon(place: Place, is_whole: bool) -> None:
    """1c: an add-only client writes that a prune has decided to delete all: nothing goes, it is told, and backups heal it."""
    offsets = None if is_whole else (lambda pack: frozenset(each.offset for each in decode_body(pack.body)))
    place.decide(
        [PendingPack(pack.name, 1, is_decided=True, offsets=None if offsets is None else offsets(pack)) for pack in place.listed()]
    )
    before = place.packs()
    for is_dry_run in (True, False):
        report = place.prune(is_dry_run=is_dry_run)
        assert (report.deleted_packs, len(report.skipped)) == (0, len(before))
    assert place.packs() == before
    assert place.restored() == []
    # A backup counts on nothing of that, and what it has stored frees the rest.
    place.back_up(b"2")
    report = assert_prune_harms_nothing(place)
    assert report.deleted_packs == len(before)
    assert not report.skipped
    assert place.check() == []


def test_everything_is_decided_upon_and_no_footer_tells(place: Place) -> None:
    """1c: the packs' own footers are damaged as well, so that only the index says what would go with the packs: nothing goes."""
    packs = place.listed()
    for pack in packs:
        content = bytearray(place.backend.get(pack_path(pack.name)))
        content[-1] ^= 1
        place.backend.put(pack_path(pack.name), bytes(content))
    place.decide([PendingPack(pack.name, 1, is_decided=True, offsets=None) for pack in packs])
    report = place.prune()
    assert (report.deleted_packs, len(report.skipped)) == (0, len(packs))
    assert place.restored() == []


def test_a_repair_withdraws_what_nobody_decided(place: Place) -> None:
    """1c: where the source is gone, a repair takes the forged decisions back, and the prune has nothing to say any more."""
    place.decide([PendingPack(pack.name, 1, is_decided=True, offsets=None) for pack in place.listed()])
    assert any("pending deletions" in message for message in place.repair(with_caps=False).done)
    assert place.prune().skipped == []
    assert place.restored() == []


def _junk(pack: FinishedPack) -> bytes:
    return encode_body([os.urandom(16)], [os.urandom(16)], [max(1, pack.size - 1_000)], [0])


def _without_last(pack: FinishedPack) -> bytes:
    entries = list(decode_body(pack.body))[:-1]
    return encode_body(
        [each.name for each in entries],
        [each.hash for each in entries],
        [each.length for each in entries],
        [each.links_length for each in entries],
    )


def _other_hashes(pack: FinishedPack) -> bytes:
    entries = list(decode_body(pack.body))
    return encode_body(
        [each.name for each in entries],
        [os.urandom(16) for _ in entries],
        [each.length for each in entries],
        [each.links_length for each in entries],
    )


@pytest.mark.parametrize("falsify", [_junk, _without_last, _other_hashes])
@pytest.mark.parametrize("has_writer_key", [False, True])
def test_the_index_says_something_else(place: Place, has_writer_key: bool, falsify: Callable[[FinishedPack], bytes]) -> None:
    """1d: the index says that packs with file content hold what nobody needs; before one goes, it is asked itself."""
    packs = place.listed()
    forger = place.structure if has_writer_key else place.stranger()
    lies = [
        pack if any(each.links_length for each in decode_body(pack.body)) else FinishedPack(pack.name, pack.size, falsify(pack))
        for pack in packs
    ]
    place.publish(lies, forger, replaces=True)
    before = place.packs()
    for is_dry_run in (True, False):
        report = place.prune(is_dry_run=is_dry_run)
        assert report.deleted_packs == 0
        assert bool(report.missing_objects) == has_writer_key
        if falsify is not _without_last:
            assert bool(report.skipped) == has_writer_key
    assert before <= place.packs()
    if has_writer_key:
        assert place.check(reads=False)
        assert any("corrected in the index" in message for message in place.repair(with_caps=False).done)
    assert place.check() == []
    assert_prune_harms_nothing(place)


@pytest.mark.parametrize("also_index", [False, True])
def test_a_mirror_is_pruned_for_itself(place: Place, also_index: bool) -> None:
    """1e: a client deletes its own packs, and writes that a prune has; the mirror elsewhere keeps what its roots need."""
    mirror = MemoryBackend()
    place.mirror(mirror)
    place.decide([PendingPack(pack.name, 1, is_decided=True, offsets=None) for pack in place.listed()])
    if also_index:
        place.publish([], place.structure, replaces=True)
    for name in place.packs():
        place.backend.delete(name)
    before = {item.name for item in mirror.list("packs/")}
    report = place.mirror(mirror, deletes=True)
    assert report.deleted_packs == 0
    assert report.problems
    assert {item.name for item in mirror.list("packs/")} == before
    assert place.restored(backend=mirror) == []


def test_a_mirror_follows_an_honest_prune(place: Place) -> None:
    """What a prune of the vault has deleted goes from the mirror too, and nothing else."""
    mirror = MemoryBackend()
    second = place.back_up(b"2", CHANGED)
    place.mirror(mirror)
    with place.open() as vault:
        archives = next(each for each in vault.edit_directory(place.target, lambda entries: entries) if each.name == b"Archives")
        assert archives.write is not None
        cap = parse(archives.write.decode())
        assert isinstance(cap, MutableDirectoryWrite)
        vault.edit_directory(cap, lambda entries: [each for each in entries if each.name != b"1"])
    assert place.prune().deleted_packs
    report = place.mirror(mirror, deletes=True)
    assert report.deleted_packs
    assert not report.problems
    assert {item.name for item in mirror.list("packs/")} == place.packs()
    with place.open(mirror) as vault:
        assert dict(read_tree(vault, second)) == dict(flatten(CHANGED))


def test_a_mirror_is_verified_from_its_roots_down(place: Place) -> None:
    """A pack that is what its name says has worthless copies where the right ones are lost: who copies the vault is told so."""
    of_files = [pack.name for pack in place.listed() if not any(each.links_length for each in decode_body(pack.body))]
    pack = place.put_pack(place.structure, worthless(place, only_nodes=False, with_links=True))
    place.publish([pack], place.structure)
    assert place.mirror(MemoryBackend()).problems == []
    for name in of_files:
        place.backend.delete(pack_path(name))
    problems = place.mirror(MemoryBackend()).problems
    assert len(problems) >= 5
    assert all("has no copy that is whole" in problem and "check --read-data" in problem for problem in problems)


def test_a_mirror_takes_no_copied_footer(place: Place) -> None:
    """What has a right footer behind noise, and no index object names, is not copied; without a key nobody can tell."""
    whole = place.backend.get(min(place.packs()))
    forged = os.urandom(300) + whole[300:]
    place.backend.put(pack_path(hash_file_bytes(forged)), forged)
    mirror = MemoryBackend()
    report = place.mirror(mirror)
    assert len(report.ignored) == 1
    assert {item.name for item in mirror.list("packs/")} == place.packs() - {pack_path(hash_file_bytes(forged))}
    assert place.restored(backend=mirror) == []


def test_noise_stops_nothing(place: Place) -> None:
    """16: what strangers put among sessions, slots, packs and index objects is named once, and stops neither prune nor backup."""
    for prefix, digits in (("sessions/", 32), ("slots/", 32), ("packs/", 64), ("index/", 64)):
        for size in (0, 5, 200, 5_000):
            name = f"{prefix}{os.urandom(digits // 2).hex()}"
            place.backend.put(name, noise(size, size))
    content = os.urandom(3_000)
    place.backend.put(pack_path(hash_file_bytes(content)), content)
    report = assert_prune_harms_nothing(place)
    assert len(report.ignored) == len(set(report.ignored)) == 4 + 4 + 5
    second = place.back_up(b"2", CHANGED)
    assert_prune_harms_nothing(place)
    mirror = MemoryBackend()
    copied = place.mirror(mirror)
    assert copied.problems == []
    assert len(copied.ignored) == 4 + 5
    with place.open(mirror) as vault:
        assert dict(read_tree(vault, second)) == dict(flatten(CHANGED))


def poisoned(place: Place, key: WriterKey) -> DirectoryReadCap:
    """Store poison under the name of a file to come, and have a backup use it that opens nothing, as on a far store."""
    made: Sealed = sealed_as(key, Kind.CHUNK, REPORT + b"!", noise(9, 600) + b"\1")
    pack = place.put_pack(place.structure, [(made.name, made.hash, made.sealed, b"")])
    place.publish([pack], place.structure)
    with place.open() as vault:
        vault.components.own_packs.add([each.name for each in place.listed()])
        return back_up(vault, place.target, b"victim", {b"report": REPORT + b"!"})


def test_poison_is_found_and_taken_out(place: Place) -> None:
    """3: a keeper can't tell poison from content, but who has the read cap can: it leaves use, and the next backup heals."""
    victim = poisoned(place, place.key)
    assert place.check(as_keeper=True) == []
    assert place.check(reads=False, as_keeper=False) == []
    assert place.check(as_keeper=False)
    report = place.repair()
    assert any("taken out of use" in message for message in report.done)
    assert report.missing_objects == 1
    with place.open() as vault:
        again = back_up(vault, place.target, b"again", {b"report": REPORT + b"!"})
        assert dict(read_tree(vault, again)) == {b"report": REPORT + b"!"}
        assert isinstance(dict(read_tree(vault, victim))[b"report"], DamageError)
    assert place.restored() == []
    # It does not come back by itself, neither for a keeper nor for its owner.
    for with_caps in (False, True, True):
        assert not any("salvaged" in message or "taken out" in message for message in place.repair(with_caps=with_caps).done)
    assert_prune_harms_nothing(place)


def test_objects_that_are_not_what_their_maker_says(place: Place) -> None:
    """A pack whose own hash is right holds wrong bytes: `check --read-data` finds them, `repair` takes them out, a backup heals."""
    (pack,) = [each for each in place.listed() if not any(entry.links_length for entry in decode_body(each.body))][:1]
    whole, objects = place.backend.get(pack_path(pack.name)), []
    for number, each in enumerate(decode_body(pack.body)):
        content = whole[each.offset : each.offset + each.length]
        objects.append((each.name, each.hash, os.urandom(len(content)) if number == 0 else content, b""))
    lie = place.put_pack(place.structure, objects)
    place.backend.delete(pack_path(pack.name))
    place.publish([*(each for each in place.listed() if each.name != pack.name)], place.structure, replaces=True)
    assert lie.name in {each.name for each in place.listed()}
    damaged = place.restored()
    assert damaged
    assert place.check(reads=False) == []
    assert place.check(reads=True)
    assert place.repair(with_caps=False).aside_packs == 1
    assert place.restored() == damaged
    place.back_up(b"2")
    assert place.restored() == []
    assert place.check() == []
    assert_prune_harms_nothing(place)
