"""Which sessions this machine's processes have begun, so that the next one ends what killed runs have left in the vault.

Each session has a file in the state folder, which its process locks for as long as the session lasts. A file that can be locked
belongs to a process that is dead, or to a session whose end did not reach the store. To lose these files costs little: an open
session is fenced by the next prune all the same, after a wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tallac.errors import ConflictError, CorruptObjectError, FencedError, StoreError, StoreFullError
from tallac.file_calls import READ_FLAGS, REAL
from tallac.interfaces import Backend, Clock, DistantBackend, HighLatencyBackend
from tallac.local_files import make_private_folders
from tallac.vault.mutable.sessions import SESSION_PREFIX, RegisteredSession, SessionState

OWN_SESSIONS_FOLDER = "sessions"
ON_THE_WAY_SECONDS = 600
"""How long a request that nobody waits for may be on its way to a distant store: so long its session protects what it may link."""

_SEEN_DEAD = b"\0dead"
_CONTENT_MAX = 1024

Load = Callable[[str], RegisteredSession | None]


class OwnSessions:
    """The files of one vault's sessions. Any number of processes and threads may use them at once."""

    def __init__(self, folder: Path, clock: Clock, *, is_kept: bool = True) -> None:
        """Use a vault's state folder; where it is a temporary one, nothing is kept."""
        self._folder = folder / OWN_SESSIONS_FOLDER
        self._clock = clock
        self._is_kept = is_kept

    @contextmanager
    def noted(self, path: str) -> Iterator[None]:
        """Show for the length of the block, which begins before the session is stored, that its process lives.

        The file stays until `forget`, so that a session whose end the store did not take is ended by a later run.
        """
        descriptor = self._lock_new(path) if self._is_kept else None
        try:
            yield
        finally:
            if descriptor is not None:
                REAL.unlock(descriptor)

    def end_or_leave(self, session: RegisteredSession, backend: Backend, error: BaseException) -> None:
        """End the session of a block that an error ends, or leave it to a later run, as a killed run's is.

        What an edit has sent to a distant store may be carried out yet where nobody has waited for its answer, or none came. What
        it links then has to be there.

        Raises:
            StoreError: The store does not take the end; a later run ends it.
        """
        # Who is told of a fence has sent no edit yet, or has all answers; whom a full store has refused an edit has them too.
        is_answered = isinstance(error, FencedError) or (isinstance(error, StoreFullError) and error.is_refusal)
        may_link = session.record.state is SessionState.COMMITTING and not is_answered
        if may_link and _carries_out_late(backend):
            self._note_death_of(session.path)
            return
        session.end()
        self.forget(session.path)

    def forget(self, path: str) -> None:
        """Remove the file of a session that is over, or that is to stay."""
        # One that can't be removed is looked at again, and its session found to be gone.
        with suppress(OSError):
            os.unlink(self._path_of(path))

    def end_dead(self, backend: Backend, load: Load) -> None:
        """End the sessions of this machine's dead processes, as far as the store lets it now.

        What they have stored is an ordinary pack from then on: the next backup uses it, or a prune deletes it.

        Args:
            backend: Where the vault is.
            load: Reads the session of a name; None where there is none.
        """
        for name in self._names():
            with self._locked_dead(name) as descriptor:
                if descriptor is not None:
                    # Where the store fails, the file stays for another time; what runs now meets the same trouble, and says so.
                    with suppress(StoreError):
                        self._end(SESSION_PREFIX + name, descriptor, backend, load)

    def left_until_ns(self) -> dict[str, int]:
        """Return the sessions of this machine that nobody waits for any more, and from when on `end_dead` ends each, in ns."""
        found: dict[str, int] = {}
        for name in self._names():
            with suppress(OSError), (self._folder / name).open("rb") as file:
                if file.read(_CONTENT_MAX) == _machine() + _SEEN_DEAD:
                    found[SESSION_PREFIX + name] = os.fstat(file.fileno()).st_mtime_ns + ON_THE_WAY_SECONDS * 1_000_000_000
        return found

    def _end(self, path: str, descriptor: int, backend: Backend, load: Load) -> None:
        try:
            session = load(path)
        except CorruptObjectError:
            session = None  # Checks and prunes name it.
        state = None if session is None else session.record.state
        # A link that it has sent to a distant store may arrive yet.
        if state is SessionState.COMMITTING and _carries_out_late(backend) and not self._was_dead_long(descriptor):
            return
        if session is not None and state in (SessionState.OPEN, SessionState.COMMITTING):
            with suppress(ConflictError):  # A prune was faster.
                session.end(is_unchanged=True)
        self.forget(path)

    def _was_dead_long(self, descriptor: int) -> bool:
        """Whether some run has found the process dead long ago; the first one to find it so notes it."""
        if not os.pread(descriptor, _CONTENT_MAX, 0).endswith(_SEEN_DEAD):
            self._note_death(descriptor)
            return False
        since_ns = self._clock.now_ns() - os.fstat(descriptor).st_mtime_ns
        if since_ns < 0:
            # The clock was ahead then, and somebody has set it; by its present time the wait begins anew.
            self._note_death(descriptor)
        return since_ns >= ON_THE_WAY_SECONDS * 1_000_000_000

    def _note_death(self, descriptor: int) -> None:
        """Note in a session's file that by now nobody waits for what it has sent."""
        os.pwrite(descriptor, _machine() + _SEEN_DEAD, 0)
        os.utime(descriptor, ns=(self._clock.now_ns(), self._clock.now_ns()))

    def _note_death_of(self, path: str) -> None:
        # Without a file, or where it takes nothing, a run that finds it, or the user, ends the session later.
        with suppress(OSError):
            descriptor = os.open(self._path_of(path), os.O_RDWR)
            try:
                self._note_death(descriptor)
            finally:
                os.close(descriptor)

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._folder)) if self._is_kept else []
        except OSError:
            return []  # Nobody has begun a session here yet; where it can't be read, prunes wait a bit longer.

    def _lock_new(self, path: str) -> int | None:
        """Make a session's file and lock it; None where that can't be done here."""
        try:
            make_private_folders(self._folder)
            while True:
                descriptor = REAL.open(self._path_of(path), os.O_RDWR | os.O_CREAT)
                # Another process may have taken it for a dead one's before it was locked.
                if REAL.try_lock(descriptor, shared=False) and REAL.stat(descriptor).st_nlink:
                    os.pwrite(descriptor, _machine(), 0)
                    return descriptor
                REAL.unlock(descriptor)
        except OSError:
            return None

    @contextmanager
    def _locked_dead(self, name: str) -> Iterator[int | None]:
        """Lock a session's file for the length of the block, if its process is dead for certain."""
        path = str(self._folder / name)
        try:
            descriptor = REAL.open(path, os.O_RDWR)
        except OSError:
            yield None  # It has ended meanwhile.
            return
        try:
            yield descriptor if _is_dead(descriptor, path) else None
        finally:
            REAL.unlock(descriptor)

    def _path_of(self, path: str) -> str:
        return str(self._folder / path.removeprefix(SESSION_PREFIX))


def _carries_out_late(backend: Backend) -> bool:
    """Whether a store may carry out a request when nobody waits for it any more."""
    return isinstance(backend, (DistantBackend, HighLatencyBackend))


def _machine() -> bytes:
    """Name this machine: several may share a home, and their locks need not reach each other."""
    import platform  # lazy import: only a session needs it

    return platform.node().encode("utf-8", "surrogateescape")


def _is_dead(descriptor: int, path: str) -> bool:
    try:
        if not REAL.try_lock(descriptor, shared=False):
            return False
        second = REAL.open(path, READ_FLAGS)
        try:
            # A file system may take locks and keep none.
            is_kept = not REAL.try_lock(second, shared=True)
        finally:
            REAL.unlock(second)
        return is_kept and os.pread(descriptor, _CONTENT_MAX, 0).removesuffix(_SEEN_DEAD) == _machine()
    except OSError:
        return False  # What can't be known is not so.
