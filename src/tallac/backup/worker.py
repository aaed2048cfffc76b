"""The task of a backup's worker processes: read files of the source, and store their contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import msgspec

from tallac.backup.file_storer import FileStorer
from tallac.backup.messages import Answer, BatchJob, BatchResult, ChunksJob, ChunksResult, Finished, Job
from tallac.interfaces import ChunkWriter, WorkerRecipe


class StoreTask(msgspec.Struct, frozen=True):
    """Stores files of one source for one batch.

    Attributes:
        recipe: How to open the grid's writer; it holds secrets.
        root: The source's descriptor, which the worker inherits: no path leads to the source more safely.
        small_size_max: Larger files are not to be read whole.
    """

    recipe: WorkerRecipe[ChunkWriter]
    root: int
    small_size_max: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """See `tallac.workers.task.WorkerTask`."""
        return (self.root,)

    @contextmanager
    def open(self) -> Iterator[Callable[[Job], Answer]]:
        """See `tallac.workers.task.WorkerTask`."""
        with self.recipe.open() as writer, closing(FileStorer(self.root, writer, self.small_size_max)) as storer:
            yield partial(_carry_out, storer, writer)


def _carry_out(storer: FileStorer, writer: ChunkWriter, job: Job) -> Answer:
    if isinstance(job, BatchJob):
        return BatchResult(storer.store_batch(job), writer.collect())
    if isinstance(job, ChunksJob):
        tokens, problem = storer.store_chunks(job)
        return ChunksResult(tokens, problem, writer.collect())
    return Finished(writer.finish())
