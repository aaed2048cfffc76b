"""One writer's stay in a vault: see `tallac.interfaces.Session`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from msgspec.structs import replace

from tallac.caps import Cap, MutableDirectoryRead, ReadCap
from tallac.dag import encode_cap
from tallac.errors import DamageError, FencedError, StoreError
from tallac.interfaces import CapWriter
from tallac.vault.check.below import check_below
from tallac.vault.components import VaultComponents
from tallac.vault.format.keys import KeeperKey, WriterKey
from tallac.vault.format.links import links_of_encoded
from tallac.vault.mutable.pending_deletions import PendingDeletions, decode_pending, encode_pending, pending_deletions_of
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.sessions import RegisteredSession, SessionState
from tallac.vault.writing.batch import VaultWriter
from tallac.vault.writing.claims import Claims


class VaultSession:
    """See `tallac.interfaces.Session`."""

    def __init__(self, components: VaultComponents, key: WriterKey, registered: RegisteredSession) -> None:
        """Begin after the session object is durable."""
        self._components = components
        self._key = key
        self._registered = registered
        self._register = pending_register(components, key.keeper_key)
        self._first_number: int | None = None
        self._linked: list[ReadCap] = []
        self._looked_at_number = 0
        self.has_stored = False
        """Whether some batch has added to the store."""

    @contextmanager
    def writing(self) -> Iterator[CapWriter]:
        """See `tallac.interfaces.Session`."""
        components, index = self._components, self._components.index
        index.quarantine = pending_deletions_of(self._register.read())
        if self._first_number is None:
            # Later batches look at a later state, but what the first one relied on was looked up under this one.
            self._first_number = index.quarantine.number
        # An index of the moment at which the quarantine was read will do, and no older one: a prune takes a pack out of the index
        # before it takes it out of the quarantine, so what that index names is there or in quarantine.
        index.refresh(is_register_known=True)
        found = index.look_at_packs()
        if found:
            index.publish(found)
        with Claims() as claims:
            writer = VaultWriter(components.backend, self._key, index, claims, components.randomness)
            try:
                yield writer
                writer.publish()
                self.has_stored = self.has_stored or writer.bytes_stored > 0
            except BaseException:
                # The error that led here is the one to report.
                with suppress(StoreError):
                    writer.abort()
                raise

    def commit(self, caps: Iterable[ReadCap], *, found: Iterable[ReadCap] = ()) -> None:
        """See `tallac.interfaces.Session`."""
        self._state(SessionState.COMMITTING, list(caps), list(found))

    def confirm(self) -> None:
        """See, after the edits, that no prune has come between the look at the quarantine and them.

        Such a prune has waited for this session, unless all listings have hidden it from that prune.

        Raises:
            FencedError: It took something that is linked by now; to store the same again makes that whole.
        """
        if self._linked:
            quarantine = pending_deletions_of(self._register.read())
            if quarantine.number != self._looked_at_number:
                self._require_all(self._linked, quarantine)

    def keep(self, caps: Iterable[ReadCap]) -> None:
        """See `tallac.interfaces.Session`."""
        self._state(SessionState.KEPT, list(caps), [])

    @property
    def is_kept(self) -> bool:
        """Whether the session object is to stay."""
        return self._registered.record.state is SessionState.KEPT

    def _state(self, state: SessionState, caps: list[ReadCap], found: list[ReadCap]) -> None:
        """State what is needed, and then see that no prune has an eye on it."""
        self._registered.commit(b"".join(links_of_encoded(encode_cap(cap)) for cap in caps + found), state)
        quarantine = pending_deletions_of(self._register.read())
        if quarantine.number != (self._first_number or 0):
            quarantine = self._require_all(caps + found, quarantine)
        elif found and quarantine.number:
            quarantine = self._require_all(found, quarantine)
        self._linked += caps + found
        self._looked_at_number = quarantine.number

    def _require_all(self, caps: list[ReadCap], quarantine: PendingDeletions) -> PendingDeletions:
        """Look up everything that hangs from some caps, and take it out of the quarantine while that can be done.

        What a prune has merely proposed is rescued. What it has decided upon is as good as gone. Gives the last state looked at.
        """
        index = self._components.index
        while True:
            wanted: set[bytes] = set()
            index.quarantine = replace(quarantine, wanted=wanted)
            for cap in caps:
                # What hangs from a mutable directory is kept by its root.
                if not isinstance(cap, MutableDirectoryRead):
                    self._require(cap)
            if not wanted:
                return quarantine
            state = self._register.swap(partial(_without, wanted))
            quarantine = pending_deletions_of(state)
            if not any(pack in quarantine.packs for pack in wanted):
                return quarantine

    def _require(self, cap: Cap) -> None:
        try:
            report = check_below(self._components, cap, read_data=False)
        except DamageError as error:
            raise FencedError(f"{error}: a prune took it while this run was under way; run the command again") from error
        if not report.is_healthy:
            raise FencedError(f"{report.findings[0].message}: a prune took it while this run was under way; run the command again")


def pending_register(components: VaultComponents, keeper: KeeperKey) -> Register:
    """Give the register that holds the quarantine."""
    return Register(components.backend, "quarantine", keeper.roots, components.memory, components.randomness)


def _without(wanted: set[bytes], text: bytes | None) -> bytes | None:
    """Take out what a writer needs and no prune has decided upon."""
    entries = decode_pending(text)
    kept = [entry for entry in entries if entry.is_decided or entry.pack not in wanted]
    return None if len(kept) == len(entries) else encode_pending(kept)
