"""Stores of named bytes, which hold the objects of a vault, and uploads to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec

Buffer = bytes | bytearray | memoryview
T = TypeVar("T")


class Expect(Enum):
    """The condition of a put that expects no version."""

    ABSENT = "absent"


Version = bytes
"""An opaque token that names one state of one mutable object. Equal tokens mean equal bytes."""


class Item(msgspec.Struct, frozen=True):
    """One object in a listing: its name, with `/` between the parts, and its length in bytes."""

    name: str
    size: int


class TrafficCount(msgspec.Struct, frozen=True):
    """A count of what was sent and received.

    Attributes:
        requests: Requests, repeated ones included.
        sent, received: Bytes of content in them; headers and encryption are not counted.
    """

    requests: int = 0
    sent: int = 0
    received: int = 0


class Upload(Protocol):
    """An object that gets its name after its last byte is written.

    Not thread-safe. An upload that is neither committed nor aborted leaves nothing that a listing shows.
    """

    def write(self, data: Buffer) -> None:
        """Append data. The caller may reuse the buffer after the return.

        Raises:
            StoreError: The store failed or is full; the upload can't be continued.
        """
        ...

    def commit(self, name: str) -> None:
        """Name the object; it is durable when this returns. An existing object of that name is kept unchanged."""
        ...

    def abort(self) -> None:
        """Discard what was written. Does nothing after commit or a second time."""
        ...


class Backend(Protocol):
    """A store of named bytes. A name consists of parts in `[a-z0-9._-]+` with `/` between them; no part begins with a dot.

    When a call that writes returns, its effect is durable. Every method may be called from several threads and processes at a
    time. Absence is a value or an `ObjectNotFoundError`; any other error is a `StoreError` and says nothing about absence.
    """

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        """Store data under name, atomically and durably.

        Args:
            name: The object's name.
            data: All of its bytes.
            expect: `Expect.ABSENT`: only if there is no such object. A version: only in that state. None: unconditionally.

        Raises:
            ConflictError: The expectation does not hold. Nothing was changed, unless an earlier attempt of this call succeeded
                and its answer was lost: read the object to find out.
            StoreFullError, StorePermissionError, StoreError: The object is unchanged, or replaced with unknown durability.
        """
        ...

    def upload(self) -> Upload:
        """Begin an object that is named at the end."""
        ...

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read the bytes [start, stop) of an object, fewer at its end.

        Raises:
            ObjectNotFoundError: No object has this name.
        """
        ...

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        """Read a whole mutable object with its version; return None if there is no such object."""
        ...

    def list(self, prefix: str) -> Iterator[Item]:
        """List all objects whose name begins with prefix, in any order. Raises rather than returning an incomplete list."""
        ...

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        """Remove an object; a missing one is not an error.

        Raises:
            ConflictError: The object is not in the expected state.
        """
        ...

    def location(self) -> str:
        """Return the location for messages: a folder, or a URL without secrets."""
        ...


@runtime_checkable
class ReportsFreeSpace(Backend, Protocol):
    """A backend whose store can be full, and where deleted space is free at once; or a wrapper of any."""

    def room(self) -> int | None:
        """Return how many bytes can still be written, as far as that is known; None where the store has no bounds.

        Raises:
            StoreError: The store can't be asked.
        """
        ...


@runtime_checkable
class ConnectsAhead(Protocol):
    """A backend whose store is reached by a connection that takes a while to make; or a wrapper of any."""

    def connect_ahead(self) -> None:
        """Begin to connect, without waiting: the store is about to be used. Does nothing where that was begun before."""
        ...


@runtime_checkable
class ReadsRanges(Protocol):
    """A backend whose store answers at once: many short ranges cost less than what lies between them would."""

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read ranges [start, stop) of an object, in their order, each as `Backend.get` does. Raises as that does."""
        ...


@runtime_checkable
class ForkableBackend(Protocol):
    """A backend by which a forked process may be able to read."""

    def may_be_forked(self) -> bool:
        """Whether both may read at the same time: nothing of it has a position or a connection, which they would share."""
        ...


@runtime_checkable
class MakesAhead(Protocol):
    """A backend that makes something in its store before that is needed; or a wrapper of any."""

    def leave(self) -> None:
        """Remove what was made ahead and not used; nothing more is stored by this process."""
        ...


@runtime_checkable
class PreparesPuts(Protocol):
    """A backend that can take bytes before it is known whether they become an object; or a wrapper of any."""

    @property
    def prepares_puts(self) -> bool:
        """Whether that spares a wait here."""
        ...

    def prepare(self, name: str, data: Buffer) -> None:
        """Begin to make bytes durable, and return at once. Nobody sees them: only the put of the same bytes makes them an object.

        That put waits for what was begun, and does without it where it has failed. What is not put is removed as what was made
        ahead is, or, of a killed process, as a file in the making. What prepares nothing ignores this.

        Args:
            name: The object's.
            data: The bytes, which nothing else was made of: another state of the object has others.
        """
        ...


@runtime_checkable
class RereadingBackend(Protocol):
    """A backend whose store may show what an object was before, or a part of it: a folder that a network file system remembers."""

    def get_again(self, name: str, unlike: bytes) -> tuple[bytes, Version] | None:
        """Read an object that did not open anew, past all that may be remembered of it; None where it is what it was.

        Where nothing else helps, wait as long as such a file system remembers things.
        """
        ...


@runtime_checkable
class KeepsFormerStates(Protocol):
    """A backend that keeps the former state of what it replaces where its store may lose it together with the new one."""

    def get_former(self, name: str) -> bytes | None:
        """Read the state that a mutable object had before its last change; None where it is not kept."""
        ...


@runtime_checkable
class HighLatencyBackend(Protocol):
    """A backend whose store is slow to answer and handles one request at a time, with ways to ask it less.

    Worker processes would not make it faster and would read the same objects twice, so none use it.
    """

    @property
    def uploads_max(self) -> int:
        """The best number of uploads to commit at the same time, each in a thread."""
        ...

    @property
    def read_size(self) -> int:
        """The best number of bytes to read at a time; fewer take about as long."""
        ...

    def put_new(self, name: str, data: Buffer) -> Version:
        """Store data under a name that was never used: a random one, or the hash of freshly sealed bytes.

        Raises:
            ConflictError: An object of this name exists after all.
        """
        ...

    def has_cached(self, name: str) -> bool:
        """Whether `get_cached` has an answer."""
        ...

    def get_cached(self, name: str) -> tuple[bytes, Version] | None:
        """Return what `get_versioned` would, from the last state that this process has seen; the store may have a later one.

        That state is no older than any other answer of this backend on a name with the same first part. It serves a
        compare-and-swap, which will detect a stale one.
        """
        ...


class Extent(NamedTuple):
    """The bytes [start, stop) of an object that never changes."""

    name: str
    start: int
    stop: int


@runtime_checkable
class DistantBackend(Protocol):
    """A backend over a line: the way there and back takes long, and several requests at a time hardly longer than one."""

    def run_together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Carry out calls that need not wait for each other, and return what they return; see `tallac.together`."""
        ...

    def fetched(self, names: Sequence[str] = (), prefixes: Sequence[str] = ()) -> AbstractContextManager[None]:
        """Ask for whole objects and for listings, all at a time, and have the answers ready for the length of a block.

        As many times as they are named, objects are read and prefixes listed with what the store said when the block began, in
        this thread alone. What has failed is asked for anew then; so is everything after `RemembersStates.look_away`.
        """
        ...

    @property
    def worker_uploads(self) -> int:
        """How many packs each of several worker processes sends at a time.

        More than one pays where a pack is several waits, and costs memory where one is sent in one piece.
        """
        ...

    def expect(self, extents: Iterable[Extent]) -> None:
        """Begin to read parts of packs that are soon asked for, in this order, as far as there is room; return at once."""
        ...


class ListedObject(NamedTuple):
    """One object in a listing that tells versions.

    Attributes:
        item: Its name and size.
        version: What `get_versioned` would give with it.
    """

    item: Item
    version: Version


@runtime_checkable
class ListsVersions(Protocol):
    """A backend whose store may tell the versions of objects in listings."""

    def list_versions(self) -> Sequence[ListedObject] | None:
        """List all objects; None where the store tells no versions. Raises rather than returning an incomplete list."""
        ...


@runtime_checkable
class RemembersStates(Protocol):
    """A backend that remembers the mutable objects that it has seen, and can list what there is with the versions of all."""

    def remembered(self, name: str) -> tuple[bytes, Version] | None:
        """Return the last state of an object that this process has seen; None where it has seen none.

        It serves a compare-and-swap, which will detect a stale one.
        """
        ...

    @property
    def is_looking(self) -> bool:
        """Whether this thread has such a listing now."""
        ...

    def look(self, names: Collection[str] = (), beside: Callable[[], object] = lambda: None) -> None:
        """Look once at what there is. From then on, in this thread, `get_versioned` and `list` answer as of now, until `look_away`.

        What this does not tell is asked for.

        Args:
            names: Objects that are going to be read; where the store's listings tell no versions, these are read in their place.
            beside: What need not wait for the look, nor the look for it; it is carried out in any case, perhaps in another thread.

        Raises:
            VaultNotFoundError: The vault that was here is not, or another one has taken its place.
            What `beside` raises.
        """
        ...

    def look_away(self) -> None:
        """Ask the store again for what is read. Does nothing the second time."""
        ...


class ObjectCache(Protocol):
    """Keeps stored objects on this machine, for as long as there is room. Thread-safe; it may lose any of them at any time."""

    def get(self, stored_hash: bytes) -> tuple[bytes, bytes] | None:
        """Return an object as it is stored, content and links, which the caller verifies; None where it is not here."""
        ...

    def put(self, stored_hash: bytes, content: bytes, links: bytes) -> None:
        """Keep an object that was verified."""
        ...

    def drop(self, stored_hash: bytes) -> None:
        """Throw away an object that was found to be damaged."""
        ...
