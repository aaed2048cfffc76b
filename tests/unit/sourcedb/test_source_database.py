from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tallac.sourcedb import DirectoryRow, ProvisionalRows, SourceDatabase

ROW = DirectoryRow(b"signature", b"Dpacked", b"below", 123, 4, 5, 6, 7, 0)
OTHER = DirectoryRow(None, b"Dother", b"", 456, 7, 8, 9, 10, 0)


class Notices(list[str]):
    """Collects what the database says."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is, in a folder that does not exist yet."""
    return tmp_path / "state" / "source.db"


@pytest.fixture
def notices() -> Notices:
    """The notices of the database."""
    return Notices()


def test_rows_are_there_after_commit_only(path: Path, notices: Notices) -> None:
    """A staged row is not seen before commit, and is seen by the next opener after it."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/source")
        record.stage(b"/source", ROW)
        record.stage(b"/source/sub", OTHER)
        assert record.directory(b"/source") is None
        record.commit()
        assert record.directory(b"/source") == ROW
    with SourceDatabase(path, notices) as database:
        assert database.record("grid", b"/source").directory(b"/source/sub") == OTHER
        assert database.record("another grid", b"/source").directory(b"/source") is None
    assert notices == []


def test_a_row_tells_the_epoch_of_its_run(path: Path, notices: Notices) -> None:
    """Rows of several runs keep the epoch in which each was last seen to be whole."""
    with SourceDatabase(path, notices) as database:
        for source, epoch in ((b"/s/a", 1), (b"/s/b", 2), (b"/s", 3)):
            record = database.record("grid", source)
            record.stage(source, ROW)
            record.commit(epoch)
        rows = [database.record("grid", b"/s").directory(source) for source in (b"/s/a", b"/s/b", b"/s")]
    assert [row and row.epoch for row in rows] == [1, 2, 3]


def test_a_record_of_several_sources(path: Path, notices: Notices) -> None:
    """Rows that killed runs left of any of them are found, and removed at the commit; rows of other sources stay."""
    places = (b"/a", b"/b/c", b"/b/d")
    with SourceDatabase(path, notices) as database:
        for place in places:
            record = database.record("grid", place)
            record.keep_provisional(place, b"f", b"f", ProvisionalRows(1, b"table"))
            record.flush()
        record = database.record("grid", b"/a", b"/b/c")
        assert [len(record.provisional(place, b"f")) for place in places] == [1, 1, 1]
        record.commit()
        assert not database.record("grid", b"/a", b"/b/c").has_provisional
        assert database.record("grid", b"/b").has_provisional


def test_an_interrupt_at_the_beginning_of_a_transaction(path: Path, notices: Notices) -> None:
    """What is written down while the program tidies up after it is, and nothing is said of a database that is whole."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/source")
        assert database.connection is not None
        database.connection.execute("BEGIN IMMEDIATE")
        record.keep_provisional(b"/source", b"f", b"f", ProvisionalRows(1, b"table"))
        record.flush()
    assert notices == []
    with SourceDatabase(path, notices) as database:
        assert database.record("grid", b"/source").has_provisional


def test_a_database_of_the_version_before_is_taken_on(path: Path, notices: Notices) -> None:
    """Rows of version 2 are kept; as they tell no epoch, what they refer to is looked up."""
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE directories (grid TEXT NOT NULL, path BLOB NOT NULL, signature BLOB, packed BLOB NOT NULL, below BLOB NOT NULL,
            read_ns INTEGER NOT NULL, files INTEGER NOT NULL, directories INTEGER NOT NULL, bytes INTEGER NOT NULL,
            PRIMARY KEY (grid, path)) WITHOUT ROWID;
        CREATE TABLE epochs (grid TEXT NOT NULL, source BLOB NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (grid, source))
            WITHOUT ROWID;
        CREATE TABLE provisional (sequence INTEGER PRIMARY KEY, grid TEXT NOT NULL, path BLOB NOT NULL, first BLOB NOT NULL,
            last BLOB NOT NULL, read_ns INTEGER NOT NULL, rows BLOB NOT NULL);
        INSERT INTO directories VALUES ('grid', x'2f73', x'01', x'02', x'03', 4, 5, 6, 7);
        PRAGMA user_version = 2;
    """)
    connection.close()
    for _ in range(2):
        with SourceDatabase(path, notices) as database:
            assert database.record("grid", b"/s").directory(b"/s") == DirectoryRow(b"\1", b"\2", b"\3", 4, 5, 6, 7, 0, -1)
    assert notices == []


def test_many_staged_rows(path: Path, notices: Notices) -> None:
    """More rows than are kept in memory all arrive, and a later one of a path wins."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        for number in range(1200):
            record.stage(b"/s/%d" % number, OTHER)
        record.stage(b"/s/7", ROW)
        record.commit()
        assert record.directory(b"/s/7") == ROW
        assert record.directory(b"/s/1199") == OTHER


def test_staged_rows_of_a_run_that_failed_are_dropped(path: Path, notices: Notices) -> None:
    """Rows that a run staged and did not commit are not committed by the next one."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        for number in range(600):
            record.stage(b"/s/%d" % number, ROW)
        database.record("grid", b"/s").commit()
        assert record.directory(b"/s/1") is None


def test_dropping_a_directory_drops_what_is_below(path: Path, notices: Notices) -> None:
    """Rows of a directory that is gone go at commit, with all below it and nothing beside it."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        for name in (b"/s", b"/s/a", b"/s/a/b", b"/s/a.b", b"/s/ab", b"/s/a0"):
            record.stage(name, ROW)
        record.commit()
        record.drop_below(b"/s/a")
        assert record.directory(b"/s/a") == ROW
        record.commit()
        kept = [name for name in (b"/s", b"/s/a", b"/s/a/b", b"/s/a.b", b"/s/ab", b"/s/a0") if record.directory(name)]
        assert kept == [b"/s", b"/s/a.b", b"/s/ab", b"/s/a0"]


def test_a_dropped_path_that_is_stored_again_stays(path: Path, notices: Notices) -> None:
    """A row that is staged in the same run outlives the removal of the old one."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        record.stage(b"/s/a", ROW)
        record.drop_below(b"/s/a")
        record.commit()
        assert record.directory(b"/s/a") == ROW


def test_provisional_rows_outlive_a_run_without_commit(path: Path, notices: Notices) -> None:
    """Rows that a killed run has flushed are found by name in the next one, and removed at its commit."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        assert not record.has_provisional
        record.keep_provisional(b"/s/d", b"b", b"f", ProvisionalRows(1, b"first"))
        record.keep_provisional(b"/s/d", b"d", b"h", ProvisionalRows(2, b"second"))
        record.keep_provisional(b"/other", b"a", b"z", ProvisionalRows(3, b"third"))
        record.flush()
    with SourceDatabase(path, notices) as database:
        assert not database.record("another grid", b"/s").has_provisional
        record = database.record("grid", b"/s")
        assert record.has_provisional
        assert record.provisional(b"/s/d", b"a") == []
        assert record.provisional(b"/s/d", b"e") == [ProvisionalRows(1, b"first"), ProvisionalRows(2, b"second")]
        assert record.provisional(b"/s/d", b"h") == [ProvisionalRows(2, b"second")]
        record.commit()
        assert not database.record("grid", b"/s").has_provisional
        assert database.record("grid", b"/other").has_provisional


def test_provisional_rows_are_written_after_a_while(path: Path, notices: Notices) -> None:
    """Rows wait about a second in memory at most."""
    now = 100.0
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        record._monotonic = lambda: now
        record._flushed_at = now
        record.keep_provisional(b"/s", b"a", b"a", ProvisionalRows(1, b"rows"))
        assert not database.record("grid", b"/s").has_provisional
        now = 101.5
        record.keep_provisional(b"/s", b"b", b"b", ProvisionalRows(1, b"rows"))
        assert database.record("grid", b"/s").has_provisional


def test_the_file_is_private_whatever_the_umask(path: Path, notices: Notices) -> None:
    """The database and its side files have mode 0600 and their folder 0700, also under umask 0."""
    old = os.umask(0)
    try:
        with SourceDatabase(path, notices) as database:
            record = database.record("grid", b"/s")
            record.stage(b"/s", ROW)
            record.commit()
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def _write_garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def _write_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _write_other_tables(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE directories (something); PRAGMA user_version = 1;")
    connection.close()


@pytest.mark.parametrize("spoil", [_write_garbage, _write_newer, _write_other_tables])
def test_a_database_that_can_not_be_used_is_moved_aside(path: Path, notices: Notices, spoil: Callable[[Path], None]) -> None:
    """A corrupt or newer database is kept beside, a new one created, and one notice says so."""
    path.parent.mkdir()
    spoil(path)
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        record.stage(b"/s", ROW)
        record.commit()
        assert record.directory(b"/s") == ROW
    assert len(notices) == 1
    assert "a new one created" in notices[0]
    assert path.with_name("source.db.unusable").exists()


def test_a_folder_that_can_not_be_made_is_a_notice(tmp_path: Path, notices: Notices) -> None:
    """Without a place for the database a backup goes on without one."""
    (tmp_path / "state").write_text("in the way")
    with SourceDatabase(tmp_path / "state" / "source.db", notices) as database:
        record = database.record("grid", b"/s")
        record.stage(b"/s", ROW)
        record.keep_provisional(b"/s", b"a", b"a", ProvisionalRows(1, b"rows"))
        record.drop_below(b"/s/a")
        record.flush()
        record.commit()
        assert record.directory(b"/s") is None
        assert record.provisional(b"/s", b"a") == []
    assert len(notices) == 1


def test_a_database_that_fails_in_between_is_a_notice(path: Path, notices: Notices) -> None:
    """When the database fails during a run, one notice is given and nothing more is known."""
    with SourceDatabase(path, notices) as database:
        record = database.record("grid", b"/s")
        record.stage(b"/s", ROW)
        record.commit()
        assert database.connection is not None
        database.connection.execute("DROP TABLE directories")
        assert record.directory(b"/s") is None
        record.stage(b"/s", ROW)
        record.commit()
        assert record.directory(b"/s") is None
    assert len(notices) == 1


def test_two_runs_at_once_both_commit(path: Path, notices: Notices) -> None:
    """Two processes' worth of connections write in turn, and both get through."""
    with SourceDatabase(path, notices) as one, SourceDatabase(path, notices) as two:
        first, second = one.record("grid", b"/s"), two.record("grid", b"/s")
        first.stage(b"/s/a", ROW)
        second.stage(b"/s/b", ROW)
        first.keep_provisional(b"/s", b"a", b"a", ProvisionalRows(1, b"rows"))
        first.flush()
        second.commit()
        first.commit()
        assert second.directory(b"/s/a") == first.directory(b"/s/b") == ROW
    assert notices == []
