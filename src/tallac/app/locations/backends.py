"""From a vault's location to the backend there. Only here, and for stores over a line in distant_store.py, is one made."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tallac.app.locations.grid_options import GridOptions, refuse_locks
from tallac.app.locations.tahoe_urls import backend_of, is_tahoe_vault
from tallac.app.locations.urls import folder_of_url, has_strange_files, is_folder_url, is_store
from tallac.errors import UsageError
from tallac.interfaces import Backend, ObjectCache, TrafficCount

if TYPE_CHECKING:
    from tallac.app.locations.caches import Caches
    from tallac.app.locations.distant_store import DistantStore
    from tallac.backends.local import LocalBackend
    from tallac.backends.probe import Probe
    from tallac.backends.traffic import Traffic


class Backends:
    """Makes the backends that a command uses; those over a line are made once, and know what they have sent. Not thread-safe."""

    def __init__(
        self,
        state: Path,
        caches: Callable[[], Caches],
        options: GridOptions | None = None,
        *,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        """Make none yet.

        Args:
            state: The folder of local state.
            caches: Gives the caches of distant stores.
            options: Those of the command.
            notify: As for `DistantStore`.
        """
        self._state = state
        self._caches = caches
        self._options = options or GridOptions()
        self._notify = notify
        self._stores: dict[str, DistantStore] = {}
        # One for each store, so that one that is silent is noticed beside another.
        self._traffic: list[Traffic] = []

    def at(self, url: str) -> Backend:
        """Return the backend at a location; nothing is asked yet.

        Raises:
            UsageError: It is of a kind that this Tallac does not know.
        """
        if is_store(url):
            return self._store_at(url).backend
        backend = backend_of(url) if is_tahoe_vault(url) else _folder_at(url)
        if not self._options.lock_seconds:
            return backend
        from tallac.backends.first_write import FirstWriteBackend  # lazy import: few commands need it

        # It may be what is copied from, into a store that has locks.
        return FirstWriteBackend(backend, partial(refuse_locks, backend.location()))

    def create(self, url: str) -> tuple[Backend, str]:
        """Make ready for a vault, where nothing may be yet; return the backend, and the location as it is to be remembered.

        Raises:
            UsageError: Locks are asked for, which it does not have.
            UnsafeStoreError: The store does not do what a vault relies on; nothing was left there.
            StoreError: It can't be reached, or may not be written to.
        """
        if is_store(url):
            store = self._store_at(url)
            store.probe().run().require_safe()
            store.note_probed()
            return store.backend, store.remembered()
        backend = backend_of(url) if is_tahoe_vault(url) else _folder_at(url)
        if self._options.lock_seconds:
            refuse_locks(backend.location())
        backend.create()
        return backend, url

    def has_other_things(self, url: str) -> bool:
        """Whether there is something at a location, which may have no vault."""
        if is_store(url):
            return not self._store_at(url).is_empty()
        return not backend_of(url).is_empty() if is_tahoe_vault(url) else has_strange_files(folder_of_url(url))

    def connect_ahead(self, url: str) -> None:
        """Begin to connect to what is at a location, without waiting; see `ConnectsAhead`."""
        if is_store(url):
            self._store_at(url).connect_ahead()

    def probe(self, url: str) -> Probe:
        """Return what tries out the store at a location, which is made where it is a missing folder; see `Probe`."""
        from tallac.backends.probe import Probe  # lazy import: few commands need it

        return self._store_at(url).probe() if is_store(url) else Probe(self.create(url)[0])

    def remembered_header(self, url: str) -> bytes | None:
        """Return the header of the vault at a location, as it was seen last from here; None where nothing is known of it."""
        return self._store_at(url).remembered_header() if is_store(url) else None

    def cache(self, url: str) -> ObjectCache | None:
        """Return what keeps objects of the vault at a location on this machine; None where nothing does."""
        return self._caches().at(url) if is_store(url) else None

    def extend_locks(self, url: str, passed_over: Callable[[], Collection[str]]) -> int:
        """See `DistantStore.extend_locks`; 0 for all other places."""
        return self._store_at(url).extend_locks(passed_over) if is_store(url) else 0

    def traffic(self) -> TrafficCount | None:
        """Return what was sent and received over lines by now; None where nothing was."""
        totals = [each.total() for each in self._traffic]
        if not totals:
            return None
        return TrafficCount(
            sum(each.requests for each in totals), sum(each.sent for each in totals), sum(each.received for each in totals)
        )

    def close(self) -> None:
        """Remove what the processes of this command have shared."""
        for store in self._stores.values():
            store.remove_shared()
        for traffic in self._traffic:
            traffic.remove()

    def _store_at(self, url: str) -> DistantStore:
        from tallac.app.locations.distant_store import DistantStore  # lazy import: a vault in a folder does without it
        from tallac.backends.limits import Limits  # lazy import: likewise
        from tallac.backends.traffic import Traffic  # lazy import: likewise

        if url not in self._stores:
            self._traffic.append(Traffic())
            options = self._options
            self._stores[url] = DistantStore(
                url,
                self._state,
                self._traffic[-1],
                self._caches().at(url),
                retry_seconds=options.retry_seconds,
                limits=Limits(options.limit_upload, options.limit_download, options.connections),
                lock_seconds=options.lock_seconds,
                notify=self._notify,
            )
        return self._stores[url]


def _folder_at(url: str) -> LocalBackend:
    if not is_folder_url(url):
        raise UsageError(f"{url}: not a supported location; give a folder or a URL")
    from tallac.backends.local import LocalBackend  # lazy import: a Tahoe-LAFS grid does without it

    return LocalBackend(folder_of_url(url))
