from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.backup.files import QUEUED_MAX
from tallac.backup.messages import BatchJob, BatchResult, ChunksResult, Part
from tallac.backup.worker import StoreTask
from tallac.backup.worker_processes import Workers
from tallac.dag import decode_table
from tallac.errors import MissingObjectError, StoreFullError, WorkerCrashedError
from tallac.testing.memory_contents import FolderRecipe
from tallac.testing.memory_grid import MemoryGrid
from tallac.workers import pool
from tallac.workers.messages import receive, send

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


def plant_many(source: Path, *, files: int = 500) -> None:
    """Make a tree that is worth starting workers for, with small and large files between directories."""
    for number in range(files):
        folder = source / f"folder{number % 7}" / f"below{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number:04}").write_bytes(b"%d\n" % number * (number % 50 * 7))
        (source / f"file{number:04}").write_bytes(b"%d\n" % number * 5)
    for number in range(3):
        (source / f"folder{number}" / "big").write_bytes(os.urandom(1000) * 300)


@pytest.mark.slow
def test_workers_give_the_same_snapshot_as_one_process(shared_bench: Bench) -> None:
    """Whoever reads the files, the snapshot's cap is the same, and every content is there."""
    plant_many(shared_bench.source)
    together = shared_bench.back_up()
    assert shared_bench.filesystem.opened.count(b"big") == 3
    assert len(shared_bench.filesystem.opened) == 3, "the workers have opened the small files"
    shared_bench.workers = 0
    shared_bench.database_path.unlink()
    shared_bench.root = shared_bench.grid.create_directory()
    alone = shared_bench.back_up()
    assert len(shared_bench.filesystem.opened) > 1000
    assert together.cap == alone.cap
    assert together.files.new == alone.files.new == 1003
    assert together.bytes_read == alone.bytes_read == together.size
    assert shared_bench.latest(b"folder1", b"big") == (shared_bench.source / "folder1" / "big").read_bytes()


@pytest.mark.slow
def test_vanished_files_come_back_from_workers(shared_bench: Bench) -> None:
    """What is gone when a worker wants to open it is left out, and counted."""
    plant_many(shared_bench.source)
    original = shared_bench.filesystem.scandir

    def scandir(descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        with original(descriptor) as listing:
            listed = list(listing)
        for entry in listed:
            # The entry remembers what it is told, and so outlives the file.
            if entry.stat(follow_symlinks=False).st_size and entry.name.endswith("7"):
                os.unlink(entry.name, dir_fd=descriptor)
        return nullcontext(iter(listed))

    shared_bench.filesystem.scandir = scandir  # type: ignore[method-assign]  # Files go right after the listing.
    summary = shared_bench.back_up()
    assert summary.vanished == 100
    assert summary.files.new == 1003 - 100
    assert b"file0007" not in shared_bench.names(b"backups", b"Latest")
    assert not summary.is_incomplete


@pytest.mark.slow
def test_a_store_error_in_a_worker_is_raised_as_itself(shared_bench: Bench) -> None:
    """A store that is full for a worker ends the backup with that error, and nothing is entered."""
    plant_many(shared_bench.source)
    shared_bench.grid.puts_left = 100
    with pytest.raises(StoreFullError, match="the memory grid is full"):
        shared_bench.back_up()
    assert shared_bench.names(b"backups", b"Archives") == []
    shared_bench.grid.puts_left = None
    assert shared_bench.back_up().files.total == 1003


def _pool(source: Path, folder: Path) -> Workers:
    root = os.open(source, os.O_RDONLY)
    try:
        return Workers(StoreTask(FolderRecipe(folder, None), root, 100_000), 1, lambda _: None)
    finally:
        os.close(root)


def _do_one_job(workers: Workers) -> None:
    workers.submit(BatchJob([Part((), [b"file"])]), lambda _: None)
    workers.drain()


def test_a_killed_worker_is_noticed(tmp_path: Path) -> None:
    """A worker that is killed makes the backup fail with a sentence, not wait for ever."""
    (tmp_path / "file").write_text("content")
    workers = _pool(tmp_path, tmp_path)
    try:
        os.kill(workers._pool._workers[0].process.pid, signal.SIGKILL)
        with pytest.raises(WorkerCrashedError, match="exit status -9"):
            _do_one_job(workers)
    finally:
        workers.stop()


def test_a_worker_ignores_ctrl_c_and_ends_with_the_pipe(tmp_path: Path) -> None:
    """SIGINT does not reach a worker; when the backup's end of the pipe is closed, it ends at once."""
    (tmp_path / "file").write_text("content" * 100)
    workers = _pool(tmp_path, tmp_path)
    results: list[BatchResult | ChunksResult] = []
    workers.submit(BatchJob([Part((), [b"file", b"missing"])]), results.append)
    workers.drain()
    process = workers._pool._workers[0].process
    os.kill(process.pid, signal.SIGINT)
    workers.submit(BatchJob([Part((), [b"file"])]), results.append)
    workers.drain()
    assert isinstance(results[0], BatchResult)
    assert [entry.name for entry in decode_table(results[0].parts[0].table)] == [b"file"]
    assert [problem.name for problem in results[0].parts[0].problems] == [b"missing"]
    workers._pool._workers[0].orders.close()
    assert process.wait(PATIENCE_SECONDS) == 0
    workers.stop()


def test_many_answers_do_not_block(tmp_path: Path) -> None:
    """Jobs and answers larger than a pipe holds pass each other without a deadlock."""
    names = []
    for number in range(100):
        names.append((b"%03d" % number) + b"n" * 200)
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), names[-1]))).write_bytes(b"")
    answers: list[BatchResult | ChunksResult] = []
    workers = _pool(tmp_path, tmp_path)
    for _ in range(40):
        workers.submit(BatchJob([Part((), names)] * 4), answers.append)
    workers.finish()
    assert len(answers) == 40


def test_messages_are_read_as_they_are_sent() -> None:
    """A message comes out of a pipe as it went in; a closed pipe is None, a cut message an error."""
    reading, writing = os.pipe()
    send(writing, {"some": b"thing"})
    os.write(writing, b"\0\0")
    os.close(writing)
    assert receive(reading) == {"some": b"thing"}
    with pytest.raises(EOFError):
        receive(reading)
    assert receive(reading) is None
    os.close(reading)


def test_errors_survive_the_way_between_processes() -> None:
    """An error that a worker raises is the same in the backup."""
    reading, writing = os.pipe()
    send(writing, MissingObjectError("gone"))
    received = receive(reading)
    assert type(received) is MissingObjectError
    assert str(received) == "gone"
    os.close(reading)
    os.close(writing)


def test_in_flight_jobs_are_bounded(tmp_path: Path) -> None:
    """No worker ever has more than three jobs."""
    (tmp_path / "file").write_text("content")
    workers = _pool(tmp_path, tmp_path)
    for _ in range(20):
        workers.submit(BatchJob([Part((), [b"file"])]), lambda _: None)
        assert len(workers._pool._workers[0].waiting) <= pool.IN_FLIGHT_MAX
    workers.finish()


@pytest.mark.slow
def test_a_large_directory_stays_in_order_and_in_bounds(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with one new file before thousands of known ones is stored in order, and does not pile up in memory."""
    monkeypatch.setattr("tallac.backup.walk.QUEUED_MAX", 100)
    for number in range(3000):
        (bench.source / f"n{number:05}").write_bytes(b"")
    bench.back_up()
    (bench.source / "a").write_text("new")
    summary = bench.back_up()
    assert bench.filesystem.opened == [b"a"]
    assert (summary.files.new, summary.files.unchanged) == (1, 3000)
    names = bench.names(b"backups", b"Latest")
    assert names == sorted(names)
    assert len(names) == 3001
    assert QUEUED_MAX == 10_000


def test_few_files_start_no_worker(shared_bench: Bench) -> None:
    """A backup of a handful of files does not wait for processes to start."""
    (shared_bench.source / "file").write_text("content" * 100)
    shared_bench.back_up()
    assert shared_bench.filesystem.opened == [b"file"]


def test_a_grid_without_workers_does_without(bench: Bench) -> None:
    """A grid that has no recipe for workers gets everything from one process."""
    assert isinstance(bench.grid, MemoryGrid)
    bench.workers = 2
    plant_many(bench.source, files=100)
    assert bench.back_up().files.new == 203
