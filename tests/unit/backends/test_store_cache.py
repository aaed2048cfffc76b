"""The cache on disk: bounded, private, shared, and gone without harm."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from tallac.backends.store_cache import StoreCache, cache_path, remove, size_of

LARGE = 100_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the file of a cache that is not there yet, in a folder that is not there either."""
    return cache_path(tmp_path / "new" / "caches", "s3://bucket/vault")


def key(number: int) -> bytes:
    """Return an object's stored hash."""
    return number.to_bytes(16, "big")


def test_what_was_kept_is_there_in_the_next_process(path: Path) -> None:
    """Objects come back with their links, states with their versions, and only what was kept."""
    cache = StoreCache(path, "s3://bucket/vault", LARGE)
    cache.put(key(1), b"content", b"links")
    cache.put(key(2), b"", b"")
    cache.keep_state("slots/a", (b"state", b'"tag"'))
    cache.keep_state("slots/b", (b"state", b"tag"))
    cache.keep_state("slots/b", None)
    assert (cache.get(key(1)), cache.state("slots/a")) == ((b"content", b"links"), (b"state", b'"tag"'))
    cache.close()
    cache = StoreCache(path, "", LARGE)
    assert (cache.get(key(1)), cache.get(key(2)), cache.get(key(3))) == ((b"content", b"links"), (b"", b""), None)
    assert (cache.state("slots/a"), cache.state("slots/b")) == ((b"state", b'"tag"'), None)
    assert (cache.report().location, cache.report().objects) == ("s3://bucket/vault", 2)
    cache.close()


def test_only_the_user_can_read_it(path: Path) -> None:
    """File and folder are private from their first moment, under any umask."""
    before = os.umask(0)
    try:
        cache = StoreCache(path, "", LARGE)
        cache.put(key(1), b"content", b"")
        cache.flush()
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        assert modes == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        cache.close()
    finally:
        os.umask(before)


def test_it_is_bounded_and_keeps_what_was_used_last(path: Path) -> None:
    """The file stays below its bound; what is used again survives what is not."""
    cache = StoreCache(path, "", 1_000_000)
    for number in range(400):
        cache.put(key(number), os.urandom(10_000), b"")
        if number % 20 == 0:
            cache.get(key(0))
            cache.flush()
            assert cache.get(key(0)) is not None
    cache.close()
    assert 200_000 < size_of(path) <= 1_000_000
    cache = StoreCache(path, "", 1_000_000)
    assert cache.get(key(0)) is not None
    assert cache.get(key(1)) is None
    assert cache.get(key(399)) is not None
    cache.close()


def test_no_cache_leaves_nothing(path: Path) -> None:
    """With a size of 0 nothing is kept, and no file is made."""
    cache = StoreCache(path, "", 0)
    cache.put(key(1), b"content", b"")
    cache.keep_state("slots/a", (b"state", b"tag"))
    assert (cache.get(key(1)), cache.state("slots/a"), cache.warning) == (None, None, "")
    cache.close()
    assert not path.parent.exists()


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(5000), b""])
def test_a_damaged_file_is_begun_anew(path: Path, damage: bytes) -> None:
    """It is no error; the next process has a cache again."""
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    cache = StoreCache(path, "", LARGE)
    assert cache.get(key(1)) is None
    cache.close()
    for _ in range(2):
        cache = StoreCache(path, "", LARGE)
        cache.put(key(1), b"content", b"")
        cache.close()
    cache = StoreCache(path, "", LARGE)
    assert cache.get(key(1)) == (b"content", b"")
    cache.close()


def test_flipped_bits_give_no_other_state(path: Path) -> None:
    """A state of which a bit has changed on disk is as good as none: content, version, and whose it is."""
    for column, value in (("content", b"other"), ("version", b"other"), ("name", "slots/b"), ("checksum", b"other")):
        cache = StoreCache(path, "", LARGE)
        cache.keep_state("slots/a", (b"state", b"tag"))
        cache.close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"UPDATE states SET {column} = ?", (value,))  # noqa: S608 - a name of this test's.
        connection.close()
        cache = StoreCache(path, "", LARGE)
        assert (cache.state("slots/a"), cache.state("slots/b")) == (None, None)
        cache.close()
        remove(path)


def test_an_object_that_was_found_damaged_is_dropped(path: Path) -> None:
    """It is not given again, and what happened can be told."""
    cache = StoreCache(path, "", LARGE)
    cache.put(key(1), b"content", b"")
    cache.flush()
    cache.drop(key(1))
    assert cache.get(key(1)) is None
    assert "damaged" in cache.warning
    cache.close()


def test_it_may_be_deleted_while_it_is_used(path: Path) -> None:
    """Who has it open goes on, and who comes then begins anew."""
    first = StoreCache(path, "", LARGE)
    first.put(key(1), b"content", b"")
    first.flush()
    remove(path)
    second = StoreCache(path, "", LARGE)
    assert second.get(key(1)) is None
    second.put(key(2), b"content", b"")
    for number in range(3, 50):
        first.put(key(number), os.urandom(1000), b"")
        first.flush()
        assert first.get(key(number)) is not None
    second.flush()
    assert second.get(key(2)) == (b"content", b"")
    first.close()
    second.close()
    third = StoreCache(path, "", LARGE)
    assert third.get(key(2)) in (None, (b"content", b""))
    third.close()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """Nor is a file where the folder should be: then there is no cache."""
    (tmp_path / "file").write_bytes(b"")
    cache = StoreCache(cache_path(tmp_path / "file", "s3://bucket"), "", LARGE)
    cache.put(key(1), b"content", b"")
    cache.flush()
    assert cache.get(key(1)) is None
    assert "can't be used" in cache.warning
    cache.close()


def test_a_full_disk_is_no_error(path: Path) -> None:
    """What could not be written is not there, and the caller goes on."""
    cache = StoreCache(path, "", LARGE)
    cache.put(key(1), b"content", b"")
    cache.flush()
    connection = cache._connection
    assert connection is not None
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    cache.put(key(2), os.urandom(1_000_000), b"")
    cache.flush()
    assert "full" in cache.warning
    assert cache.get(key(1)) is None
    cache.close()
    cache = StoreCache(path, "", LARGE)
    assert (cache.get(key(1)), cache.get(key(2))) == ((b"content", b""), None)
    cache.close()


def test_a_writer_that_holds_it_for_long_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process writes and does not end, this one does without the cache, and leaves the file."""
    monkeypatch.setattr("tallac.backends.store_cache.BUSY_TIMEOUT_SECONDS", 0.01)
    first = StoreCache(path, "", LARGE)
    first.put(key(1), b"content", b"")
    first.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    second = StoreCache(path, "", LARGE)
    assert second.get(key(1)) == (b"content", b"")
    second.put(key(2), b"content", b"")
    second.flush()
    assert "locked" in second.warning
    other.close()
    assert first.get(key(1)) is not None
    first.close()
    second.close()


def _fill(path: Path, first: int) -> None:
    cache = StoreCache(path, "", LARGE)
    for number in range(first, first + 200):
        cache.put(key(number), key(number) * 50, b"")
        cache.flush()
    os._exit(0)  # As one that is killed: nothing is closed.


def test_processes_share_it(path: Path) -> None:
    """Several write at a time, none closes it, and all of it is there."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fill, args=(path, first)) for first in (0, 1000)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    cache = StoreCache(path, "", LARGE)
    assert cache.report().objects == 400
    assert cache.get(key(1100)) == (key(1100) * 50, b"")
    cache.close()
