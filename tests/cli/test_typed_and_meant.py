"""What a user typed and what was meant: forgotten colons, places on other machines, options in the place of values."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import COMMAND
from tests.on_disk import folder_on_disk

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


def test_a_pipe_is_no_source(with_disk: Tallac, tmp_path: Path) -> None:
    """What a shell makes of `<(command)` would be an empty snapshot; a FIFO with a name is stored as one, and the user is told."""
    reading, writing = os.pipe()
    os.write(writing, b"select 1")
    os.close(writing)
    command = [*COMMAND, "backup", f"/dev/fd/{reading}", "usb:db"]
    ended = subprocess.run(command, pass_fds=[reading], env=with_disk.environment, capture_output=True, check=False, text=True)
    os.close(reading)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "this is a pipe" in ended.stderr
    assert "--stdin-name" in ended.stderr
    assert with_disk("ls", "usb:").out == b""
    os.mkfifo(tmp_path / "fifo")
    assert "stored without content" in with_disk("backup", tmp_path / "fifo", "usb:db").err
    assert with_disk("ls", "-l", "usb:db/Latest").out.startswith(b"p")


def test_a_source_that_is_a_link_is_named_once(with_disk: Tallac, source: Path, tmp_path: Path) -> None:
    """What is backed up is what the link leads to; it is said with the first snapshot, and not where a slash says it already."""
    link = tmp_path / "link"
    link.symlink_to(source)
    assert with_disk("backup", link, "usb:d").err == f"{link}: this is a symbolic link; what is backed up is {source}\n"
    assert with_disk("backup", link, "usb:d").err == ""
    assert with_disk("backup", f"{link}/", "usb:e").err == ""


def test_a_link_out_of_the_source_is_named_once(with_disk: Tallac) -> None:
    """New links to what is not stored are told in one line; those into the source, to the system and known ones are not."""
    # What lies in memory lies below /dev, which is the system's.
    with folder_on_disk() as base:
        folder, outside = base / "in", base / "out"
        (folder / "d").mkdir(parents=True)
        outside.mkdir()
        for name, target in (
            ("a", "../../out"),
            ("b", outside),
            ("inside", ".."),
            ("system", "/usr/lib/x"),
            ("here", folder / "d"),
        ):
            (folder / "d" / name).symlink_to(target)
        shown = with_disk("backup", folder, "usb:d").err
        assert shown == (
            f"{folder}/d/a: this link (one of 2) leads out of what is backed up, to ../../out; what is there is not stored\n"
        )
        assert with_disk("backup", folder, "usb:d").err == ""
        (folder / "new").symlink_to("../out")
        assert f"{folder}/new: this link leads out of" in with_disk("backup", folder, "usb:d").err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("backup", "usb:db", "-"), "standard input is backed up with --stdin-name, as in `tallac backup usb:db --stdin-name"),
        (("backup", "-"), "`tallac backup tallac:db --stdin-name"),
        (("backup", "usb:db", "SOURCE"), "the target comes last: write `tallac backup SOURCE usb:db`"),
        (("backup", "SOURCE", "usb:", "usb:x"), "there is one target, usb:x"),
        (("backup", "SOURCE", "usb:d/Archives"), "write usb:d"),
        (("backup", "SOURCE", "usb:d/Latest/x"), "write usb:d"),
        (("backup", "usb:db"), "nothing to back up: name a folder, before the target"),
        (("backup", "SOURCE", "usb:d", "--time", "0001-01-01"), "before 1970"),
        (("backup", "SOURCE", "usb:d", "--time", "2026-13-45"), "there is no such day or time"),
        (("backup", "SOURCE", "usb:d", "--time", "3000y"), "no calendar goes so far back"),
        (("backup", "SOURCE", "usb:d", "--host", ""), "host can't be empty"),
        (("restore", "usb:d@latest", "usb:e"), "write ./usb:e"),
        (("restore", "SOURCE", "usb:d"), "what is stored comes first, and then where it goes: write usb:d SOURCE"),
        (("get", "usb:d/Latest/a", "usb:a"), "write ./usb:a"),
        (("put", "usb:d", "SOURCE"), "write `tallac put SOURCE usb:d`"),
        (("find", "usb:"), "add what to look for"),
    ],
)
def test_arguments_in_another_order_or_of_another_kind(
    with_disk: Tallac, source: Path, arguments: tuple[str, ...], told: str
) -> None:
    """What can't be meant is refused with what to write, and nothing is made, here or there."""
    before = sorted(source.parent.iterdir())
    given = [str(source) if text == "SOURCE" else text for text in arguments]
    assert told.replace("SOURCE", str(source)) in with_disk.fails(*given, status=2)
    assert with_disk("ls", "usb:").out == b""
    assert sorted(source.parent.iterdir()) == before


def test_a_snapshot_is_no_target(with_disk: Tallac, source: Path) -> None:
    """What `usb:d@latest` leads to is named, and the snapshot stays as it is."""
    with_disk("-q", "backup", source, "usb:d")
    before = with_disk("ls", "-R", "usb:d").out
    assert "this is a snapshot" in with_disk.fails("backup", source, "usb:d@latest", status=2)
    assert with_disk("ls", "-R", "usb:d").out == before


def test_a_folder_with_a_colon_in_its_name(with_disk: Tallac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone it looks like a target, and the message says how it is written; anywhere else it is the folder that it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data:old").mkdir()
    (tmp_path / "data:old" / "f").write_text("old")
    assert "there is no alias data:; the folder is ./data:old" in with_disk.fails("backup", "data:old", status=2)
    with_disk("-q", "backup", "data:old", "usb:one")
    with_disk("-q", "backup", "./data:old", "usb:two")
    for target in ("usb:one", "usb:two"):
        assert with_disk("get", f"{target}/Latest/f", "-").out == b"old"
    with_disk("-q", "restore", "usb:one@latest", "./new:one")
    assert (tmp_path / "new:one" / "f").read_text() == "old"


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", ""),
        ("backup", "SOURCE", ""),
        ("restore", "", "out"),
        ("restore", "usb:d@latest", ""),
        ("get", "usb:d/Latest/a", ""),
        ("put", "", "usb:x"),
        ("ls", ""),
        ("snapshots", ""),
        ("forget", "", "--keep-last", "1"),
        ("prune", ""),
        ("check", ""),
        ("rm", ""),
        ("mkdir", ""),
        ("mv", "usb:d", ""),
        ("cap", ""),
        ("find", "", "x"),
        ("diff", "", "SOURCE"),
        ("mirror", "usb:", ""),
    ],
)
def test_an_empty_argument_is_a_forgotten_variable(with_disk: Tallac, source: Path, arguments: tuple[str, ...]) -> None:
    """`"$TARGET"` that is not set names nothing: in no command does it stand for the default alias or this folder."""
    with_disk("-q", "backup", source, "usb:d")
    before = with_disk("ls", "-R", "usb:").out
    assert "is empty" in with_disk.fails(*(str(source) if text == "SOURCE" else text for text in arguments), status=2)
    assert with_disk("ls", "-R", "usb:").out == before


def test_the_arguments_of_a_command_may_be_empty(with_disk: Tallac) -> None:
    """What is behind the dashes belongs to the command."""
    with_disk("-q", "backup", "usb:d", "--stdin-from-command", "--stdin-name", "n", "--", "printf", "%s|%s", "", "x")
    assert with_disk("get", "usb:d/Latest/n", "-").out == b"|x"


def test_the_first_and_the_last_day_of_the_calendar_are_days(with_disk: Tallac, source: Path) -> None:
    """As bounds they leave nothing out."""
    with_disk("-q", "backup", source, "usb:d")
    rows = len(with_disk("snapshots", "usb:d").lines)
    for bound in (("--since", "0001-01-01"), ("--until", "9999-12-31"), ("--since", "1969-12-31")):
        assert len(with_disk("snapshots", "usb:d", *bound).lines) == rows


def test_a_deleted_current_folder_is_the_cause(with_disk: Tallac, tmp_path: Path) -> None:
    """Where relative paths lead nowhere, the message says why; a command that needs none goes on."""
    gone = tmp_path / "gone"
    gone.mkdir()

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["sh", "-c", 'cd "$1"; rmdir "$1"; shift; exec "$@"', "sh", str(gone), *COMMAND, *arguments]
        gone.mkdir(exist_ok=True)
        return subprocess.run(command, env=with_disk.environment, capture_output=True, check=False)

    ended = run("backup", ".", "usb:d")
    assert ended.returncode == 1
    assert ended.stderr == b"tallac: the folder that this was started in has been deleted: change to another one\n"
    assert run("ls", "usb:").returncode == 0
