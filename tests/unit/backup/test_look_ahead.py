"""A second process looks at the source from its end on: what it reports is what the walk would see, and decides nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.ticks import pass_a_tick, settle
from tests.unit.backup.conftest import Bench, ReportedBefore, plant

from tallac.app.operations.backup import LOOK_AHEAD_FILES_MIN
from tallac.app.operations.backup_sources import find_sources
from tallac.app.operations.looking_ahead import looking_ahead
from tallac.backup.leaves import DIRECTORY_NAMES_MAX, Leaf, LeafListing, LeafTask
from tallac.backup.left_out import OwnLeftOut
from tallac.backup.look_ahead import AGE_MAX_NS, LookAhead
from tallac.backup.quick_look import Looked
from tallac.backup.reuse import LeafRecognition
from tallac.backup.run import back_up
from tallac.backup.summary import Observer
from tallac.clock import SystemClock
from tallac.dag import time_from_ns
from tallac.forked import may_fork
from tallac.source import (
    CACHE_MARKER,
    NOTHING_OWN,
    RUN_COUNT_MAX,
    ChosenScan,
    EncodedListing,
    Failure,
    OwnFiles,
    OwnKind,
    OwnPlace,
    Patterns,
    Scan,
    Scope,
    Selection,
    SourceEntry,
    scan,
)
from tallac.source.scan import ShortScan
from tallac.sourcedb import DirectoryRow, LastBackup, SourceDatabase, last_backup

SELECTIONS = {
    "none": Selection(),
    "patterns": Selection(patterns=Patterns.of_options(["*.iso", "/b/c/d"])),
    "caches": Selection(markers=(CACHE_MARKER,), ignore_file=None),
    "size": Selection(size_max=400),
    "file-system": Selection(one_file_system=True),
}


def plant_all(source: Path) -> None:
    """Make a tree with something of each kind."""
    plant(source, ("b/e/f", 1))
    (source / "link").symlink_to("a")


def leaves_of(
    source: Path, selection: Selection, *, own: OwnFiles = NOTHING_OWN, scope: Scope | None = None, changed_after_ns: int = 0
) -> list[Leaf]:
    """Look at a source in this process."""
    root = os.open("/" if scope else source, os.O_RDONLY)
    try:
        path = b"/" if scope else os.fsencode(source)
        return list(LeafTask(root, path, selection, scope, own, changed_after_ns, SystemClock()).leaves())
    finally:
        os.close(root)


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("named", [(), ("a", "b/c")], ids=["one", "several"])
def test_what_is_reported_is_what_the_walk_records(bench: Bench, selection: Selection, named: tuple[str, ...]) -> None:
    """With any rules, and one source or several, each directory is reported by the signature that the backup records of it."""
    plant_all(bench.source)
    bench.selection, bench.wishes.sources = selection, named
    bench.own = OwnFiles([OwnPlace(os.fsencode(bench.source / "own"), OwnKind.CONFIGURATION)])
    bench.back_up()
    scope = Scope.of([os.fsencode(bench.source / name) for name in named]) if named else None
    leaves = leaves_of(bench.source, selection, own=bench.own, scope=scope)
    paths = [leaf.path for leaf in leaves]
    assert paths == sorted(paths, reverse=True)
    assert os.fsencode(bench.source / "own") not in paths
    assert {os.fsencode(bench.source / name) for name in ("a/cache", "b/c/d")} & set(paths)
    with SourceDatabase(bench.database_path, print) as database:
        record = database.record(bench.grid.identity, os.fsencode(bench.source))
        for leaf in leaves:
            row = record.directory(leaf.path)
            assert row is not None
            assert row.signature == leaf.signature


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_what_was_reported_is_not_listed(bench: Bench, selection: Selection) -> None:
    """An unchanged directory that was reported is passed over, and counted as one that was listed."""
    plant_all(bench.source)
    bench.selection = selection
    bench.back_up()
    alone = bench.back_up()
    bench.looks_ahead = True
    summary = bench.back_up()
    assert bench.reported is not None
    assert bench.reported.taken == sorted(bench.reported.taken) != []
    assert not bench.reported.reported
    assert (summary.cap, summary.files, summary.directories) == (alone.cap, alone.files, alone.directories)
    assert (summary.size, summary.excluded) == (alone.size, alone.excluded)
    again = bench.back_up()
    assert again.cap == alone.cap


def test_what_has_changed_since_is_seen_by_the_next_backup(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change between report and visit is missed by this backup, whose time is that of the first look, and found by the next."""
    plant_all(bench.source)
    bench.back_up()
    bench.looks_ahead = True
    store = bench.grid.session

    def change_and_go_on() -> object:
        (bench.source / "b" / "c" / "d" / "three").write_bytes(b"y" * 3000)
        bench.clock.advance(5)
        return store()

    monkeypatch.setattr(bench.grid, "session", change_and_go_on)
    begun_ns = bench.clock.now_ns() + 60_000_000_000
    missed = bench.back_up()
    monkeypatch.undo()
    assert missed.files.changed == 0
    facts = bench.entry(b"backups", b"Archives", missed.name).metadata.snapshot
    assert facts is not None
    assert facts.started_ns == begun_ns
    assert bench.back_up().files.changed == 1
    assert bench.latest(b"b", b"c", b"d", b"three") == b"y" * 3000


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_what_has_changed_is_gone_through_by_the_reported_listing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, selection: Selection
) -> None:
    """A changed directory whose listing was reported is not listed again, and comes out as one that was."""
    plant_all(bench.source)
    bench.selection = selection
    bench.back_up()
    (bench.source / "b" / "c" / "d" / "three").write_bytes(b"y" * 3000)
    (bench.source / "b" / "c" / "d" / "new").write_bytes(b"z")
    listed: list[str] = []
    scandir = bench.filesystem.scandir

    def noted(descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        listed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        return scandir(descriptor)

    monkeypatch.setattr(bench.filesystem, "scandir", noted)
    bench.looks_ahead = True
    ahead = bench.back_up()
    assert str(bench.source) in listed
    assert str(bench.source / "b" / "c" / "d") not in listed
    bench.looks_ahead, bench.database_path = False, bench.database_path.with_name("full.db")
    full = bench.back_up(path=(b"full",))
    assert (ahead.cap, ahead.files.total, ahead.size) == (full.cap, full.files.total, full.size)


def test_a_change_after_a_reported_listing_is_seen_by_the_next_backup(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a listing is when it was made, so that what is changed and read after it is read again by the next backup."""
    path = bench.source / "b" / "c" / "d" / "three"
    plant_all(bench.source)
    bench.back_up()
    path.write_bytes(b"y" * 3000)
    settle(bench.source)
    bench.looks_ahead = True
    store = bench.grid.session

    def change_and_go_on() -> object:
        pass_a_tick(bench.database_path.parent)
        path.write_bytes(b"z" * 3000)
        bench.clock.advance(600)
        return store()

    monkeypatch.setattr(bench.grid, "session", change_and_go_on)
    # The bench makes a snapshot a minute after the last one: now.
    bench.clock.advance((time.time_ns() - bench.clock.now_ns()) / 1e9 - 60)
    assert bench.back_up().files.changed == 1
    monkeypatch.undo()
    bench.filesystem.opened.clear()
    bench.back_up()
    assert b"three" in bench.filesystem.opened
    assert bench.latest(b"b", b"c", b"d", b"three") == b"z" * 3000


def do_once_taken(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Change something between a reported listing's being taken and its being gone through."""
    take = LeafListing.scan

    def take_and_change(listing: LeafListing, status: os.stat_result, mounted: Collection[bytes]) -> Scan | None:
        taken = take(listing, status, mounted)
        if taken is not None:
            change()
        return taken

    monkeypatch.setattr(LeafListing, "scan", take_and_change)


@pytest.mark.parametrize("into", ["four", "1"])
def test_what_was_renamed_after_a_report_is_in_the_snapshot(bench: Bench, monkeypatch: pytest.MonkeyPatch, into: str) -> None:
    """A report may be a minute old: where names in a directory have changed since, it is listed, and what was renamed is found."""
    plant_all(bench.source)
    bench.back_up()
    folder = bench.source / "b" / "c" / "d"
    (folder / "new").write_bytes(b"n" * 3000)
    bench.looks_ahead = True
    store = bench.grid.session

    def rename_and_go_on() -> object:
        pass_a_tick(bench.database_path.parent)
        (folder / "three").rename(folder / into)
        return store()

    monkeypatch.setattr(bench.grid, "session", rename_and_go_on)
    summary = bench.back_up()
    assert bench.reported is not None
    assert os.fsencode(folder) in bench.reported.taken
    assert bench.latest(b"b", b"c", b"d", into.encode()) == (folder / into).read_bytes()
    assert summary.vanished == 0


@pytest.mark.parametrize(("tick_ns", "unit_ns"), [(20_000_000, 1), (2_000_000_000, 1_000_000_000)])
def test_a_listing_from_the_tick_of_a_change_is_not_taken(tmp_path: Path, tick_ns: int, unit_ns: int) -> None:
    """Names that change within a tick of the last change leave the directory's ctime as it is, on FAT for two seconds."""
    found = tmp_path.stat()
    changed_ns = found.st_ctime_ns // unit_ns * unit_ns + (unit_ns == 1)
    changed_ns += changed_ns % 10_000_000 == 0 and unit_ns == 1
    status = os.stat_result(found[:10], {"st_ctime_ns": changed_ns})

    listing = EncodedListing(b"", changed_ns, 0, 0, b"\x90")

    def is_taken(read_ns: int) -> bool:
        return LeafListing(status.st_dev, status.st_ino, changed_ns, read_ns, listing).scan(status, ()) is not None

    assert [is_taken(changed_ns + after_ns) for after_ns in (-1, 1, tick_ns, tick_ns + 1)] == [False, False, False, True]


def test_a_link_that_is_another_one_since_is_stored_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that was replaced after a reported listing has its own times; where it is no link any more it counts as vanished."""
    plant_all(bench.source)
    bench.back_up()
    folder = bench.source / "b" / "c" / "d"
    for name in ("current", "turned"):
        (folder / name).symlink_to("old")
        os.utime(folder / name, ns=(10**18, 10**18), follow_symlinks=False)
    bench.looks_ahead = True

    def change() -> None:
        for name in ("current", "turned"):
            (folder / name).unlink()
        (folder / "current").symlink_to("new")
        (folder / "turned").write_bytes(b"a file")

    do_once_taken(monkeypatch, change)
    summary = bench.back_up()
    monkeypatch.undo()
    place = (b"backups", b"Latest", b"b", b"c", b"d")
    stored, link = bench.entry(*place, b"current").metadata, (folder / "current").lstat()
    assert (stored.target, stored.mtime) == (b"new", time_from_ns(link.st_mtime_ns))
    assert (summary.unreadable, summary.vanished, b"turned" in bench.names(*place)) == (0, 1, False)
    bench.back_up()
    assert bench.latest(b"b", b"c", b"d", b"turned") == b"a file"


@pytest.mark.parametrize("is_replaced", [False, True], ids=["written", "replaced"])
def test_names_that_were_parted_since_are_read_each(bench: Bench, monkeypatch: pytest.MonkeyPatch, is_replaced: bool) -> None:
    """Two names of one file in a reported listing get no content in common where they are of two files since."""
    plant_all(bench.source)
    bench.back_up()
    folder = bench.source / "b" / "c" / "d"
    (folder / "first").write_bytes(b"old")
    (folder / "second").hardlink_to(folder / "first")
    bench.looks_ahead = True

    def change() -> None:
        parted = folder / ("first" if is_replaced else "second")
        parted.unlink()
        parted.write_bytes(b"another")
        (folder / "first").write_bytes(b"new")

    do_once_taken(monkeypatch, change)
    bench.back_up()
    assert bench.latest(b"b", b"c", b"d", b"first") == b"new"
    assert bench.latest(b"b", b"c", b"d", b"second") == (b"old" if is_replaced else b"another")


def test_a_listing_counts_for_its_directory_alone(bench: Bench) -> None:
    """Where another directory has taken its place, or something is mounted in it, a directory is listed."""
    plant_all(bench.source)
    settle(bench.source)
    leaf = next(leaf for leaf in leaves_of(bench.source, Selection()) if leaf.path.endswith(b"/b/c/d"))
    listing = leaf.listing
    assert listing is not None
    status = (bench.source / "b" / "c" / "d").stat()
    descriptor = os.open(leaf.path, os.O_RDONLY)
    try:
        made, again = listing.scan(status, ()), scan(descriptor)
    finally:
        os.close(descriptor)
    assert made is not None
    assert (list(made), len(made), made.signature()) == (list(again), len(again), again.signature())
    assert made.changed_ns() == again.changed_ns() == max(found.ctime_ns for found in again)
    assert made.find([b"three", b"other"]) == again.find([b"three", b"other"])
    assert not list(made.directories())
    with pytest.raises(ValueError, match="does not wait"):
        made.look_at(b"three", 0, bench.filesystem)
    assert listing.scan((bench.source / "b" / "c").stat(), ()) is None
    assert listing.scan(status, (b"three",)) is None


def test_listings_are_of_what_has_changed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing is reported where a name, or the directory itself, has changed since the last backup, and while there is room."""
    for name in ("kept/1", "written/1", "written/2", "removed/1", "removed/2"):
        (bench.source / name).parent.mkdir(exist_ok=True)
        (bench.source / name).touch()
    pass_a_tick(bench.source)
    before_ns = time.time_ns()
    pass_a_tick(bench.source)
    (bench.source / "written" / "1").write_text("1")
    (bench.source / "removed" / "1").unlink()

    def listed() -> set[str]:
        leaves = leaves_of(bench.source, Selection(), changed_after_ns=before_ns)
        assert len(leaves) == 3
        return {Path(os.fsdecode(leaf.path)).name for leaf in leaves if leaf.listing is not None}

    assert listed() == {"written", "removed"}
    monkeypatch.setattr("tallac.backup.leaves.LISTINGS_SIZE_MAX", 1)
    assert listed() == {"written"}


def test_what_no_listing_holds(bench: Bench) -> None:
    """Of a directory with a time beyond 64 bits, or with a name that can't be looked at, no listing is reported."""
    task = LeafTask(0, b"/s", Selection(), None, NOTHING_OWN, 0, SystemClock())
    found = SourceEntry(b"name", 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0)
    far = msgspec.structs.replace(found, mtime_ns=1 << 70)

    def listed(name: SourceEntry, *failures: Failure) -> ShortScan:
        fields = {"st_mtime_ns": name.mtime_ns, "st_ctime_ns": name.ctime_ns, "st_rdev": 0, "st_blocks": 0}
        return ShortScan({name.name: os.stat_result([0] * 10, fields)}, list(failures), [])

    broken = listed(found, Failure(b"other", OSError(errno.EIO, "broken"), False))
    selection = Selection().at_root(b"/s", 0)
    own = OwnLeftOut(NOTHING_OWN, bench.filesystem, Observer())
    for listing, is_held in ((listed(found), True), (listed(far), False), (broken, False)):
        chosen = ChosenScan(listing, selection)
        looked = Looked(b"/s/d", True, selection, chosen, listing, 0, 0, 0, bench.source.stat(), own)
        assert bool(task._listing(looked)) is is_held


def test_a_report_under_other_rules_is_not_taken(bench: Bench) -> None:
    """Where an ignore file above has changed since, a directory is listed, as it would be without the other process."""
    plant_all(bench.source)
    bench.back_up()
    (bench.source / "b" / ".tallacignore").write_text("three\n")
    assert bench.back_up().files.gone == 1
    bench.looks_ahead = True
    bench.back_up()
    assert bench.reported is not None
    path = os.fsencode(bench.source / "b" / "c" / "d")
    assert path in bench.reported.taken
    leaf = next(leaf for leaf in leaves_of(bench.source, Selection()) if leaf.path == path)
    with SourceDatabase(bench.database_path, print) as database:
        row = database.record(bench.grid.identity, os.fsencode(bench.source)).directory(path)
    assert row is not None
    selection = Selection().at_root(os.fsencode(bench.source), 0)
    taken = _Always(leaf), _Row(row), _Recognises()
    assert LeafRecognition(*taken).find(path, selection) is None  # type: ignore[arg-type]
    same = msgspec.structs.replace(selection, digest=leaf.rules)
    assert LeafRecognition(*taken).find(path, same) == (row, leaf.count)  # type: ignore[arg-type]
    for other in (msgspec.structs.replace(same, is_hollow=True), msgspec.structs.replace(same, scope=Scope())):
        assert LeafRecognition(*taken).find(path, other) is None  # type: ignore[arg-type]
    had_some = _Always(leaf), _Row(row._replace(below=b"others")), _Recognises()
    assert LeafRecognition(*had_some).find(path, same) == leaf.listing is not None  # type: ignore[arg-type]


class _Always:
    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf

    def find(self, path: bytes, now_ns: int) -> Leaf:
        return self._leaf


class _Row:
    def __init__(self, row: DirectoryRow) -> None:
        self._row = row

    def directory(self, path: bytes) -> DirectoryRow:
        return self._row


class _Recognises:
    def is_recognised(self, row: DirectoryRow, signature: bytes) -> bool:
        return row.signature == signature


@pytest.mark.parametrize("what", ["source", "selection", "own", "timestamps", "names"])
def test_reports_of_something_else_are_not_asked_for(bench: Bench, tmp_path: Path, what: str) -> None:
    """Reports count only for the same directory, rules and files of Tallac's own, and where no unchanged file is named."""
    plant_all(bench.source)
    bench.back_up()
    bench.looks_ahead = True
    order = bench._order((b"backups",), "here")
    if what == "own":
        key = tmp_path / "key"
        key.write_text("")
        order = msgspec.structs.replace(order, own=OwnFiles([OwnPlace(os.fsencode(key), OwnKind.KEY)]))
    with ReportedBefore.of(order, bench.clock) as ahead, SourceDatabase(bench.database_path, print) as database:
        if what == "source":
            bench.source.rename(tmp_path / "elsewhere")
            bench.source.mkdir()
            plant_all(bench.source)
        elif what == "selection":
            order = msgspec.structs.replace(order, selection=Selection(size_max=5000))
        elif what == "own":
            order = msgspec.structs.replace(order, own=NOTHING_OWN)
        elif what == "timestamps":
            order = msgspec.structs.replace(order, trusts_timestamps=False)
        bench.looks_ahead = what != "names"
        back_up(bench.grid, order, database, bench.clock, observer=bench._observer(), ahead=ahead)
        assert ahead.reported
        assert not ahead.taken


def test_a_deep_tree(tmp_path: Path) -> None:
    """A tree may be deeper than Python's stack; a path too long for a report is passed over."""
    folder = tmp_path
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    (tmp_path / "beside").mkdir()
    leaves = leaves_of(tmp_path, Selection())
    # pytest would remove it by recursion.
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
    assert [leaf.path for leaf in leaves] == [os.fsencode(tmp_path / "beside")]


def test_a_long_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long directory is passed over before its listing goes to disk, with what is below it."""
    assert DIRECTORY_NAMES_MAX < RUN_COUNT_MAX
    for name in ("a/1", "a/2", "a/3", "a/4", "a/5/6", "b/1", "b/2", "b/3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr("tallac.backup.leaves.DIRECTORY_NAMES_MAX", 3)
    assert [leaf.path for leaf in leaves_of(tmp_path, Selection())] == [os.fsencode(tmp_path / "b")]


# A process of its own: one that runs tests has threads, and is not to be forked.
SCRIPT = """
import json, os, signal, sys, time
from tallac.backup.leaves import LeafTask
from tallac.backup.look_ahead import LookAhead
from tallac.forked import may_fork
from tallac.clock import SystemClock, since_start_ns
from tallac.dag import time_from_ns
from tallac.source import NOTHING_OWN, Selection

source, what = os.fsencode(sys.argv[1]), sys.argv[2]
assert may_fork() == (len(os.sched_getaffinity(0)) > 1)
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"handled"))
root = os.open(source, os.O_RDONLY)
before = os.listdir("/proc/self/fd")
ahead = LookAhead(LeafTask(root, source, Selection(), None, NOTHING_OWN, 0, SystemClock()), 1)
child = ahead._process
def has_ended():
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
if what == "whole":
    while not has_ended():
        time.sleep(0.001)
    paths = [path for path in sorted(sys.argv[3:]) if ahead.find(os.fsencode(path), since_start_ns())]
elif what == "terminated":
    os.kill(child, signal.SIGTERM)
    while not has_ended():
        time.sleep(0.001)
    paths = []
else:
    paths = []
ahead.close()
ahead.close()
try:
    os.kill(child, 0)
    left = True
except ProcessLookupError:
    left = False
print(json.dumps([paths, left, sorted(os.listdir("/proc/self/fd")) == sorted(before)]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
@pytest.mark.parametrize("what", ["whole", "terminated", "closed"])
def test_in_a_process_of_its_own(tmp_path: Path, what: str) -> None:
    """Reports come over a pipe, in whatever order they are asked for; a signal is the parent's; nothing is left of the process."""
    plant_all(tmp_path)
    paths = [os.fsdecode(leaf.path) for leaf in leaves_of(tmp_path, Selection())]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path, what, *paths], capture_output=True, check=True, timeout=PATIENCE_SECONDS
    )
    found, is_left, is_tidy = json.loads(done.stdout)
    assert found == (sorted(paths) if what == "whole" else [])
    assert not is_left
    assert is_tidy


def test_no_process_beside_threads() -> None:
    """Where another thread runs, nothing is forked: the child would have its locks."""
    ends = threading.Event()
    thread = threading.Thread(target=ends.wait)
    thread.start()
    try:
        assert not may_fork()
    finally:
        ends.set()
        thread.join()


def test_an_old_report_does_not_count(bench: Bench) -> None:
    """What was looked at more than a minute ago is looked at again."""
    plant_all(bench.source)
    leaf = leaves_of(bench.source, Selection())[0]
    for age_ns, is_taken in ((AGE_MAX_NS - 1_000_000_000, True), (AGE_MAX_NS + 1, False)):
        ahead = LookAhead.__new__(LookAhead)
        ahead._leaves, ahead._process = {leaf.path: leaf}, 0
        assert (ahead.find(leaf.path, leaf.looked_ns + age_ns) == leaf) is is_taken


def test_many_files_are_worth_a_process(bench: Bench) -> None:
    """How many files a source had, and since when, is asked of its last backups to all grids; without a record there were none."""
    source, other = os.fsencode(bench.source), b"/other"
    assert last_backup(bench.database_path, (source,)) == LastBackup()
    assert not bench.database_path.exists()
    with SourceDatabase(bench.database_path, print) as database:
        for read_ns, (grid, files) in enumerate((("one", 7), ("two", 9000), ("three", 20)), 1):
            record = database.record(grid, source, other)
            record.stage(source, DirectoryRow(b"s", b"D", b"b", 10 * read_ns, files, 0, 0))
            record.stage(other, DirectoryRow(b"s", b"D", b"b", 9 * read_ns, 5, 0, 0))
            record.commit(1)
        assert last_backup(bench.database_path, (source,)) == LastBackup(9000, 20)
        assert last_backup(bench.database_path, (source, other)) == LastBackup(9005, 18)
        assert last_backup(bench.database_path, (b"/unknown",)) == LastBackup()
    bench.database_path.write_bytes(b"something else" * 1000)
    assert last_backup(bench.database_path, (source,)) == LastBackup()


@pytest.mark.parametrize("reason", ["threads", "gone", "none left"])
def test_a_backup_does_without(bench: Bench, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """In a process with threads, of a source that is gone, or where no process can be started, there is none."""

    def no_more(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("tallac.app.operations.looking_ahead.LookAhead", no_more if reason == "none left" else pytest.fail)
    monkeypatch.setattr("tallac.app.operations.looking_ahead.may_fork", lambda: reason != "threads")
    found = find_sources([bench.source])
    if reason == "gone":
        bench.source.rmdir()
    with looking_ahead(found, Selection(), NOTHING_OWN, 0) as ahead:
        assert ahead is None


STARTS = """
import os, sys
from tallac.backup import look_ahead
from tallac.cli import main
fork = os.fork
def noted():
    os.write(2, b"forked\\n")
    return fork()
os.fork = noted
sys.argv[:4] = ["tallac"]
main()
"""


@pytest.mark.slow
def test_the_command_looks_ahead_in_a_large_source(tallac: Tallac, tmp_path: Path) -> None:
    """The first backup of a source forks nothing; the next ones do where it is large, and give the same snapshot."""
    source = tmp_path / "large"
    for directory in range(60):
        (source / f"{directory}").mkdir(parents=True)
        for number in range(LOOK_AHEAD_FILES_MIN // 60 + 1):
            (source / f"{directory}" / f"{number}").touch()
    settle(source)
    command = Tallac(tallac.home, [sys.executable, "-c", STARTS])
    assert "forked" not in command("backup", source, "--json").err
    for extra, times in (((), 1), (("--ignore-timestamps",), 0), (("--exclude", "nothing"), 1)):
        done = command("backup", source, "--json", *extra)
        assert done.err.count("forked") == (times if len(os.sched_getaffinity(0)) > 1 else 0)
