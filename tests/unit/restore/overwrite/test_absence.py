"""`--delete` deletes what was gone when the snapshot was made, and nothing else; what is Tallac's own it never touches."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from tests.unit.restore.conftest import FakeGrid, Restored

from tallac.dag import Entry, Metadata, SnapshotRules
from tallac.errors import DestinationError
from tallac.restore import Overwrite, RestoreOptions
from tallac.source import OwnFiles, OwnKind, OwnPlace
from tallac.source.absence import Absence

DIRECTORY = Metadata(mode=stat.S_IFDIR | 0o755)
DELETING = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True)
HEADER = f"tallac vault\nformat 1\nid {'1' * 32}\ncheck 0123456789abcdef\n"


def directory(**more: object) -> Metadata:
    """Give a directory's metadata."""
    return Metadata(mode=stat.S_IFDIR | 0o755, **more)  # type: ignore[arg-type]  # The tests name fields.


def file(grid: FakeGrid, name: bytes, content: bytes = b"x") -> Entry:
    """Store a file."""
    return Entry.of(name, grid.put(content), Metadata(mode=stat.S_IFREG | 0o644))


def plant(folder: Path, *paths: str) -> None:
    """Make files."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def left(folder: Path) -> set[str]:
    """List the files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def deleting(rules: SnapshotRules, metadata: Metadata = DIRECTORY) -> RestoreOptions:
    """Give options that delete, for a snapshot with such rules."""
    return RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True, absence=Absence.at_root(rules, metadata))


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_what_could_not_be_read_stays(grid: FakeGrid, restored: Restored, is_dry_run: bool) -> None:
    """A name that is missing from the snapshot because of an error is not deleted; what was gone is."""
    plant(restored.out, "lost", "gone", "d/lost", "d/gone", "d/lost2/inside")
    below = grid.put_directory([])
    top = grid.put_directory([Entry.of(b"d", below, directory(missing=(b"lost", b"lost2")))])
    restored.options = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True, dry_run=is_dry_run)
    assert restored(Entry.of(b"s", top, directory(missing=(b"lost",)))).deleted == 2
    kept = {"lost", "d/lost", "d/lost2/inside"}
    assert left(restored.out) == (kept | {"gone", "d/gone"} if is_dry_run else kept)


@pytest.mark.parametrize("field", ["partial", "mounted"])
def test_beside_sources_and_in_mount_points_nothing_is_deleted(grid: FakeGrid, restored: Restored, field: str) -> None:
    """Nothing goes from a directory of which the snapshot knows a part only; what is below a source goes as ever."""
    plant(restored.out, "way/beside", "way/beside2/x", "way/source/gone")
    way = grid.put_directory([Entry.of(b"source", grid.put_directory([file(grid, b"there")]), DIRECTORY)])
    top = grid.put_directory([Entry.of(b"way", way, directory(**{field: True}))])
    restored.options = DELETING
    assert restored(Entry.of(b"s", top, DIRECTORY)).deleted == 1
    assert left(restored.out) == {"way/beside", "way/beside2/x", "way/source/there"}


def test_what_the_rules_leave_out_stays(grid: FakeGrid, restored: Restored) -> None:
    """Patterns with and without case and anchor, size, markers and the snapshot's own ignore files all hold."""
    plant(
        restored.out,
        "a.o",
        "A.JPG",
        "top",
        "d/top",
        "d/skip",
        "d/x",
        "c/TAG",
        "c/cached",
        "new/b.o",
        "new/b.c",
        "large",
        "only/z.o",
    )
    (restored.out / "large").write_bytes(bytes(101))
    rules = SnapshotRules(patterns=((b"*.o", False), (b"*.jpg", True), (b"/top", False)), markers=((b"TAG", b"Sig"),), size_max=100)
    stored = [
        Entry.of(b"c", grid.put_directory([file(grid, b"TAG", b"Signature")]), DIRECTORY),
        Entry.of(b"d", grid.put_directory([file(grid, b".tallacignore", b"skip\n")]), DIRECTORY),
    ]
    restored.options = deleting(rules)
    restored(Entry.of(b"s", grid.put_directory(stored), DIRECTORY))
    assert left(restored.out) == {
        *("a.o", "A.JPG", "top", "d/.tallacignore", "d/skip", "c/TAG", "c/cached", "new/b.o", "large", "only/z.o")
    }
    assert restored.problems == []


def test_cut_rules_prove_nothing(grid: FakeGrid, restored: Restored) -> None:
    """Where the snapshot has not kept all of its rules, nothing is deleted."""
    plant(restored.out, "a", "d/b")
    restored.options = deleting(SnapshotRules(is_cut=True))
    top = grid.put_directory([Entry.of(b"d", grid.put_directory([]), DIRECTORY)])
    assert restored(Entry.of(b"s", top, DIRECTORY)).deleted == 0
    assert left(restored.out) == {"a", "d/b"}


def test_an_ignore_file_that_cannot_be_read_proves_nothing(grid: FakeGrid, restored: Restored) -> None:
    """Where the snapshot's ignore file is damaged, nothing is deleted in its directory."""
    plant(restored.out, "d/b")
    lost = grid.put(bytes(100))
    ignore = Entry.of(b".tallacignore", lost, Metadata(mode=stat.S_IFREG | 0o644))
    grid.forget(lost)
    restored.options = DELETING
    top = grid.put_directory([Entry.of(b"d", grid.put_directory([ignore]), DIRECTORY)])
    assert restored(Entry.of(b"s", top, DIRECTORY)).deleted == 0
    assert "d/b" in left(restored.out)


@pytest.mark.parametrize("is_dry_run", [False, True])
@pytest.mark.parametrize("overwrite", [Overwrite.ALWAYS, Overwrite.IF_CHANGED])
def test_own_files_are_never_touched(grid: FakeGrid, restored: Restored, overwrite: Overwrite, is_dry_run: bool) -> None:
    """Configuration, state, key files, links to them and vaults stay to the last bit, whatever the snapshot has in their place."""
    out = restored.out
    plant(out, "conf/tallac/tallac.json", "state/seen.json", "keys/k", "unknown/tallac.json", "v/packs/p", "known/packs/p", "gone")
    (out / "unknown/tallac.json").write_text(json.dumps({"format": 1, "grids": {}, "aliases": {}}))
    (out / "v/header").write_text(HEADER)
    (out / "link").symlink_to("conf")
    for path in ("conf/tallac", "state", "v", "known"):
        (out / path).chmod(0o700)
    before = {path: (path.lstat().st_mode, path.lstat().st_ctime_ns) for path in out.rglob("*") if path.name != "gone"}
    restored.options = RestoreOptions(
        overwrite=overwrite,
        delete=True,
        dry_run=is_dry_run,
        own=OwnFiles(
            [
                OwnPlace(os.fsencode(out / "link/tallac"), OwnKind.CONFIGURATION),
                OwnPlace(os.fsencode(out / "state"), OwnKind.STATE),
                OwnPlace(os.fsencode(out / "keys/k"), OwnKind.KEY),
                OwnPlace(os.fsencode(out / "known"), OwnKind.VAULT, "2" * 32),
            ]
        ),
    )
    inner = grid.put_directory([file(grid, b"seen.json", b"older"), file(grid, b"header", b"older")])
    stored = [
        Entry.of(b"conf", grid.put_directory([Entry.of(b"tallac", grid.put_directory([file(grid, b"tallac.json")]), DIRECTORY)])),
        Entry.of(b"keys", grid.put_directory([file(grid, b"k", b"older")])),
        file(grid, b"known", b"a file in place of a vault"),
        Entry.of(b"state", inner, DIRECTORY),
        Entry.of(b"v", inner, DIRECTORY),
    ]
    summary = restored(Entry.of(b"s", grid.put_directory(stored), directory()))
    assert (out / "gone").exists() == is_dry_run
    changed = {path for path, (mode, ctime) in before.items() if (path.lstat().st_mode, path.lstat().st_ctime_ns) != (mode, ctime)}
    # What merely leads there may get its metadata.
    assert changed <= {out / "conf", out / "keys"}
    own = {"conf/tallac", "state", "keys/k", "known", "link", "unknown", "v"}
    assert {os.fsdecode(path) for path in restored.protected} == {str(out / path) for path in own}
    assert len(restored.protected) == len(own)
    assert (summary.failed, summary.deleted) == (0, 1)


def test_an_empty_snapshot_deletes_nothing_of_its_own(grid: FakeGrid, restored: Restored) -> None:
    """Nor does what the snapshot does not have at all lose anything."""
    plant(restored.out, "a/b/conf/tallac.json", "a/other")
    restored.options = RestoreOptions(
        overwrite=Overwrite.ALWAYS,
        delete=True,
        own=OwnFiles([OwnPlace(os.fsencode(restored.out / "a/b/conf"), OwnKind.CONFIGURATION)]),
    )
    restored(Entry.of(b"s", grid.put_directory([]), DIRECTORY))
    assert left(restored.out) == {"a/b/conf/tallac.json"}


@pytest.mark.parametrize("path", ["v", "v/packs", "v/new/deeper", "conf", "conf/new", "link"])
def test_into_what_is_its_own_nothing_is_restored(grid: FakeGrid, restored: Restored, path: str) -> None:
    """A vault that nobody knows, a configuration and what is in them are no folders to restore to, by whatever name."""
    plant(restored.out, "v/packs/p", "conf/tallac.json")
    (restored.out / "v/header").write_text(HEADER)
    (restored.out / "link").symlink_to("v/packs")
    restored.options = RestoreOptions(
        overwrite=Overwrite.ALWAYS, own=OwnFiles([OwnPlace(os.fsencode(restored.out / "conf"), OwnKind.CONFIGURATION)])
    )
    with pytest.raises(DestinationError, match="nothing is restored here"):
        restored(Entry.of(b"s", grid.put_directory([file(grid, b"a")]), DIRECTORY), restored.out / path)
    assert left(restored.out) == {"v/header", "v/packs/p", "conf/tallac.json"}
