"""Sessions as a prune sees them: what they need, and when none is left that began before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

import msgspec

from tallac.errors import ConflictError, CorruptObjectError, StoreError, StoreFullError
from tallac.interfaces import Backend, Clock, Randomness, Version
from tallac.vault.distance import fetched
from tallac.vault.format.header import list_objects
from tallac.vault.format.structure import Structure
from tallac.vault.mutable.conditional_put import put_once
from tallac.vault.mutable.sessions import SESSION_PREFIX, SessionRecord, SessionState, decode_session, seal_session

KEPT_SECONDS = 30 * 24 * 3600
LASTING_SECONDS = 24 * 3600
"""A snapshot is entered within seconds; a machine may sleep over it."""

POLL_SECONDS_MAX = 10.0
BOTH_LISTINGS = (SESSION_PREFIX, SESSION_PREFIX)
_NS = 1_000_000_000


class FoundSession(msgspec.Struct, frozen=True):
    """A session object as it was read."""

    path: str
    record: SessionRecord
    version: Version


class SessionWatch:
    """All sessions of a vault. What one listing shows is never taken for all there is."""

    def __init__(self, backend: Backend, key: bytes, structure: Structure, randomness: Randomness, clock: Clock) -> None:
        """Nothing is read yet; the key is the one that seals sessions.

        What lies among the sessions and is none of a writer or keeper is passed over; `ignored` names it.
        """
        self._backend = backend
        self._key = key
        self._structure = structure
        self._randomness = randomness
        self._clock = clock
        self._seen: set[str] = set()
        self.ignored: dict[str, None] = {}

    def read(self) -> list[FoundSession]:
        """Read all sessions that are there, by two listings and by the names of those that were seen before.

        Raises:
            StoreError: A listing left out a session that is there.
        """
        with fetched(self._backend, prefixes=BOTH_LISTINGS):
            listings = [{item.name for item in list_objects(self._backend, SESSION_PREFIX)} for _ in range(2)]
        self._seen |= listings[0] | listings[1]
        found = [session for path in sorted(self._seen) if (session := self._get(path)) is not None]
        for session in found:
            if any(session.path not in listing for listing in listings) and self._is_hidden(session.path):
                raise StoreError(
                    f"{self._backend.location()} lists its sessions incompletely: nothing more is deleted; prune again later"
                )
        self._seen = {session.path for session in found}
        return found

    def drop_old(self, found: list[FoundSession]) -> list[FoundSession]:
        """End what was kept for 30 days by this client's clock, and what was fenced; give the others."""
        left = []
        for session in found:
            is_over = session.record.state is SessionState.FENCED or is_expired(session.record, self._clock.now_ns())
            if not is_over or not self._delete(session):
                left.append(session)
        return left

    def wait(self, fence_after_seconds: float, waiting: Callable[[int], None]) -> list[FoundSession]:
        """Return all sessions, once each that is open now has ended, or states what it needs, or is fenced.

        Where none is open, they are as they were found then. One that begins after that need not be among them: it looks at the
        pending deletions after it was stored, and so after all that was proposed before this was called.

        A session is fenced when its object has not changed for so long while this client was looking; writers that live change
        theirs every few seconds. No two clocks are compared.
        """
        looked_at: dict[str, tuple[Version, int]] = {}
        found = self.read()
        for session in found:
            if session.record.state is SessionState.OPEN:
                looked_at[session.path] = (session.version, self._clock.now_ns())
        if not looked_at:
            return found
        pause = 0.05
        while looked_at:
            waiting(len(looked_at))
            for path, (version, since_ns) in list(looked_at.items()):
                now = self._get(path)
                if now is None or now.record.state is not SessionState.OPEN:
                    del looked_at[path]
                elif now.version != version:
                    looked_at[path] = (now.version, self._clock.now_ns())
                elif self._clock.now_ns() - since_ns >= fence_after_seconds * _NS and self._fence(now):
                    del looked_at[path]
            if looked_at:
                self._clock.sleep(pause)
                pause = min(pause * 2, POLL_SECONDS_MAX)
        return self.read()

    def _fence(self, session: FoundSession) -> bool:
        """Swap a session to fenced; False where its writer was faster."""
        record = SessionRecord(SessionState.FENCED, session.record.started_ns, session.record.client)
        sealed = seal_session(session.path, record, self._key, self._structure, self._randomness)
        try:
            put_once(self._backend, session.path, sealed, session.version)
        except ConflictError:
            return False
        except StoreFullError:
            # To its writer, a session that is gone is a session that is fenced.
            return self._delete(session)
        return True

    def _delete(self, session: FoundSession) -> bool:
        try:
            self._backend.delete(session.path, expect=session.version)
        except ConflictError:
            return False
        return True

    def _get(self, path: str) -> FoundSession | None:
        found = self._backend.get_versioned(path)
        if found is None:
            return None
        try:
            return FoundSession(path, decode_session(path, found[0], self._key, self._structure), found[1])
        except CorruptObjectError as error:
            # Should it have been a writer's, that one sees after its edits that pending deletions have come between.
            self.ignored[f"{error}; ignored"] = None
            return None

    def _is_hidden(self, path: str) -> bool:
        """Whether a session is there that a listing leaves out; one that has just begun or ended is not."""
        return path not in {item.name for item in list_objects(self._backend, SESSION_PREFIX)} and self._get(path) is not None


STATED = (SessionState.KEPT, SessionState.COMMITTING)
"""The states in which a session has stated what it needs."""


def links_in_use(found: list[FoundSession], states: Collection[SessionState] = STATED) -> list[bytes]:
    """Return the links of all sessions in some states."""
    return [session.record.links for session in found if session.record.state in states]


def lasting_sessions(found: list[FoundSession], now_ns: int) -> list[str]:
    """Name the sessions whose writers began to enter a snapshot long ago, a sentence each. No prune may end them by itself.

    One that began as far in the future was begun under a clock that was ahead, and is as old, for all that is known.

    Such a writer may yet wake up, and link what it has stored. Two clocks are compared: that decides what is said, and no more.
    """
    return [
        f"{session.path}, of {session.record.client or 'a client'}, is {session.record.state} since "
        f"{datetime.fromtimestamp(session.record.started_ns // _NS, UTC):%Y-%m-%d}, and keeps what it names: if its run is dead, "
        "`tallac repair --remove-stale-sessions` ends it"
        for session in found
        if _is_lasting(session.record, now_ns)
    ]


def entering_sessions(found: list[FoundSession], now_ns: int, left_until_ns: Mapping[str, int]) -> list[str]:
    """Name the sessions whose writers have begun to enter a snapshot, but for those that `lasting_sessions` names.

    Args:
        found: All of them.
        now_ns: The time.
        left_until_ns: Those of runs of this machine that nobody waits for any more, with the time from which the next one ends
            them.
    """
    said = []
    for session in found:
        if session.record.state is not SessionState.COMMITTING or _is_lasting(session.record, now_ns):
            continue
        until_ns = left_until_ns.get(session.path)
        if until_ns is None:
            said.append(
                f"{session.path}, of {session.record.client or 'a client'}, is entering a snapshot: what that needs stays; if its "
                "run is dead, the next one on the same machine ends it, and `tallac repair --remove-stale-sessions` does so at once"
            )
        else:
            # The minute is over then.
            until = datetime.fromtimestamp(until_ns // _NS + 60, UTC).astimezone()
            said.append(
                f"{session.path}: a run on this machine broke off while it entered a snapshot, which the store may carry out yet: "
                f"what that needs stays until {until:%H:%M}; prune again then"
            )
    return said


def _is_lasting(record: SessionRecord, now_ns: int) -> bool:
    return record.state is SessionState.COMMITTING and abs(now_ns - record.started_ns) > LASTING_SECONDS * _NS


def is_expired(record: SessionRecord, now_ns: int) -> bool:
    """Whether what hangs from no root has been kept for long enough."""
    return record.state is SessionState.KEPT and now_ns - record.started_ns > KEPT_SECONDS * _NS
