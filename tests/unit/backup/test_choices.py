from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.unit.backup.gardener import Gardener

from tallac.source import Patterns, Selection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.backup.conftest import Bench

MINUTE_NS = 60_000_000_000


def plant(source: Path) -> None:
    """Make a small tree."""
    (source / "one" / "deep").mkdir(parents=True)
    (source / "two").mkdir()
    for name in ("one/a", "one/deep/b", "two/c", "three"):
        (source / name).write_text(name * 30)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_gone_is_counted(bench: Bench, seed: int) -> None:
    """Whatever changed: what was there, and what is new, less what is gone, is what is there now."""
    gardener = Gardener(bench.source, seed)
    files = directories = 0
    for round_number in range(8):
        gardener.work(5)
        if round_number == 4:
            bench.database_path.unlink()  # What the latest snapshot holds is compared with then.
        bench.selection = Selection(Patterns.of(["m.txt*"] if round_number % 3 == 2 else []))
        summary = bench.back_up()
        assert summary.files.total == files + summary.files.new - summary.files.gone
        assert summary.directories.total == directories + summary.directories.new - summary.directories.gone
        files, directories = summary.files.total, summary.directories.total


@pytest.mark.parametrize("seed", range(3))
def test_a_dry_run_says_what_comes(bench: Bench, seed: int) -> None:
    """A dry run counts what the backup after it then finds, opens no file, and changes nothing."""
    gardener = Gardener(bench.source, seed)
    for _ in range(6):
        gardener.work(5)
        planned = bench.dry_run()
        assert bench.filesystem.opened == []
        assert not {"put_directory", "put_small", "written", "commit", "edit"} & set(bench.grid.events)
        summary = bench.back_up()
        assert (planned.files.new, planned.files.gone) == (summary.files.new, summary.files.gone)
        assert planned.directories.total == summary.directories.total
        assert (planned.files.total, planned.size) == (summary.files.total, summary.size)
        assert planned.size_to_read == summary.bytes_read
    again = bench.dry_run()
    assert (again.files.changed, again.directories.changed, again.size_to_read) == (0, 0, 0)


def test_ignored_timestamps(bench: Bench) -> None:
    """Where timestamps are not trusted every regular file is read, and the snapshot is the same."""
    plant(bench.source)
    first = bench.back_up()
    bench.wishes.trusts_timestamps = False
    second = bench.back_up()
    assert sorted(bench.filesystem.opened) == [b"a", b"b", b"c", b"three"]
    assert second.cap == first.cap
    assert (second.files.unchanged, second.bytes_read) == (4, first.bytes_read)


def test_nothing_is_entered_twice_where_that_is_not_wanted(bench: Bench) -> None:
    """A snapshot with the very same files is left away, and one that differs is entered."""
    plant(bench.source)
    bench.wishes.skips_unchanged = True
    first = bench.back_up()
    second = bench.back_up()
    assert (second.name, second.cap) == (b"", first.cap)
    (bench.source / "three").write_text("3")
    third = bench.back_up()
    assert bench.names(b"backups", b"Archives") == [first.name, third.name]
    bench.wishes.skips_unchanged = False
    assert bench.back_up().name != b""


def test_a_given_time_names_the_snapshot_alone(bench: Bench) -> None:
    """The name tells the given time; Latest stays with the newest, and what is safe to reuse goes by the true time."""
    plant(bench.source)
    newest = bench.back_up()
    bench.wishes.time_ns = 1_000_000_000 * 1_600_000_000
    (bench.source / "three").write_text("3")
    summary = bench.back_up()
    assert summary.name == b"2020-09-13_12:26:40Z"
    assert bench.entry(b"backups", b"Latest").encoded == bench.entry(b"backups", b"Archives", newest.name).encoded
    facts = bench.entry(b"backups", b"Archives", summary.name).metadata.snapshot
    assert facts is not None
    assert facts.started_ns > bench.clock.now_ns() - MINUTE_NS


def test_several_sources(bench: Bench) -> None:
    """Several sources lie under their absolute paths, with what leads to them and nothing beside."""
    plant(bench.source)
    bench.wishes.sources = ("one", "three")
    first = bench.back_up()
    place = os.fsencode(bench.source).strip(b"/").split(b"/")
    assert bench.names(b"backups", b"Latest", *place) == [b"one", b"three"]
    assert bench.names(b"backups", b"Latest", *place, b"one") == [b"a", b"deep"]
    assert bench.entry(b"backups", b"Latest", *place).metadata.mode == bench.source.stat().st_mode
    assert (first.files.new, first.directories.new) == (3, 2 + len(place))
    stored = (bench.entry(b"backups", b"Latest", *place), bench.entry(b"backups", b"Latest", *place, b"one"))
    second = bench.back_up()
    assert bench.filesystem.opened == []
    # The cap of the whole covers the time of the system's temporary folder, which others change.
    latest = (bench.entry(b"backups", b"Latest", *place), bench.entry(b"backups", b"Latest", *place, b"one"))
    assert [entry.encoded for entry in latest] == [entry.encoded for entry in stored]
    assert (second.files.unchanged, second.files.gone) == (3, 0)
    (bench.source / "one" / "deep" / "b").unlink()
    assert bench.back_up().files.gone == 1


def test_sources_are_found_unchanged_by_whoever_stored_them(bench: Bench) -> None:
    """A folder is recognised whether it was stored by itself or among others, and no set of sources disturbs another."""
    plant(bench.source)
    bench.back_up()
    for sources in (("one", "three"), ("two",), ("one", "three"), ()):
        bench.wishes.sources = sources
        summary = bench.back_up(path=(b"other", *map(os.fsencode, sources)))
        assert not set(bench.filesystem.opened) & {b"a", b"b", b"c"}
        assert summary.files.gone == 0


def test_a_folder_that_may_only_be_passed_through(bench: Bench) -> None:
    """Sources may lie in a folder that must not be listed."""
    plant(bench.source)
    inner = bench.source / "two"
    (inner / "own").mkdir()
    (inner / "own" / "f").write_text("mine")
    inner.chmod(0o311)
    bench.filesystem.forbidden = b"two"
    bench.wishes.sources = ("two/own", "two/c")
    try:
        summary = bench.back_up()
    finally:
        inner.chmod(0o755)
    assert (bench.unreadable, bench.notices, summary.files.total) == ([], [], 2)


def test_what_another_source_recorded_before_a_prune_is_looked_up(bench: Bench) -> None:
    """A record of one source's run from before a prune is not believed by another's that has been there since."""
    plant(bench.source)
    bench.wishes.sources = ("one",)
    bench.back_up(path=(b"alone",))
    bench.wishes.sources = ()
    bench.selection = Selection(Patterns.of(["/one"]))
    bench.grid.epoch = 1
    bench.back_up()
    lost = bench.entry(b"alone", b"Latest", *os.fsencode(bench.source / "one" / "a").strip(b"/").split(b"/"))
    bench.grid.contents.lose(lost.encoded)
    bench.selection = Selection()
    bench.back_up()
    assert bench.latest(b"one", b"a") == b"one/a" * 30
