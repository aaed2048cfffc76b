"""Messages between a backup and its worker processes."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tallac.dag import Components


class Part(NamedTuple):
    """Files of one directory that are to be stored, each small as far as is known.

    Attributes:
        directory: The names that lead from the source to the directory.
        names: In ascending order.
    """

    directory: Components
    names: list[bytes]


class BatchJob(NamedTuple):
    """Store some small files. Answered by a BatchResult."""

    parts: list[Part]


class ChunksJob(NamedTuple):
    """Store some chunks of one large file. Answered by a ChunksResult.

    Attributes:
        device, inode: Which file it is; another one under its name counts as an error.
        ranges: (offset, length) of each chunk.
    """

    directory: Components
    name: bytes
    device: int
    inode: int
    ranges: list[tuple[int, int]]


class Finish(NamedTuple):
    """Make everything durable. Nothing can be stored afterwards. Answered by Finished."""


Job: TypeAlias = BatchJob | ChunksJob | Finish


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
    """The result of one part.

    Attributes:
        table: The entries of what was stored, in order, encoded as a directory's table.
        problems: What was not stored.
        unread_attributes: What was stored without some of its attributes, and why.
        caps: The entries' encoded caps, where all files of the part were stored and none changed while it was read; else None.
    """

    table: bytes
    problems: list[Problem]
    unread_attributes: list[Problem]
    caps: list[bytes] | None = None


class BatchResult(NamedTuple):
    """One result a part, in their order; with the receipt of what has become durable."""

    parts: list[PartResult]
    receipt: bytes | None


class ChunksResult(NamedTuple):
    """A token a chunk, in their order; with the receipt of what has become durable.

    Attributes:
        problem: Why the chunks could not be read as they were expected; the tokens are worth nothing then.
    """

    tokens: list[bytes]
    problem: Problem | None
    receipt: bytes | None


class Finished(NamedTuple):
    """Everything is durable; with the last receipt."""

    receipt: bytes


Answer: TypeAlias = BatchResult | ChunksResult | Finished
