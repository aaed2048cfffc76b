"""Named bytes: what a vault keeps its objects in, and their writing piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Protocol, runtime_checkable

import msgspec

Buffer = bytes | bytearray | memoryview


class Expect(Enum):
    """What a conditional put may expect instead of a version."""

    ABSENT = "absent"


Version = bytes
"""An opaque token that names one state of one mutable object. Equal tokens mean equal bytes."""


class Item(msgspec.Struct, frozen=True):
    """One object in a listing: its name, with `/` between the parts, and its length in bytes."""

    name: str
    size: int


class Upload(Protocol):
    """An object whose name is not known before its last byte is.

    Not thread-safe. An upload that is neither committed nor aborted leaves nothing that a listing shows.
    """

    def write(self, data: Buffer) -> None:
        """Append data. The buffer may be reused after the return.

        Raises:
            StoreError: The store failed, or is full; the upload is dead.
        """
        ...

    def commit(self, name: str) -> None:
        """Give the object its name; when this returns, it is durable. An existing object of that name is kept as it is."""
        ...

    def abort(self) -> None:
        """Throw away what was written. Calling it after commit, or twice, does nothing."""
        ...


class Backend(Protocol):
    """Named bytes. A name is made of parts in `[a-z0-9._-]+` with `/` between them; a part never begins with a dot.

    When a call that writes returns, its effect is durable. Every method may be called from several threads and processes at a
    time. Absence is a value or an `ObjectNotFoundError`; any other error is a `StoreError` and says nothing about absence.
    """

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        """Store data under name, atomically and durably.

        Args:
            name: The object's name.
            data: All of its bytes.
            expect: `Expect.ABSENT`: only if there is no such object. A version: only in that state. None: in any case.

        Raises:
            ConflictError: The expectation does not hold; nothing was changed, unless this very call's answer was lost: look.
            StoreFullError, StorePermissionError, StoreError: Nothing was changed, or all of it and its durability is not known.
        """
        ...

    def upload(self) -> Upload:
        """Begin an object that gets its name at the end."""
        ...

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read bytes [start, stop) of an object; fewer where it ends before.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        ...

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        """Read a whole mutable object with its version; None where there is no such object."""
        ...

    def list(self, prefix: str) -> Iterator[Item]:
        """List all objects whose name begins with prefix, in any order. Fails as a whole rather than being cut short."""
        ...

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        """Remove an object; one that is absent already is no error.

        Raises:
            ConflictError: The object is in another state than expected.
        """
        ...

    def location(self) -> str:
        """Say where this is, for messages: a folder or a URL without secrets."""
        ...


@runtime_checkable
class ReportsFreeSpace(Backend, Protocol):
    """A backend whose store can be full, and gets back at once what is deleted."""

    def room(self) -> int:
        """Say how many bytes can still be written, as far as that is known.

        Raises:
            StoreError: The store can't be asked.
        """
        ...


@runtime_checkable
class HighLatencyBackend(Protocol):
    """What a backend has besides whose store is slow to answer and does one thing at a time: ways to ask it less.

    Worker processes would not make it faster, and read the same things twice; so none use it.
    """

    @property
    def uploads_max(self) -> int:
        """How many uploads are best committed at the same time, each by a thread."""
        ...

    @property
    def read_size(self) -> int:
        """How many bytes are best read at a time; fewer take about as long."""
        ...

    def put_new(self, name: str, data: Buffer) -> Version:
        """Store data under a name that nothing has ever had: a random one, or the hash of what was sealed just now.

        Raises:
            ConflictError: Something has it all the same.
        """
        ...

    def has_cached(self, name: str) -> bool:
        """Whether `get_cached` has an answer."""
        ...

    def get_cached(self, name: str) -> tuple[bytes, Version] | None:
        """Do as `get_versioned`, with the state that this process was told of last; the store may have a later one.

        That state is no older than any other answer this backend gave of a name with the same first part. It is for what a
        compare-and-swap is about to prove.
        """
        ...
