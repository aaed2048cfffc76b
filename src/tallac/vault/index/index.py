"""The index: which pack holds which object. docs/format.md, "Index".

The register `index` names the index objects; each holds the footers of some packs. All of it can be rebuilt from the packs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from tallac.errors import DamageError
from tallac.vault.format.footers import FinishedPack, ObjectLocation
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.index.loader import IndexLoader, LoadedIndex, PackLister
from tallac.vault.index.sorted_runs import SortedRun, write_run
from tallac.vault.mutable.conditional_put import Age
from tallac.vault.mutable.pending_deletions import NO_PENDING_DELETIONS, PendingDeletions
from tallac.vault.mutable.registers import Register


class VaultIndex:
    """The whole index, with its local copy. Look-ups see the state of the last `refresh`."""

    def __init__(
        self,
        register: Register,
        store: IndexStore,
        folder: Path,
        packs: PackLister,
        read_damaged_packs: Callable[[], list[FinishedPack]] = list,
        before_mending: Callable[[], object] = lambda: None,
    ) -> None:
        """Keep the local copy in folder.

        Args:
            register: Names the index objects.
            store: Has them.
            folder: Where the local copy lies.
            packs: Lists the packs.
            read_damaged_packs: Reads those that a repair has moved away.
            before_mending: Called before a `publish` makes a damaged index whole.
        """
        self._loader = IndexLoader(register, store, folder, packs)
        self._folder = folder
        self._packs = packs
        self._read_damaged_packs = read_damaged_packs
        self._before_mending = before_mending
        self._loaded: LoadedIndex | None = None
        self._runs: list[SortedRun] = []
        # None until they are looked at, which is seldom.
        self._damaged_runs: list[SortedRun] | None = []
        self._has_looked_at_packs = False
        self.absent_packs: frozenset[bytes] = frozenset()
        self.pending: PendingDeletions = NO_PENDING_DELETIONS
        self.unindexed_packs: frozenset[bytes] = frozenset()
        self.listed_packs: Mapping[bytes, int] = {}
        self.generation = 0
        """Grows whenever the numbers of the records change."""

    def refresh(self, *, is_register_known: bool = False) -> None:
        """Take up what other writers have added, at the price of reading one small object.

        Where index objects or their register are lost or damaged, the packs' footers are read instead, and `damage` says so. With
        `is_register_known` some register was read or swapped just now, and a state of that moment will do.
        """
        self._refresh(Age.RECENT if is_register_known else Age.PRESENT, {})

    @property
    def register_path(self) -> str:
        """The name of the register, for who asks for it together with other things."""
        return self._loader.register_path

    @property
    def is_loaded(self) -> bool:
        """Whether `refresh` has been called."""
        return self._loaded is not None

    @property
    def damage(self) -> list[DamageError]:
        """The parts of the index that were found lost or damaged."""
        return [] if self._loaded is None else self._loaded.damage

    def look_at_packs(self, listed: dict[bytes, int] | None = None) -> list[FinishedPack]:
        """Compare the index with the packs that are there, after a refresh; these are listed unless somebody has just done so.

        What lies in a pack that is lost or cut short no longer counts as there. What killed runs have stored is found again.

        Returns:
            The packs that no index object names, as their footers describe them; look-ups see them from now on. A footer can be
            copied behind other bytes by whoever may add files: before `publish` makes them last, `prove` is to be asked. Packs with
            pending deletions are not among them: they left the index for good. Where the index is damaged nobody knows which did,
            so what is left out is deleted packs alone.
        """
        listed = self._packs.sizes() if listed is None else listed
        known = self.packs()
        self.listed_packs = listed
        self._has_looked_at_packs = True
        self.absent_packs = frozenset(name for name, size in known.items() if listed.get(name) != size)
        pending = self.pending.packs
        self._forget_damaged_packs()
        found = self._packs.footers({name: size for name, size in listed.items() if name not in known})
        if found:
            self._runs.append(write_run(self._folder, [], found))
            self.unindexed_packs |= {pack.name for pack in found}
            self.generation += 1
        rescued = [pack for pack in self._rescued() if not self.pending.is_deleted(pack.name)]
        return rescued + [pack for pack in found if pack.name not in pending]

    def prove(self, packs: list[FinishedPack]) -> list[FinishedPack]:
        """Read packs whole, and return those whose every byte is what their maker has stamped."""
        return self._packs.proved({pack.name: pack.size for pack in packs}) if packs else []

    def count_on(self, packs: Collection[FinishedPack]) -> None:
        """Count proved packs as if an index object named them, until the index changes: a dry run enters nothing."""
        self.unindexed_packs -= {pack.name for pack in packs}

    def distrust(self, packs: Collection[bytes]) -> None:
        """Count packs as absent until the packs are looked at again: their footers claim what nobody has proved."""
        self.absent_packs |= frozenset(packs)

    def present(self, name: bytes) -> Iterator[ObjectLocation]:
        """Iterate over the places where an object lies, whatever its stored hash is, but for lost packs and pending deletions."""
        for location in self.copies(name):
            if self.is_present(location):
                yield location

    def is_present(self, location: ObjectLocation) -> bool:
        """Whether a copy lies in no lost pack, and is not pending deletion."""
        return location.pack not in self.absent_packs and not self.pending.is_pending(location)

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """Return where an object with this stored hash lies; None if all its copies are in lost packs, or are pending deletion."""
        for run in self._runs:
            location = run.place_of(name, stored_hash)
            if location is None:
                continue
            if self.is_present(location):
                return location
            break
        else:
            return None
        # The first copy does not serve; another one may.
        return next((location for location in self.present(name) if location.hash == stored_hash), None)

    def copies(self, name: bytes) -> Iterator[ObjectLocation]:
        """Iterate over all places where an object was stored, whatever has become of them."""
        for run in self._runs:
            yield from run.locations(name)

    def records(self) -> Iterator[tuple[bytes, ObjectLocation]]:
        """Iterate over every copy of every object; one that is stored twice comes twice."""
        for run in self._runs:
            yield from run.entries()

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """Iterate over all places where an object may lie; packs that seem to be lost or cut short come last, or are left out."""
        doubtful = []
        for location in self.copies(name):
            if self.pending.is_pending(location):
                continue
            if location.pack in self.absent_packs:
                doubtful.append(location)
            else:
                yield location
        if not only_present:
            yield from doubtful
            yield from self.copies_in_damaged_packs(name)

    def copies_in_damaged_packs(self, name: bytes) -> Iterator[ObjectLocation]:
        """Iterate over the places where an object lies in damaged packs, as `look_at_packs` found them."""
        for run in self.damaged_runs():
            yield from run.locations(name)

    def damaged_runs(self) -> list[SortedRun]:
        """Return the records of damaged packs, as `look_at_packs` found them."""
        if self._damaged_runs is None:
            packs = self._read_damaged_packs()
            self._damaged_runs = [write_run(self._folder, [], packs)] if packs else []
        return self._damaged_runs

    def search(self) -> None:
        """Look again for what was not found: in a fresh index, and once in the packs that no index object names."""
        self.refresh()
        if not self._has_looked_at_packs:
            self.look_at_packs()

    def number_of(self, name: bytes, stored_hash: bytes) -> int | None:
        """Return an object's number among all records, which stays the same within a generation; None if it has none."""
        first = 0
        for run in self._runs:
            number = run.number_of(name, stored_hash)
            if number is not None:
                return first + number
            first += run.count
        return None

    def location_of(self, number: int) -> ObjectLocation:
        """Return the place of the copy in the record with a number."""
        run, left = self._record(number)
        return run.location_at(left)

    def name_of(self, number: int) -> bytes:
        """Return the object's name in the record with a number."""
        run, left = self._record(number)
        return run.name_at(left)

    def _record(self, number: int) -> tuple[SortedRun, int]:
        for run in self._runs:
            if number < run.count:
                return run, number
            number -= run.count
        raise IndexError("the index has no record of this number")

    def runs(self) -> list[SortedRun]:
        """Return the sorted arrays of all records, for whoever merges them with another; valid until the next refresh."""
        return list(self._runs)

    def count(self) -> int:
        """Return the number of records; an object that is stored twice has two."""
        return sum(run.count for run in self._runs)

    def packs(self) -> dict[bytes, int]:
        """Return the names and sizes of all packs in the index."""
        return {name: size for run in self._runs for name, size in run.packs}

    def run_paths(self) -> list[Path]:
        """Return the files of the local copy, for other processes of this machine."""
        return [run.path for run in self._runs]

    def publish(self, packs: list[FinishedPack]) -> None:
        """Add packs to the index; durable, and seen by every later refresh, when this returns.

        Index objects that were found lost or damaged leave the register. What `look_at_packs` has found in their place is added
        only where it is among the packs given here: this is a promise that somebody has proved them.
        """
        if self.damage:
            self._before_mending()
        added = self._loader.publish(packs, self._loaded)
        self._refresh(Age.ANY, added)

    def close(self) -> None:
        """Unmap the local copy."""
        for run in self._runs + (self._damaged_runs or []):
            run.close()
        self._runs, self._damaged_runs = [], []
        self._loaded = None

    def _rescued(self) -> list[FinishedPack]:
        return [] if self._loaded is None else self._loaded.rescued

    def _forget_damaged_packs(self) -> None:
        for run in self._damaged_runs or []:
            run.close()
        self._damaged_runs = None

    def _refresh(self, age: Age, known: Mapping[bytes, list[FinishedPack]]) -> None:
        state = self._loader.read_register(age)
        while self._loaded is None or self._loaded.state.version != state.version:
            self.close()
            self.generation += 1
            self._has_looked_at_packs = False
            self._loaded = self._loader.load(state, known)
            self.unindexed_packs = frozenset(pack.name for pack in self._loaded.rescued)
            self._runs = list(self._loaded.runs)
            if self._loaded.lost:
                # A writer may have replaced small index objects by one, and deleted them, since the register was read.
                state = self._loader.read_register()


class LoadedWhenAsked:
    """The index, for who may do without it: it is loaded with the first question."""

    def __init__(self, index: VaultIndex) -> None:
        """Load nothing yet."""
        self._index = index

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """See `VaultIndex`."""
        return self._loaded().find(name, stored_hash)

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """See `VaultIndex`."""
        return self._loaded().locations(name, only_present=only_present)

    def search(self) -> None:
        """See `VaultIndex`."""
        self._index.search()

    def _loaded(self) -> VaultIndex:
        if not self._index.is_loaded:
            self._index.refresh()
        return self._index
