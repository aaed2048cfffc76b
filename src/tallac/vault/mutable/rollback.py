"""The states of mutable objects that this client has seen, so that a vault that is rolled back to an older one is refused.

One small file in the user's state folder. Losing it loses only this protection. It can't tell a store that shows each client a
history of its own: clients never compare what they have seen.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import Lock, RLock
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import CorruptObjectError, LocalStateError, LostStateError, RollbackDetectedError
from tallac.local_files import Durability, locked, replace

SEEN_FILE = "seen.json"
LOCK_FILE = "seen.lock"
JUMP_MAX = 1 << 32
"""By more than this no number grows between two looks: a repair adds 2^20, and nobody makes so many changes."""


class _Seen(msgspec.Struct, array_like=True):
    number: int
    hash: bytes


_decoder = msgspec.json.Decoder(dict[str, _Seen])


class RollbackMemory(Protocol):
    """Remembers the highest number of each mutable object."""

    def check(self, path: str, number: int, state_hash: bytes) -> None:
        """Compare a state that was just read with what was seen, and remember it.

        Raises:
            RollbackDetectedError: A later state was seen, or another one with this number.
            LostStateError: There is none, the number being 0, and one was seen.
            CorruptObjectError: The number has leapt: whoever may write this has made it up.
        """
        ...

    def remember(self, path: str, number: int, state_hash: bytes) -> None:
        """Remember a state that this client has just written."""
        ...

    def highest(self, path: str) -> int:
        """Return the highest number that was seen; 0 where nothing was."""
        ...

    def known(self, prefix: str) -> list[str]:
        """Return the names, with this prefix, of all that was seen."""
        ...


class SeenStates:
    """A rollback memory in a file. Thread-safe.

    All of a process that look at one vault share one (`shared`). What other processes have written is taken in before a state is
    compared, and what this client has written itself is on disk before it goes on.
    """

    def __init__(self, folder: Path, location: str, *, is_kept: bool = True) -> None:
        """Remember in a folder, which exists; location names the vault in messages. See `shared`.

        Where it is not kept, the file is read once and never written: the folder is a temporary one.
        """
        self._path = folder / SEEN_FILE
        self._is_kept = is_kept
        self._location = location
        self._lock = RLock()
        self._read_as: tuple[int, ...] | None = None
        self._seen: dict[str, _Seen] = {}
        self._changed: set[str] = set()
        self._take_in(is_first=True)

    @classmethod
    def shared(cls, home: Path, folder: Path, location: str) -> SeenStates:
        """Return this process's memory of a vault.

        Args:
            home: Where the vault's state belongs, which tells vaults apart.
            folder: Where it is: there, or in a temporary folder, and then nothing outlasts the process.
            location: Names the vault in messages.
        """
        with _sharing:
            memory = _shared.get(home)
            if memory is None:
                memory = _shared[home] = cls(folder, location, is_kept=folder == home)
            return memory

    def check(self, path: str, number: int, state_hash: bytes) -> None:
        """See `RollbackMemory`."""
        with self._lock:
            self._take_in()
            seen = self._seen.get(path)
            if seen is not None and not number:
                raise LostStateError(
                    f"{path} is missing from the vault at {self._location}, and this machine has seen state {seen.number} of it: "
                    "somebody deleted it, or the vault was rolled back to an older copy. Run `tallac repair`, with --from where "
                    f"there is a mirror; to accept the older copy, delete {self._path}, and snapshots made since are lost"
                )
            if seen is not None and (number < seen.number or (number == seen.number and state_hash != seen.hash)):
                raise RollbackDetectedError(
                    f"the vault at {self._location} shows state {number} of {path}, but this machine has seen state {seen.number}: "
                    "it was rolled back to an older copy. Restore the newer copy; if there is none, delete "
                    f"{self._path} to accept the older, and snapshots made since are lost"
                )
            if seen is not None and number > seen.number + JUMP_MAX:
                raise CorruptObjectError(
                    f"{path} in the vault at {self._location} is damaged: its number has grown by more than anybody makes changes"
                )
            if number and (seen is None or number > seen.number):
                self._note(path, number, state_hash)

    def remember(self, path: str, number: int, state_hash: bytes) -> None:
        """See `RollbackMemory`. It is on disk when this returns; where it can't be, `save` says so."""
        with self._lock:
            self._take_in()
            self._note(path, number, state_hash)
            # What was written in the vault is written: the run goes on.
            with suppress(LocalStateError):
                self.save()

    def highest(self, path: str) -> int:
        """See `RollbackMemory`."""
        with self._lock:
            self._take_in()
            return self._seen[path].number if path in self._seen else 0

    def known(self, prefix: str) -> list[str]:
        """See `RollbackMemory`."""
        with self._lock:
            self._take_in()
            return sorted(path for path in self._seen if path.startswith(prefix))

    def save(self) -> None:
        """Write what has changed. The highest number of each object wins over what another process wrote.

        Raises:
            LocalStateError: It can't be written.
        """
        with self._lock:
            if not self._changed or not self._is_kept:
                return
            try:
                with locked(self._path.with_name(LOCK_FILE)):
                    self._take_in()
                    replace(self._path, msgspec.json.encode(self._seen), Durability.CONTENT)
                    self._read_as = self._signature()
            except OSError as error:
                raise LocalStateError(f"can't write {self._path}: {error.strerror}") from error
            self._changed.clear()

    def _note(self, path: str, number: int, state_hash: bytes) -> None:
        self._seen[path] = _Seen(number, state_hash)
        self._changed.add(path)

    def _take_in(self, *, is_first: bool = False) -> None:
        """Read what another process has written since; where its user has deleted the file, all is forgotten."""
        if not self._is_kept and not is_first:
            return
        signature = self._signature()
        if signature == self._read_as:
            return
        if signature is None:
            self._seen.clear()
            self._changed.clear()
        for path, seen in self._load().items():
            if path not in self._seen or self._seen[path].number < seen.number:
                self._seen[path] = seen
        self._read_as = signature

    def _signature(self) -> tuple[int, ...] | None:
        """Return what tells whether the file has changed: it is only ever replaced."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LocalStateError(f"can't read {self._path}: {error.strerror}") from error
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _load(self) -> dict[str, _Seen]:
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise LocalStateError(f"can't read {self._path}: {error}; delete it to start its record anew") from error


class MemoryOfPlace:
    """A memory of objects that each copy of a vault has for itself: a mirror may have an index of its own.

    One that is missing is no older one: all that an index says is read from the packs, and a repair writes it anew.
    """

    def __init__(self, memory: RollbackMemory, location: str) -> None:
        """Keep them in the memory of the vault, by location."""
        self._memory = memory
        self._place = hash_file_bytes(location.encode("utf-8", "surrogateescape")).hex()[:16]

    def check(self, path: str, number: int, state_hash: bytes) -> None:
        """See `RollbackMemory`."""
        if number:
            self._memory.check(self._name(path), number, state_hash)

    def remember(self, path: str, number: int, state_hash: bytes) -> None:
        """See `RollbackMemory`."""
        self._memory.remember(self._name(path), number, state_hash)

    def highest(self, path: str) -> int:
        """See `RollbackMemory`."""
        return self._memory.highest(self._name(path))

    def known(self, prefix: str) -> list[str]:
        """See `RollbackMemory`."""
        end = self._name("")
        return [path.removesuffix(end) for path in self._memory.known(prefix) if path.endswith(end)]

    def _name(self, path: str) -> str:
        return f"{path}@{self._place}"


_sharing = Lock()
_shared: WeakValueDictionary[Path, SeenStates] = WeakValueDictionary()


class NoMemory:
    """Remembers nothing: for a vault that is being made, and for tests."""

    def check(self, path: str, number: int, state_hash: bytes) -> None:
        """Accept every state."""

    def remember(self, path: str, number: int, state_hash: bytes) -> None:
        """Forget it at once."""

    def highest(self, path: str) -> int:
        """Return 0."""
        return 0

    def known(self, prefix: str) -> list[str]:
        """Return nothing."""
        return []
