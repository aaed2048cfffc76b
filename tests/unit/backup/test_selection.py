from __future__ import annotations

import errno
import os
import random
from typing import TYPE_CHECKING

import pytest
from tests.unit.backup.gardener import Gardener

from tallac.source import CACHE_MARKER, MarkerFile, Patterns, Selection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.backup.conftest import Bench


PATTERNS = ["a*", "!a1", "below/", "/m.txt*", "z?/leaf", "**/leaf", "same*", "!same3", "b[0-3]", "*.txt1", "!*"]


def plant(source: Path) -> None:
    """Make a tree with things that one might leave out."""
    (source / "code" / "build").mkdir(parents=True)
    (source / "code" / "main.c").write_text("main")
    (source / "code" / "main.o").write_text("object")
    (source / "code" / "build" / "out").write_text("out")
    (source / "notes.txt").write_text("notes")


def leave_out(*patterns: str) -> Selection:
    """Leave out what patterns match."""
    return Selection(Patterns.of(patterns))


def test_patterns(bench: Bench) -> None:
    """What a pattern matches is left out, counted and named."""
    plant(bench.source)
    bench.selection = leave_out("*.o", "/code/build/")
    summary = bench.back_up()
    assert bench.names(b"backups", b"Latest", b"code") == [b"main.c"]
    assert (summary.files.total, summary.excluded) == (2, 2)
    assert bench.excluded == [os.fsencode(bench.source / "code" / name) for name in ("build", "main.o")]


def test_unchanged_with_rules_means_not_opened(bench: Bench) -> None:
    """With the same rules an unchanged tree opens ignore files alone, and reads nothing from the grid."""
    plant(bench.source)
    (bench.source / "code" / ".tallacignore").write_text("*.o\n")
    bench.selection = leave_out("build")
    first = bench.back_up()
    second = bench.back_up()
    assert second.cap == first.cap
    assert bench.filesystem.opened == [b".tallacignore"]
    assert not {"read_directory", "put_directory", "put_small"} & set(bench.grid.events)
    assert (second.excluded, second.files.unchanged) == (first.excluded, first.files.new) == (2, 3)


@pytest.mark.parametrize(
    "other",
    [
        leave_out("main.c"),
        leave_out("*.o", "!main.o"),
        Selection(size_max=4),
        Selection(markers=(MarkerFile(b"main.c"),)),
        Selection(ignore_file=b"notes.txt"),
        Selection(),
    ],
)
def test_changed_rules_give_what_a_first_backup_would(bench: Bench, other: Selection) -> None:
    """Rules that change between two backups of an unchanged tree give the snapshot of a backup that knows no earlier one."""
    plant(bench.source)
    (bench.source / "notes.txt").write_text("main.*")
    for selection in (leave_out("*.o"), other, leave_out("*.o")):
        bench.selection = selection
        summary = bench.back_up()
        kept, bench.database_path = bench.database_path, bench.database_path.with_name("fresh.db")
        fresh = bench.back_up(path=(b"fresh",), host="elsewhere")
        bench.database_path.unlink()
        bench.database_path = kept
        assert (summary.cap, summary.excluded) == (fresh.cap, fresh.excluded)


def test_an_ignore_file_that_moves(bench: Bench) -> None:
    """The same ignore file one folder further up means other paths, also in a folder that has not changed itself."""
    deep = bench.source / "a" / "b" / "c"
    (deep / "b" / "c").mkdir(parents=True)
    (deep / "x").write_text("x")
    (bench.source / "a" / "b" / ".tallacignore").write_text("c/x\n")
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"a", b"b", b"c") == [b"b"]
    (bench.source / "a" / "b" / ".tallacignore").rename(bench.source / "a" / ".tallacignore")
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"a", b"b", b"c") == [b"b", b"x"]


def test_an_ignore_file_goes_for_all_below(bench: Bench) -> None:
    """A changed ignore file at the top changes what is kept of a folder that has not changed."""
    plant(bench.source)
    bench.back_up()
    (bench.source / ".tallacignore").write_text("*.o\n!main.o\ncode/build\n")
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"code") == [b"main.c", b"main.o"]
    (bench.source / "code" / ".tallacignore").write_text("main.o\n")
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"code") == [b".tallacignore", b"main.c"]


def test_the_command_line_comes_first(bench: Bench) -> None:
    """A pattern of the user's decides before any ignore file."""
    plant(bench.source)
    (bench.source / ".tallacignore").write_text("*.o\n")
    bench.selection = leave_out("!main.o")
    bench.back_up()
    assert b"main.o" in bench.names(b"backups", b"Latest", b"code")


def test_a_bad_ignore_file(bench: Bench) -> None:
    """A line that is no pattern is told and leaves nothing out; the others hold."""
    plant(bench.source)
    (bench.source / "code" / ".tallacignore").write_text("[z-a\n!\nmain.o\r\n# comment\n\n")
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"code") == [b".tallacignore", b"build", b"main.c"]
    assert [message.partition(":")[0] for _, message in bench.notices] == ["line 1", "line 2"]


def test_caches(bench: Bench) -> None:
    """A folder with a valid tag is kept with the tag alone; one with another file of that name is kept whole."""
    for name, content in (("real", CACHE_MARKER.header + b"\n# more"), ("false", b"Signature: none")):
        (bench.source / name).mkdir()
        (bench.source / name / "CACHEDIR.TAG").write_bytes(content)
        (bench.source / name / "cached").write_text("cached")
    bench.selection = Selection(markers=(CACHE_MARKER,))
    for _ in range(2):
        summary = bench.back_up()
        assert bench.names(b"backups", b"Latest", b"real") == [b"CACHEDIR.TAG"]
        assert bench.names(b"backups", b"Latest", b"false") == [b"CACHEDIR.TAG", b"cached"]
        assert summary.excluded == 1
    (bench.source / "real" / "CACHEDIR.TAG").write_bytes(b"Signature: gone")
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"real") == [b"CACHEDIR.TAG", b"cached"]


def test_a_marker_that_can_not_be_read_once(bench: Bench) -> None:
    """A tag that can't be read leaves nothing out; once it can be, the folder is left out although nothing has changed."""
    (bench.source / "CACHEDIR.TAG").write_bytes(CACHE_MARKER.header)
    (bench.source / "cached").write_text("cached")
    bench.selection = Selection(markers=(CACHE_MARKER,))
    failures = [OSError(errno.EIO, "Input/output error")]

    def fail_once(name: bytes) -> None:
        if failures and name == b"CACHEDIR.TAG":
            raise failures.pop()

    bench.filesystem.before_open = fail_once
    bench.back_up()
    assert [message for _, message in bench.notices] == ["it can't be read (Input/output error); its directory is backed up"]
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"CACHEDIR.TAG"]


def test_large_files(bench: Bench) -> None:
    """Files above a size are left out, and come in when they shrink."""
    (bench.source / "large").write_bytes(bytes(1001))
    (bench.source / "folder").mkdir()
    bench.selection = Selection(size_max=1000)
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"folder"]
    (bench.source / "large").write_bytes(bytes(1000))
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"folder", b"large"]


def test_other_file_systems(bench: Bench) -> None:
    """A mount point stays as an empty folder, and is filled again without the option."""
    plant(bench.source)
    bench.filesystem.elsewhere = (bench.source / "code").stat().st_ino
    bench.selection = Selection(one_file_system=True)
    bench.back_up()
    assert bench.names(b"backups", b"Latest") == [b"code", b"notes.txt"]
    assert bench.names(b"backups", b"Latest", b"code") == []
    bench.selection = Selection()
    bench.back_up()
    assert bench.names(b"backups", b"Latest", b"code") == [b"build", b"main.c", b"main.o"]


@pytest.mark.parametrize("seed", range(4))
def test_random_rules_over_random_changes(bench: Bench, seed: int) -> None:
    """However rules, ignore files and the tree change: what is stored is what a backup that knows no earlier one stores."""
    chance = random.Random(seed)
    gardener = Gardener(bench.source, seed)
    folders = [bench.source]
    for round_number in range(10):
        gardener.work(chance.choice([0, 0, 3]))
        folders = [bench.source, *(path for path in sorted(bench.source.rglob("*")) if path.is_dir() and not path.is_symlink())]
        for _ in range(chance.randint(0, 2)):
            ignore_file = chance.choice(folders) / ".tallacignore"
            if ignore_file.exists() and chance.random() < 0.4:
                ignore_file.rename(chance.choice(folders) / ".tallacignore")
            else:
                ignore_file.write_text("\n".join(chance.choices(PATTERNS, k=2)))
        markers = (MarkerFile(chance.choice([b"a1", b"b2", b"same3"])),) if chance.random() < 0.3 else ()
        size_max = chance.choice([None, None, 4, 6000])
        rules = leave_out(*chance.choices(PATTERNS, k=chance.randint(0, 2)))
        bench.selection = Selection(rules.patterns, markers=markers, size_max=size_max)
        summary = bench.back_up()
        kept, bench.database_path = bench.database_path, bench.database_path.with_name("fresh.db")
        fresh = bench.back_up(path=(b"fresh", b"%d" % round_number))
        bench.database_path.unlink()
        bench.database_path = kept
        assert (summary.cap, summary.excluded) == (fresh.cap, fresh.excluded), round_number
