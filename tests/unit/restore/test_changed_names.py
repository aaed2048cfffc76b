"""A destination that gives things other names than they were made under, as FAT and Windows servers do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.restore.conftest import BentSystem

from tallac.restore import Overwrite, RestoreOptions
from tallac.restore.filesystem import PathAt
from tallac.restore.safe_names import is_unusual, oddities_of

if TYPE_CHECKING:
    from tests.unit.restore.conftest import FakeGrid, Restored


class ChangingSystem(BentSystem):
    """Drops dots at the end of names, calls devices otherwise, and answers to the names that things were made under."""

    def __init__(self) -> None:
        super().__init__()
        self.listings = 0

    def _kept(self, name: bytes) -> bytes:
        return b"CSHOFG~F" if name.lower() == b"con" else name.rstrip(b".") or name

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        return super().open(name if directory is None else self._kept(name), flags, directory)

    def scandir(self, descriptor: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        self.listings += 1
        return super().scandir(descriptor)

    def lstat(self, name: bytes, directory: int) -> os.stat_result:
        return super().lstat(self._kept(name), directory)

    def make_directory(self, name: bytes, directory: int, mode: int = 0o700) -> None:
        super().make_directory(self._kept(name), directory, mode)

    def create(self, name: bytes, directory: int) -> int:
        return super().create(self._kept(name), directory)

    def remove(self, name: bytes, directory: int) -> None:
        super().remove(self._kept(name), directory)

    def remove_directory(self, name: bytes, directory: int) -> None:
        super().remove_directory(self._kept(name), directory)

    def rename(self, old: bytes, new: bytes, directory: int) -> None:
        super().rename(old, self._kept(new), directory)

    def make_symlink(self, target: bytes, name: bytes, directory: int) -> None:
        super().make_symlink(target, self._kept(name), directory)

    def make_node(self, name: bytes, directory: int, mode: int, device: int) -> None:
        super().make_node(self._kept(name), directory, mode, device)

    def make_link(self, old: PathAt, new: PathAt) -> None:
        super().make_link(PathAt(old.directory, self._kept(old.name)), PathAt(new.directory, self._kept(new.name)))


def _fill(source: Path) -> None:
    (source / "dots.").mkdir(parents=True)
    (source / "dots." / "inside").write_text("inside")
    (source / "file.").write_text("file")
    (source / "both").write_text("first")
    (source / "both.").write_text("second")
    (source / "con").write_text("device")
    (source / "link.").symlink_to("plain")
    (source / "plain").write_text("plain")
    os.link(source / "plain", source / "linked.")
    os.mkfifo(source / "fifo.")


WORDS = {
    b"dots.": "'dots'",
    b"file.": "'file'",
    b"con": "'CSHOFG~F'",
    b"link.": "'link'",
    b"linked.": "'linked'",
    b"fifo.": "'fifo'",
}


@pytest.mark.parametrize("overwrite", [None, Overwrite.IF_CHANGED, Overwrite.ALWAYS])
def test_what_gets_another_name_is_named_and_removed(
    grid: FakeGrid, restored: Restored, tmp_path: Path, overwrite: Overwrite | None
) -> None:
    """All else is there; a second run says the same, and neither makes anything under a name that the snapshot has not."""
    _fill(tmp_path / "source")
    restored.system = ChangingSystem()
    restored.options = RestoreOptions(overwrite=overwrite)
    for _ in range(1 if overwrite is None else 2):
        restored.problems.clear()
        summary = restored(grid.snapshot(tmp_path / "source"))
        assert sorted(os.listdir(restored.out)) == ["both", "plain"]
        assert (restored.out / "both").read_text() == "first"
        told = {problem.path: problem.message for problem in restored.problems}
        assert set(told) == {*WORDS, b"both."}
        assert all(f"would give it another name ({word})" in told[path] for path, word in WORDS.items())
        assert summary.failed == len(told)


def test_where_names_are_kept_a_kind_is_looked_up_once(grid: FakeGrid, restored: Restored, tmp_path: Path) -> None:
    """A thousand names with a space at the end cost one listing."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(1000):
        (source / f"{number} ").touch()
    restored.system = system = ChangingSystem()
    restored(grid.snapshot(source))
    assert len(os.listdir(restored.out)) == 1000
    assert system.listings <= 4


@pytest.mark.parametrize("name", [b"a", b"a.b", "ü".encode(), b"a b", b".a", b"console", b"x" * 140])
def test_plain_names(name: bytes) -> None:
    """Nothing is odd about them."""
    assert (oddities_of(name), is_unusual(name)) == (frozenset(), False)


@pytest.mark.parametrize("name", [b"a.", b"a ", b"\xff", b"a:b", b"con", b"CON.txt", b"x" * 141, b"a\n", b"a\\b", "ü.".encode()])
def test_odd_names(name: bytes) -> None:
    """Some file system has none such."""
    assert is_unusual(name)
