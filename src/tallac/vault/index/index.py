"""The index: which pack holds which object. docs/format.md, "Index".

The register `index` names the index objects; each holds the footers of some packs. All of it can be rebuilt from the packs. The
local copy (runs, in the user's state folder) can be rebuilt from the index objects.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tallac.errors import (
    CorruptObjectError,
    DamageError,
    LocalStateError,
    MissingObjectError,
)
from tallac.vault.format.footers import INDEX_BODY_SIZE_MAX, FinishedPack, Location, index_parts, names_in
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.index.sorted_runs import SortedRun, merge_runs, write_run
from tallac.vault.mutable.pending_deletions import NO_PENDING_DELETIONS, PendingDeletions
from tallac.vault.mutable.registers import Register

INDEX_OBJECTS_MAX = 32
RUNS_MAX = 6


class PackLister(Protocol):
    """Looks at the packs themselves."""

    def sizes(self) -> dict[bytes, int]:
        """List the packs that are there."""
        ...

    def footers(self, sizes: dict[bytes, int]) -> list[FinishedPack]:
        """Read the footers of some packs; those that are damaged are left out."""
        ...


class VaultIndex:
    """The whole index, with its local copy. Look-ups see the state of the last `refresh`."""

    def __init__(
        self,
        register: Register,
        store: IndexStore,
        folder: Path,
        packs: PackLister,
        read_damaged_packs: Callable[[], list[FinishedPack]] = list,
    ) -> None:
        """Keep the local copy in folder. `packs` lists the packs; `read_damaged_packs` reads those that a repair has set aside."""
        self._register = register
        self._store = store
        self._folder = folder
        self._packs = packs
        self._read_damaged_packs = read_damaged_packs
        self._runs: list[SortedRun] = []
        # None where they are to be looked at before they are used, which is seldom.
        self._aside: list[SortedRun] | None = []
        self._version: bytes | None = None
        self._is_fresh = False
        self._has_looked_at_packs = False
        self._register_is_damaged = False
        self._lost: list[bytes] = []
        self._just_put: dict[bytes, list[FinishedPack]] = {}
        self._rescued: list[FinishedPack] = []
        self.damage: list[DamageError] = []
        self.absent_packs: frozenset[bytes] = frozenset()
        self.quarantine: PendingDeletions = NO_PENDING_DELETIONS
        self.unindexed_packs: frozenset[bytes] = frozenset()
        self.generation = 0
        """Grows whenever the numbers of the records change."""

    def refresh(self, *, is_register_known: bool = False) -> None:
        """Take up what other writers have added, at the price of reading one small object.

        Where index objects or their register are lost or damaged, the packs' footers are read instead, and `damage` says so. With
        `is_register_known` some register was read or swapped just now, and a state of that moment will do.
        """
        names, version, damage = self._read_register(is_known=is_register_known)
        while not self._is_fresh or self._version != version:
            self._load(frozenset(names), damage)
            self._version, self._is_fresh = version, True
            if self._lost:
                # A writer may have replaced small index objects by one, and deleted them, since the register was read.
                names, version, damage = self._read_register()

    @property
    def is_loaded(self) -> bool:
        """Whether `refresh` has been called."""
        return self._is_fresh

    def look_at_packs(self) -> list[FinishedPack]:
        """Compare the index with the packs that are there, after a refresh.

        What lies in a pack that is lost or cut short no longer counts as there. What killed runs have stored is found again.

        Returns:
            The packs that the index does not know; look-ups see them from now on, `publish` makes that last. Packs in quarantine
            are not among them: they left the index for good.
        """
        listed = self._packs.sizes()
        known = self.packs()
        self._has_looked_at_packs = True
        self.absent_packs = frozenset(name for name, size in known.items() if listed.get(name) != size)
        dying = self.quarantine.packs
        self._forget_damaged_packs()
        found = self._packs.footers({name: size for name, size in listed.items() if name not in known})
        if found:
            self._runs.append(write_run(self._folder, [], found))
            self.unindexed_packs |= {pack.name for pack in found}
            self.generation += 1
        return [pack for pack in found if pack.name not in dying]

    def find(self, name: bytes) -> Location | None:
        """Say where an object lies; None where no pack known to be there holds it, or where it is quarantined."""
        for location in self.copies(name):
            if location.pack not in self.absent_packs and not self.quarantine.is_pending(location):
                return location
        return None

    def copies(self, name: bytes) -> Iterator[Location]:
        """Give all places where an object was stored, whatever has become of them."""
        for run in self._runs:
            yield from run.locations(name)

    def records(self) -> Iterator[tuple[bytes, Location]]:
        """Give every copy of every object; one that is stored twice comes twice."""
        for run in self._runs:
            yield from run.entries()

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[Location]:
        """Give all places where an object may lie: those in packs that seem to be lost or cut come last, or are left out."""
        doubtful = []
        for location in self.copies(name):
            if self.quarantine.is_pending(location):
                continue
            if location.pack in self.absent_packs:
                doubtful.append(location)
            else:
                yield location
        if not only_present:
            yield from doubtful
            yield from self.copies_in_damaged_packs(name)

    def copies_in_damaged_packs(self, name: bytes) -> Iterator[Location]:
        """Give the places where an object lies in packs that a repair has put aside, as `look_at_packs` found them."""
        if self._aside is None:
            packs = self._read_damaged_packs()
            self._aside = [write_run(self._folder, [], packs)] if packs else []
        for run in self._aside:
            yield from run.locations(name)

    def search(self) -> None:
        """Look again for what was not found: in a fresh index, and once in the packs that no index object names."""
        self.refresh()
        if not self._has_looked_at_packs:
            self.look_at_packs()

    def number_of(self, name: bytes) -> int | None:
        """Give an object's number among all records, which stays the same within a generation; None if it has none."""
        first = 0
        for run in self._runs:
            number = run.find(name)
            if run.name_at(number) == name:
                return first + number
            first += run.count
        return None

    def count(self) -> int:
        """Give the number of records; an object that is stored twice has two."""
        return sum(run.count for run in self._runs)

    def packs(self) -> dict[bytes, int]:
        """Give the names and sizes of all packs in the index."""
        return {name: size for run in self._runs for name, size in run.packs}

    def run_paths(self) -> list[Path]:
        """Give the files of the local copy, for other processes of this machine."""
        return [run.path for run in self._runs]

    def publish(self, packs: list[FinishedPack]) -> None:
        """Add packs to the index; durable, and seen by every later refresh, when this returns.

        Index objects that were found lost or damaged are replaced by what was read from the packs themselves.
        """
        added = {self._store.put(part): part for part in index_parts(packs + self._rescued)}
        superseded: list[bytes] = []

        def add(text: bytes | None) -> bytes:
            nonlocal superseded
            names = [name for name in names_in(text) if name not in self._lost]
            superseded = list(self._lost)
            if len(names) + len(added) > INDEX_OBJECTS_MAX:
                names, replaced = self._compacted(names)
                superseded += replaced
            return b"".join([*names, *added])

        if self._register_is_damaged:
            self._register.rewrite(add(None))
        else:
            self._register.swap(add)
        for name in superseded:
            self._store.delete(name)
        self._just_put = added
        try:
            self.refresh(is_register_known=True)
        finally:
            self._just_put = {}

    def close(self) -> None:
        """Unmap the local copy."""
        for run in self._runs + (self._aside or []):
            run.close()
        self._runs, self._aside = [], []
        self._is_fresh = False

    def _forget_damaged_packs(self) -> None:
        for run in self._aside or []:
            run.close()
        self._aside = None

    def _compacted(self, names: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Store one index object in place of all small ones; give the names to keep and those that it replaces."""
        small: list[bytes] = []
        packs: dict[bytes, FinishedPack] = {}
        for name in names:
            try:
                held = self._store.get(name)
            except (CorruptObjectError, MissingObjectError):
                continue  # It stays in the register, where the next refresh finds it and says so.
            if sum(len(pack.body) for pack in held) < INDEX_BODY_SIZE_MAX // 2:
                small.append(name)
                packs.update((pack.name, pack) for pack in held)
        merged = [self._store.put(part) for part in index_parts(list(packs.values()))]
        return [name for name in names if name not in small] + merged, small

    def _read_register(self, *, is_known: bool = False) -> tuple[list[bytes], bytes | None, DamageError | None]:
        try:
            state = self._register.read(allow_stale=is_known)
            if state is None:
                raise MissingObjectError("the register of the index is missing")
            return names_in(state.text), state.version, None
        except DamageError as error:
            return [], None, error

    def _load(self, names: frozenset[bytes], damage: DamageError | None) -> None:
        self.close()
        self.generation += 1
        self._has_looked_at_packs = False
        self._register_is_damaged = damage is not None
        self.damage = [] if damage is None else [damage]
        self._lost, self._rescued = [], []
        self.unindexed_packs = frozenset()
        runs = []
        for path in sorted(self._folder.glob("*.run")):
            run = _open_run(path)
            if run is not None and run.covers and run.covers <= names:
                runs.append(run)
            elif run is not None:
                run.close()
                _discard(path)
        covered: set[bytes] = set().union(*(run.covers for run in runs))
        runs += self._fetch(sorted(names - covered))
        self._runs = self._merged(runs)
        if self.damage:
            known = self.packs()
            sizes = {name: size for name, size in self._packs.sizes().items() if name not in known}
            self._rescued = self._packs.footers(sizes)
            self._runs.append(write_run(self._folder, [], self._rescued))

    def _fetch(self, names: list[bytes]) -> Iterator[SortedRun]:
        for name in names:
            try:
                packs = self._just_put.get(name) or self._store.get(name)
            except (CorruptObjectError, MissingObjectError) as error:
                self.damage.append(error)
                self._lost.append(name)
            else:
                yield write_run(self._folder, [name], packs)

    def _merged(self, runs: list[SortedRun]) -> list[SortedRun]:
        """Keep the runs few: merge all but the largest, and that one too once the others together are half as large."""
        if len(runs) <= RUNS_MAX:
            return runs
        runs.sort(key=lambda run: run.count)
        largest = runs.pop()
        if sum(run.count for run in runs) * 2 >= largest.count:
            runs.append(largest)
        merged = merge_runs(self._folder, runs)
        for run in runs:
            run.close()
            _discard(run.path)
        return [merged] if largest in runs else [largest, merged]


def _open_run(path: Path) -> SortedRun | None:
    try:
        return SortedRun(path)
    except LocalStateError:
        _discard(path)
    except FileNotFoundError:
        pass  # Another process has merged it away; its records come again with the index objects.
    return None


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
