"""What a snapshot says of what it left out: names that could not be read, Tallac's own, other file systems, and the rules."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit.backup.conftest import Bench

from tallac.backup.pending_directory import MISSING_COUNT_MAX, with_missing
from tallac.dag import Metadata, SnapshotRules
from tallac.source import CACHE_MARKER, OwnFiles, OwnKind, OwnPlace, Patterns, Selection

ROOT = (b"backups", b"Latest")
HEADER = "tallac vault\nformat 1\nid {}\ncheck 0123456789abcdef\n"


def plant(source: Path) -> None:
    """Make a small tree."""
    for name in ("a/one", "a/two", "b/c/three", "top"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)


def refuse(bench: Bench, name: bytes) -> None:
    """Make a file or directory of this name unreadable."""

    def before_open(opened: bytes) -> None:
        if opened == name:
            raise PermissionError(13, "Permission denied")

    bench.filesystem.before_open = before_open
    bench.filesystem.forbidden = name


def plant_configuration(folder: Path) -> None:
    """Write a configuration like Tallac's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tallac.json").write_text(json.dumps({"aliases": {}, "format": 1, "grids": {}, "unfinished": {}}))


@pytest.mark.parametrize(("name", "where"), [(b"two", (b"a",)), (b"c", (b"b",)), (b"top", ()), (b"a", ())])
def test_what_could_not_be_read_is_named_where_it_is_missing(bench: Bench, name: bytes, where: tuple[bytes, ...]) -> None:
    """The directory says which of its names are missing, as long as they can't be read, and no longer."""
    plant(bench.source)
    refuse(bench, name)
    for _ in range(2):
        assert bench.back_up().unreadable == 1
        assert bench.entry(*ROOT, *where).metadata.missing == (name,)
    bench.filesystem.before_open = bench.filesystem.forbidden = None
    bench.back_up()
    assert bench.entry(*ROOT, *where).metadata.missing == ()


def test_what_is_gone_is_not_missing(bench: Bench) -> None:
    """A file that vanishes while the backup runs is gone, and no error."""
    plant(bench.source)
    bench.filesystem.before_open = lambda name: (bench.source / "a/two").unlink(missing_ok=True) if name == b"two" else None
    assert bench.back_up().vanished == 1
    assert bench.entry(*ROOT, b"a").metadata.missing == ()


def test_very_many_missing_names_are_not_listed() -> None:
    """Of too many missing names the directory says that nothing is known of what it has not."""
    names = [b"%d" % number for number in range(MISSING_COUNT_MAX + 1)]
    assert with_missing(Metadata(), names[1:]) == Metadata(missing=tuple(sorted(names[1:])))
    assert with_missing(Metadata(), names) == Metadata(partial=True)


def test_directories_that_lead_to_sources_are_partial(bench: Bench) -> None:
    """The directories above the sources say so, the sources don't; and one that becomes a source loses the mark."""
    plant(bench.source)
    bench.wishes.sources = ("a", "b/c")
    bench.back_up()
    way = [component for component in os.fsencode(bench.source).split(b"/") if component]
    inner = {b"a": False, b"b": True}
    assert all(bench.entry(*ROOT, *way[:length]).metadata.partial for length in range(len(way) + 1))
    assert {entry.name: entry.metadata.partial for entry in bench.entries(*ROOT, *way)} == inner
    assert not bench.entry(*ROOT, *way, b"b", b"c").metadata.partial
    bench.wishes.sources = ("a", "b")
    bench.back_up()
    assert not bench.entry(*ROOT, *way, b"b").metadata.partial


def test_mount_points_are_marked(bench: Bench) -> None:
    """What is mounted elsewhere and left out is marked, as long as it is."""
    plant(bench.source)
    bench.selection = Selection(one_file_system=True)
    bench.filesystem.elsewhere = (bench.source / "b").stat().st_ino
    bench.back_up()
    assert bench.entry(*ROOT, b"b").metadata.mounted
    bench.filesystem.elsewhere = None
    bench.back_up()
    assert not bench.entry(*ROOT, b"b").metadata.mounted


def test_rules_are_kept(bench: Bench) -> None:
    """The snapshot's facts hold the rules; by default there are none."""
    plant(bench.source)
    bench.back_up()
    facts = bench.entry(*ROOT).metadata.snapshot
    assert facts is not None
    assert facts.rules is None
    bench.selection = Selection(
        patterns=Patterns.of(["*.o", "/\udcff"]) + Patterns.of(["*.JPG"], ignores_case=True), markers=(CACHE_MARKER,), size_max=5
    )
    bench.back_up()
    facts = bench.entry(*ROOT).metadata.snapshot
    assert facts is not None
    rules = SnapshotRules(
        patterns=((b"*.o", False), (b"/\xff", False), (b"*.JPG", True)),
        markers=((CACHE_MARKER.name, CACHE_MARKER.header),),
        size_max=5,
    )
    assert facts.rules == rules
    assert Selection.of_rules(rules).rules == rules


def test_very_long_rules_are_cut() -> None:
    """Rules that would fill `Archives` are not kept, and the snapshot says that there were some."""
    rules = Selection(patterns=Patterns.of(f"/a/long/path/{number}" for number in range(1000))).rules
    assert rules == SnapshotRules(is_cut=True)


def test_own_folders_are_left_out_and_named_as_missing(bench: Bench) -> None:
    """Configuration and state go into no snapshot, whether the backup has seen them before or not; unchanged ones cost nothing."""
    plant(bench.source)
    config, state = bench.source / "b/config", bench.source / "b/state"
    bench.back_up()
    plant_configuration(config)
    state.mkdir()
    (state / "secret").write_text("a cap")
    bench.back_up()
    assert bench.names(*ROOT, b"b") == [b"c", b"config", b"state"]
    bench.own = OwnFiles([OwnPlace(os.fsencode(config), OwnKind.CONFIGURATION), OwnPlace(os.fsencode(state), OwnKind.STATE)])
    for _ in range(2):
        bench.back_up()
        assert bench.names(*ROOT, b"b") == [b"c"]
        assert bench.entry(*ROOT, b"b").metadata.missing == (b"config", b"state")
    assert "put_directory" not in bench.grid.events
    assert bench.notices == []


def test_a_configuration_is_recognised_wherever_it_is(bench: Bench) -> None:
    """A configuration that nobody has named, such as another user's, is recognised by its content; a like name is not enough."""
    plant(bench.source)
    plant_configuration(bench.source / "ann/.config/tallac")
    (bench.source / "b/tallac.json").write_text('{"lake": "Tallac"}')
    bench.own = OwnFiles()
    for _ in range(2):
        bench.back_up()
        assert bench.names(*ROOT, b"ann", b".config") == []
        assert bench.entry(*ROOT, b"ann", b".config").metadata.missing == (b"tallac",)
        assert bench.names(*ROOT, b"b") == [b"c", b"tallac.json"]
    assert "put_directory" not in bench.grid.events
    bench.own = OwnFiles(includes_own=True)
    (bench.source / "ann/.config/new").touch()
    bench.back_up()
    assert bench.names(*ROOT, b"ann", b".config") == [b"new", b"tallac"]


def test_a_configuration_among_other_settings(bench: Bench) -> None:
    """Of a folder of dotfiles with a configuration in it all else is backed up, with former configurations left out as well."""
    plant(bench.source)
    dotfiles = bench.source / "ann/dotfiles"
    plant_configuration(dotfiles)
    (dotfiles / "vimrc").write_text("set nocompatible")
    (dotfiles / "tallac.json.old-2").write_bytes((dotfiles / "tallac.json").read_bytes())
    (dotfiles / "tallac.json.md").write_text("Where to put tallac.json")
    bench.own = OwnFiles()
    for _ in range(2):
        bench.back_up()
        assert bench.names(*ROOT, b"ann", b"dotfiles") == [b"tallac.json.md", b"vimrc"]
        assert bench.entry(*ROOT, b"ann", b"dotfiles").metadata.missing == (b"tallac.json", b"tallac.json.old-2")
    descriptor = os.open(dotfiles, os.O_RDONLY)
    try:
        kept = [name for name in sorted(os.listdir(dotfiles)) if bench.own.find_at(os.fsencode(name), descriptor)]
    finally:
        os.close(descriptor)
    assert kept == ["tallac.json", "tallac.json.old-2"]
    assert bench.own.find_above(os.fsencode(dotfiles / "new")) is None
    bench.own = OwnFiles(includes_own=True)
    bench.back_up()
    assert len(bench.names(*ROOT, b"ann", b"dotfiles")) == 4


def test_a_key_file_is_left_out_under_any_name(bench: Bench) -> None:
    """A file that holds a key is left out, hard links of it too, also where the directory has not changed since."""
    plant(bench.source)
    os.link(bench.source / "a/one", bench.source / "b/link")
    bench.back_up()
    bench.own = OwnFiles([OwnPlace(os.fsencode(bench.source / "a/one"), OwnKind.KEY)])
    bench.back_up()
    assert (bench.names(*ROOT, b"a"), bench.names(*ROOT, b"b")) == ([b"two"], [b"c"])
    assert bench.entry(*ROOT, b"b").metadata.missing == (b"link",)


def test_a_vault_is_told_by_its_header(bench: Bench) -> None:
    """A folder with the numbers of a vault and another header is backed up; a vault under others is left out, with a line."""
    plant(bench.source)
    for name, identity in (("b/vault", "1" * 32), ("b/other", "2" * 32)):
        (bench.source / name).mkdir()
        (bench.source / name / "header").write_text(HEADER.format(identity))
    # The configuration says that the vault `1..` is at the place of another one: as where a FUSE file system passes numbers on.
    bench.own = OwnFiles([OwnPlace(os.fsencode(bench.source / "b/other"), OwnKind.VAULT, "1" * 32)])
    bench.back_up()
    assert bench.names(*ROOT, b"b") == [b"c", b"other"]
    assert [path for path, _ in bench.notices] == [os.fsencode(bench.source / "b/vault")]
