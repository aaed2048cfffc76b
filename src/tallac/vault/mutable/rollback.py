"""The states of mutable objects that this client has seen, so that a vault that is rolled back to an older one is refused.

One small file in the user's state folder. Losing it loses only this protection.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from tallac.errors import LocalStateError, RollbackDetectedError
from tallac.local_files import Durability, replace

SEEN_FILE = "seen.json"


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
        """
        ...

    def remember(self, path: str, number: int, state_hash: bytes) -> None:
        """Remember a state that this client has just written."""
        ...

    def highest(self, path: str) -> int:
        """Return the highest number that was seen; 0 where nothing was."""
        ...


class SeenStates:
    """A rollback memory in a file. Reads it once; `save` merges with what other processes wrote meanwhile."""

    def __init__(self, folder: Path, location: str) -> None:
        """Remember in folder, which exists; location names the vault in messages."""
        self._path = folder / SEEN_FILE
        self._location = location
        self._seen = self._load()
        self._changed: set[str] = set()

    def check(self, path: str, number: int, state_hash: bytes) -> None:
        """See `RollbackMemory`."""
        seen = self._seen.get(path)
        if seen is not None and (number < seen.number or (number == seen.number and state_hash != seen.hash)):
            raise RollbackDetectedError(
                f"the vault at {self._location} shows state {number} of {path}, but this machine has seen state {seen.number}: "
                "it was rolled back to an older copy. Restore the newer copy; if there is none, delete "
                f"{self._path} to accept the older, and snapshots made since are lost"
            )
        if seen is None or number > seen.number:
            self.remember(path, number, state_hash)

    def remember(self, path: str, number: int, state_hash: bytes) -> None:
        """See `RollbackMemory`."""
        if number:
            self._seen[path] = _Seen(number, state_hash)
            self._changed.add(path)

    def highest(self, path: str) -> int:
        """See `RollbackMemory`."""
        return self._seen[path].number if path in self._seen else 0

    def save(self) -> None:
        """Write what has changed. The highest number of each object wins over what another process wrote."""
        if not self._changed:
            return
        latest = self._load()
        for path in self._changed:
            if path not in latest or latest[path].number <= self._seen[path].number:
                latest[path] = self._seen[path]
        try:
            replace(self._path, msgspec.json.encode(latest), Durability.FULL)
        except OSError as error:
            raise LocalStateError(f"can't write {self._path}: {error.strerror}") from error
        self._changed.clear()

    def _load(self) -> dict[str, _Seen]:
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise LocalStateError(f"can't read {self._path}: {error}; delete it to start its record anew") from error


class NoMemory:
    """Remembers nothing: for a vault that is being made, and for tests."""

    def check(self, path: str, number: int, state_hash: bytes) -> None:
        """Accept every state."""

    def remember(self, path: str, number: int, state_hash: bytes) -> None:
        """Forget it at once."""

    def highest(self, path: str) -> int:
        """Return 0."""
        return 0
