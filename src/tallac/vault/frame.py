"""Check what belongs to no single cap: headers, registers, index, slots, sessions and, on request, every byte of every pack."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tallac.caps import MutableDirectoryVerify
from tallac.crypto import Hasher
from tallac.errors import CorruptObjectError, DamageError, MissingObjectError, ObjectNotFoundError, StoreError
from tallac.interfaces import Backend, CheckReport, Finding
from tallac.vault.codec import Codec
from tallac.vault.envelopes import ENVELOPE_PREFIX
from tallac.vault.header import HEADER_NAMES, check_headers
from tallac.vault.index import INDEX_PREFIX, IndexStore, index_path, names_in
from tallac.vault.keys import KeeperKey, LocatorKey
from tallac.vault.memory import NoMemory
from tallac.vault.packs import PACK_PREFIX, FinishedPack, decode_body, read_footer
from tallac.vault.passphrases import PASSPHRASE_PREFIX
from tallac.vault.quarantine import quarantine_of
from tallac.vault.registers import REGISTER_PREFIX, Register
from tallac.vault.roots import Roots
from tallac.vault.sessions import SESSION_PREFIX, decode_session
from tallac.vault.slots import SLOT_PREFIX, Slots
from tallac.vault.twins import check_twins

STEP_SIZE = 4 << 20
Progress = Callable[[CheckReport], None]


class FrameCheck:
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
        self.report = CheckReport()

    def check(self, *, read_data: bool, progress: Progress | None) -> None:
        """Check everything, going on after each finding."""
        self._listed = {item.name: item.size for item in self._backend.list("")}
        self._check_names()
        for wrong in check_headers(self._backend, self._identity):
            self._find(f"{wrong}; the other copy serves meanwhile")
        for wrong in check_twins(self._backend, [*self._under(PASSPHRASE_PREFIX), *self._under(ENVELOPE_PREFIX)]):
            self._find(wrong)
        indexed = self._check_index()
        self._dying = frozenset() if self._keeper is None else self._check_quarantine(self._keeper)
        self._check_packs(indexed, read_data=read_data, progress=progress)
        if self._keeper is not None and self._roots is not None:
            self._check_slots(self._keeper, self._roots)
            self._check_sessions(self._keeper)
        else:
            self._note("roots and sessions were not checked: that takes a keeper key")

    def _check_names(self) -> None:
        known = (PACK_PREFIX, INDEX_PREFIX, SLOT_PREFIX, SESSION_PREFIX, REGISTER_PREFIX, PASSPHRASE_PREFIX, ENVELOPE_PREFIX)
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

    def _check_packs(self, indexed: dict[bytes, FinishedPack], *, read_data: bool, progress: Progress | None) -> None:
        listed = {}
        for path in self._under(PACK_PREFIX):
            try:
                listed[bytes.fromhex(path.removeprefix(PACK_PREFIX))] = self._listed[path]
            except ValueError:
                self._note(f"{path} is no part of a vault; Tallac leaves it alone")
        self._check_lost_packs(indexed, listed)
        for name, pack in indexed.items():
            if listed.get(name, pack.size) != pack.size:
                self._find(f"pack {name.hex()[:12]} has {listed[name]} bytes instead of {pack.size}: it was cut short or grew")
        for name, size in sorted(listed.items()):
            self.report.objects += 1
            if name not in indexed:
                self._note(f"pack {name.hex()[:12]} is not in the index: a run was interrupted, or another is under way")
            if read_data:
                self._check_pack(name, size, indexed.get(name))
            if progress is not None:
                progress(self.report)

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
                self._find(
                    f"pack {name.hex()[:12]} is missing: `check ALIAS:PATH` names what is hit; the next backup stores it anew"
                )

    def _check_pack(self, name: bytes, size: int, known: FinishedPack | None) -> None:
        try:
            hasher = Hasher()
            for part in self._parts(name, size):
                hasher.update(part)
                self.report.bytes_read += len(part)
            if hasher.digest() != name:
                raise CorruptObjectError(f"pack {name.hex()[:12]} is damaged")
            footer = read_footer(self._backend, name, size, self._locator.frame, Codec())
            if known is not None and footer.body != known.body:
                raise CorruptObjectError(f"pack {name.hex()[:12]} has another footer than the index says")
        except (DamageError, ObjectNotFoundError) as error:
            self._find(str(error))
        except StoreError as error:
            self._find(f"pack {name.hex()[:12]} can't be read: {error}")

    def _parts(self, name: bytes, size: int) -> Iterator[bytes]:
        path = PACK_PREFIX + name.hex()
        for start in range(0, size, STEP_SIZE):
            yield self._backend.get(path, start, min(size, start + STEP_SIZE))

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

    def _check_quarantine(self, keeper: KeeperKey) -> frozenset[bytes]:
        """Check the quarantine; give the packs that no one misses."""
        try:
            state = Register(self._backend, "quarantine", keeper.roots, NoMemory(), os.urandom).read()
            quarantine = quarantine_of(state)
            return frozenset(pack for pack in quarantine.packs if quarantine.is_gone(pack))
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

    def _find(self, what: str) -> None:
        self.report.findings.append(Finding(None, what))

    def _note(self, what: str) -> None:
        self.report.findings.append(Finding(None, what, damaged=False))
