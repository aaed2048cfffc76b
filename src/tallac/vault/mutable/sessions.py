"""Sessions and pending deletions: how writers and prunes keep out of each other's way. docs/format.md, "Sessions".

A writer registers a session before it looks anything up. Before it links what it stored, it swaps the session from *open* to
*committing*; afterwards it deletes it. A prune that has waited long enough swaps an open session to *fenced*. Safety comes from
these swaps: a fenced writer, or one that finds the pending deletions changed, looks all its references up again before it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from threading import Event, Lock, Thread

import msgspec

from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, open_sealed, seal_checked
from tallac.errors import ConflictError, CorruptObjectError, FencedError, MalformedObjectError, StoreError, StorePermissionError
from tallac.interfaces import Backend, Clock, Randomness, Version
from tallac.together import STEP_SECONDS, STOP
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.compression import Codec
from tallac.vault.format.padding import pad_plain, unpad_plain
from tallac.vault.format.structure import Structure
from tallac.vault.mutable.conditional_put import put_new, put_once
from tallac.vault.mutable.registers import NUMBER_MAX

SESSION_PREFIX = "sessions/"
HEARTBEAT_INTERVAL_SECONDS = 20.0
"""How often a writer shows that it lives. A prune fences who has not for several times as long."""

CLIENT_SIZE_MAX = 64
"""Bytes of a client's name."""

_PURPOSE = b"session"
SESSION_CONTEXT = _PURPOSE + bytes((FORMAT_VERSION,))


class SessionState(StrEnum):
    """Where a session stands."""

    OPEN = "open"
    COMMITTING = "committing"
    FENCED = "fenced"
    KEPT = "kept"


class SessionRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The content of a session object.

    Attributes:
        state: See `SessionState`.
        started_ns: By the writer's clock; it only decides how long a prune waits. Below 2^62.
        client: What people call the writer; at most 64 bytes.
        links: While committing: the links (see `links`) of what is about to be linked; when kept, of what is linked nowhere.
    """

    state: SessionState
    started_ns: int
    client: str = ""
    links: bytes = b""


class _Stamped(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    state: SessionState
    started_ns: int
    client: str
    links: bytes
    stamp: bytes


_decoder = msgspec.msgpack.Decoder(_Stamped)


def decode_session(path: str, sealed: bytes, key: bytes, structure: Structure) -> SessionRecord:
    """Open a session object, and check its stamp. The key is the roots key.

    Raises:
        CorruptObjectError: It is no session of a writer or keeper of this vault: it is to be passed over, and named.
    """
    try:
        plain = unpad_plain(open_sealed(key, sealed, SESSION_CONTEXT + path.encode()), Codec(), SEAL_OVERHEAD)
        found = _decoder.decode(plain)
        record = SessionRecord(found.state, found.started_ns, found.client, found.links)
        structure.check(_PURPOSE, _stamped(path, record), found.stamp)
        is_bounded = 0 <= record.started_ns <= NUMBER_MAX and len(record.client.encode()) <= CLIENT_SIZE_MAX
        if not is_bounded or msgspec.msgpack.encode(found) != plain:
            raise MalformedObjectError("it does not follow the format")
    except CorruptObjectError as error:
        raise type(error)(f"{path} is not a session: {error}") from None
    except (msgspec.MsgspecError, UnicodeError):
        raise MalformedObjectError(f"{path} is not a session: it does not follow the format") from None
    return record


def seal_session(path: str, record: SessionRecord, key: bytes, structure: Structure, randomness: Randomness) -> bytes:
    """Return a session object that says this, with a stamp."""
    stamp = structure.stamp(_PURPOSE, _stamped(path, record))
    stamped = _Stamped(record.state, record.started_ns, record.client, record.links, stamp)
    plain = pad_plain(msgspec.msgpack.encode(stamped), Codec(), SEAL_OVERHEAD)
    return seal_checked(key, randomness(SALT_SIZE), plain, SESSION_CONTEXT + path.encode())


def new_session_path(randomness: Randomness) -> str:
    """Make up the name of a session object."""
    return SESSION_PREFIX + randomness(16).hex()


def client_name(text: str) -> str:
    """Cut a client's name to what a session may hold."""
    return text.encode("utf-8", "replace")[:CLIENT_SIZE_MAX].decode("utf-8", "ignore")


def _stamped(path: str, record: SessionRecord) -> bytes:
    """Return what a session's stamp covers, beside what every stamp does."""
    return msgspec.msgpack.encode([path, record.state, record.started_ns, record.client, record.links])


class RegisteredSession:
    """This writer's own session object. Thread-safe.

    Attributes:
        path, record, version: The object's name, what it says, and its version in the store.
    """

    def __init__(
        self,
        backend: Backend,
        key: bytes,
        structure: Structure,
        randomness: Randomness,
        path: str,
        record: SessionRecord,
        version: Version,
    ) -> None:
        """Take a session that is stored already; `register` stores a new one."""
        self._backend = backend
        self._key = key
        self._structure = structure
        self._randomness = randomness
        self._lock = Lock()
        self.path = path
        self.record = record
        self.version = version

    @classmethod
    def register(
        cls,
        backend: Backend,
        key: bytes,
        structure: Structure,
        randomness: Randomness,
        clock: Clock,
        client: str = "",
        path: str | None = None,
    ) -> RegisteredSession:
        """Store a new open session, sealed under the roots key; durable when this returns.

        `client` is a name for people; `path` the object's, made by `new_session_path` where none is given.
        """
        path = path or new_session_path(randomness)
        record = SessionRecord(SessionState.OPEN, clock.now_ns(), client_name(client))
        version = put_new(backend, path, seal_session(path, record, key, structure, randomness))
        return cls(backend, key, structure, randomness, path, record, version)

    @classmethod
    def load(
        cls, backend: Backend, key: bytes, structure: Structure, randomness: Randomness, path: str
    ) -> RegisteredSession | None:
        """Read a session that is stored; None where there is none.

        Raises:
            CorruptObjectError: What is there is no session.
        """
        found = backend.get_versioned(path)
        if found is None:
            return None
        return cls(backend, key, structure, randomness, path, decode_session(path, found[0], key, structure), found[1])

    def commit(self, links: bytes, state: SessionState = SessionState.COMMITTING) -> None:
        """Swap from open to committing, naming what is about to be linked; or to kept, naming what is to stay without a link.

        Raises:
            FencedError: A prune has fenced this session.
        """
        with self._lock:
            record = msgspec.structs.replace(self.record, state=state, links=self.record.links + links)
            try:
                self.version = self._put(record, self.version)
            except ConflictError:
                raise FencedError(
                    f"a prune of {self._backend.location()} ended this run's session while it was away: run the command again"
                ) from None
            self.record = record

    def send_heartbeat(self) -> bool:
        """Store the session anew, as a sign of life for prunes that wait; False once there is nothing to be said any more."""
        with self._lock:
            if self.record.state is not SessionState.OPEN:
                return False
            try:
                self.version = self._put(self.record, self.version)
            except ConflictError:
                return False  # It is fenced, or has ended; commit says so.
            except StoreError:
                return True  # Whatever it is, who stores something meets it too.
        return True

    def end(self, *, is_unchanged: bool = False) -> None:
        """Delete the session object, fenced or not. Where the store refuses that, fence it: then the next prune deletes it.

        Raises:
            ConflictError: Only an unchanged one was to be deleted, and somebody has changed it.
        """
        try:
            self._backend.delete(self.path, expect=self.version if is_unchanged else None)
        except StorePermissionError:
            with self._lock, suppress(ConflictError):  # A prune that was faster has fenced it already.
                self.record = SessionRecord(SessionState.FENCED, self.record.started_ns, self.record.client)
                self.version = self._put(self.record, self.version)

    def _put(self, record: SessionRecord, expect: Version) -> Version:
        while True:
            try:
                return put_once(self._backend, self.path, self._sealed(record), expect)
            except ConflictError:
                # The answer to an earlier call may have been lost: prunes fence or delete, so an open session was stored here.
                version = self._version_of_open()
                if version is None or version == expect:
                    raise
                expect = version

    def _version_of_open(self) -> Version | None:
        """Return the version of the stored session object; None unless it is there, whole and open."""
        found = self._backend.get_versioned(self.path)
        if found is None:
            return None
        try:
            record = decode_session(self.path, found[0], self._key, self._structure)
        except CorruptObjectError:
            return None
        return found[1] if record.state is SessionState.OPEN else None

    def _sealed(self, record: SessionRecord) -> bytes:
        return seal_session(self.path, record, self._key, self._structure, self._randomness)


@contextmanager
def heartbeat(session: RegisteredSession) -> Iterator[None]:
    """Show for the length of the block that the session's writer lives, from a thread of its own."""
    over = Event()

    def send_heartbeat() -> None:
        while not over.wait(HEARTBEAT_INTERVAL_SECONDS) and session.send_heartbeat():
            pass

    thread = Thread(target=send_heartbeat, name="tallac-session", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # A store may not answer any more. A sign of life that comes late finds another state, and changes nothing.
        while thread.is_alive() and not STOP.is_asked_for:
            thread.join(STEP_SECONDS)
