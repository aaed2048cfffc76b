"""Restoring with worker processes comes to the same as without."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pytest

from tallac.backends.local import LocalBackend
from tallac.caps import DirectoryReadCap
from tallac.dag import Entry, Metadata
from tallac.errors import WorkerCrashedError
from tallac.restore import Problem, RestoreObserver, RestoreSummary, restore
from tallac.restore.parallel import process_pool
from tallac.restore.parallel.process_pool import LARGE_SIZE_MIN, PoolRunner
from tallac.restore.parallel.worker import Answer, Job
from tallac.vault.vault import Vault, create_vault, open_vault
from tallac.workers.pool import WorkerPool

FILE = Metadata(mode=0o100640, mtime=(1, 2))
LARGE_SIZE = LARGE_SIZE_MIN + (5 << 20) + 7


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Give an empty vault in a folder."""
    backend = LocalBackend(tmp_path / "vault")
    backend.create()
    with open_vault(backend, create_vault(backend), state=tmp_path / "state") as opened:
        yield opened


def _store(vault: Vault) -> tuple[Entry, dict[str, bytes]]:
    """Store 300 small files in three directories, and a large one."""
    contents = {f"d{number % 3}/f{number:03}": os.urandom(200 + number) for number in range(300)}
    contents["large"] = os.urandom(LARGE_SIZE)
    with vault.session() as session, session.writing() as writer:
        directories: dict[str, list[Entry]] = {}
        for name, content in contents.items():
            directory, _, base = name.rpartition("/")
            directories.setdefault(directory, []).append(Entry.of(base.encode(), writer.put_file(BytesIO(content)), FILE))
        top = [
            Entry.of(name.encode(), writer.put_directory(sorted(entries, key=lambda entry: entry.name)), Metadata(mode=0o40750))
            for name, entries in directories.items()
            if name
        ]
        cap: DirectoryReadCap = writer.put_directory(sorted([*top, *directories[""]], key=lambda entry: entry.name))
    return Entry.of(b"s", cap, Metadata(mode=0o40755, mtime=(3, 4))), contents


def _read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_workers_restore_what_one_process_does(vault: Vault, tmp_path: Path) -> None:
    """Contents, modes, times and counts are the same, of small files and of one that is written in stretches."""
    entry, contents = _store(vault)
    summaries = [restore(vault, entry, tmp_path / f"out{workers}", workers=workers) for workers in (0, 2)]
    assert summaries[0] == summaries[1] == RestoreSummary(files=301, directories=4, bytes=sum(map(len, contents.values())))
    for workers in (0, 2):
        out = tmp_path / f"out{workers}"
        assert _read(out) == contents
        assert out.stat().st_mtime_ns == 3_000_000_004
        for path in out.rglob("*"):
            assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640)
            assert path.is_dir() or path.stat().st_mtime_ns == 1_000_000_002


@pytest.mark.slow
def test_workers_report_damage_as_one_process_does(vault: Vault, tmp_path: Path) -> None:
    """With a pack damaged, each file is right or named; a large file that is not whole is not there."""
    entry, contents = _store(vault)
    for pack in sorted((tmp_path / "vault" / "packs").iterdir()):
        if pack.stat().st_size > 4 << 20:
            with pack.open("r+b") as file:
                file.seek(pack.stat().st_size // 2)
                file.write(os.urandom(1000))
    found: list[dict[bytes, Problem]] = []
    for workers in (0, 2):
        problems: list[Problem] = []
        restore(vault, entry, tmp_path / f"out{workers}", workers=workers, observer=RestoreObserver(problem=problems.append))
        found.append({problem.path: problem for problem in problems})
        restored = _read(tmp_path / f"out{workers}")
        assert restored == {name: content for name, content in contents.items() if name.encode() not in found[-1]}
    assert found[0] == found[1]
    assert b"large" in found[0]


@pytest.mark.slow
def test_workers_see_what_was_stored_after_their_index(vault: Vault, tmp_path: Path) -> None:
    """A file that workers can't find is read by the restore itself before it counts as missing."""
    entry, contents = _store(vault)
    recipe = vault.reader_recipe()
    assert recipe is not None
    for path in recipe.run_paths:  # type: ignore[attr-defined]  # It is the vault's own.
        path.unlink()
    assert restore(vault, entry, tmp_path / "out", workers=2).is_complete
    assert _read(tmp_path / "out") == contents


@pytest.mark.slow
def test_small_directories_go_to_workers_together(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 directories with six files a job has what comes to 200 files, and each directory has its own time in the end."""
    with vault.session() as session, session.writing() as writer:
        files = [Entry.of(b"f%d" % number, writer.put_file(BytesIO(b"%d" % number * 100)), FILE) for number in range(6)]
        below = [
            Entry.of(b"d%02d" % number, writer.put_directory(files), Metadata(mode=0o40750, mtime=(5, 6))) for number in range(100)
        ]
        cap: DirectoryReadCap = writer.put_directory(below)
    jobs: list[list[int]] = []
    submit = WorkerPool.submit

    def note(self: WorkerPool[Job, Answer], job: Job, take: Callable[[Answer], None]) -> None:
        assert isinstance(job, list)
        jobs.append([len(batch.entries) for batch in job])
        submit(self, job, take)

    monkeypatch.setattr(WorkerPool, "submit", note)
    summary = restore(vault, Entry.of(b"s", cap, Metadata(mode=0o40755, mtime=(3, 4))), tmp_path / "out", workers=2)
    assert summary == RestoreSummary(files=600, directories=101, bytes=100 * 6 * 100)
    assert [sum(job) for job in jobs] == [204, 204, 132], "ten directories are written before there are workers"
    assert {path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == {5_000_000_006}


def test_jobs_are_handed_out_once_what_they_read_is_here(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a grid takes announcements, jobs are announced ahead, and each is waited for in its turn before a worker has it."""
    entry, contents = _store(vault)
    monkeypatch.setattr(process_pool, "JOBS_AHEAD", 1)
    monkeypatch.setattr(process_pool, "JOB_FILES_MIN", 60)
    monkeypatch.setattr(process_pool, "INLINE_FILES_MAX", 0)
    events: list[tuple[str, bytes]] = []
    submit = WorkerPool.submit

    def note(self: WorkerPool[Job, Answer], job: Job, take: Callable[[Answer], None]) -> None:
        if isinstance(job, list):
            events.append(("handed out", job[0].entries[0].encoded))
        submit(self, job, take)

    def announce(caps: Sequence[bytes]) -> Callable[[], None]:
        events.append(("announced", caps[0]))
        return lambda: events.append(("waited for", caps[0]))

    monkeypatch.setattr(WorkerPool, "submit", note)
    monkeypatch.setattr(Vault, "announcer", lambda _: announce)
    assert restore(vault, entry, tmp_path / "out", workers=2).is_complete
    assert _read(tmp_path / "out") == contents
    assert [what for what, _ in events] == ["announced", *["announced", "waited for", "handed out"] * 2, "waited for", "handed out"]
    told = [[cap for what, cap in events if what == kind] for kind in ("announced", "waited for", "handed out")]
    assert told[0] == told[1] == told[2]


def test_what_was_announced_is_handed_out_although_little_follows(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs do not wait for ever for others to be announced: directories could not be finished meanwhile."""
    entry, contents = _store(vault)
    for name in ("JOB_TURNS_MAX", "JOB_FILES_MIN"):
        monkeypatch.setattr(process_pool, name, 1)
    monkeypatch.setattr(process_pool, "INLINE_FILES_MAX", 0)
    left: list[int] = []
    announced = 0

    def announce(caps: Sequence[bytes]) -> Callable[[], None]:
        nonlocal announced
        announced += len(caps)
        left.append(announced)

        def wait() -> None:
            nonlocal announced
            announced -= len(caps)

        return wait

    monkeypatch.setattr(Vault, "announcer", lambda _: announce)
    assert restore(vault, entry, tmp_path / "out", workers=2).is_complete
    assert _read(tmp_path / "out") == contents
    assert max(left) < 300, "all of them were waiting at the end"


def test_a_worker_that_dies_ends_the_restore(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to do; no worker is left over."""
    entry, _ = _store(vault)
    processes: list[int] = []
    choose = PoolRunner._choose_pool

    def kill_one(self: PoolRunner, files: int, size: int) -> object:
        pool = choose(self, files, size)
        if pool is not None and not processes:
            processes.extend(worker.process.pid for worker in pool._workers)
            os.kill(processes[0], signal.SIGKILL)
        return pool

    monkeypatch.setattr(PoolRunner, "_choose_pool", kill_one)
    with pytest.raises(WorkerCrashedError, match="restore again into another folder"):
        restore(vault, entry, tmp_path / "out", workers=2)
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
