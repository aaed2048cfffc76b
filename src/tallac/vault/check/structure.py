"""Check what belongs to no single cap: headers, registers, index, slots, sessions and, on request, every byte of every pack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat

from tallac.caps import MutableDirectoryVerify
from tallac.errors import DamageError, MissingObjectError, ObjectNotFoundError, StoreError
from tallac.interfaces import CheckProgress, CheckReport, Finding
from tallac.vault.access.duplicates import check_duplicates
from tallac.vault.access.envelopes import ENVELOPE_PREFIX
from tallac.vault.access.passphrases import PASSPHRASE_PREFIX
from tallac.vault.check.indexed_packs import IndexedPacks
from tallac.vault.check.read_data_progress import ReadDataProgress
from tallac.vault.components import VaultComponents
from tallac.vault.distance import BATCH_SIZE_MAX, ask_anew, at_hand
from tallac.vault.format.footers import FinishedPack, FooterEntries, decode_columns, names_in
from tallac.vault.format.header import HEADER_NAMES, check_headers, is_stored_name
from tallac.vault.format.keys import KeeperKey
from tallac.vault.index.index_objects import INDEX_PREFIX, index_path
from tallac.vault.marking.hash_set import PART_SIZE
from tallac.vault.marking.objects_in_pack import wrong_objects
from tallac.vault.mutable.pending_deletions import PENDING_PATH, pending_deletions_of
from tallac.vault.mutable.registers import REGISTER_PREFIX
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.sessions import SESSION_PREFIX, decode_session
from tallac.vault.mutable.settings import SETTINGS_PATH
from tallac.vault.mutable.slots import SLOT_PREFIX
from tallac.vault.packs.damaged import DAMAGED_PREFIX
from tallac.vault.packs.pack import PACK_PREFIX, StoredPacks, pack_path
from tallac.vault.packs.verifier import hash_object
from tallac.vault.reserve import RESERVE_PREFIX, check_reserve
from tallac.wording import pluralize

INDEX_SIZE_MAX = 8 << 20
"""So many bytes of index objects are in memory at a time, besides what is kept of them."""

READS_MAX = 6
"""At most so many steps of a check look at one slot, which is asked for once."""


class StructureCheck:
    """One check of a vault's structure. It reads nothing that a keeper could not read."""

    def __init__(self, components: VaultComponents, progress: CheckProgress | None = None) -> None:
        """Prepare a check; without a keeper key, roots and sessions are left out."""
        self._components = components
        self._backend = components.backend
        self._structure = components.structure
        self._slots = components.slots
        self._packs = StoredPacks(components.backend, components.structure)
        self._progress = progress
        self.damaged_packs: set[bytes] = set()
        self.wrong_objects: dict[bytes, set[int]] = {}
        """For packs that were read, the offsets of the objects whose bytes are not those that their hash says."""
        self.listed_packs: dict[bytes, int] = {}
        """The packs that were there, with their sizes."""
        self.listed_slots: dict[str, int] = {}
        """The slots that were there, with their sizes."""
        self.report = CheckReport(phase="reading packs")

    def look(self) -> dict[str, int]:
        """List all that is there, with sizes."""
        return {item.name: item.size for item in self._backend.list("")}

    def check(self, listed: dict[str, int], round_: ReadDataProgress | None) -> None:
        """Check everything, going on after each finding.

        Args:
            listed: What `look` has given.
            round_: Says which packs to read whole; None for none of them.
        """
        self._check_names(listed)
        listed = {name: size for name, size in listed.items() if is_stored_name(name)}
        for wrong in check_headers(self._backend, self._components.identity):
            self._find(f"{wrong}; the other copy is used meanwhile")
        duplicated = [*_under(PASSPHRASE_PREFIX, listed), *_under(ENVELOPE_PREFIX, listed)]
        self.report.findings.extend(check_duplicates(self._backend, duplicated))
        self._check_settings()
        indexed = self._check_index(listed)
        keeper, roots = self._components.keeper_key, self._components.roots
        deleted = frozenset() if keeper is None else self._check_pending()
        self.listed_packs = self._packs_in(listed)
        self.listed_slots = {name: listed[name] for name in _under(SLOT_PREFIX, listed)}
        self._check_packs(indexed, self.listed_packs, deleted, round_)
        if round_ is not None:
            # That may have taken hours.
            ask_anew(self._backend)
            self.report.findings.extend(check_reserve(self._backend))
        if keeper is not None and roots is not None:
            self._check_slots(keeper, roots)
            self._check_sessions(keeper, listed)
        else:
            self._note("roots and sessions were not checked: that requires a keeper key")

    def add_to_damaged_packs(self, consequence: str) -> None:
        """Add to the findings about damaged and lost packs what follows from them."""
        damaged = {pack_path(name) for name in self.damaged_packs}
        for number, each in enumerate(self.report.findings):
            if each.stored in damaged:
                self.report.findings[number] = Finding(each.path, f"{each.message}; {consequence}", each.damaged, each.stored)

    def _check_names(self, listed: Iterable[str]) -> None:
        objects = (PACK_PREFIX, INDEX_PREFIX, SLOT_PREFIX, SESSION_PREFIX, REGISTER_PREFIX)
        known = (*objects, PASSPHRASE_PREFIX, ENVELOPE_PREFIX, DAMAGED_PREFIX, RESERVE_PREFIX)
        damaged = {name.removesuffix(".index") for name in _under(DAMAGED_PREFIX, listed)}
        if damaged:
            self._note(f"damaged packs kept in {DAMAGED_PREFIX}: {len(damaged)}; once no damage is found, delete that folder")
        for name in listed:
            if (name not in HEADER_NAMES and not name.startswith(known)) or not is_stored_name(name):
                self._note(f"{name} does not belong to a vault; ignored")

    def _check_index(self, listed: Iterable[str]) -> IndexedPacks:
        """Check register and index objects; give all packs that they know."""
        indexed = IndexedPacks()
        try:
            state = self._components.index_register.read()
            if state is None:
                raise MissingObjectError("the register of the index is missing")
            names = names_in(state.text)
        except DamageError as error:
            self._find(f"{error}: the next backup rebuilds it from the packs")
            names = []
        for name in self._components.index_store.at_hand(names):
            try:
                indexed.add(self._components.index_store.get(name))
            except DamageError as error:
                self._find(f"{error}: the next backup rebuilds it from the packs")
        for path in _under(INDEX_PREFIX, listed):
            if path not in {index_path(name) for name in names}:
                self._note(f"{path} is named by no register: a run was interrupted, or another one is running")
        return indexed

    def _check_settings(self) -> None:
        """Check the register of settings, which few vaults have."""
        try:
            self._components.settings.compression()
        except DamageError as error:
            self._find(str(error))

    def _packs_in(self, listed: Mapping[str, int]) -> dict[bytes, int]:
        """Return the sizes of the packs that are there, by name."""
        packs = {}
        for path in _under(PACK_PREFIX, listed):
            try:
                packs[bytes.fromhex(path.removeprefix(PACK_PREFIX))] = listed[path]
            except ValueError:
                self._note(f"{path} does not belong to a vault; ignored")
        return packs

    def _check_packs(
        self,
        indexed: IndexedPacks,
        listed: dict[bytes, int],
        deleted: frozenset[bytes],
        round_: ReadDataProgress | None,
    ) -> None:
        self._check_lost_packs(indexed, listed, deleted)
        sizes = indexed.sizes()
        for name, size in sizes.items():
            if listed.get(name, size) != size:
                self._find_pack(name, f"has {listed[name]} bytes instead of {size}: it was cut short or grew")
        for name in sorted(listed.keys() - sizes.keys()):
            self._note(f"pack {name.hex()[:12]} is not in the index: a run was interrupted, or another one is running")
        self.report.objects += len(listed)
        if round_ is not None:
            self._read_packs(indexed, listed, deleted, round_)

    def _read_packs(
        self,
        indexed: IndexedPacks,
        listed: dict[bytes, int],
        deleted: frozenset[bytes],
        round_: ReadDataProgress,
    ) -> None:
        chosen = round_.begin(listed)
        self.report.bytes_total = sum(listed[name] for name in chosen)
        for name in chosen:
            self._check_pack(name, listed[name], indexed, may_vanish=name in deleted)
            round_.note(name, is_whole=name not in self.damaged_packs)
        round_.finish()

    def _check_lost_packs(self, indexed: IndexedPacks, listed: dict[bytes, int], deleted: frozenset[bytes]) -> None:
        """Find the packs that are missing; one whose objects all lie in other packs too is merely worth knowing."""
        sizes = indexed.sizes()
        lost: dict[bytes, set[bytes]] = {}
        count = 0
        for name in [name for name in sizes if name not in listed]:
            lost[name] = _names_in(indexed.get(name))
            count += len(lost[name])
            if count >= PART_SIZE:
                self._check_some_lost_packs(lost, indexed, sizes, listed, deleted)
                lost, count = {}, 0
        if lost:
            self._check_some_lost_packs(lost, indexed, sizes, listed, deleted)

    def _check_some_lost_packs(
        self,
        lost: Mapping[bytes, set[bytes]],
        indexed: IndexedPacks,
        sizes: Mapping[bytes, int],
        listed: Mapping[bytes, int],
        deleted: frozenset[bytes],
    ) -> None:
        missing = set().union(*lost.values())
        for name, size in sizes.items():
            if listed.get(name) == size:
                missing -= _names_in(indexed.get(name))
        for name, objects in lost.items():
            if name in deleted:
                self._note(f"pack {name.hex()[:12]} was deleted by a prune, and the index names it still")
            elif missing.isdisjoint(objects):
                self._note(f"pack {name.hex()[:12]} is missing, but everything in it is also stored elsewhere")
            else:
                self._find_pack(name, "is missing: the next backup stores again what its source still has")

    def _check_pack(self, name: bytes, size: int, indexed: IndexedPacks, *, may_vanish: bool) -> None:
        """Read a pack once: its objects are compared with their hashes, and footer and trailer open only as they were sealed."""
        try:
            listed, damage, is_other = self._look_at_footer(name, size, indexed)
            entries = FooterEntries() if listed is None else listed
            wrong = wrong_objects(self._backend, name, entries, self._count)
            self._count(size - (entries[-1].end if entries else 0))
            if wrong:
                self.wrong_objects[name] = wrong
                is_whole = hash_object(self._backend, pack_path(name), lambda _: None) == name
                what = f"{pluralize(len(wrong), 'object')} in it {'has' if len(wrong) == 1 else 'have'} other bytes than"
                said = "its own footer says: whoever stored it stored something else" if is_whole else "it should"
                damage = f"is damaged: {what} {said}"
            elif damage and listed is None and hash_object(self._backend, pack_path(name), lambda _: None) == name:
                self._note(f"pack {name.hex()[:12]} is none that a writer or keeper of this vault has made; ignored")
                return
            if damage:
                self._find_pack(name, damage)
            elif is_other:
                self._find_pack(name, "has another footer than the index says: `tallac repair` corrects the index")
        except ObjectNotFoundError:
            if not may_vanish:
                self._find_pack(name, "disappeared during the check: check again")
        except MissingObjectError:
            if not may_vanish:
                self._find_pack(name, "disappeared during the check: check again")
        except StoreError as error:
            self._find_pack(name, f"can't be read: {error}")

    def _look_at_footer(self, name: bytes, size: int, indexed: IndexedPacks) -> tuple[FooterEntries | None, str, bool]:
        """Return what a pack's footer lists, or else the index, what is wrong with it, and whether the index differs."""
        damage = ""
        known: FinishedPack | None
        try:
            known = self._packs.footer(name, size).pack
        except DamageError as error:
            damage = f"has no footer that can be read: {error}"
            known = indexed.get(name)
        if known is None:
            return None, damage, False
        return FooterEntries.of(known.body), damage, not damage and indexed.has_other_footer(known)

    def _count(self, size: int) -> None:
        self.report.bytes_read += size
        if self._progress is not None:
            self._progress(self.report)

    def _check_slots(self, keeper: KeeperKey, roots: Roots) -> None:
        try:
            expected = roots.read()
        except DamageError as error:
            self._find(str(error))
            expected = []
        known = {self._slots.path_of(cap.storage_index): cap for cap in expected}
        paths = sorted({*self.listed_slots, *known})
        for path in at_hand(self._backend, ((path, self.listed_slots.get(path, 0)) for path in paths)):
            try:
                cap = known.get(path) or self._slots.open_root(path, keeper)
                self._slots.read(MutableDirectoryVerify(cap.storage_index, cap.fingerprint))
                self.report.objects += 1
            except DamageError as error:
                if path in known:
                    self._find(str(error))
                else:
                    self._note(f"{path} is no slot that a writer of this vault has made; ignored")
                continue
            if path not in known:
                self._note(f"{path} is not among the roots: left by a run that was killed")

    def _check_pending(self) -> frozenset[bytes]:
        """Check the pending deletions; return the packs that may be deleted at any moment."""
        try:
            pending = pending_deletions_of(self._components.pending_register().read())
            return frozenset(pack for pack in pending.packs if pending.is_deleted(pack))
        except DamageError as error:
            self._find(str(error))
            return frozenset()

    def _check_sessions(self, keeper: KeeperKey, listed: Iterable[str]) -> None:
        for path in _under(SESSION_PREFIX, listed):
            found = self._backend.get_versioned(path)
            if found is None:
                continue  # Its writer has ended it meanwhile.
            try:
                record = decode_session(path, found[0], keeper.roots, self._structure)
            except DamageError as error:
                self._note(f"{error}; ignored")
            else:
                of = f", of {record.client}," if record.client else ""
                self._note(
                    f"{path}{of} is {record.state}: a run was interrupted, or another one is running; "
                    "`tallac repair --remove-stale-sessions` ends those of dead runs"
                )

    def _find(self, message: str) -> None:
        self.report.findings.append(Finding(None, message))

    def _find_pack(self, name: bytes, message: str) -> None:
        self.damaged_packs.add(name)
        self.report.findings.append(Finding(None, f"pack {name.hex()[:12]} {message}", stored=pack_path(name)))

    def _note(self, message: str) -> None:
        self.report.findings.append(Finding(None, message, damaged=False))


def asked_together(listed: Mapping[str, int]) -> Iterator[str]:
    """Iterate over what can be asked for before the first answer is there: all that is small, as often as a check looks at it.

    Of index objects, and of all that grows with the vault besides, no more than fits into memory; `at_hand` asks for the rest.
    """
    index_left, left = INDEX_SIZE_MAX, BATCH_SIZE_MAX
    # These may be missing, and are not listed then.
    yield from (PENDING_PATH, SETTINGS_PATH)
    for name, size in listed.items():
        if name.startswith(REGISTER_PREFIX):
            # The structure check, and who opens the index or the roots. Whoever looks again after that wants the present state.
            yield from (name, name)
        elif name.startswith(INDEX_PREFIX) and size <= index_left:
            index_left -= size
            yield name
        elif not name.startswith((PACK_PREFIX, INDEX_PREFIX, DAMAGED_PREFIX, RESERVE_PREFIX)) and size <= left:
            left -= size
            yield from repeat(name, READS_MAX)


def _names_in(pack: FinishedPack | None) -> set[bytes]:
    return set() if pack is None else {name for columns in decode_columns(pack.body) for name in columns.names}


def _under(prefix: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(prefix)]
