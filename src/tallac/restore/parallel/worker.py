"""The task of a restore's worker processes: write regular files below the destination."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import msgspec

from tallac.caps import FileReadCap
from tallac.dag import Components, decode_cap
from tallac.errors import CapError, CorruptObjectError, DamageError
from tallac.interfaces import FileReader, WorkerRecipe
from tallac.restore.files.content import write_all
from tallac.restore.files.file_writer import Batch, FileWriter
from tallac.restore.filesystem import DESTINATION, identity_of
from tallac.restore.options import RestoreSettings
from tallac.restore.report import BatchResult
from tallac.source import open_beneath

_STEP_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class RangeJob:
    """Write a range of a large file, which exists already. It can be pickled; it holds a secret.

    Attributes:
        components: Lead from the destination to the file's directory.
        name: The file's name.
        device, inode: Which file it is; another one under its name is not written to.
        encoded: The encoded cap of its content.
        offset, length: The range, in bytes.
    """

    components: Components
    name: bytes
    device: int
    inode: int
    encoded: bytes = field(repr=False)
    offset: int
    length: int


Job: TypeAlias = list[Batch] | RangeJob
Answer: TypeAlias = list[BatchResult] | Exception | None
"""The results of batches; or of a range: its error, or None."""


class WriteTask(msgspec.Struct, frozen=True):
    """Writes files below one destination.

    Attributes:
        recipe: How to open the grid's reader; it holds secrets.
        root: The destination's descriptor, which the worker inherits: no path leads there more safely.
        settings: What holds for the whole restore.
    """

    recipe: WorkerRecipe[FileReader]
    root: int
    settings: RestoreSettings

    @property
    def descriptors(self) -> tuple[int, ...]:
        """See `tallac.workers.task.WorkerTask`."""
        return (self.root,)

    @contextmanager
    def open(self) -> Iterator[Callable[[Job], Answer]]:
        """See `tallac.workers.task.WorkerTask`."""
        with self.recipe.open() as reader:
            # One for all batches: it asks the system who runs this, and what is known of owners.
            yield partial(self._carry_out, reader, FileWriter(reader, self.settings, DESTINATION))

    def _carry_out(self, reader: FileReader, writer: FileWriter, job: Job) -> Answer:
        if isinstance(job, list):
            return [writer.write_beneath(self.root, batch) for batch in job]
        try:
            write_range(reader, self.root, job)
        except (DamageError, CapError, OSError) as error:
            return error
        return None


def write_range(reader: FileReader, root: int, job: RangeJob) -> None:
    """Write one range of a file.

    Raises:
        DamageError: The content is missing or wrong.
        OSError: The destination failed; ESTALE where another file has taken the file's place.
    """
    cap = decode_cap(job.encoded)
    if not isinstance(cap, FileReadCap):
        raise CapError("the cap leads to no file that can be read")
    descriptor = _open(root, job)
    try:
        os.lseek(descriptor, job.offset, os.SEEK_SET)
        with reader.open_file(cap) as content:
            content.seek(job.offset)
            left = job.length
            while left:
                block = content.read(min(_STEP_SIZE, left))
                if not block:
                    raise CorruptObjectError(f"the content ends {left} bytes early")
                write_all(DESTINATION, descriptor, block)
                left -= len(block)
    finally:
        os.close(descriptor)


def _open(root: int, job: RangeJob) -> int:
    directory = open_beneath(root, job.components, filesystem=DESTINATION)
    try:
        descriptor = DESTINATION.open_to_write(job.name, directory)
    finally:
        DESTINATION.close(directory)
    found = os.fstat(descriptor)
    if identity_of(found) != (job.device, job.inode):
        os.close(descriptor)
        raise OSError(errno.ESTALE, "it was replaced by another file")
    return descriptor
