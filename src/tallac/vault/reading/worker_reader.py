"""How other processes of this machine look into a vault: by way of this one's copy of the index, which they do not refresh."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tallac.interfaces import Backend
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.keys import LocatorKey
from tallac.vault.index.sorted_runs import SortedRun
from tallac.vault.mutable.pending_deletions import PendingDeletions
from tallac.vault.reading.files import VaultFiles
from tallac.vault.reading.object_reader import ObjectReader


class RunsFinder:
    """Look-ups in the local copy of the index, as another process of this machine made it."""

    def __init__(self, paths: list[Path], absent_packs: frozenset[bytes], pending: PendingDeletions) -> None:
        """Open the runs. One that has been merged away meanwhile is left out: what it listed is not found."""
        self._runs: list[SortedRun] = []
        for path in paths:
            with suppress(FileNotFoundError):
                self._runs.append(SortedRun(path))
        self._absent_packs = absent_packs
        self._pending = pending

    def present(self, name: bytes) -> Iterator[ObjectLocation]:
        """Iterate over the places where an object lies; packs that seem to be lost or cut short are left to the other process."""
        for run in self._runs:
            for location in run.locations(name):
                if self._is_there(location):
                    yield location

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """Return where an object with this stored hash lies, or None."""
        for run in self._runs:
            location = run.place_of(name, stored_hash)
            if location is not None and self._is_there(location):
                return location
        # The first copy in a run may be one that does not serve.
        return next((location for location in self.present(name) if location.hash == stored_hash), None)

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """Do as `present` does."""
        return self.present(name)

    def _is_there(self, location: ObjectLocation) -> bool:
        return location.pack not in self._absent_packs and not self._pending.is_pending(location)

    def search(self) -> None:
        """Do nothing: the other process looks again."""


@dataclass(frozen=True)
class VaultReaderRecipe:
    """How a worker process reads files. Holds the locator key; the caps bring what opens them."""

    backend: Backend
    secret: bytes = field(repr=False)
    run_paths: list[Path]
    absent_packs: frozenset[bytes]
    pending: PendingDeletions

    @contextmanager
    def open(self) -> Iterator[VaultFiles]:
        """See `tallac.interfaces.WorkerRecipe`."""
        finder = RunsFinder(self.run_paths, self.absent_packs, self.pending)
        reader = ObjectReader(self.backend, LocatorKey(self.secret, b""), finder)
        yield VaultFiles(lambda: reader)
