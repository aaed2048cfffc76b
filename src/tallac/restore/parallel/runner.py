"""Who restores batches of regular files."""

from __future__ import annotations

from typing import Protocol

from tallac.restore.files.file_writer import Batch, FileWriter
from tallac.restore.report import BatchResult


class BatchRunner(Protocol):
    """Restores batches, at once or elsewhere. Whatever a batch raises, `submit`, `results` or `drain` raises."""

    def submit(self, batch: Batch, directory: int) -> None:
        """Take a batch; waits while too many are under way. The directory's descriptor is open during this call only."""
        ...

    def results(self) -> list[BatchResult]:
        """Return the results since the last call, in the order of submission, without waiting."""
        ...

    def drain(self) -> list[BatchResult]:
        """Wait for all that is under way, and give what `results` would."""
        ...

    def close(self) -> None:
        """End what is under way, finished or not."""
        ...


class LocalRunner:
    """Restores each batch in this process, at once."""

    def __init__(self, writer: FileWriter) -> None:
        """Write with this writer."""
        self._writer = writer
        self._done: list[BatchResult] = []

    def submit(self, batch: Batch, directory: int) -> None:
        self._done.append(self._writer.write_batch(batch, directory))

    def results(self) -> list[BatchResult]:
        done, self._done = self._done, []
        return done

    def drain(self) -> list[BatchResult]:
        return self.results()

    def close(self) -> None:
        pass
