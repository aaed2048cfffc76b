"""Named bytes on a Tahoe-LAFS grid: each object is an immutable file, and mutable directories know them by name.

In the directory for the first part of its name (`packs`, `slots`, ...) each state of an object is a child `NAME@NUMBER`, with `!`
for further slashes. The highest number counts. A grid has no compare-and-swap, but a number is entered once: who comes second is
told.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO

from tallac.backends.names import check_name, check_prefix
from tallac.backends.spooled_upload import SpooledUpload
from tallac.backends.tahoe_arrivals import Arrival, Arrivals
from tallac.backends.tahoe_states import ROOT_FOLDER, State, StateDirectories, States, last_of, number_of
from tallac.caps import LiteralFile, parse
from tallac.errors import ConflictError, ObjectNotFoundError, StoreError
from tallac.interfaces import Buffer, Expect, Item, Version
from tallac.webapi import WebClient

FOLDERS = (ROOT_FOLDER, "packs", "index", "slots", "sessions", "registers")
"""The directories of a vault, made beforehand; others are made when they are needed."""

STATES_KEPT = 16
"""So many earlier states of an object may wait to be removed; each removal is a request of its own."""

EMBEDDED_SIZE_MAX = 2048
"""Up to so many bytes are held by their own caps, and so by the directory: that spares a request to store and one to read them.

A node itself makes such caps for 55 bytes at most, and reads any."""

READ_SIZE = 4 << 20
"""To begin with a file costs a node 0.1 s, and each further MiB 0.03 s."""

COMMITS_AT_ONCE = 4
"""A node works at one thing at a time, and may wait for far servers; what arrives together is entered together."""

SWAP_TRIES = 50
STREAM_STEP_SIZE = 1 << 18


class TahoeBackend:
    """The `Backend` protocol over a gateway. Thread-safe; it can be sent to other processes of this machine.

    When a call that writes returns, the grid's servers have what was written.
    """

    def __init__(self, url: str, root: str, node: str) -> None:
        """Use a mutable directory; nothing is asked yet.

        Args:
            url: The gateway's.
            root: The directory's write cap, a secret, or its read cap.
            node: Which node that is: the only one through which the vault is written from its making on.
        """
        self._client = WebClient(url)
        # A backend is never closed; its connections end with it.
        weakref.finalize(self, self._client.close)
        self._opened_with = url, root, node
        self._states = StateDirectories(self._client, root, node, self.location())
        self._arrivals = Arrivals(self._states)

    def __reduce__(self) -> tuple[type[TahoeBackend], tuple[str, str, str]]:
        """Return what another process needs to open it once more."""
        return TahoeBackend, self._opened_with

    def __repr__(self) -> str:
        """Show the gateway; the cap is a secret."""
        return f"<TahoeBackend {self.location()}>"

    def location(self) -> str:
        return f"tahoe+vault:{self._client.url}"

    @property
    def uploads_max(self) -> int:
        """See `tallac.interfaces.FrugalBackend`."""
        return COMMITS_AT_ONCE

    @property
    def read_size(self) -> int:
        """See `tallac.interfaces.FrugalBackend`."""
        return READ_SIZE

    def create(self) -> None:
        """Make the directories that a vault uses. Existing ones are no error."""
        self._states.become_writer()
        for folder in FOLDERS:
            self._states.make(folder)

    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        return self._states.is_empty()

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        folder, below = _split(check_name(name))
        content = bytes(data)
        self._states.become_writer()
        if isinstance(expect, bytes):
            return self._replace(name, content, expect)
        cap = ""
        for _ in range(SWAP_TRIES):
            states = self._states.read(folder).get(below, [])
            found = last_of(states)
            if expect is Expect.ABSENT and found.cap is not None:
                break
            cap = cap or self._store(content)
            state = State(found.number + 1, cap, len(content))
            if self._states.enter(folder, below, state):
                self._trim(folder, below, [*states, state])
                return state.version
        raise self._conflict(name)

    def put_new(self, name: str, data: Buffer) -> Version:
        """See `tallac.interfaces.FrugalBackend`."""
        folder, below = _split(check_name(name))
        content = bytes(data)
        self._states.become_writer()
        state = State(1, self._store(content), len(content))
        if not self._states.enter(folder, below, state):
            raise self._conflict(name)
        return state.version

    def upload(self) -> SpooledUpload:
        return SpooledUpload(self.location(), self.add)

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        folder, below = _split(check_name(name))
        # What was uploaded never changes; whoever wants the latest state of what does asks for its version.
        state = self._states.seen(folder, below)
        if state.cap is None:
            state = last_of(self._states.read(folder).get(below))
        if state.cap is None:
            raise ObjectNotFoundError(f"{self.location()} has no object {name}")
        return self._read(name, state, start, state.size if stop is None else min(stop, state.size))

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        folder, below = _split(check_name(name))
        return self._versioned(name, last_of(self._states.read(folder).get(below)))

    def has_cached(self, name: str) -> bool:
        """See `tallac.interfaces.FrugalBackend`."""
        return self._states.has_seen(_split(check_name(name))[0])

    def get_cached(self, name: str) -> tuple[bytes, Version] | None:
        """See `tallac.interfaces.FrugalBackend`."""
        return self._versioned(name, self._states.seen(*_split(check_name(name))))

    def _versioned(self, name: str, state: State) -> tuple[bytes, Version] | None:
        return None if state.cap is None else (self._read(name, state, 0, state.size), state.version)

    def list(self, prefix: str) -> Iterator[Item]:
        check_prefix(prefix)
        first, slash, _ = prefix.partition("/")
        found: list[Item] = []
        for folder in [first] if slash else self._states.names():
            for below, states in self._states.read(folder).items():
                name = below if folder == ROOT_FOLDER else f"{folder}/{below}"
                if states[-1].cap is not None and name.startswith(prefix):
                    found.append(Item(name, states[-1].size))
        return iter(found)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        folder, below = _split(check_name(name))
        self._states.become_writer()
        for _ in range(SWAP_TRIES):
            states = self._states.read(folder)
            found = last_of(states.get(below))
            if found.cap is None:
                return
            if expect is not None and found.version != expect:
                raise self._conflict(name)
            # That the object is gone is a state as well: whoever has seen an earlier one finds its successor taken.
            if self._states.enter(folder, below, State(found.number + 1, None, 0)):
                self._sweep(folder, states)
                return
        raise self._conflict(name)

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """Store an object from an open file, unless there is one of this name."""
        folder, below = _split(check_name(name))
        self._states.become_writer()
        # Nearly always it is new; to ask before would cost more than to store it for nothing.
        with self._arrivals.expected(folder):
            if size <= EMBEDDED_SIZE_MAX:
                cap = LiteralFile(file.read()).danger_whole_text()
            else:
                cap = self._client.put_stream(_chunks(file))
        if not self._arrivals.enter(folder, Arrival(below, cap, size)):
            raise self._conflict(name)

    def _sweep(self, folder: str, states: States) -> None:
        """Remove what earlier deletes have left, once there is much of it."""
        missing = {name: found for name, found in states.items() if found[-1].cap is None}
        if sum(map(len, missing.values())) > STATES_KEPT:
            for name, found in missing.items():
                # The oldest first: no earlier state must ever seem to be the last.
                for state in found:
                    self._states.remove(folder, name, state)

    def _replace(self, name: str, content: bytes, expect: Version) -> Version:
        """Enter a state after a certain one, without asking before whether that is still the last: its successor's number tells.

        Raises:
            ConflictError: It was not.
        """
        folder, below = _split(name)
        number = number_of(expect)
        if number is None:
            raise self._conflict(name)
        state = State(number + 1, self._store(content), len(content))
        if not self._states.enter(folder, below, state):
            raise self._conflict(name)
        states = self._states.read(folder).get(below, [])
        if not any(other.version == expect for other in states):
            # The expected state and its successors are long gone, and their numbers with them.
            self._states.remove(folder, below, state)
            raise self._conflict(name)
        self._trim(folder, below, states)
        return state.version

    def _trim(self, folder: str, name: str, states: Sequence[State]) -> None:
        """Remove earlier states of an object, once there are many."""
        if len(states) > STATES_KEPT:
            # The one before the last stays: it tells whoever saw it that the last one follows.
            for old in states[:-2]:
                self._states.remove(folder, name, old)

    def _store(self, content: bytes) -> str:
        if len(content) <= EMBEDDED_SIZE_MAX:
            return LiteralFile(content).danger_whole_text()
        return self._client.put_file(content)

    def _read(self, name: str, state: State, start: int, stop: int) -> bytes:
        assert state.cap is not None
        if start >= stop:
            return b""
        cap = parse(state.cap)
        if isinstance(cap, LiteralFile):
            return cap.data[start:stop]
        return self._client.get(state.cap, start, stop, where=f"{self.location()}: {name}")

    def _conflict(self, name: str) -> ConflictError:
        return ConflictError(f"{name} in {self.location()} was changed by somebody else meanwhile: run this again")


def _split(name: str) -> tuple[str, str]:
    """Return the directory that an object is in, and its name there."""
    first, slash, rest = name.partition("/")
    return (first, rest) if slash else (ROOT_FOLDER, name)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            chunk = file.read(STREAM_STEP_SIZE)
        except OSError as error:
            raise StoreError(f"{tempfile.gettempdir()}: can't read there what is to be uploaded ({error.strerror})") from error
        if not chunk:
            return
        yield chunk
