"""A backup of what was emptied is refused, unless that is meant."""

from __future__ import annotations

import shutil

import pytest
from tests.unit.backup.conftest import Bench

from tallac.errors import SourceError
from tallac.source import Patterns, Selection


def plant(bench: Bench) -> None:
    """Make two folders of ten files each."""
    for name in ("a", "b"):
        (bench.source / name).mkdir()
        for number in range(10):
            (bench.source / name / str(number)).write_text("x")


def empty(bench: Bench, name: str) -> None:
    """Take a folder's content away."""
    shutil.rmtree(bench.source / name)
    (bench.source / name).mkdir()


@pytest.mark.parametrize("has_record", [True, False])
def test_an_emptied_source_is_refused(bench: Bench, has_record: bool) -> None:
    """With a local record or without: nothing is entered, however often it is tried; with --allow-empty it is."""
    plant(bench)
    bench.back_up()
    empty(bench, "a")
    empty(bench, "b")
    for _ in range(2):
        if not has_record:
            bench.database_path.unlink()
        with pytest.raises(SourceError, match=r"had 20 files in the last backup.*--allow-empty"):
            bench.back_up()
    assert len(bench.names(b"backups", b"Archives")) == 1
    bench.wishes.allows_empty = True
    bench.back_up()
    bench.wishes.allows_empty = False
    bench.back_up()
    assert len(bench.names(b"backups", b"Archives")) == 3


def test_one_of_several_sources_is_emptied(bench: Bench) -> None:
    """One empty source is enough, though the others have their files."""
    plant(bench)
    bench.wishes.sources = ("a", "b")
    bench.back_up()
    empty(bench, "b")
    with pytest.raises(SourceError, match=r"/b: it is empty, and had 10 files"):
        bench.back_up()
    assert len(bench.names(b"backups", b"Archives")) == 1


def test_what_the_rules_leave_out_is_not_gone(bench: Bench) -> None:
    """New rules that leave all files out are the user's own word."""
    plant(bench)
    bench.back_up()
    bench.selection = Selection(patterns=Patterns.of(["[0-9]"]))
    bench.back_up()
    assert len(bench.names(b"backups", b"Archives")) == 2


def test_a_first_backup_of_an_empty_folder(bench: Bench) -> None:
    """Where nothing was, nothing is missed."""
    bench.back_up()
    bench.back_up()
    assert len(bench.names(b"backups", b"Archives")) == 2


def test_a_share_of_the_files(bench: Bench) -> None:
    """More than the share that may be removed is refused; exactly the share is not, nor is any without such a limit."""
    plant(bench)
    bench.back_up()
    empty(bench, "a")
    bench.wishes.removed_share_max = 0.49
    with pytest.raises(SourceError, match=r"10 of 20 files were removed.*allows 49%"):
        bench.back_up()
    bench.wishes.removed_share_max = 0.5
    bench.back_up()
    assert len(bench.names(b"backups", b"Archives")) == 2
