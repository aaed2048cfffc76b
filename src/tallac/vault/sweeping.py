"""Carry out what a prune has decided: move what stays, swap the index, delete packs, and take them out of the quarantine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from tallac.errors import CorruptObjectError, MissingObjectError, StoreFullError
from tallac.vault.index_objects import IndexStore, index_parts, names_in
from tallac.vault.packs import FinishedPack, StoredPacks, pack_path
from tallac.vault.parts import VaultParts
from tallac.vault.prune_report import PruneReport
from tallac.vault.quarantine import Quarantine, QuarantinedPack, decode_quarantine, encode_quarantine
from tallac.vault.registers import Register
from tallac.vault.repacking import Repacking

BATCH_PACKS = 8
"""So many packs are moved before the old ones go: what a repack needs of space meanwhile."""

GONE_MAX = 1000
"""So many names of deleted packs stay in quarantine, lest a writer that slept meanwhile bring them back into the index."""


def replace_packs(register: Register, store: IndexStore, dropped: Collection[bytes], added: Iterable[FinishedPack]) -> None:
    """Take packs out of the index and enter others, in one swap; durable when this returns.

    Raises:
        DamageError: An index object is lost or damaged: the next backup writes it anew.
    """
    added = list(added)
    superseded: list[bytes] = []

    def edit(text: bytes | None) -> bytes | None:
        superseded.clear()
        names, packs = [], list(added)
        for name in names_in(text):
            held = store.get(name)
            if any(pack.name in dropped for pack in held):
                superseded.append(name)
                packs += [pack for pack in held if pack.name not in dropped]
            else:
                names.append(name)
        if not superseded and not added:
            return None
        return b"".join([*names, *(store.put(part) for part in index_parts(packs))])

    state = register.read()
    while True:
        try:
            register.swap(edit)
            break
        except MissingObjectError:
            # Somebody may have swapped the register since it was read, and deleted what it named before.
            before, state = state, register.read()
            if before == state:
                raise
    for name in superseded:
        store.delete(name)


class Sweep:
    """One pass over all that is decided, by this prune or by one that was interrupted."""

    def __init__(self, parts: VaultParts, register: Register, report: PruneReport) -> None:
        """Take the quarantine's register, and a report to add to."""
        self._parts = parts
        self._register = register
        self._report = report
        self._index = parts.index
        self._stored = StoredPacks(parts.backend, parts.locator.frame)

    def sweep(self, quarantine: Quarantine) -> None:
        """Delete everything in a state of the quarantine that is decided."""
        self._index.refresh()
        listed = self._stored.sizes()
        indexed = self._indexed()
        decided = [entry for entry in quarantine.packs.values() if entry.is_decided]
        present = [entry for entry in decided if entry.pack in listed or entry.pack in indexed]
        gone = {entry.pack for entry in decided} - {entry.pack for entry in present}
        whole = [entry.pack for entry in present if entry.offsets is None]
        self._delete_whole(whole, listed)
        gone.update(whole)
        for batch in _batches([entry for entry in present if entry.offsets is not None]):
            gone.update(self._repack(batch, listed, quarantine))
        self._empty(gone)

    def _delete_whole(self, packs: list[bytes], listed: dict[bytes, int]) -> None:
        if not packs:
            return
        try:
            self._replace(packs, [])
        except StoreFullError:
            # Nobody relies on what is in quarantine, so the index may name these packs until there is space to swap it.
            self._delete(packs, listed)
            self._replace(packs, [])
        else:
            self._delete(packs, listed)

    def _repack(self, batch: list[QuarantinedPack], listed: dict[bytes, int], quarantine: Quarantine) -> list[bytes]:
        """Move what stays of some packs, and delete them; give those that could be read whole."""
        repacking = Repacking(self._parts.backend, self._parts.locator.frame, self._parts.randomness)
        moved: list[bytes] = []
        self._index.refresh()
        others = (self._indexed() & listed.keys()) - quarantine.packs.keys()

        def is_elsewhere(name: bytes) -> bool:
            return any(copy.pack in others for copy in self._index.copies(name))

        try:
            for entry in batch:
                try:
                    repacking.move(entry, is_elsewhere)
                    moved.append(entry.pack)
                except MissingObjectError as error:
                    # Where it has left the index, another prune was faster.
                    self._index.refresh()
                    if entry.pack in self._indexed():
                        self._report.skipped.append(str(error))
                except CorruptObjectError as error:
                    self._report.skipped.append(f"{error}: it stays as it is; `tallac check --read-data` names what is hit")
            new = repacking.finish()
        except BaseException:
            repacking.abort()
            raise
        self._replace(moved, new)
        self._delete(moved, listed)
        self._report.repacked_packs += len(moved)
        self._report.written_packs += len(new)
        self._report.written_bytes += sum(pack.size for pack in new)
        return moved

    def _indexed(self) -> set[bytes]:
        return self._index.packs().keys() - self._index.unindexed_packs

    def _replace(self, dropped: list[bytes], added: list[FinishedPack]) -> None:
        replace_packs(self._parts.index_register, self._parts.index_store, set(dropped), added)

    def _delete(self, packs: Iterable[bytes], listed: dict[bytes, int]) -> None:
        for pack in packs:
            self._parts.backend.delete(pack_path(pack))
            self._report.deleted_packs += 1
            self._report.deleted_bytes += listed.get(pack, 0)

    def _empty(self, gone: set[bytes]) -> None:
        """Take out of the quarantine what is gone, but for the names of the last packs."""

        def edit(text: bytes | None) -> bytes | None:
            before = decode_quarantine(text)
            names = sorted(
                (replace(entry, offsets=None) for entry in before if entry.is_decided and entry.pack in gone),
                key=lambda entry: (entry.since, entry.pack),
            )
            after = [entry for entry in before if not (entry.is_decided and entry.pack in gone)] + names[-GONE_MAX:]
            after.sort(key=lambda entry: entry.pack)
            return None if after == before else encode_quarantine(after)

        self._register.swap(edit)


def _batches(entries: list[QuarantinedPack]) -> Iterator[list[QuarantinedPack]]:
    for start in range(0, len(entries), BATCH_PACKS):
        yield entries[start : start + BATCH_PACKS]
