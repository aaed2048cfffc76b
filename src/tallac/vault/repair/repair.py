"""Repair a vault with a keeper key: what can be made again is, what a mirror has comes from there, what is damaged is moved away.

Nothing is thrown away but what is known to be whole elsewhere: a damaged pack goes to `damaged/` with all its bytes, where readers
find what is left in it, and leaves the index, so that the next backup stores again what its source still has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from tallac.caps import Cap, MutableDirectoryVerify
from tallac.errors import DamageError, LostStateError, MissingObjectError, ObjectNotFoundError, StoreError
from tallac.interfaces import Expect, KeepsFormerStates
from tallac.vault.access.duplicates import check_duplicates, copy_duplicates, is_lost
from tallac.vault.access.envelopes import ENVELOPE_PREFIX
from tallac.vault.access.passphrases import PASSPHRASE_PREFIX
from tallac.vault.components import VaultComponents
from tallac.vault.format.footers import FinishedPack, FooterEntries, names_in
from tallac.vault.format.header import list_objects, repair_headers
from tallac.vault.marking.census import locations_in
from tallac.vault.marking.objects_in_pack import wrong_objects
from tallac.vault.mirror.peer import PeerVault
from tallac.vault.mutable.pending_deletions import pending_deletions_of
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.roots import encode_roots
from tallac.vault.mutable.sessions import SESSION_PREFIX, SessionState, decode_session
from tallac.vault.mutable.slots import SLOT_PREFIX, Slots
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.packs.verifier import hash_as_far_as_read
from tallac.vault.prune.repack import Repacking
from tallac.vault.prune.sweep import replace_packs
from tallac.vault.repair.out_of_use import take_out_poison, withdraw_deletions
from tallac.vault.repair.report import RepairOptions, RepairReport
from tallac.vault.repair.salvage import missing_hashes, salvage
from tallac.vault.reserve import RESERVE_PREFIX, is_damaged
from tallac.wording import pluralize

Progress = Callable[[RepairReport], None]
FETCH_ROUNDS_MAX = 100


class Repair:
    """One repair of one vault, as far as what is left of it allows. A keeper may run one."""

    def __init__(self, components: VaultComponents, options: RepairOptions, progress: Progress | None = None) -> None:
        """Prepare; of the mirror the header is read.

        Raises:
            AuthorityError: This takes the keeper key.
            VaultNotFoundError: The mirror is another vault's.
        """
        keeper = components.require_keeper_key()
        self._components = components
        self._backend = components.backend
        self._keeper = keeper
        self._options = options
        self._progress = progress
        self._pending = components.pending_register()
        self._stored = StoredPacks(components.backend, components.structure)
        # What another client has seen must not stop a repair.
        self._slots = Slots(components.backend, components.locator, NoMemory(), components.randomness)
        self._mirror = None if options.mirror is None else PeerVault(options.mirror, components.header, keeper)
        self._lost: set[bytes] = set()
        self.report = RepairReport()

    def run(self, caps: Iterable[Cap]) -> RepairReport:
        """Repair everything, going on after what can't be repaired.

        What could be restored before can be restored afterwards, whenever this is interrupted.

        Args:
            caps: Read caps of what is to be salvaged object by object; without any, what lies in damaged packs is merely kept.

        Raises:
            StoreError: A store failed.
        """
        try:
            self._repair_structure()
            self._take_former_states()
            roots = self._repair_roots()
            self._repair_slots(roots)
            self._repair_packs()
            if not self._options.is_dry_run:
                self._bring_back(roots, caps)
            self._count_missing(roots)
        finally:
            if self._mirror is not None:
                self._mirror.close()
        return self.report

    # The vault's own parts

    def _repair_structure(self) -> None:
        is_dry_run = self._options.is_dry_run
        for message in repair_headers(self._backend, self._components.header, is_dry_run=is_dry_run):
            self._did(f"rewritten: {message}")
        try:
            pending = pending_deletions_of(self._pending.read())
            # What a prune has decided upon is gone, or about to go.
            self._lost = {pack for pack in pending.packs if pending.is_deleted(pack)}
        except (DamageError, LostStateError):
            self._did("emptied, since it was damaged or lost: the register of pending deletions")
            if not is_dry_run:
                self._pending.rewrite(b"")
        self.report.done += self._components.settings.repair(is_dry_run=is_dry_run)
        self._repair_duplicates()
        self._repair_reserve()
        self._repair_sessions()
        self._repair_index()

    def _repair_duplicates(self) -> None:
        """Write passphrases and envelopes anew of which one copy is whole."""
        prefixes = (PASSPHRASE_PREFIX, ENVELOPE_PREFIX)
        names = [item.name for prefix in prefixes for item in self._backend.list(prefix)]
        found = list(check_duplicates(self._backend, names))
        if found and not self._options.is_dry_run:
            copy_duplicates(self._backend, self._backend, prefixes)
        for finding in found:
            if not is_lost(self._backend, finding.stored):
                self._did(f"rewritten: {finding.stored}")
            elif finding.damaged:
                self._left(finding.message)

    def _repair_reserve(self) -> None:
        """Delete damaged pieces of the reserve; the next backup adds others."""
        for item in list(self._backend.list(RESERVE_PREFIX)):
            if is_damaged(self._backend, item.name):
                self._did(f"deleted, because it was damaged: {item.name}")
                if not self._options.is_dry_run:
                    self._backend.delete(item.name)

    def _repair_sessions(self) -> None:
        for item in list(list_objects(self._backend, SESSION_PREFIX)):
            found = self._backend.get_versioned(item.name)
            if found is None:
                continue
            try:
                state = decode_session(item.name, found[0], self._keeper.roots, self._components.structure).state
            except DamageError:
                state = None  # It is no writer's, and stops nothing.
            if self._options.ends_sessions and state is not SessionState.KEPT:
                self._did(f"ended: {item.name}")
                if not self._options.is_dry_run:
                    self._backend.delete(item.name)

    def _repair_index(self) -> None:
        index = self._components.index
        index.refresh()
        # Only what was read to the last byte gets this keeper's stamp.
        found = index.prove(index.look_at_packs())
        for damage in index.damage:
            self._did(f"rebuilt from the packs: the index ({damage})")
        if found and not index.damage:
            self._did(f"added to the index: {pluralize(len(found), 'pack')}")
        if (found or index.damage) and not self._options.is_dry_run:
            index.publish(found)
            index.look_at_packs()

    def _take_former_states(self) -> None:
        """Put back the former states of damaged slots where the backend keeps them; first, since slots lead to all else."""
        for item in list(list_objects(self._backend, SLOT_PREFIX)):
            try:
                self._slots.open_root(item.name, self._keeper)
            except DamageError as error:
                self._take_former_state(item.name, error)

    def _take_former_state(self, path: str, damage: DamageError) -> bool:
        """Put back one slot's former state, unless the mirror has a later one; say whether that was done."""
        former = self._backend.get_former(path) if isinstance(self._backend, KeepsFormerStates) else None
        try:
            number = 0 if former is None else self._slots.number_in(path, former)
        except DamageError:
            number = 0
        if former is None or not number or (self._mirror is not None and self._mirror.slot_number(path) >= number):
            return False
        self._did(f"put back in its former state: {path} ({damage})")
        if not self._options.is_dry_run:
            found = self._backend.get_versioned(path)
            self._backend.put(path, former, expect=Expect.ABSENT if found is None else found[1])
        return True

    def _repair_roots(self) -> list[MutableDirectoryVerify]:
        """Make the roots again from the slots where their register is lost; give the roots."""
        roots = self._components.require_roots()
        by_slots = self._slots.all_roots(self._keeper)
        try:
            known = roots.read()
        except (DamageError, LostStateError) as error:
            if self._mirror is not None:
                by_slots += self._mirror.roots()
            known = list(dict.fromkeys(by_slots))
            self._did(f"rebuilt from the slots: {pluralize(len(known), 'root')} ({error})")
            if not self._options.is_dry_run:
                Register(
                    self._backend,
                    "roots",
                    self._keeper.roots,
                    self._components.structure,
                    self._components.memory,
                    self._components.randomness,
                ).rewrite(encode_roots(known))
        return list(dict.fromkeys([*known, *by_slots]))

    def _repair_slots(self, roots: list[MutableDirectoryVerify]) -> None:
        for cap in roots:
            path = self._slots.path_of(cap.storage_index)
            try:
                self._slots.read(cap)
                continue
            except DamageError as error:
                damage = error
            if isinstance(damage, MissingObjectError) and self._take_former_state(path, damage):
                continue
            state = None if self._mirror is None else self._mirror.slot(path, cap)
            if state is None:
                self._left(f"{damage}; a mirror may have it: repair with --from")
                continue
            self._did(f"restored from the mirror: {path}")
            if not self._options.is_dry_run:
                found = self._backend.get_versioned(path)
                self._backend.put(path, state, expect=Expect.ABSENT if found is None else found[1])

    # Packs

    def _repair_packs(self) -> None:
        """Get damaged and lost packs from the mirror, move the damaged ones away, and drop the rest from the index."""
        indexed = self._indexed()
        listed = self._stored.sizes()
        if not self._options.is_quick:
            self.report.bytes_total = sum(listed.values())
        lost: list[bytes] = []
        damaged: list[bytes] = []
        corrected: list[FinishedPack] = []
        healed: list[FinishedPack] = []
        for name in sorted((indexed.keys() | listed.keys()) - (self._lost - listed.keys())):
            known = indexed.get(name)
            try:
                size = listed[name] if name in listed else len(self._backend.get(pack_path(name)))
                footer, is_whole = self._look_at(name, size, known)
                # What is as its maker made it, the mirror has no better.
                if not is_whole and (self._is_as_named(name) or not self._heal(name)):
                    if not self._options.is_dry_run:
                        self._components.damaged_packs.put(name, size, footer or known)
                    damaged.append(name)
                elif not is_whole and known is None and not self._options.is_dry_run:
                    healed += self._stored.footers({name: len(self._backend.get(pack_path(name)))})
                elif is_whole and known is not None and footer is not None and footer != known:
                    corrected.append(footer)
            except ObjectNotFoundError:
                # It is gone by its name too; a listing alone would prove nothing.
                if known is not None and name not in self._lost and not self._heal(name):
                    lost.append(name)
        self._correct(corrected)
        if healed:
            self._components.index.publish(healed)
        self._drop([name for name in lost + damaged if name in indexed], lost, damaged)

    def _correct(self, packs: list[FinishedPack]) -> None:
        """Replace in the index what it says of packs by their own footers, which their makers have stamped, and which fit them."""
        if not packs:
            return
        self._did(f"corrected in the index, which said something else than the packs themselves: {pluralize(len(packs), 'pack')}")
        if not self._options.is_dry_run:
            replace_packs(self._components.index_register, self._components.index_store, {pack.name for pack in packs}, packs)

    def _drop(self, dropped: list[bytes], lost: list[bytes], damaged: list[bytes]) -> None:
        self.report.lost_packs, self.report.aside_packs = len(lost), len(damaged)
        if self.report.healed_packs:
            self._did(f"restored from the mirror: {pluralize(self.report.healed_packs, 'pack')}")
        if lost:
            self._did(f"removed from the index, because they are missing: {pluralize(len(lost), 'pack')}")
        if damaged:
            self._did(f"moved to damaged/: {pluralize(len(damaged), 'damaged pack')}")
        if self._options.is_dry_run or not (lost or damaged):
            return
        if dropped:
            replace_packs(self._components.index_register, self._components.index_store, set(dropped), [])
        for name in damaged:
            self._backend.delete(pack_path(name))
        # Records of what is stored belong to the number of this register: the next backup looks everything up, chunk by chunk.
        self._pending.renumber()

    def _indexed(self) -> dict[bytes, FinishedPack]:
        """Return what the index knows; in a dry run, without what is damaged of it."""
        packs: dict[bytes, FinishedPack] = {}
        with suppress(DamageError):
            state = self._components.index_register.read()
            for name in names_in(None if state is None else state.text):
                packs.update({pack.name: pack for pack in self._components.index_store.get(name)})
        return packs

    def _look_at(self, name: bytes, size: int, known: FinishedPack | None) -> tuple[FinishedPack | None, bool]:
        """Read a pack; return what its own footer says of it, if that can be read, and whether every byte is what it says.

        What no index knows and nobody has stamped counts as whole: it is no pack, and nobody looks at it.

        Raises:
            ObjectNotFoundError: It is not there.
        """
        if self._options.is_quick:
            return None, known is None or known.size == size
        try:
            footer = self._stored.footer(name, size).pack
        except DamageError:
            return None, known is None and self._is_as_named(name)
        except ObjectNotFoundError:
            raise
        except StoreError:
            return None, False  # The disk does not give it out as a whole.
        try:
            entries = FooterEntries.of(footer.body)
            wrong = wrong_objects(self._backend, name, entries, self._count)
            self._count(size - (entries[-1].end if entries else 0))
        except MissingObjectError:
            raise ObjectNotFoundError(f"{pack_path(name)} is gone") from None
        return footer, not wrong

    def _is_as_named(self, name: bytes) -> bool:
        return hash_as_far_as_read(self._backend, pack_path(name), self._count) == name

    def _heal(self, name: bytes) -> bool:
        content = None if self._mirror is None else self._mirror.pack(name)
        if content is None:
            return False
        if not self._options.is_dry_run:
            self._backend.put(pack_path(name), content)
        self.report.healed_packs += 1
        return True

    def _count(self, size: int) -> None:
        self.report.bytes_read += size
        if self._progress is not None:
            self._progress(self.report)

    # Objects

    def _bring_back(self, roots: list[MutableDirectoryVerify], caps: Iterable[Cap]) -> None:
        """Store again what is missing, from other packs of the mirror, then from damaged packs; take out what nobody can use."""
        tried: set[bytes] = set()
        for _ in range(FETCH_ROUNDS_MAX if self._mirror is not None else 0):
            # What comes back may lead to more that is missing.
            missing = self._missing(roots) - tried
            if not missing:
                break
            tried |= missing
            fetched = self._repack(partial(self._fetch, missing))
            self.report.fetched_objects += len(fetched)
        if self.report.fetched_objects:
            self._did(f"restored from other packs of the mirror: {pluralize(self.report.fetched_objects, 'object')}")
        missing = self._missing(roots)
        if missing:
            rescued = self._repack(lambda repacking: salvage(self._components, missing, repacking))
            self.report.salvaged_objects = len(rescued)
            if rescued:
                self._did(f"salvaged from damaged packs: {pluralize(len(rescued), 'object')}")
        poison = 0 if self._options.is_quick else take_out_poison(self._components, self._pending, caps)
        if poison:
            self._did(f"taken out of use, because others' content was stored under its name: {pluralize(poison, 'object')}")
        if withdraw_deletions(self._components, self._slots, self._pending):
            self._did("taken out of the pending deletions, since it is in use and lies nowhere else: something that nobody decided")

    def _fetch(self, hashes: set[bytes], repacking: Repacking) -> set[bytes]:
        assert self._mirror is not None
        return self._mirror.fetch(hashes, repacking)

    def _repack(self, fill: Callable[[Repacking], set[bytes]]) -> set[bytes]:
        """Fill new packs, and enter them in the index; give the hashes of what is in them."""
        repacking = Repacking(self._backend, self._components.structure, self._components.randomness)
        try:
            hashes = fill(repacking)
            packs = repacking.finish()
        except BaseException:
            repacking.abort()
            raise
        if packs:
            self._components.index.publish(packs)
        return hashes

    def _missing(self, roots: list[MutableDirectoryVerify]) -> set[bytes]:
        return missing_hashes(self._components, self._slots, roots)

    def _count_missing(self, roots: list[MutableDirectoryVerify]) -> None:
        missing = self._missing(roots)
        self.report.missing_objects = len(missing)
        if missing and not self._options.is_dry_run:
            damaged = len(locations_in(self._components.index.damaged_runs(), missing))
            self._left(
                f"missing: {pluralize(len(missing), 'object')}, {damaged} of them in damaged packs kept in damaged/, where a "
                "restore finds what is whole; run the backups again, which store what their sources still have, then `tallac check`"
            )

    def _did(self, message: str) -> None:
        self.report.done.append(message)

    def _left(self, message: str) -> None:
        self.report.left.append(message)
