"""The messages between a process and its workers: pickled objects, each with its length before it.

Both ends are the same program of the same user, joined by pipes that nobody else can write to, so pickle is safe here. The first
message to a worker is its task; then come any number of `Work` and one `End`.
"""

from __future__ import annotations

import os
import pickle  # See above.

import msgspec

_LENGTH_SIZE = 8
_READ_SIZE_MAX = 1 << 20


class Work(msgspec.Struct, frozen=True):
    """Order to carry out a job. Answered by `Done`."""

    job: object

    def __repr__(self) -> str:
        return "Work()"


class End(msgspec.Struct, frozen=True):
    """Order to end. Answered by `Ended`."""


class Done(msgspec.Struct, frozen=True):
    """The result of a job."""

    answer: object

    def __repr__(self) -> str:
        return "Done()"


class Ended(msgspec.Struct, frozen=True):
    """The last message of a worker that has ended normally."""


class Failed(msgspec.Struct, frozen=True):
    """The last message of a worker that can't continue."""

    error: Exception


def send(descriptor: int, message: object) -> None:
    """Write one message to a pipe.

    Raises:
        OSError: The other end is closed.
    """
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    view = memoryview(len(body).to_bytes(_LENGTH_SIZE, "big") + body)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> object | None:
    """Read one message from a pipe; return None if it has been closed.

    Raises:
        EOFError: The pipe was closed within a message.
    """
    head = _read_exactly(descriptor, _LENGTH_SIZE, may_end=True)
    if head is None:
        return None
    body = _read_exactly(descriptor, int.from_bytes(head, "big"), may_end=False)
    assert body is not None
    message: object = pickle.loads(body)  # noqa: S301  # See the head of this file.
    return message


def _read_exactly(descriptor: int, size: int, *, may_end: bool) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        more = os.read(descriptor, min(size - len(received), _READ_SIZE_MAX))
        if not more:
            if may_end and not received:
                return None
            raise EOFError("the other process ended within a message")
        received += more
    return bytes(received)
