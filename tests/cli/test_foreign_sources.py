"""Restores over a folder: only of what was backed up from it, unless the user says so; and of one snapshot, never of a target."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def folders(tmp_path: Path, tallac: Tallac) -> tuple[Path, Path]:
    """Back two folders up into one target, the second one last."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / folder.name).write_text(folder.name)
        tallac("-q", "backup", folder, "tallac:both")
    return one, two


def test_a_second_source_is_named_once(tallac: Tallac, folders: tuple[Path, Path]) -> None:
    """The backup that gives a target its second source says so, and no other one."""
    one, two = folders
    three = one.parent / "three"
    three.mkdir()
    (three / "x").touch()
    said = tallac("backup", three, "tallac:both").err
    assert f"the target has snapshots of {two}, too" in said
    assert all(tallac("backup", folder, "tallac:both").err == "" for folder in (three, one, three))
    assert f"of {three} on " in tallac("backup", three, "tallac:both", "--host", "elsewhere").err


@pytest.mark.parametrize("options", [("if-changed", "--delete"), ("always",), ("if-newer", "--dry-run")])
def test_a_foreign_source_overwrites_nothing(tallac: Tallac, folders: tuple[Path, Path], options: tuple[str, ...]) -> None:
    """`Latest` of another folder, or of another machine, is refused over this one."""
    one, two = folders
    message = tallac.fails("restore", "tallac:both/Latest", one, "--overwrite", *options, status=2)
    assert f"was backed up from {two}" in message
    assert [path.name for path in one.iterdir()] == ["one"]
    tallac("restore", "tallac:both/Latest", two, "--overwrite", *options)
    tallac("-q", "backup", one, "tallac:both", "--host", "elsewhere")
    assert "on elsewhere" in tallac.fails("restore", "tallac:both/Latest", one, "--overwrite", *options, status=2)


def test_the_user_names_the_source(tallac: Tallac, folders: tuple[Path, Path], tmp_path: Path) -> None:
    """--source chooses the newest snapshot of a folder, --host that of a machine, and --any-source takes what is there."""
    one, two = folders
    tallac("-q", "restore", "tallac:both/Latest", one, "--overwrite", "if-changed", "--delete", "--source", one)
    assert [path.name for path in one.iterdir()] == ["one"]
    tallac("-q", "restore", "tallac:both", tmp_path / "new", "--source", one)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["one"]
    tallac("-q", "restore", "tallac:both/Latest", one, "--overwrite", "if-changed", "--any-source")
    assert sorted(path.name for path in one.iterdir()) == ["one", "two"]
    assert "no snapshot of elsewhere" in tallac.fails("restore", "tallac:both/Latest", two, "--host", "elsewhere")
    name = tallac("snapshots", "tallac:both").lines[0].split()[0].decode()
    message = tallac.fails("restore", f"tallac:both/Archives/{name}", tmp_path / "x", "--source", one, status=2)
    assert "names a snapshot already" in message


def test_looking_at_the_newest_of_a_source(tallac: Tallac, folders: tuple[Path, Path]) -> None:
    """`ls`, `get` and `diff` take --source and --host likewise."""
    one, _ = folders
    assert tallac("ls", "tallac:both/Latest", "--source", one).lines == [b"one"]
    assert tallac("get", "tallac:both/Latest/one", "--source", one).out == b"one"
    assert "no differences" in tallac("diff", "tallac:both/Latest", one, "--source", one).out.decode()
    assert "no snapshot of elsewhere" in tallac.fails("ls", "tallac:both", "--host", "elsewhere")


def test_what_a_restore_has_filled_it_may_overwrite(tallac: Tallac, folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A restore into a new folder is finished by the next one, in parts too; but not by one from elsewhere."""
    one, _ = folders
    (one / "below").mkdir()
    (one / "below/file").write_text("x")
    tallac("-q", "backup", one, "tallac:both")
    out = tmp_path / "out"
    tallac("-q", "restore", "tallac:both/Latest", out)
    (out / "one").unlink()
    (out / "below/file").unlink()
    tallac("-q", "restore", "tallac:both/Latest/below", out / "below", "--overwrite", "if-changed")
    tallac("-q", "restore", "tallac:both/Latest", out, "--overwrite", "if-changed", "--delete")
    assert (out / "one").exists()
    assert (out / "below/file").exists()
    tallac.fails("restore", "tallac:both/Latest/below", out, "--overwrite", "if-changed", "--delete", status=2)


@pytest.mark.parametrize("place", ["tallac:both", "tallac:", "tallac:both/Archives"])
@pytest.mark.parametrize("folder", ["new", "-"])
def test_a_target_is_no_snapshot(tallac: Tallac, folders: tuple[Path, Path], tmp_path: Path, place: str, folder: str) -> None:
    """A target, what holds targets, and `Archives` are refused with the name of the newest snapshot."""
    name = tallac("snapshots", "tallac:both").lines[-1].split()[0].decode()
    to = folder if folder == "-" else str(tmp_path / folder)
    assert f"tallac:both/Archives/{name}" in tallac.fails("restore", place, to, status=2)
    assert not (tmp_path / "new").exists()
    assert len(folders) == 2
