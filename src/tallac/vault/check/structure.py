"""Check what belongs to no single cap: headers, registers, index, slots, sessions and, on request, every byte of every pack."""

from __future__ import annotations

import os

from tallac.caps import MutableDirectoryVerify
from tallac.errors import DamageError, MissingObjectError, ObjectNotFoundError, StoreError
from tallac.interfaces import Backend, CheckProgress, CheckReport, Finding
from tallac.vault.access.duplicates import check_duplicates
from tallac.vault.access.envelopes import ENVELOPE_PREFIX
from tallac.vault.access.passphrases import PASSPHRASE_PREFIX
from tallac.vault.check.read_data_progress import ReadDataProgress
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, decode_body, names_in
from tallac.vault.format.header import HEADER_NAMES, check_headers
from tallac.vault.format.keys import KeeperKey, LocatorKey
from tallac.vault.index.index_objects import INDEX_PREFIX, IndexStore, index_path
from tallac.vault.mutable.pending_deletions import pending_deletions_of
from tallac.vault.mutable.registers import REGISTER_PREFIX, Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.sessions import SESSION_PREFIX, decode_session
from tallac.vault.mutable.slots import SLOT_PREFIX, Slots
from tallac.vault.packs.damaged import DAMAGED_PREFIX
from tallac.vault.packs.pack import PACK_PREFIX, pack_path, read_footer
from tallac.vault.packs.verifier import hash_object
from tallac.vault.reserve import RESERVE_PREFIX, check_reserve


class StructureCheck:
    """One check of a vault's frame. It reads nothing that a keeper could not read."""

    def __init__(
        self,
        backend: Backend,
        identity: str,
        locator: LocatorKey,
        keeper: KeeperKey | None,
        slots: Slots,
        roots: Roots | None,
        index_register: Register,
        index_store: IndexStore,
    ) -> None:
        """Prepare a check; without a keeper key, roots and sessions are left out."""
        self._backend = backend
        self._identity = identity
        self._locator = locator
        self._keeper = keeper
        self._slots = slots
        self._roots = roots
        self._index_register = index_register
        self._index_store = index_store
        self.damaged_packs: set[bytes] = set()
        self.report = CheckReport()

    def check(self, round_: ReadDataProgress | None, progress: CheckProgress | None) -> None:
        """Check everything, going on after each finding. The round says which packs to read whole; None for none of them."""
        self._progress = progress
        self._listed = {item.name: item.size for item in self._backend.list("")}
        self._check_names()
        for wrong in check_headers(self._backend, self._identity):
            self._find(f"{wrong}; the other copy serves meanwhile")
        twins = [*self._under(PASSPHRASE_PREFIX), *self._under(ENVELOPE_PREFIX)]
        self.report.findings.extend(check_duplicates(self._backend, twins))
        indexed = self._check_index()
        self._dying = frozenset() if self._keeper is None else self._check_pending(self._keeper)
        self._check_packs(indexed, round_)
        if round_ is not None:
            self.report.findings.extend(check_reserve(self._backend))
        if self._keeper is not None and self._roots is not None:
            self._check_slots(self._keeper, self._roots)
            self._check_sessions(self._keeper)
        else:
            self._note("roots and sessions were not checked: that takes a keeper key")

    def _check_names(self) -> None:
        objects = (PACK_PREFIX, INDEX_PREFIX, SLOT_PREFIX, SESSION_PREFIX, REGISTER_PREFIX)
        known = (*objects, PASSPHRASE_PREFIX, ENVELOPE_PREFIX, DAMAGED_PREFIX, RESERVE_PREFIX)
        aside = {name.removesuffix(".index") for name in self._under(DAMAGED_PREFIX)}
        if aside:
            self._note(f"damaged packs that lie aside in {DAMAGED_PREFIX}: {len(aside)}; once all is well, delete that folder")
        for name in self._listed:
            if name not in HEADER_NAMES and not name.startswith(known):
                self._note(f"{name} is no part of a vault; Tallac leaves it alone")

    def _check_index(self) -> dict[bytes, FinishedPack]:
        """Check register and index objects; give all packs that they know."""
        indexed: dict[bytes, FinishedPack] = {}
        try:
            state = self._index_register.read()
            if state is None:
                raise MissingObjectError("the register of the index is missing")
            names = names_in(state.text)
        except DamageError as error:
            self._find(f"{error}: the next backup writes it anew from the packs")
            names = []
        for name in names:
            try:
                indexed.update((pack.name, pack) for pack in self._index_store.get(name))
            except DamageError as error:
                self._find(f"{error}: the next backup writes it anew from the packs")
        for path in self._under(INDEX_PREFIX):
            if path not in {index_path(name) for name in names}:
                self._note(f"{path} is named by no register: a run was interrupted, or another is under way")
        return indexed

    def _check_packs(self, indexed: dict[bytes, FinishedPack], round_: ReadDataProgress | None) -> None:
        listed = {}
        for path in self._under(PACK_PREFIX):
            try:
                listed[bytes.fromhex(path.removeprefix(PACK_PREFIX))] = self._listed[path]
            except ValueError:
                self._note(f"{path} is no part of a vault; Tallac leaves it alone")
        self._check_lost_packs(indexed, listed)
        for name, pack in indexed.items():
            if listed.get(name, pack.size) != pack.size:
                self._find_pack(name, f"has {listed[name]} bytes instead of {pack.size}: it was cut short or grew")
        for name in sorted(listed.keys() - indexed.keys()):
            self._note(f"pack {name.hex()[:12]} is not in the index: a run was interrupted, or another is under way")
        self.report.objects += len(listed)
        if round_ is not None:
            self._read_packs(indexed, listed, round_)

    def _read_packs(self, indexed: dict[bytes, FinishedPack], listed: dict[bytes, int], round_: ReadDataProgress) -> None:
        chosen = round_.begin(listed)
        self.report.bytes_total = sum(listed[name] for name in chosen)
        for name in chosen:
            self._check_pack(name, listed[name], indexed.get(name))
            round_.note(name, is_whole=name not in self.damaged_packs)
        round_.finish()

    def _check_lost_packs(self, indexed: dict[bytes, FinishedPack], listed: dict[bytes, int]) -> None:
        """Find the packs that are missing; one whose objects all lie in other packs too is merely worth knowing."""
        lost = {name: {stored.name for stored in decode_body(pack.body)} for name, pack in indexed.items() if name not in listed}
        if not lost:
            return
        missing = set().union(*lost.values())
        for name, pack in indexed.items():
            if listed.get(name) == pack.size:
                missing.difference_update(stored.name for stored in decode_body(pack.body))
        for name, objects in lost.items():
            if name in self._dying:
                self._note(f"pack {name.hex()[:12]} was deleted by a prune, and the index names it still")
            elif missing.isdisjoint(objects):
                self._note(f"pack {name.hex()[:12]} is missing, and all that was in it is stored elsewhere by now")
            else:
                self._find_pack(name, "is missing: the next backup stores anew what its source still has")

    def _check_pack(self, name: bytes, size: int, known: FinishedPack | None) -> None:
        try:
            if hash_object(self._backend, pack_path(name), self._count) != name:
                self._find_pack(name, "is damaged")
                return
            footer = read_footer(self._backend, name, size, self._locator.frame, Codec())
            if known is not None and footer.body != known.body:
                self._find_pack(name, "has another footer than the index says")
        except DamageError as error:
            self._find_pack(name, f"has no footer that can be read: {error}")
        except ObjectNotFoundError:
            if name not in self._dying:
                self._find_pack(name, "went away while this check was looking: check again")
        except StoreError as error:
            self._find_pack(name, f"can't be read: {error}")

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
        for path in sorted({*self._under(SLOT_PREFIX), *known}):
            try:
                cap = known.get(path) or self._slots.open_root(path, keeper)
                self._slots.read(MutableDirectoryVerify(cap.storage_index, cap.fingerprint))
                self.report.objects += 1
            except DamageError as error:
                self._find(str(error))
                continue
            if path not in known:
                self._note(f"{path} is not among the roots: it was left by a run that was killed while making it")

    def _check_pending(self, keeper: KeeperKey) -> frozenset[bytes]:
        """Check the quarantine; give the packs that no one misses."""
        try:
            state = Register(self._backend, "quarantine", keeper.roots, NoMemory(), os.urandom).read()
            pending = pending_deletions_of(state)
            return frozenset(pack for pack in pending.packs if pending.is_gone(pack))
        except DamageError as error:
            self._find(str(error))
            return frozenset()

    def _check_sessions(self, keeper: KeeperKey) -> None:
        for path in self._under(SESSION_PREFIX):
            found = self._backend.get_versioned(path)
            if found is None:
                continue  # Its writer has ended it meanwhile.
            try:
                record = decode_session(path, found[0], keeper.roots)
            except DamageError as error:
                self._find(str(error))
            else:
                self._note(f"{path} is {record.state}: a run was interrupted, or another is under way")

    def _under(self, prefix: str) -> list[str]:
        return [name for name in self._listed if name.startswith(prefix)]

    def _find(self, message: str) -> None:
        self.report.findings.append(Finding(None, message))

    def _find_pack(self, name: bytes, message: str) -> None:
        self.damaged_packs.add(name)
        self.report.findings.append(Finding(None, f"pack {name.hex()[:12]} {message}", stored=pack_path(name)))

    def _note(self, message: str) -> None:
        self.report.findings.append(Finding(None, message, damaged=False))
