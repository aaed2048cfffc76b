from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.backup import Change
from tallac.caps import MutableDirectoryWrite, parse
from tallac.dag import encode_cap
from tallac.errors import FencedError, NotADirectoryCapError, SourceError, StoreFullError, UsageError
from tallac.source import NOTHING_OWN, OwnFiles, OwnKind, OwnPlace

if TYPE_CHECKING:
    from tests.unit.backup.conftest import Bench


def plant_seed(source: Path) -> None:
    """Make the tree of the seed scenario."""
    (source / "empty").mkdir()
    (source / "parent" / "subdir").mkdir(parents=True)
    (source / "parent" / "subdir" / "foo.txt").write_text("foo")
    (source / "parent" / "subdir" / "bar.txt").write_text("bar\n" * 1000)
    (source / "parent" / "blah.txt").write_text("blah\n" * 20)


def test_seed_scenario(bench: Bench) -> None:
    """A first, an unchanged and a changed backup give three snapshots that stay what they are."""
    plant_seed(bench.source)
    first = bench.back_up()
    assert bench.names(b"backups") == [b"Archives", b"Latest"]
    assert bench.names(b"backups", b"Latest") == [b"empty", b"parent"]
    assert bench.names(b"backups", b"Latest", b"empty") == []
    assert bench.latest(b"parent", b"subdir", b"foo.txt") == b"foo"
    assert (first.files.new, first.directories.new) == (3, 3)

    second = bench.back_up()
    assert second.cap == first.cap
    assert bench.names(b"backups", b"Archives") == [first.name, second.name]

    (bench.source / "parent" / "subdir" / "foo.txt").write_text("FOOF!")
    (bench.source / "parent" / "blah.txt").unlink()
    (bench.source / "parent" / "blah.txt").mkdir()
    (bench.source / "parent" / "blah.txt" / "inside").write_text("in")
    (bench.source / "empty").rmdir()
    (bench.source / "empty").write_text("now a file")
    third = bench.back_up()
    assert bench.latest(b"parent", b"subdir", b"foo.txt") == b"FOOF!"
    assert bench.latest(b"parent", b"blah.txt", b"inside") == b"in"
    assert bench.latest(b"empty") == b"now a file"
    assert bench.content(b"backups", b"Archives", first.name, b"parent", b"subdir", b"foo.txt") == b"foo"
    assert (third.files.new, third.files.changed, third.files.unchanged) == (2, 1, 1)


def test_the_snapshot_entry_holds_its_facts(bench: Bench) -> None:
    """Host, source, counts and sizes stand at the snapshot's entry, and at Latest as well."""
    plant_seed(bench.source)
    summary = bench.back_up()
    entry = bench.entry(b"backups", b"Archives", summary.name)
    facts = entry.metadata.snapshot
    assert facts is not None
    assert (facts.files, facts.directories, facts.size) == (3, 3, 3 + 4000 + 100)
    assert (facts.host, facts.sources) == ("here", (os.fsencode(bench.source),))
    assert facts.started_ns <= facts.ended_ns == bench.clock.now_ns()
    assert entry.metadata.mode == bench.source.stat().st_mode
    latest = bench.entry(b"backups", b"Latest")
    assert (latest.encoded, latest.metadata) == (entry.encoded, entry.metadata)


def test_order_of_what_becomes_visible(bench: Bench) -> None:
    """Everything is stored before the session commits, and the snapshot is entered after that."""
    plant_seed(bench.source)
    bench.back_up()
    events = bench.grid.events
    last_store = max(events.index("put_directory"), len(events) - 1 - events[::-1].index("put_directory"))
    assert last_store < events.index("written") < events.index("commit")
    assert events[events.index("commit") :] == ["commit", "edit", "edit"]


def test_unchanged_means_not_opened(bench: Bench) -> None:
    """An unchanged tree opens no file, reads no directory from the grid, and encodes none."""
    plant_seed(bench.source)
    bench.back_up()
    summary = bench.back_up()
    assert bench.filesystem.opened == []
    assert not {"read_directory", "put_directory", "put_small"} & set(bench.grid.events)
    assert (summary.files.unchanged, summary.directories.unchanged) == (3, 3)
    assert (summary.files.total, summary.directories.total, summary.bytes_read) == (3, 3, 0)


def test_one_changed_file_opens_one_file(bench: Bench) -> None:
    """Of a tree with one changed file, that file alone is opened."""
    plant_seed(bench.source)
    bench.back_up()
    (bench.source / "parent" / "subdir" / "foo.txt").write_text("FOOF!")
    summary = bench.back_up()
    assert bench.filesystem.opened == [b"foo.txt"]
    assert (summary.files.changed, summary.files.unchanged, summary.directories.changed) == (1, 2, 2)
    assert summary.directories.unchanged == 1


def test_a_directory_that_changed_only_itself_keeps_its_cap(bench: Bench) -> None:
    """A new mode of a directory shows in the directory above; the directory's own cap stays."""
    plant_seed(bench.source)
    bench.back_up()
    before = bench.entry(b"backups", b"Latest", b"parent")
    (bench.source / "parent").chmod(0o700)
    bench.back_up()
    after = bench.entry(b"backups", b"Latest", b"parent")
    assert (after.encoded, after.metadata.mode) == (before.encoded, stat.S_IFDIR | 0o700)
    assert bench.filesystem.opened == []


def test_a_change_of_mode_reads_the_file_again(bench: Bench) -> None:
    """A chmod changes ctime, which might hide a change of the content; so the file is read."""
    plant_seed(bench.source)
    bench.back_up()
    (bench.source / "parent" / "blah.txt").chmod(0o600)
    bench.back_up()
    assert bench.filesystem.opened == [b"blah.txt"]
    assert bench.entry(b"backups", b"Latest", b"parent", b"blah.txt").metadata.mode == stat.S_IFREG | 0o600


def test_a_write_in_the_tick_of_the_backup_is_seen(bench: Bench) -> None:
    """A file that changed just when it was backed up is read the next time, whatever its timestamps say (row 19)."""
    file = bench.source / "file"
    file.write_text("one")
    bench.clock.advance(file.stat().st_ctime_ns / 1e9 - bench.clock.now_ns() / 1e9 - 60)
    bench.back_up()
    bench.clock.advance(3600)
    bench.back_up()
    assert bench.filesystem.opened == [b"file"]
    bench.back_up()
    assert bench.filesystem.opened == []


def test_two_backups_in_one_second_have_two_names(bench: Bench) -> None:
    """The second snapshot of a second gets the next one's name, and both are there."""
    plant_seed(bench.source)
    first = bench.back_up()
    bench.clock.advance(-60)
    second = bench.back_up()
    assert first.name < second.name
    assert first.cap == second.cap
    assert bench.names(b"backups", b"Archives") == [first.name, second.name]


def test_concurrent_backups_are_both_entered(bench: Bench) -> None:
    """A backup that is entered while another one edits Archives is kept, and Latest names the newest."""
    plant_seed(bench.source)
    bench.back_up()
    names: list[bytes] = []

    def race() -> None:
        (bench.source / "other").write_text("other")
        names.append(bench.back_up().name)

    bench.grid.before_swap = None
    original = bench.grid.edit_directory
    edits = 0

    def edit(cap: object, change: Callable[..., object]) -> object:
        nonlocal edits
        edits += 1
        if edits == 3:
            bench.grid.before_swap = race
        return original(cap, change)  # type: ignore[arg-type]  # It only passes on what it gets.

    bench.grid.edit_directory = edit  # type: ignore[method-assign,assignment]  # A race at one certain edit.
    names.append(bench.back_up().name)
    archives = bench.names(b"backups", b"Archives")
    assert set(names) < set(archives)
    assert len(archives) == 3
    assert bench.entry(b"backups", b"Latest").encoded == bench.entry(b"backups", b"Archives", archives[-1]).encoded


def test_latest_is_not_set_back(bench: Bench) -> None:
    """A backup that is overtaken before it sets Latest leaves it at the newer snapshot."""
    (bench.source / "a").write_text("a")
    bench.back_up()
    original = bench.grid.edit_directory
    edits = 0

    def edit(cap: object, change: Callable[..., object]) -> object:
        nonlocal edits
        edits += 1
        if edits == 4:
            (bench.source / "b").write_text("b")
            bench.back_up()
        return original(cap, change)  # type: ignore[arg-type]  # It only passes on what it gets.

    bench.grid.edit_directory = edit  # type: ignore[method-assign,assignment]  # A race at one certain edit.
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"a", b"b"]


def test_latest_follows_after_fast_backups_were_forgotten(bench: Bench) -> None:
    """Five backups of one second have names ahead of the clock. When all but the last are forgotten, the next is newer still."""
    for number in range(5):
        (bench.source / "file").write_text(f"{number}")
        bench.clock.advance(-60)
        bench.back_up()
    archives = bench.entry(b"backups", b"Archives")
    assert archives.write is not None
    cap = parse(archives.write.decode())
    assert isinstance(cap, MutableDirectoryWrite)
    [newest] = bench.grid.edit_directory(cap, lambda entries: entries[-1:])
    (bench.source / "file").write_text("the newest")
    bench.clock.advance(-60)
    assert bench.back_up().name > newest.name
    assert bench.latest(b"file") == b"the newest"


def test_a_snapshot_from_the_future_does_not_hold_latest(bench: Bench) -> None:
    """After a backup under a clock that was a year ahead, Latest follows the present again."""
    (bench.source / "a").write_text("a")
    bench.clock.advance(31_536_000)
    bench.back_up()
    bench.clock.advance(-31_536_000)
    (bench.source / "b").write_text("b")
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"a", b"b"]


def test_unreadable_files_are_told_and_left_out(bench: Bench) -> None:
    """What can't be opened is named and missing, the snapshot is incomplete, and it is tried again the next time."""
    (bench.source / "bad").write_text("bad")
    (bench.source / "good").write_text("good")

    def refuse(name: bytes) -> None:
        if name == b"bad":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

    bench.filesystem.before_open = refuse
    summary = bench.back_up()
    assert summary.is_incomplete
    assert summary.unreadable == 1
    assert bench.unreadable == [(os.fsencode(bench.source / "bad"), "Permission denied")]
    assert bench.names(b"backups", b"Latest") == [b"good"]
    facts = bench.entry(b"backups", b"Latest").metadata.snapshot
    assert facts is not None
    assert facts.unreadable == 1
    bench.filesystem.before_open = None
    summary = bench.back_up()
    assert not summary.is_incomplete
    assert bench.filesystem.opened == [b"bad"]
    assert bench.latest(b"bad") == b"bad"


def test_an_unreadable_directory_is_left_out_as_a_whole(bench: Bench) -> None:
    """A directory that can't be entered is named once, and what lies beside it is backed up."""
    plant_seed(bench.source)
    original = bench.filesystem.open

    def refuse(name: bytes, flags: int, directory: int | None = None) -> int:
        if name == b"subdir":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return original(name, flags, directory)

    bench.filesystem.open = refuse  # type: ignore[method-assign]  # One directory refuses.
    summary = bench.back_up()
    assert bench.unreadable == [(os.fsencode(bench.source / "parent" / "subdir"), "Permission denied")]
    assert summary.unreadable == 1
    assert bench.names(b"backups", b"Latest", b"parent") == [b"blah.txt"]


def test_what_vanishes_is_no_error(bench: Bench) -> None:
    """A file that goes between listing and opening is left out silently, and the directory is looked through the next time."""
    (bench.source / "gone").write_text("gone")
    (bench.source / "here").write_text("here")

    def vanish(name: bytes) -> None:
        if name == b"gone":
            (bench.source / "gone").unlink(missing_ok=True)

    bench.filesystem.before_open = vanish
    summary = bench.back_up()
    assert (summary.is_incomplete, summary.vanished) == (False, 1)
    assert bench.unreadable == []
    assert bench.names(b"backups", b"Latest") == [b"here"]


def test_a_file_that_changes_once_is_read_again(bench: Bench) -> None:
    """After a change during the read, the file is stored as it is afterwards, unmarked."""
    file = bench.source / "file"
    file.write_text("one")
    appended = False

    def append(name: bytes) -> None:
        nonlocal appended
        if not appended:
            appended = True
            file.write_text("longer than before")

    original = bench.filesystem.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = original(descriptor)
        if stat.S_ISREG(status.st_mode):
            append(b"")
        return status

    bench.filesystem.fstat = fstat  # type: ignore[method-assign]  # The file changes right after the first look.
    bench.back_up()
    assert bench.latest(b"file") == b"longer than before"
    assert not bench.entry(b"backups", b"Latest", b"file").metadata.changed


@pytest.mark.parametrize("size", [10, 250_000])
def test_a_file_that_changes_all_the_time_is_stored_as_read(bench: Bench, size: int) -> None:
    """A file that grows during each read ends, is marked, told of, and read again the next time (row 20)."""
    file = bench.source / "file"
    file.write_bytes(b"x" * size)
    original = bench.filesystem.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = original(descriptor)
        if stat.S_ISREG(status.st_mode):
            with file.open("ab") as opened:
                opened.write(b"y" * 10)
        return status

    bench.filesystem.fstat = fstat  # type: ignore[method-assign]  # The file grows after each look.
    bench.back_up()
    entry = bench.entry(b"backups", b"Latest", b"file")
    assert entry.metadata.changed
    assert bench.latest(b"file").startswith(b"x" * size + b"y")
    assert [message for _, message in bench.notices] == ["it changed while it was read; stored as read"]
    del bench.filesystem.fstat
    bench.back_up()
    assert set(bench.filesystem.opened) == {b"file"}
    assert not bench.entry(b"backups", b"Latest", b"file").metadata.changed


def test_a_small_file_that_becomes_large_is_stored_whole(bench: Bench) -> None:
    """A file that grows beyond the small ones between listing and reading is cut into chunks after all, in its place (row 20)."""
    for name in ("a", "b", "c"):
        (bench.source / name).write_text(name)

    def grow(name: bytes) -> None:
        if name == b"b":
            (bench.source / "b").write_bytes(b"z" * 250_000)

    bench.filesystem.before_open = grow
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"a", b"b", b"c"]
    assert bench.latest(b"b") == b"z" * 250_000


def test_large_files_are_stored_in_chunks_with_holes(bench: Bench) -> None:
    """A large file is cut and joined; chunks of zeros are not stored, and the file's holes are kept as metadata."""
    content = os.urandom(100_000) + bytes(300_000) + os.urandom(50_000)
    with (bench.source / "big").open("wb") as opened:
        opened.write(content[:100_000])
        opened.seek(400_000)
        opened.write(content[400_000:])
    summary = bench.back_up()
    assert bench.latest(b"big") == content
    assert bench.grid.events.count("join") == 1
    assert (summary.size, summary.files.new) == (450_000, 1)
    holes = bench.entry(b"backups", b"Latest", b"big").metadata.holes
    assert sum(length for _, length in holes) > 250_000


def _interfere_once(bench: Bench, name: bytes, interfere: Callable[[], object]) -> None:
    """Have something happen right after a file is opened for the first time."""
    todo = [interfere]

    def after_open(opened: bytes) -> None:
        if opened == name and todo:
            todo.pop()()

    bench.filesystem.after_open = after_open


@pytest.mark.parametrize("size", [250_000, 120_000, 70_000, 10])
def test_a_large_file_that_is_replaced_is_read_again(bench: Bench, size: int) -> None:
    """When another file takes a large one's name during the read, that one is stored, whatever its size (row 20)."""
    (bench.source / "big").write_bytes(os.urandom(250_000))
    (bench.source / "new").write_bytes(b"n" * size)
    _interfere_once(bench, b"big", lambda: (bench.source / "new").replace(bench.source / "big"))
    summary = bench.back_up()
    assert bench.latest(b"big") == b"n" * size
    assert not bench.entry(b"backups", b"Latest", b"big").metadata.changed
    assert not summary.is_incomplete


@pytest.mark.parametrize("size", [120_000, 70_000, 0])
def test_a_large_file_that_shrinks_is_read_again(bench: Bench, size: int) -> None:
    """A large file that is cut short during the read is stored as it is then (row 20)."""
    (bench.source / "big").write_bytes(b"b" * 250_000)
    _interfere_once(bench, b"big", lambda: os.truncate(bench.source / "big", size))
    bench.back_up()
    assert bench.latest(b"big") == b"b" * size


def test_a_large_file_that_vanishes_is_left_out(bench: Bench) -> None:
    """A large file that goes during the read is left out as a small one is."""
    (bench.source / "big").write_bytes(b"b" * 250_000)
    (bench.source / "small").write_bytes(b"s")
    _interfere_once(bench, b"big", (bench.source / "big").unlink)
    summary = bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"small"]
    assert (summary.vanished, summary.is_incomplete) == (1, False)


def test_a_read_error_is_the_sources_and_a_store_error_is_not(bench: Bench) -> None:
    """EIO of the source is reported and the backup goes on; an error of the store ends it."""
    (bench.source / "bad").write_bytes(b"b" * 1000)

    def fail(name: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    bench.filesystem.before_open = fail
    assert bench.back_up().is_incomplete
    assert bench.unreadable == [(os.fsencode(bench.source / "bad"), "Input/output error")]
    bench.filesystem.before_open = None
    bench.grid.puts_left = 0
    with pytest.raises(StoreFullError):
        bench.back_up()


def test_special_files_are_kept_and_never_opened(bench: Bench) -> None:
    """Symbolic links, FIFOs and sockets are stored with their metadata alone."""
    (bench.source / "link").symlink_to("nowhere")
    os.mkfifo(bench.source / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(bench.source, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        summary = bench.back_up()
    assert bench.filesystem.opened == []
    assert bench.entry(b"backups", b"Latest", b"link").metadata.target == b"nowhere"
    modes = [stat.S_IFMT(entry.metadata.mode or 0) for entry in bench.entries(b"backups", b"Latest")]
    assert modes == [stat.S_IFIFO, stat.S_IFLNK, stat.S_IFSOCK]
    assert (summary.files.new, summary.size) == (3, 0)


def test_a_full_store_enters_nothing(bench: Bench) -> None:
    """When the store is full the backup fails, and the target is as it was (borg#9853)."""
    plant_seed(bench.source)
    first = bench.back_up()
    (bench.source / "more").write_bytes(b"m" * 1000)
    bench.grid.puts_left = 0
    with pytest.raises(StoreFullError):
        bench.back_up()
    assert bench.names(b"backups", b"Archives") == [first.name]
    assert bench.unreadable == []
    bench.grid.puts_left = None
    bench.back_up()
    assert bench.latest(b"more") == b"m" * 1000


def test_a_killed_backup_is_not_read_again(bench: Bench) -> None:
    """After a backup that broke off, the files that it had stored are found in the provisional rows."""
    for number in range(500):
        (bench.source / f"file{number:03}").write_bytes(b"%03d" % number * 40)
    bench.grid.puts_left = 450
    with pytest.raises(StoreFullError):
        bench.back_up()
    bench.grid.puts_left = None
    summary = bench.back_up()
    assert 0 < len(bench.filesystem.opened) <= 100
    assert (summary.files.new, summary.files.total) == (500, 500)
    assert len(bench.names(b"backups", b"Latest")) == 500
    bench.back_up()
    assert bench.filesystem.opened == []


def test_provisional_rows_are_trusted_only_while_the_grid_holds_them(bench: Bench) -> None:
    """What a killed backup had stored and the grid has lost since is read again."""
    for number in range(300):
        (bench.source / f"file{number:03}").write_bytes(b"%03d" % number * 40)
    bench.grid.puts_left = 250
    with pytest.raises(StoreFullError):
        bench.back_up()
    bench.grid.puts_left = None
    bench.grid.contents.in_memory.clear()
    bench.back_up()
    assert len(bench.filesystem.opened) == 300


def test_a_fence_makes_it_run_again(bench: Bench) -> None:
    """A fenced backup looks everything up once more and is entered; fenced twice, it fails and nothing is entered."""
    plant_seed(bench.source)
    bench.grid.fences = 1
    summary = bench.back_up()
    assert bench.names(b"backups", b"Archives") == [summary.name]
    bench.grid.fences = 2
    with pytest.raises(FencedError):
        bench.back_up()
    assert bench.names(b"backups", b"Archives") == [summary.name]


def test_lost_files_are_stored_again(bench: Bench) -> None:
    """A grid that knows of losses has every file looked up, and what is gone is read again (kopia#3492)."""
    plant_seed(bench.source)
    bench.back_up()
    lost = bench.entry(b"backups", b"Latest", b"parent", b"subdir", b"bar.txt").encoded
    bench.grid.contents.lose(lost)
    bench.grid.has_losses = True
    bench.back_up()
    assert bench.filesystem.opened == [b"bar.txt"]
    assert bench.latest(b"parent", b"subdir", b"bar.txt") == b"bar\n" * 1000


def test_a_lost_directory_is_stored_again(bench: Bench) -> None:
    """A directory that the grid no longer holds is made anew, with a notice, from its files."""
    plant_seed(bench.source)
    bench.back_up()
    del bench.grid.tables[bench.entry(b"backups", b"Latest", b"parent", b"subdir").encoded]
    bench.back_up()
    assert sorted(bench.filesystem.opened) == [b"bar.txt", b"foo.txt"]
    assert bench.latest(b"parent", b"subdir", b"foo.txt") == b"foo"
    assert bench.notices[0][0] == os.fsencode(bench.source / "parent" / "subdir")


def test_without_a_source_database_the_latest_snapshot_serves(bench: Bench) -> None:
    """With local records lost, the directories of the latest snapshot tell what need not be read."""
    plant_seed(bench.source)
    bench.back_up()
    bench.database_path.unlink()
    bench.back_up()
    assert bench.filesystem.opened == []
    assert "read_directory" in bench.grid.events


def test_another_hosts_snapshot_does_not_serve(bench: Bench) -> None:
    """Inodes and times of another machine tell nothing here."""
    plant_seed(bench.source)
    bench.back_up(host="there")
    bench.database_path.unlink()
    bench.back_up(host="here")
    assert len(bench.filesystem.opened) == 3


def test_the_vault_in_the_source_is_left_out(bench: Bench) -> None:
    """An excluded directory is skipped with a notice, and costs no second look."""
    plant_seed(bench.source)
    vault = OwnPlace(os.fsencode(bench.source / "parent"), OwnKind.VAULT, "0" * 32, is_target=True)
    bench.own = OwnFiles([vault], includes_own=True)
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"empty"]
    assert [path for path, _ in bench.notices] == [os.fsencode(bench.source / "parent")]
    bench.back_up()
    assert "put_directory" not in bench.grid.events


def test_overlapping_sources_do_not_hide_changes(bench: Bench) -> None:
    """A change that the backup of a folder within the source has recorded is in the next snapshot of the source as well."""
    plant_seed(bench.source)
    bench.back_up()
    whole = bench.source
    (whole / "parent" / "subdir" / "foo.txt").write_text("FOOF!")
    bench.source = whole / "parent"
    bench.back_up(path=(b"other",))
    bench.source = whole
    summary = bench.back_up()
    assert bench.latest(b"parent", b"subdir", b"foo.txt") == b"FOOF!"
    assert bench.filesystem.opened == []
    assert (summary.files.total, summary.directories.total) == (3, 3)


def test_rows_of_two_runs_do_not_hide_changes(bench: Bench) -> None:
    """Two backups at once, of which the later to commit saw less, leave rows from which the next one still finds every change."""
    plant_seed(bench.source)
    bench.back_up()
    (bench.source / "empty" / "new").write_text("new")
    original = bench.grid.edit_directory
    edits = 0

    def edit(cap: object, change: Callable[..., object]) -> object:
        nonlocal edits
        edits += 1
        if edits == 3:
            # The outer backup has walked and not committed yet; the inner one sees more, and commits first.
            (bench.source / "parent" / "subdir" / "foo.txt").write_text("FOOF!")
            bench.back_up()
        return original(cap, change)  # type: ignore[arg-type]  # It only passes on what it gets.

    bench.grid.edit_directory = edit  # type: ignore[method-assign,assignment]  # A race at one certain edit.
    bench.back_up()
    bench.back_up()
    assert bench.latest(b"parent", b"subdir", b"foo.txt") == b"FOOF!"
    assert bench.latest(b"empty", b"new") == b"new"


def test_what_is_no_longer_excluded_is_stored(bench: Bench) -> None:
    """A directory that was left out comes in as soon as it is not excluded any more, though nothing has changed."""
    plant_seed(bench.source)
    own = OwnFiles([OwnPlace(os.fsencode(bench.source / "parent" / "subdir"), OwnKind.VAULT, "0" * 32, is_target=True)])
    bench.own = own
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"parent") == [b"blah.txt"]
    bench.own = NOTHING_OWN
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"parent") == [b"blah.txt", b"subdir"]
    bench.own = own
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"parent") == [b"blah.txt"]


def test_sources_that_are_none(bench: Bench) -> None:
    """A source that is missing or a file is refused with a sentence, and nothing is entered."""
    bench.source.rmdir()
    with pytest.raises(SourceError, match="can't be opened"):
        bench.back_up()
    bench.source.write_text("a file")
    with pytest.raises(UsageError, match="is a file; back up the folder"):
        bench.back_up()
    assert bench.names() == []


def test_a_source_that_is_a_link_is_followed(bench: Bench, tmp_path: Path) -> None:
    """The source's own name may be a symbolic link."""
    plant_seed(bench.source)
    link = tmp_path / "link"
    link.symlink_to(bench.source)
    bench.source = link
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"empty", b"parent"]


def test_a_target_that_is_an_immutable_directory_is_refused(bench: Bench) -> None:
    """A snapshot can't be a target."""
    plant_seed(bench.source)
    bench.back_up()
    with pytest.raises(NotADirectoryCapError, match="'backups/Latest' in the target is an immutable directory"):
        bench.back_up(path=(b"backups", b"Latest"))


@pytest.mark.slow
def test_deep_trees(bench: Bench) -> None:
    """A tree deeper than Python's stack and than a path may be long is backed up and recognised again."""
    depth = 1100
    descriptor = os.open(bench.source, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deep", dir_fd=descriptor)
        below = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    assert bench.back_up().directories.new == depth
    summary = bench.back_up()
    # Python's own removal of a tree is recursive, so it can't remove this one after the test.
    subprocess.run(["rm", "-r", bench.source], check=True)
    assert summary.directories.unchanged == depth
    assert bench.filesystem.opened == []


def test_events_name_every_file(bench: Bench) -> None:
    """Who wants to know is told each file once, also the unchanged."""
    plant_seed(bench.source)
    bench.back_up()
    assert {change for change, _ in bench.changes} == {Change.NEW}
    assert len(bench.changes) == 3
    bench.changes.clear()
    (bench.source / "parent" / "blah.txt").write_text("other")
    bench.back_up()
    source = os.fsencode(bench.source)
    assert sorted(bench.changes, key=lambda item: item[1]) == [
        (Change.CHANGED, source + b"/parent/blah.txt"),
        (Change.UNCHANGED, source + b"/parent/subdir/bar.txt"),
        (Change.UNCHANGED, source + b"/parent/subdir/foo.txt"),
    ]


def test_progress_knows_what_is_expected(bench: Bench) -> None:
    """The second backup of a source knows how much there was the last time."""
    plant_seed(bench.source)
    bench.back_up()
    bench.progress.clear()
    bench.back_up()
    assert (bench.progress[-1].files_expected, bench.progress[-1].bytes_expected) == (3, 4103)


def test_the_snapshot_is_stored_before_it_is_linked(bench: Bench) -> None:
    """The cap in the summary is the one that Archives names."""
    plant_seed(bench.source)
    summary = bench.back_up()
    assert bench.entry(b"backups", b"Archives", summary.name).encoded == encode_cap(summary.cap)
