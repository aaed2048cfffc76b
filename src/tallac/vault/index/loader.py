"""Load the index: read what the register names into the local copy, and merge its runs.

The local copy (sorted runs, in the user's state folder) can be rebuilt from the index objects, and these from the packs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Protocol

import msgspec

from tallac.errors import CorruptObjectError, DamageError, LocalStateError, MissingObjectError, RollbackDetectedError
from tallac.vault.format.footers import INDEX_BODY_SIZE_MAX, FinishedPack, index_parts, names_in
from tallac.vault.index.index_objects import IndexStore
from tallac.vault.index.sorted_runs import SortedRun, merge_runs, write_run
from tallac.vault.mutable.conditional_put import Age
from tallac.vault.mutable.registers import Register

INDEX_OBJECTS_MAX = 32
"""So many small index objects are named at most; when one more comes they become one."""
SMALL_SIZE_MAX = INDEX_BODY_SIZE_MAX * 3 // 8
"""An index object that takes fewer bytes in the store is a small one. Four fifths of it, names and hashes, do not compress:
so two always fit into one."""
LARGE_COUNT = SMALL_SIZE_MAX // 40
"""So many records a large index object has at least."""
RUNS_MAX = 6
RUNS_OPEN_MAX = 128
"""So many runs, each of which is an open file, there are at most while an index is loaded. Some systems allow 256 files."""


class PackLister(Protocol):
    """Looks at the packs themselves."""

    def sizes(self) -> dict[bytes, int]:
        """List the packs that are there."""
        ...

    def footers(self, sizes: dict[bytes, int]) -> list[FinishedPack]:
        """Read the footers of some packs; those that are damaged are left out."""
        ...

    def proved(self, sizes: dict[bytes, int]) -> list[FinishedPack]:
        """Read some packs whole; give those that are what their makers have stamped."""
        ...


class IndexState(msgspec.Struct, frozen=True):
    """The index objects that the register names.

    Attributes:
        names: The index objects.
        version: The register's; None where it is lost or damaged.
        damage: Why it can't be read; None where it can.
    """

    names: frozenset[bytes]
    version: bytes | None
    damage: DamageError | None


class LoadedIndex(msgspec.Struct, frozen=True):
    """One state of the index in the local copy.

    Attributes:
        state: What was loaded.
        runs: The records, in several sorted files.
        lost: The index objects that could not be read.
        rescued: Packs that no index object could be read for, as their own footers describe them, which nobody has proved.
        damage: All that is lost or damaged.
    """

    state: IndexState
    runs: list[SortedRun]
    lost: list[bytes]
    rescued: list[FinishedPack]
    damage: list[DamageError]


class IndexLoader:
    """Loads the index, and adds to it. Not thread-safe."""

    def __init__(self, register: Register, store: IndexStore, folder: Path, packs: PackLister) -> None:
        """Keep the local copy in a folder; `packs` is asked where index objects are damaged."""
        self._register = register
        self._store = store
        self._folder = folder
        self._packs = packs

    @property
    def register_path(self) -> str:
        """The name of the register."""
        return self._register.path

    def read_register(self, age: Age = Age.PRESENT) -> IndexState:
        """Read what the register names; damage is reported in the state."""
        try:
            state = self._register.read(age)
            if state is None:
                raise MissingObjectError("the register of the index is missing")
            return IndexState(frozenset(names_in(state.text)), state.version, None)
        except DamageError as error:
            return IndexState(frozenset(), None, error)
        except RollbackDetectedError as error:
            # It is only a way to find packs: what an older one lacks is read from them, and the next writer makes it anew.
            return IndexState(frozenset(), None, CorruptObjectError(str(error)))

    def load(self, state: IndexState, known: Mapping[bytes, list[FinishedPack]]) -> LoadedIndex:
        """Bring the local copy to a state of the register.

        What index objects don't say because they, or the register, are damaged is read from the packs themselves.

        Args:
            state: As `read_register` gave it.
            known: What some index objects hold, so that they need not be fetched.
        """
        damage = [] if state.damage is None else [state.damage]
        runs = self._present_runs(state.names)
        covered: set[bytes] = set().union(*(run.covers for run in runs))
        lost: list[bytes] = []
        for name in sorted(state.names - covered):
            try:
                packs = known.get(name) or self._store.get(name)
            except (CorruptObjectError, MissingObjectError) as error:
                damage.append(error)
                lost.append(name)
            else:
                runs.append(write_run(self._folder, [name], packs))
                if len(runs) >= RUNS_OPEN_MAX:
                    runs = self._merged(runs)
        runs = self._merged(runs)
        rescued: list[FinishedPack] = []
        if damage:
            indexed = {name for run in runs for name, _ in run.packs}
            rescued = self._packs.footers({name: size for name, size in self._packs.sizes().items() if name not in indexed})
            runs.append(write_run(self._folder, [], rescued))
        return LoadedIndex(state, runs, lost, rescued, damage)

    def publish(self, packs: list[FinishedPack], loaded: LoadedIndex | None) -> dict[bytes, list[FinishedPack]]:
        """Add packs to the index; durable when this returns.

        Args:
            packs: What is to be added.
            loaded: What was loaded last; index objects that it found lost or damaged leave the register.

        Returns:
            The index objects that were stored, with what they hold.
        """
        lost = [] if loaded is None else loaded.lost
        added = {self._store.put(part): part for part in index_parts(packs)}
        former: list[bytes] = []
        superseded: list[bytes] = []
        is_again = False

        def add(text: bytes | None) -> bytes:
            nonlocal superseded, is_again
            former.extend(self._store_anew(added, names_in(text)) if is_again else ())
            is_again = True
            names = [name for name in names_in(text) if name not in lost and name not in added]
            superseded = [*lost, *former]
            if len(names) + len(added) > INDEX_OBJECTS_MAX and len(small := self._small(names)) + len(added) > INDEX_OBJECTS_MAX:
                names, replaced = self._compacted(names, small)
                superseded += replaced
            return b"".join([*names, *added])

        if loaded is not None and loaded.state.damage is not None:
            self._register.rewrite(add(None))
        else:
            self._register.swap(add)
        self._store.delete(superseded)
        return added

    def _store_anew(self, added: dict[bytes, list[FinishedPack]], named: Collection[bytes]) -> list[bytes]:
        """Store once more what a former try has stored and the register does not name; return the names that it had.

        That try may have been carried out without an answer. Then another client has united what it entered with others, and is
        about to delete it, or has done so.
        """
        unnamed = [name for name in added if name not in named]
        for name in unnamed:
            part = added.pop(name)
            added[self._store.put(part)] = part
        return unnamed

    def _present_runs(self, names: frozenset[bytes]) -> list[SortedRun]:
        """Open the runs that hold nothing but what is named, and delete the others."""
        runs = []
        for path in self._folder.glob("*.run"):
            run = _open_run(path)
            if run is not None and run.covers and run.covers <= names:
                runs.append(run)
            elif run is not None:
                run.close()
                _discard(path)
        # Their files have made-up names. Which copy of an object is found first is to hang from the index alone.
        return sorted(runs, key=lambda run: sorted(run.covers))

    def _small(self, names: list[bytes]) -> list[bytes]:
        """Return the names of small index objects; none is read, since a large vault has one for each 200,000 objects.

        A client that may not list them leaves them to others.
        """
        return [name for name, size in self._store.sizes(names).items() if size < SMALL_SIZE_MAX]

    def _compacted(self, names: list[bytes], small: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Store few index objects in place of small ones; return the names to keep and those that these replace."""
        replaced: list[bytes] = []
        united: list[bytes] = []
        for part in self._together(small):
            if len(part) > 1:
                packs = {pack.name: pack for held in part.values() for pack in held}
                united.append(self._store.put(list(packs.values())))
                replaced += part
        return [name for name in names if name not in replaced] + united, replaced

    def _together(self, names: list[bytes]) -> Iterator[dict[bytes, list[FinishedPack]]]:
        """Iterate over index objects with what they hold, as many at a time as fit into one."""
        part: dict[bytes, list[FinishedPack]] = {}
        size = 0
        for name in names:
            try:
                held = self._store.get(name)
            except (CorruptObjectError, MissingObjectError):
                continue  # It stays in the register, where the next refresh finds it and says so.
            added = _body_size(held)
            if size + added > INDEX_BODY_SIZE_MAX:
                yield part
                part, size = {}, 0
            part[name] = held
            size += added
        if part:
            yield part

    def _merged(self, runs: list[SortedRun]) -> list[SortedRun]:
        """Keep the runs few. Those of small index objects, useless once these become one, are merged apart from large ones."""
        if len(runs) <= RUNS_MAX:
            return runs
        is_large = [run.count >= LARGE_COUNT * len(run.covers) for run in runs]
        return [*self._merged_alike(list(compress(runs, is_large))), *self._merged_alike(list(compress(runs, map(not_, is_large))))]

    def _merged_alike(self, runs: list[SortedRun]) -> list[SortedRun]:
        """Merge all runs but the largest, and that one too once the others together are half as large."""
        if len(runs) < 2:
            return runs
        runs.sort(key=lambda run: run.count)
        largest = runs.pop()
        if sum(run.count for run in runs) * 2 >= largest.count:
            runs.append(largest)
        if len(runs) == 1:
            return [largest, *runs]
        merged = merge_runs(self._folder, runs)
        for run in runs:
            run.close()
            _discard(run.path)
        return [merged] if largest in runs else [largest, merged]


def _body_size(packs: Iterable[FinishedPack]) -> int:
    return sum(len(pack.body) for pack in packs)


def _open_run(path: Path) -> SortedRun | None:
    try:
        return SortedRun(path)
    except FileNotFoundError:
        return None  # Another process has merged it away; its records come again with the index objects.
    except LocalStateError:
        pass
    # The error holds the file open, and what is open can't be removed on Windows.
    _discard(path)
    return None


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
