"""One writer's stay in a vault: see `tallac.interfaces.Session`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial

from tallac.caps import MutableDirectoryRead, ReadCap
from tallac.dag import encode_cap
from tallac.errors import DamageError, FencedError, StoreError
from tallac.interfaces import CapWriter, DistantBackend, HighLatencyBackend, RemembersStates
from tallac.interfaces.compressing import Compression
from tallac.vault.components import VaultComponents
from tallac.vault.distance import ask_anew
from tallac.vault.format.footers import ObjectLocation
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.links import links_of_encoded
from tallac.vault.index.index import VaultIndex
from tallac.vault.mutable.pending_deletions import PendingDeletions, decode_pending, encode_pending, pending_deletions_of
from tallac.vault.mutable.registers import State
from tallac.vault.mutable.sessions import RegisteredSession, SessionState
from tallac.vault.writing.batch import VaultWriter
from tallac.vault.writing.claims import Claims


class ProposalRecorder:
    """Look-ups in the index, with a record of the packs with proposed deletions that they have led to.

    The index must not hide what is merely proposed.
    """

    def __init__(self, index: VaultIndex, pending: PendingDeletions) -> None:
        """Nothing was looked up yet."""
        self._index = index
        self._pending = pending
        self.needed_packs: set[bytes] = set()

    def find(self, name: bytes, stored_hash: bytes) -> ObjectLocation | None:
        """See `tallac.vault.reading.object_reader.Finder`."""
        location = self._index.find(name, stored_hash)
        if location is not None:
            self._record(location)
        return location

    def locations(self, name: bytes, *, only_present: bool) -> Iterator[ObjectLocation]:
        """See `tallac.vault.reading.object_reader.Finder`."""
        for location in self._index.locations(name, only_present=only_present):
            self._record(location)
            yield location

    def search(self) -> None:
        """See `tallac.vault.reading.object_reader.Finder`."""
        self._index.search()

    def _record(self, location: ObjectLocation) -> None:
        if self._pending.is_pending(location):
            self.needed_packs.add(location.pack)


class VaultSession:
    """See `tallac.interfaces.Session`."""

    def __init__(self, components: VaultComponents, key: WriterKey, registered: RegisteredSession) -> None:
        """Begin after the session object is durable."""
        self._components = components
        self._key = key
        self._registered = registered
        self._register = components.pending_register()
        self._first_number: int | None = None
        self._linked: list[ReadCap] = []
        self._looked_at_number = 0
        self._has_ended = False
        self.has_stored = False
        """Whether some batch has added to the store."""

    @contextmanager
    def writing(self) -> Iterator[CapWriter]:
        """See `tallac.interfaces.Session`."""
        components, index = self._components, self._components.index
        self._look()
        if self._first_number is None:
            # Later batches look at a later state, but what the first one relied on was looked up under this one.
            self._first_number = index.pending.number
        own = components.own_packs
        looked = index.look_at_packs()
        compression = self._compression()
        ask_anew(self._components.backend)
        # Others' packs are left to them where the store is far. Where they are dead, a prune deletes them.
        is_near = not isinstance(components.backend, HighLatencyBackend)
        found = components.vouched(looked, reads_others=is_near)
        if found or index.damage:
            is_mended = bool(index.damage)
            index.publish(found)
            if is_mended:
                # The number has moved.
                self._look()
        # The others' footers may stand behind other bytes: what they claim to hold is stored.
        index.distrust(index.unindexed_packs)
        own.forget_all_but(index.packs())
        with Claims() as claims:
            writer = VaultWriter(
                components.backend,
                self._key,
                components.structure,
                index,
                own,
                claims,
                components.randomness,
                components.cache,
                compression,
            )
            try:
                yield writer
                writer.publish()
                self.has_stored = self.has_stored or writer.bytes_stored > 0
            except BaseException:
                # The error that led here is the one to report.
                with suppress(StoreError):
                    writer.abort()
                raise

    def _look(self) -> None:
        """Read the pending deletions, and then the index: one of that moment will do, and no older one.

        A prune takes a pack out of the index before it takes it out of the pending deletions, so what that index names is there or
        pending deletion.
        """
        index = self._components.index
        index.pending = pending_deletions_of(self._register.read())
        index.refresh(is_register_known=True)

    def _compression(self) -> Callable[[], Compression]:
        """Return what tells how much to compress: at once where that asks for nothing, else when something is to be stored."""
        backend = self._components.backend
        if isinstance(backend, RemembersStates) and backend.is_looking:
            found = self._components.compression()
            return lambda: found
        return cache(self._components.compression)

    def commit(self, caps: Iterable[ReadCap], *, found: Iterable[ReadCap] = ()) -> None:
        """See `tallac.interfaces.Session`."""
        self._state(SessionState.COMMITTING, list(caps), list(found))

    def confirm(self) -> None:
        """Check, after the edits, that no prune has come between them and the look at the pending deletions.

        Such a prune has waited for this session, unless all listings have hidden it from that prune. Over a line, the session ends
        beside the look: what it has linked hangs from the edited directories by now, as every mark finds that has not seen it any
        more, and from those that have not seen it at all it protects nothing.

        Raises:
            FencedError: It took something that is linked by now; to store the same again makes that whole.
        """
        ask_anew(self._components.backend)
        if not self._linked:
            return
        backend = self._components.backend
        if isinstance(backend, DistantBackend):
            calls: list[Callable[[], State | None]] = [self._register.read, self.end]
            state, _ = backend.run_together(calls)
        else:
            state = self._register.read()
        pending = pending_deletions_of(state)
        if pending.number != self._looked_at_number:
            self._require_all(self._linked, pending)

    def end(self) -> None:
        """End the session, unless it has ended, or is to stay."""
        if self._registered.record.state is not SessionState.KEPT and not self._has_ended:
            self._registered.end()
            self._has_ended = True

    def keep(self, caps: Iterable[ReadCap]) -> None:
        """See `tallac.interfaces.Session`."""
        self._state(SessionState.KEPT, list(caps), [])

    def _state(self, state: SessionState, caps: list[ReadCap], found: list[ReadCap]) -> None:
        """Write down what is needed, then look whether a prune proposes or has decided to delete some of it."""
        ask_anew(self._components.backend)
        self._registered.commit(b"".join(links_of_encoded(encode_cap(cap)) for cap in caps + found), state)
        pending = pending_deletions_of(self._register.read())
        if pending.number != (self._first_number or 0):
            pending = self._require_all(caps + found, pending)
        elif found and pending.number:
            pending = self._require_all(found, pending)
        self._linked += caps + found
        self._looked_at_number = pending.number

    def _require_all(self, caps: list[ReadCap], pending: PendingDeletions) -> PendingDeletions:
        """Look up everything that hangs from some caps, and take it out of the pending deletions while that can be done.

        What a prune has merely proposed is rescued; what it has decided upon counts as deleted. Returns the last state looked at.
        """
        index = self._components.index
        while True:
            index.pending = pending.decided()
            index.refresh()
            index.look_at_packs()
            index.distrust(index.unindexed_packs)
            finder = ProposalRecorder(index, pending)
            for cap in caps:
                # What hangs from a mutable directory is kept by its root.
                if not isinstance(cap, MutableDirectoryRead):
                    self._require(cap, finder)
            needed = finder.needed_packs
            if not needed:
                return pending
            state = self._register.swap(partial(_without, needed))
            pending = pending_deletions_of(state)
            if not any(pack in pending.packs for pack in needed):
                return pending

    def _require(self, cap: ReadCap, finder: ProposalRecorder) -> None:
        try:
            from tallac.vault.check.below import check_contents  # lazy import: few sessions link what they have not stored

            report = check_contents(self._components, cap, read_data=False, finder=finder)
        except DamageError as error:
            raise FencedError(f"{error}: a prune deleted it during this run; run the command again") from error
        if not report.is_healthy:
            raise FencedError(f"{report.findings[0].message}: a prune deleted it during this run; run the command again")


def _without(needed: set[bytes], text: bytes | None) -> bytes | None:
    """Take out what a writer needs and no prune has decided upon."""
    entries = decode_pending(text)
    kept = [entry for entry in entries if entry.is_decided or entry.pack not in needed]
    return None if len(kept) == len(entries) else encode_pending(kept)
