"""One writer's stay in a vault: see `tallac.interfaces.Session`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from tallac.caps import Cap, ReadCap
from tallac.dag import pack_cap
from tallac.errors import DamageError, FencedError, StoreError
from tallac.interfaces import CapWriter, CheckReport
from tallac.vault.checking import CapCheck, Progress
from tallac.vault.claims import Claims
from tallac.vault.keys import WriterKey
from tallac.vault.links import links_of_packed
from tallac.vault.objects import NAME_SIZE
from tallac.vault.parts import VaultParts
from tallac.vault.reading import ObjectReader
from tallac.vault.registers import Register
from tallac.vault.sessions import RegisteredSession
from tallac.vault.writer import VaultWriter


def check_below(parts: VaultParts, cap: Cap, *, read_data: bool, progress: Progress | None = None) -> CheckReport:
    """Check what hangs below a cap, over a fresh index and the packs that are there."""
    parts.index.refresh()
    parts.index.look_at_packs()
    # A reader of its own: what another one has kept of a pack may be gone from the store.
    reader = ObjectReader(parts.backend, parts.locator, parts.index, only_present=True)
    check = CapCheck(reader, parts.slots, parts.index, parts.locator, read_data=read_data, progress=progress)
    check.check(cap)
    return check.report


class VaultSession:
    """See `tallac.interfaces.Session`."""

    def __init__(self, parts: VaultParts, key: WriterKey, registered: RegisteredSession) -> None:
        """Begin after the session object is durable."""
        self._parts = parts
        self._key = key
        self._registered = registered
        self._quarantine = Register(parts.backend, "quarantine", key.keeper_key.roots, parts.memory, parts.randomness)
        self._quarantine_number = 0

    @contextmanager
    def writing(self) -> Iterator[CapWriter]:
        """See `tallac.interfaces.Session`."""
        parts, index = self._parts, self._parts.index
        self._look_at_quarantine()
        index.refresh()
        found = index.look_at_packs()
        if found:
            index.publish(found)
        with Claims() as claims:
            writer = VaultWriter(parts.backend, self._key, index, claims, parts.randomness)
            try:
                yield writer
                writer.publish()
            except BaseException:
                # The error that led here is the one to report.
                with suppress(StoreError):
                    writer.abort()
                raise

    def commit(self, caps: Iterable[ReadCap]) -> None:
        """See `tallac.interfaces.Session`."""
        caps = list(caps)
        links = b"".join(links_of_packed(pack_cap(cap)) for cap in caps)
        self._registered.commit(links)
        before = self._quarantine_number
        self._look_at_quarantine()
        if self._quarantine_number != before:
            self._require_all(caps)

    def _look_at_quarantine(self) -> None:
        state = self._quarantine.read()
        self._quarantine_number = 0 if state is None else state.number
        text = b"" if state is None else state.text
        self._parts.index.quarantined = frozenset(text[at : at + NAME_SIZE] for at in range(0, len(text), NAME_SIZE))

    def _require_all(self, caps: list[ReadCap]) -> None:
        """Look up again everything that is about to be linked, since a prune has begun meanwhile."""
        for cap in caps:
            try:
                report = check_below(self._parts, cap, read_data=False)
            except DamageError as error:
                raise FencedError(f"{error}: a prune took it while this run was under way; run the command again") from error
            if not report.is_healthy:
                raise FencedError(f"{report.findings[0].what}: a prune took it while this run was under way; run the command again")
