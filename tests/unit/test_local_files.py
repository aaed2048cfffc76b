import errno
import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.local_files import Durability, create, make_private_folders, replace, write_ahead
from tallac.testing.crash_disk import CrashDisk, Survival
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.fat_disk import FatDisk
from tallac.testing.file_calls import FileCall, WatchedFileCalls

OLD, NEW = b"old " * 100, b"new " * 5000
SEEDS = 20


def disk_with_file(folder: Path, crash_at: int | None = None) -> CrashDisk:
    """Return a disk with a durable file, that crashes so many boundaries later."""
    folder.mkdir()
    counting = CrashDisk(folder)
    create(folder / "file", OLD, calls=counting)
    (folder / "file").unlink()
    disk = CrashDisk(folder, None if crash_at is None else counting.boundaries + crash_at)
    create(folder / "file", OLD, calls=disk)
    return disk


def replace_on(disk: CrashDisk, folder: Path, durability: Durability) -> None:
    """Replace the file by one in two parts."""
    replace(folder / "file", [NEW[:7], NEW[7:]], durability, calls=disk)


@pytest.mark.parametrize("durability", [Durability.CONTENT, Durability.FULL])
def test_the_old_content_or_the_new(tmp_path: Path, durability: Durability) -> None:
    """Wherever the power goes, a file is the old one or the new one, and never a part."""
    boundary = 0
    while True:
        folder = tmp_path / str(boundary)
        disk = disk_with_file(folder, boundary)
        try:
            replace_on(disk, folder, durability)
        except SimulatedCrash:
            pass
        else:
            break
        states = [disk.surviving(survival, seed) for survival in Survival for seed in range(SEEDS)]
        assert {state.files["file"] for state in states} <= {OLD, NEW}
        boundary += 1
    assert boundary >= 4


def test_what_is_durable(tmp_path: Path) -> None:
    """Only a full replacement is sure to be there after a power loss; one without any flush may leave a part."""
    seen: dict[Durability, set[bytes]] = {}
    for durability in Durability:
        folder = tmp_path / durability.name
        disk = disk_with_file(folder)
        replace_on(disk, folder, durability)
        seen[durability] = {disk.surviving(survival, seed).files["file"] for survival in Survival for seed in range(SEEDS)}
    assert seen[Durability.FULL] == {NEW}
    assert seen[Durability.CONTENT] == {OLD, NEW}
    assert seen[Durability.NONE] > {OLD, NEW}


@pytest.mark.parametrize("durability", [Durability.CONTENT, Durability.FULL])
def test_what_is_durable_on_fat(tmp_path: Path, durability: Durability) -> None:
    """Where a renamed file is empty until it is synced again, one that was replaced is whole once the call has returned."""
    disk = FatDisk(tmp_path)
    create(tmp_path / "file", OLD, calls=disk)
    replace_on(disk, tmp_path, durability)
    found = {disk.surviving(survival, seed).files["file"] for survival in Survival for seed in range(SEEDS)}
    assert found <= {OLD, NEW}
    assert durability is Durability.CONTENT or found == {NEW}


def test_a_file_is_private(tmp_path: Path) -> None:
    """Only the user can read what is written, also where a killed run left something under the temporary name."""
    path, leftover = tmp_path / "file", tmp_path / "leftover"
    path.write_bytes(OLD)
    path.chmod(0o644)
    leftover.write_bytes(b"")
    leftover.chmod(0o644)
    replace(path, NEW, Durability.NONE, temporary=leftover)
    create(tmp_path / "other", NEW)
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    assert path.read_bytes() == (tmp_path / "other").read_bytes() == NEW
    assert not leftover.exists()
    with pytest.raises(FileExistsError):
        create(path, OLD)


class Full(WatchedFileCalls):
    """A disk that takes no bytes."""

    def before(self, call: FileCall) -> None:
        if call.name == "write":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_error_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """On a full disk the file stays as it is, and nothing lies beside it."""
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with pytest.raises(OSError, match="No space"):
        replace(path, NEW, Durability.FULL, calls=Full())
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_private_from_the_first_moment(tmp_path: Path) -> None:
    """Under any umask nobody else can enter what is made; what was there keeps its rights."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there").chmod(0o755)
    old = os.umask(0)
    try:
        make_private_folders(tmp_path / "there" / "a" / "b")
        make_private_folders(tmp_path / "there" / "a" / "b")
    finally:
        os.umask(old)
    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "there", tmp_path / "there" / "a", tmp_path / "there" / "a" / "b")
    ]
    assert modes == [0o755, 0o700, 0o700]


class Refused(sqlite3.Connection):
    """A connection that is told some times that something is wrong with the file."""

    code = sqlite3.SQLITE_BUSY
    left = 2

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        """Refuse to begin a log."""
        if "journal_mode" in statement and self.left:
            self.left -= 1
            error = sqlite3.OperationalError("refused")
            error.sqlite_errorcode = self.code
            raise error
        return super().execute(statement, *arguments)


def test_a_log_that_another_process_begins_as_well(tmp_path: Path) -> None:
    """A database that another process writes to has its log a little later, though SQLite refuses it at once."""
    first, second = (sqlite3.connect(tmp_path / "database", isolation_level=None, check_same_thread=False) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        write_ahead(second, 0)
    ending = threading.Timer(0.1, first.close)
    ending.start()
    write_ahead(second, PATIENCE_SECONDS)
    assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ending.join()
    second.close()


def test_only_what_passes_is_waited_for(tmp_path: Path) -> None:
    """A file that others write to is asked for again, and one that can't be written to is not."""
    with closing(sqlite3.connect(tmp_path / "database", factory=Refused)) as connection:
        write_ahead(connection, PATIENCE_SECONDS)
        assert connection.left == 0
        connection.left, connection.code = 2, sqlite3.SQLITE_READONLY
        with pytest.raises(sqlite3.OperationalError):
            write_ahead(connection, PATIENCE_SECONDS)
        assert connection.left == 1
