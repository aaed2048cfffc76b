"""What a backup and its worker processes say to each other: pickled objects with their length before them.

Both ends are the same program of the same user, joined by pipes that nobody else can write to; so pickle is safe here.
"""

from __future__ import annotations

import os
import pickle  # See above.
from typing import NamedTuple, TypeAlias

from tallac.interfaces import WorkerRecipe

_LENGTH_SIZE = 8
_READ_SIZE_MAX = 1 << 20


class Start(NamedTuple):
    """The first message to a worker.

    Attributes:
        recipe: How to open the grid's writer; it holds secrets.
        root: The source's descriptor, which the worker inherits: no path leads to the source more safely.
        small_size_max: Larger files are not to be read whole.
    """

    recipe: WorkerRecipe
    root: int
    small_size_max: int


class Part(NamedTuple):
    """Files of one directory that are to be stored, each small as far as is known.

    Attributes:
        directory: The names that lead from the source to the directory.
        names: In ascending order.
    """

    directory: tuple[bytes, ...]
    names: list[bytes]


class BatchJob(NamedTuple):
    """Store some small files. Answered by a BatchResult."""

    parts: list[Part]


class PiecesJob(NamedTuple):
    """Store some pieces of one large file. Answered by a PiecesResult.

    Attributes:
        device, inode: Which file it is; another one under its name counts as an error.
        stretches: (offset, length) of each piece.
    """

    directory: tuple[bytes, ...]
    name: bytes
    device: int
    inode: int
    stretches: list[tuple[int, int]]


class Finish(NamedTuple):
    """Make everything durable and end. Answered by Finished."""


Job: TypeAlias = BatchJob | PiecesJob | Finish


class Problem(NamedTuple):
    """Why one file is not among the stored ones.

    Attributes:
        error_number: The operating system's number; None where the file has become too large to be read as a small one.
        reason: The same in words.
    """

    name: bytes
    error_number: int | None
    reason: str


class PartResult(NamedTuple):
    """What became of one part.

    Attributes:
        table: The entries of what was stored, in order, encoded as a directory's table.
        problems: What was not stored.
    """

    table: bytes
    problems: list[Problem]


class BatchResult(NamedTuple):
    """One result a part, in their order; with the receipt of what has become durable."""

    parts: list[PartResult]
    receipt: bytes | None


class PiecesResult(NamedTuple):
    """A token a piece, in their order; with the receipt of what has become durable.

    Attributes:
        problem: Why the pieces could not be read as they were expected; the tokens are worth nothing then.
    """

    tokens: list[bytes]
    problem: Problem | None
    receipt: bytes | None


class Finished(NamedTuple):
    """A worker's last words."""

    receipt: bytes


class Failed(NamedTuple):
    """A worker can't go on."""

    error: Exception


Result: TypeAlias = BatchResult | PiecesResult | Finished | Failed


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
