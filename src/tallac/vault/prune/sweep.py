"""Carry out what a prune has decided: move what stays, swap the index, delete packs, and take them out of the pending deletions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial

from msgspec.structs import replace

from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError, StoreFullError, StoreLockedError
from tallac.interfaces import Extent
from tallac.vault.components import VaultComponents
from tallac.vault.distance import expect, run_together
from tallac.vault.format.footers import FinishedPack, FooterEntries, FooterEntry, decode_body, index_parts, names_in
from tallac.vault.index.index_objects import INDEX_PREFIX, IndexStore
from tallac.vault.marking.copies import CopyVerifier
from tallac.vault.marking.hash_set import PART_SIZE
from tallac.vault.mutable.conditional_put import Age
from tallac.vault.mutable.pending_deletions import PendingDeletions, PendingPack, decode_pending, encode_pending
from tallac.vault.mutable.registers import Register
from tallac.vault.packs.pack import StoredPacks, pack_path
from tallac.vault.prune.plan import Survey
from tallac.vault.prune.repack import Repacking
from tallac.vault.prune.report import PruneReport

BATCH_PACKS = 8
"""So many packs are moved before the old ones go: what a repack needs of space meanwhile."""

FOOTER_SIZE_LIKELY = 128 << 10
"""Most footers are smaller, with the trailer."""

REGISTERS_SIZE = 64 << 10
"""Left free beside new packs, for the registers."""

DELETED_TOGETHER = 16
"""So many packs are deleted between two reports of progress."""

DELETED_MAX = 1000
"""So many names of deleted packs stay pending, lest a writer that slept meanwhile bring them back into the index."""


def replace_packs(register: Register, store: IndexStore, dropped: Collection[bytes], added: Iterable[FinishedPack]) -> None:
    """Take packs out of the index and enter others, in one swap; durable when this returns. Raises as `swap_packs`."""
    store.delete(swap_packs(register, store, dropped, added))


def swap_packs(register: Register, store: IndexStore, dropped: Collection[bytes], added: Iterable[FinishedPack]) -> list[bytes]:
    """Take packs out of the index and enter others, in one swap; durable when this returns.

    Returns:
        The index objects that the register no longer names, which the caller deletes.

    Raises:
        DamageError: An index object is lost or damaged: the next backup writes it anew.
    """
    added = list(added)
    superseded: list[bytes] = []

    def edit(text: bytes | None) -> bytes | None:
        superseded.clear()
        names, packs = [], list(added)
        for name in store.at_hand(names_in(text)):
            held = store.get(name)
            if any(pack.name in dropped for pack in held):
                superseded.append(name)
                packs += [pack for pack in held if pack.name not in dropped]
            else:
                names.append(name)
        if not superseded and not added:
            return None
        return b"".join([*names, *_put_all(store, packs)])

    # The swap proves it, whatever it is.
    state = register.read(Age.ANY)
    while True:
        try:
            register.swap(edit)
            break
        except MissingObjectError:
            # Somebody may have swapped the register since it was read, and deleted what it named before.
            before, state = state, register.read()
            if before == state:
                raise
    return superseded


def _put_all(store: IndexStore, packs: list[FinishedPack]) -> list[bytes]:
    """Store index objects of some packs, all of them or none, and give their names."""
    stored: list[bytes] = []
    try:
        for part in index_parts(packs):
            name = store.put(part)
            stored.append(name)
    except StoreFullError:
        # No register names them, and they would take what little room there is.
        store.delete(stored)
        raise
    return stored


def refusal(pack: bytes) -> str:
    """Return why a pack is not deleted though it was decided upon, as a sentence."""
    return (
        f"pack {pack.hex()[:12]} has the only right copy of something in use, though a prune or the index says that it can go: "
        "left unchanged. The next backup stores anew what its source still has; if this comes again, run `tallac repair`"
    )


class Sweep:
    """Carries out what is decided, by this prune or by one that was interrupted."""

    def __init__(
        self,
        components: VaultComponents,
        register: Register,
        report: PruneReport,
        verifier: CopyVerifier,
        progress: Callable[[], None],
    ) -> None:
        """Take the register of pending deletions, a report to add to, and what verifies copies.

        `progress` is called each time that the report has changed.
        """
        self._progress = progress
        self._components = components
        self._register = register
        self._report = report
        self._verifier = verifier
        self._index = components.index
        self._reserve = components.reserve
        self._stored = StoredPacks(components.backend, components.structure)
        self.is_beside_writers = False
        """Whether a writer was under way when this prune marked last. It may have entered what it has not been seen to store."""
        # Packs whose own footers were looked at, and list nothing that would be missed.
        self._agreed: set[bytes] = set()
        self.refused: set[bytes] = set()
        self._locked: set[bytes] = set()

    def sweep(self, pending: PendingDeletions, survey: Survey, before: PendingDeletions) -> set[bytes]:
        """Delete what is decided in a state of the pending deletions, as far as nothing goes with it that is in use.

        Returns the packs that are gone, now or by then.

        Args:
            pending: What this prune and others have decided.
            survey: What is in use, by a mark that is later than the proposals of this prune.
            before: A state that is older than that mark.
        """
        listed = self._index.listed_packs
        indexed = self._indexed()
        decided = [entry for entry in pending.packs.values() if entry.is_decided]
        present = [entry for entry in decided if entry.pack in listed or entry.pack in indexed]
        # A pack that was stored since the mark is not listed yet, and others may have decided upon it.
        deleted = before.packs.keys() & ({entry.pack for entry in decided} - {entry.pack for entry in present})
        needed = survey.needed(pending)
        contradicted = self.contradicted((entry for entry in present if entry.pack not in needed), listed, pending, survey)
        refused = needed | contradicted
        # What has come in since then was forgotten since then, for all that is known here, or emptied: others have seen to that.
        known = {pack for pack in refused if pending.packs[pack] == before.decided().packs.get(pack)}
        if known & needed:
            # A writer may have stored anew what is decided upon, and have yet to say where.
            known -= needed - survey.needed(pending, counts_unindexed=True)
        self.refuse(entry.pack for entry in present if entry.pack in known)
        allowed = [entry for entry in present if entry.pack not in refused]
        self._report.packs_left = len(allowed)
        whole = [entry.pack for entry in allowed if entry.offsets is None]
        deleted.update(self._carry_out(whole, [entry for entry in allowed if entry.offsets is not None], listed, pending))
        deleted -= self._locked
        self._empty(deleted)
        return deleted

    def contradicted(
        self, entries: Iterable[PendingPack], listed: Mapping[bytes, int], pending: PendingDeletions, survey: Survey
    ) -> set[bytes]:
        """Read packs' own footers, and return the packs of which something in use would go that the index says nothing of."""
        contradicted: set[bytes] = set()
        entries = [entry for entry in entries if entry.pack in listed and entry.pack not in self._agreed]
        self.expect_footers((entry.pack for entry in entries), listed)
        going: dict[bytes, FooterEntries] = {}
        count = 0
        for entry in entries:
            try:
                footer = self._stored.footer(entry.pack, listed[entry.pack])
            except (CorruptObjectError, ObjectNotFoundError):
                continue  # It says nothing any more; what the index says of it is not in use.
            going[entry.pack] = FooterEntries(each for each in decode_body(footer.pack.body) if entry.is_pending(each.offset))
            count += len(going[entry.pack])
            if count >= PART_SIZE:
                contradicted |= survey.contradicted(going, pending)
                self._agreed |= going.keys() - contradicted
                going, count = {}, 0
        contradicted |= survey.contradicted(going, pending)
        self._agreed |= going.keys() - contradicted
        return contradicted

    def expect_footers(self, packs: Iterable[bytes], listed: Mapping[bytes, int]) -> None:
        """Begin to read the footers of packs that are soon looked into, as far as these are there; return at once."""
        ends = ((pack_path(pack), listed[pack]) for pack in packs if pack in listed)
        expect(self._components.backend, (Extent(path, max(end - FOOTER_SIZE_LIKELY, 0), end) for path, end in ends))

    def refuse(self, packs: Iterable[bytes]) -> None:
        """Note packs that are left because something in use would go with them; beside writers, leave them to the next prune."""
        if not self.is_beside_writers:
            self.refused.update(packs)

    def _carry_out(
        self, whole: list[bytes], entries: list[PendingPack], listed: Mapping[bytes, int], pending: PendingDeletions
    ) -> Iterator[bytes]:
        """Delete packs and empty others, several at a time, or where room is scarce one by one, the cheapest first.

        Those that go whole go along with the first that are emptied, in one swap of the index; where room is scarce, before them.

        Args:
            whole: The packs that go whole.
            entries: What is to be emptied.
            listed: The packs that are there.
            pending: All that is decided.

        Returns:
            The packs that are gone.
        """
        kept = self._kept_sizes(entries)
        left = sorted(entries, key=lambda entry: kept[entry.pack])
        batch_size = BATCH_PACKS
        while left:
            batch = self._of_one_origin(left)[:batch_size]
            needed = partial(self._room_for, sum(kept[entry.pack] for entry in batch))
            fits = self._reserve.make_room(needed, is_spending=batch_size == 1)
            deleted = self._try_repack(whole, batch, listed, pending) if fits else None
            if deleted is not None:
                yield from deleted
                whole = []
                done = {entry.pack for entry in batch}
                left = [entry for entry in left if entry.pack not in done]
            elif whole:
                self._delete_whole(whole, listed)
                yield from whole
                whole = []
            elif batch_size > 1:
                batch_size = 1
            else:
                break
        self._delete_whole(whole, listed)
        yield from whole
        self._report.unmoved_packs = len(left)
        self._report.room_needed = self._room_for(kept[left[0].pack]) if left else 0

    def _of_one_origin(self, entries: list[PendingPack]) -> list[PendingPack]:
        """Return those of the first packs that were made where the very first was: by this machine, or by others.

        A backup uses what this machine has made without opening it; what others have made must not get among that.
        """
        own = self._components.own_packs.names()
        is_own = entries[0].pack in own
        return [entry for entry in entries[: 2 * BATCH_PACKS] if (entry.pack in own) == is_own]

    def _try_repack(
        self, whole: list[bytes], batch: list[PendingPack], listed: Mapping[bytes, int], pending: PendingDeletions
    ) -> list[bytes] | None:
        """Do as `_repack` does; None where the store has no room for it."""
        try:
            return self._repack(whole, batch, listed, pending)
        except StoreFullError:
            return None

    def _kept_sizes(self, entries: list[PendingPack]) -> dict[bytes, int]:
        """Return for each pack the bytes of what is to stay."""
        by_pack = {entry.pack: entry for entry in entries}
        kept = dict.fromkeys(by_pack, 0)
        for run in self._index.runs() if entries else ():
            chosen = [by_pack.get(name) for name, _ in run.packs]
            for _, _, pack, offset, length, links_length in run.columns():
                entry = chosen[pack]
                if entry is not None and not entry.is_pending(offset):
                    kept[entry.pack] += length + links_length
        return kept

    def _room_for(self, kept_size: int) -> int:
        """Return the room that new packs need for so many bytes, with footers, padding, registers, and the largest index object."""
        index_size = max((item.size for item in self._components.backend.list(INDEX_PREFIX)), default=0)
        return kept_size + kept_size // 8 + REGISTERS_SIZE + index_size

    def _delete_whole(self, packs: list[bytes], listed: Mapping[bytes, int]) -> None:
        if not packs:
            return
        try:
            superseded = self._replace(packs, [])
        except StoreFullError:
            # Nobody relies on what is pending deletion, so the index may name these packs until there is space to swap it.
            self._delete(packs, listed, [])
            self._delete([], listed, self._replace(packs, []))
        else:
            self._delete(packs, listed, superseded)

    def _repack(
        self, whole: list[bytes], batch: list[PendingPack], listed: Mapping[bytes, int], pending: PendingDeletions
    ) -> list[bytes]:
        """Move what stays of some packs; delete those of them that could be read whole, and others beside; return what is gone."""
        repacking = Repacking(self._components.backend, self._components.structure, self._components.randomness)
        expect(self._components.backend, (Extent(pack_path(entry.pack), 0, listed.get(entry.pack, 0)) for entry in batch))
        self._index.refresh()
        others = (self._indexed() & listed.keys()) - pending.packs.keys()

        def is_elsewhere(stored: FooterEntry) -> bool:
            copies = self._index.copies(stored.name)
            return any(copy.pack in others and copy.hash == stored.hash and self._verifier.is_right(copy) for copy in copies)

        try:
            moved = self._move(repacking, batch, listed, is_elsewhere)
            # The index objects come while packs are on their way to the store.
            with self._components.index_store.fetched(self._components.index_register):
                new = repacking.finish()
                if all(entry.pack in self._components.own_packs.names() for entry in batch):
                    self._components.own_packs.add(pack.name for pack in new)
                dropped = [*whole, *moved]
                superseded = self._replace(dropped, new)
        except BaseException:
            repacking.abort()
            raise
        self._delete(dropped, listed, superseded)
        self._report.repacked_packs += len(moved)
        self._report.written_packs += len(new)
        self._report.written_bytes += sum(pack.size for pack in new)
        return dropped

    def _move(
        self,
        repacking: Repacking,
        batch: list[PendingPack],
        listed: Mapping[bytes, int],
        is_elsewhere: Callable[[FooterEntry], bool],
    ) -> list[bytes]:
        """Move what stays of some packs, and return those that could be read whole."""
        moved: list[bytes] = []
        for entry in batch:
            size = listed.get(entry.pack) or self._index.packs().get(entry.pack)
            if size is None:
                continue  # It is gone from both by now: another prune was faster.
            try:
                repacking.move(entry, size, is_elsewhere)
                moved.append(entry.pack)
            except MissingObjectError as error:
                # Where it has left the index, another prune was faster.
                self._index.refresh()
                if entry.pack in self._indexed():
                    self._report.skipped.append(str(error))
            except CorruptObjectError as error:
                self._report.skipped.append(f"{error}: left unchanged; `tallac check --read-data` names what is damaged")
        return moved

    def _indexed(self) -> set[bytes]:
        return self._index.packs().keys() - self._index.unindexed_packs

    def _replace(self, dropped: list[bytes], added: list[FinishedPack]) -> list[bytes]:
        return swap_packs(self._components.index_register, self._components.index_store, set(dropped), added)

    def _delete(self, packs: Iterable[bytes], listed: Mapping[bytes, int], index_objects: list[bytes]) -> None:
        """Delete packs, and the index objects that named them, once the register of the index names neither."""
        left = list(packs)
        store = self._components.index_store
        others = [partial(store.is_deleted, name) for name in index_objects]
        while left or others:
            some, left = left[:DELETED_TOGETHER], left[DELETED_TOGETHER:]
            deletions = [*others, *(partial(self._is_deleted, pack) for pack in some)]
            answers = run_together(self._components.backend, deletions)[len(others) :]
            others = []
            for pack, is_deleted in zip(some, answers, strict=True):
                if is_deleted:
                    self._report.deleted_packs += 1
                    self._report.packs_left -= 1
                    self._report.deleted_bytes += listed.get(pack, 0)
                else:
                    # It stays decided, and listed, so that a prune deletes it once its time is over.
                    self._locked.add(pack)
                    self._report.locked_packs = len(self._locked)
            self._progress()

    def _is_deleted(self, pack: bytes) -> bool:
        """Delete a pack; False where a lock forbids it."""
        try:
            self._components.backend.delete(pack_path(pack))
        except StoreLockedError:
            return False
        return True

    def _empty(self, deleted: set[bytes]) -> None:
        """Take what was deleted out of the pending deletions, but for the names of the last packs."""

        def edit(text: bytes | None) -> bytes | None:
            before = decode_pending(text)
            names = sorted(
                (replace(entry, offsets=None) for entry in before if entry.is_decided and entry.pack in deleted),
                key=lambda entry: (entry.since, entry.pack),
            )
            after = [entry for entry in before if not (entry.is_decided and entry.pack in deleted)] + names[-DELETED_MAX:]
            after.sort(key=lambda entry: entry.pack)
            return None if after == before else encode_pending(after)

        self._register.swap(edit)
