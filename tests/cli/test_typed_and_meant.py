"""What a user typed and what was meant: forgotten colons, places on other machines, options in the place of values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def with_disk(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Give a command with the alias `usb:`, which has a snapshot, and without a default one."""
    tallac("-q", "init", tmp_path / "disk", "--alias", "usb")
    return tallac


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("backup", "SOURCE", "usb"), "usb:"),
        (("backup", "SOURCE", "usb/docs/2026"), "usb:docs/2026"),
        (("backup", "usb"), "usb:"),
        (("backup", "-n", "SOURCE", "usb"), "usb:"),
        (("backup", "--stdin", "usb"), "usb:"),
        (("snapshots", "usb"), "usb:"),
        (("ls", "usb/docs"), "usb:docs"),
        (("mkdir", "usb/a"), "usb:a"),
    ],
)
def test_a_forgotten_colon_is_asked_about(with_disk: Tallac, source: Path, arguments: tuple[str, ...], meant: str) -> None:
    """An alias without its colon is refused, and nothing is created: no vault, no entry."""
    message = with_disk.fails(*(source if text == "SOURCE" else text for text in arguments), status=2)
    assert f"did you mean `{meant}`?" in message
    assert len(with_disk("list-aliases").out.splitlines()) == 1


def test_a_target_below_the_default_alias_is_shown_with_it(tallac: Tallac, source: Path) -> None:
    """Whoever forgets an alias sees where the snapshot went."""
    shown = tallac("backup", source, "no-such-folder").out
    assert b"tallac:no-such-folder/Archives/" in shown


def test_a_place_on_another_machine_is_no_folder(tallac: Tallac) -> None:
    """No command makes a folder of what other programs take for a remote place."""
    for command in (("create-alias", "f", "--vault"), ("init",), ("connect",)):
        assert "./nas:/no/such/v" in tallac.fails(*command, "nas:/no/such/v", status=2)


@pytest.mark.parametrize("target", ["usb:../x", "usb:a/./b", "usb:..", "../up"])
def test_a_name_that_nothing_could_be_restored_to_is_no_target(with_disk: Tallac, source: Path, target: str) -> None:
    """As `put` refuses it, so does `backup`."""
    assert "can't be the name of an entry" in with_disk.fails("backup", source, target)
    assert with_disk("ls", "usb:").out == b""


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("--tag", "--dry-run"), "--tag"),
        (("--exclude", "-n"), "--exclude"),
        (("-e", "--skip-if-unchanged"), "-e"),
        (("-xe", "--no-ignore-files"), "-e"),
        (("--host", "--tag=a"), "--host"),
    ],
)
def test_an_option_is_not_taken_for_the_value_of_another(
    with_disk: Tallac, source: Path, arguments: tuple[str, ...], asked: str
) -> None:
    """A forgotten value is asked for, and no snapshot is made; with `=` anything can be a value."""
    message = with_disk.fails("backup", source, "usb:d", *arguments, status=2)
    assert f"{asked} needs a value" in message
    assert with_disk("ls", "usb:").out == b""
    with_disk("-q", "backup", source, "usb:d", "--tag=--dry-run", "--exclude", "-")
    assert b"--dry-run" in with_disk("snapshots", "usb:d").out


def test_one_file_is_backed_up(with_disk: Tallac, tmp_path: Path) -> None:
    """The snapshot has that file and nothing of its neighbours, and the next backup finds it unchanged."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / "neighbour").write_text("not this")
    (folder / "dump.sql").write_text("select 1")
    with_disk("-q", "backup", folder / "dump.sql", "usb:db")
    assert with_disk("ls", "usb:db/Latest").out == b"dump.sql\n"
    assert with_disk("get", "usb:db/Latest/dump.sql", "-").out == b"select 1"
    assert b"0 new, 0 changed, 1 unchanged" in with_disk("backup", folder / "dump.sql", "usb:db").out
    with_disk("-q", "restore", "usb:db/Latest", tmp_path / "back")
    assert (tmp_path / "back" / "dump.sql").read_text() == "select 1"


def test_a_source_that_is_a_link_is_named_once(with_disk: Tallac, source: Path, tmp_path: Path) -> None:
    """What is backed up is what the link leads to; it is said with the first snapshot, and not where a slash says it already."""
    link = tmp_path / "link"
    link.symlink_to(source)
    assert with_disk("backup", link, "usb:d").err == f"{link}: this is a symbolic link; what is backed up is {source}\n"
    assert with_disk("backup", link, "usb:d").err == ""
    assert with_disk("backup", f"{link}/", "usb:e").err == ""


def test_a_link_out_of_the_source_is_named_once(with_disk: Tallac, tmp_path: Path) -> None:
    """New links to what is not stored are told in one line; those into the source, to the system and known ones are not."""
    folder, outside = tmp_path / "in", tmp_path / "out"
    (folder / "d").mkdir(parents=True)
    outside.mkdir()
    for name, target in (("a", "../../out"), ("b", outside), ("inside", ".."), ("system", "/usr/lib/x"), ("here", folder / "d")):
        (folder / "d" / name).symlink_to(target)
    shown = with_disk("backup", folder, "usb:d").err
    assert shown == (
        f"{folder}/d/a: this link (one of 2) leads out of what is backed up, to ../../out; what is there is not stored\n"
    )
    assert with_disk("backup", folder, "usb:d").err == ""
    (folder / "new").symlink_to("../out")
    assert f"{folder}/new: this link leads out of" in with_disk("backup", folder, "usb:d").err
