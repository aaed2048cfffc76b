"""What a process and its workers say to each other: pickled objects with their length before them.

Both ends are the same program of the same user, joined by pipes that nobody else can write to; so pickle is safe here. The first
message to a worker is its task; what follows are `Work` and at last `End`.
"""

from __future__ import annotations

import os
import pickle  # See above.

import msgspec

_LENGTH_SIZE = 8
_READ_SIZE_MAX = 1 << 20


class Work(msgspec.Struct, frozen=True):
    """Carry out a job. Answered by `Done`."""

    job: object

    def __repr__(self) -> str:
        return "Work()"


class End(msgspec.Struct, frozen=True):
    """There is nothing more to do. Answered by `Ended`."""


class Done(msgspec.Struct, frozen=True):
    """A job has been carried out."""

    answer: object

    def __repr__(self) -> str:
        return "Done()"


class Ended(msgspec.Struct, frozen=True):
    """A worker's last words."""


class Failed(msgspec.Struct, frozen=True):
    """A worker can't go on."""

    error: Exception


def send(descriptor: int, message: object) -> None:
    """Write one message to a pipe.

    Raises:
        OSError: Nobody reads any more.
    """
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    view = memoryview(len(body).to_bytes(_LENGTH_SIZE, "big") + body)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> object | None:
    """Read one message from a pipe; None where it has been closed.

    Raises:
        EOFError: It was closed within a message.
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
