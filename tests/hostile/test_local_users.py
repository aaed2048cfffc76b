"""Other users of the machine: what they can read, change and put in the way (finding 19 of the review)."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import COMMAND, PATIENCE_SECONDS, Tallac, as_normal_user
from tests.hostile.planting import plant
from tests.terminal import run_on_terminal
from tests.unit.restore.conftest import FakeGrid

from tallac.dag import Entry, Metadata
from tallac.interfaces import FileReader
from tallac.restore import Overwrite, Problem, RestoreObserver, RestoreOptions, restore
from tallac.restore.files.file_writer import FileWriter
from tallac.restore.files.hard_links import LinkTable
from tallac.restore.filesystem import DESTINATION, DestinationSystem
from tallac.restore.options import RestoreSettings
from tallac.restore.report import BatchResult

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")

STRANGER = 64_301


# What they can read.


def modes_below(folder: Path) -> dict[str, int]:
    """Return the rights that the group and others have to each file and folder."""
    found = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) & 0o077 for path in found if not path.is_symlink()}


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["000", "022", "077", "777"])
def test_nothing_of_a_users_own_is_open_under_any_umask(tmp_path: Path, source: Path, umask: str) -> None:
    """Every command that keeps something leaves folders and files, on each level, that the user alone can enter or read."""
    above = tmp_path / "not" / "there" / "yet"
    # The folders that are missing above are Tallac's to make as well.
    set_umask = ["sh", "-c", f'umask {umask}; exec "$@"', "-"]
    tallac, other = Tallac(above / "home", before=set_umask), Tallac(tmp_path / "other", before=set_umask)
    (tmp_path / "pass").write_text("a passphrase\n")
    tallac("backup", source, "tallac:docs")
    tallac("add-passphrase", "tallac:", "--passphrase-file", tmp_path / "pass")
    tallac("backup", source, "tallac:docs")
    tallac("restore", "tallac:docs/Latest", tmp_path / "out")
    tallac("mirror", "tallac:", tmp_path / "mirror")
    tallac("forget", "tallac:docs", "--keep-last", "1")
    tallac("prune", "tallac:")
    tallac("check", "tallac:")
    other("connect", above / "home" / "vault", "--passphrase-file", tmp_path / "pass")
    other("ls", "tallac:docs")
    assert modes_below(tmp_path / "not")["."] == 0
    for home in (above / "home", tmp_path / "other"):
        for part in ("config", "state"):
            open_to_others = {path: oct(mode) for path, mode in modes_below(home / part).items() if mode}
            assert open_to_others == {}
        assert stat.S_IMODE(home.stat().st_mode) & 0o077 == 0


# What they can change.


def open_file(tallac: Tallac) -> Path:
    """Make the configuration writable by everybody."""
    path = tallac.home / "config" / "tallac.json"
    path.chmod(0o666)
    return path


def open_folder(name: str) -> Callable[[Tallac], Path]:
    """Return what makes a folder writable by everybody."""

    def make(tallac: Tallac) -> Path:
        path = tallac.home / name
        path.chmod(0o777)
        return path

    return make


OPENED: dict[str, Callable[[Tallac], Path]] = {
    "the file": open_file,
    "its folder": open_folder("config"),
    "the folder above": open_folder("."),
    "the local state": open_folder("state"),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_anybody_can_change_is_not_obeyed(tallac: Tallac, source: Path, name: str) -> None:
    """A configuration, or state, that others can exchange is refused with what to do, by commands that read and that write."""
    tallac("backup", source, "tallac:docs")
    path = OPENED[name](tallac)
    for command in (("ls", "tallac:"), ("backup", source), ("create-alias", "x")):
        message = tallac.fails(*command)
        assert "anybody on this machine can change it" in message
        assert f"chmod {'600' if path.is_file() else '700'} " in message
    path.chmod(0o600 if path.is_file() else 0o700)
    tallac("ls", "tallac:")


def test_a_folder_with_the_sticky_bit_is_none_of_these(tallac: Tallac, source: Path) -> None:
    """As in /tmp: others can add files there, and can't replace the user's."""
    tallac("backup", source, "tallac:docs")
    tallac.home.chmod(0o1777)
    assert tallac("ls", "tallac:").err == ""


@needs_root
@pytest.mark.parametrize("name", ["config/tallac.json", "config", "state", "."])
def test_what_a_stranger_owns_is_not_obeyed(tallac: Tallac, source: Path, name: str) -> None:
    """A configuration can name commands that give keys: root does not run those of another user, unless they called sudo."""
    tallac("backup", source, "tallac:docs")
    os.chown(tallac.home / name, STRANGER, STRANGER)
    message = tallac.fails("ls", "tallac:")
    assert "another user owns it" in message
    assert "chown 0 " in message


@needs_root
@pytest.mark.slow
def test_the_owner_is_who_runs_it_or_root(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A user's own is obeyed, and what root has given them; a third user's is not."""
    for folder in [tmp_path, *tmp_path.parents[:-2]]:
        folder.chmod(folder.stat().st_mode | 0o011)
    tallac("backup", source, "tallac:docs")
    for path in (tallac.home, *tallac.home.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    user = Tallac(tallac.home, before=as_normal_user(STRANGER))
    user("ls", "tallac:")
    os.chown(tallac.home / "config", STRANGER + 1, STRANGER + 1)
    tallac_config = tallac.home / "config"
    tallac_config.chmod(0o755)
    assert "another user owns it" in user.fails("ls", "tallac:")


# What they put in the way of a restore.

LARGE = b"large" * 100


class Switching(DestinationSystem):
    """Puts something in a file's place just before it is opened once more."""

    def __init__(self, switch: Callable[[bytes, int], None]) -> None:
        self._switch = switch

    def open(self, name: bytes, flags: int, directory: int | None = None) -> int:
        """Switch, and open."""
        if directory is not None and flags & os.O_ACCMODE == os.O_RDONLY and not flags & getattr(os, "O_DIRECTORY", 0):
            self._switch(name, directory)
        return super().open(name, flags, directory)


@needs_root
@pytest.mark.parametrize("in_its_place", ["a hard link", "a FIFO", "a symbolic link", "another file"])
def test_metadata_goes_to_no_other_file(tmp_path: Path, in_its_place: str) -> None:
    """Root amends a file in a user's folder, who exchanges it: no other file gets owner or mode, and nothing waits."""
    precious = tmp_path / "precious"
    precious.write_bytes(LARGE)
    precious.chmod(0o600)
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").write_bytes(LARGE)
    metadata = Metadata(mode=0o100666, uid=STRANGER, gid=STRANGER, mtime=(1, 0), inode=1, device=1, links=1)
    another = tmp_path / "another"
    another.write_bytes(LARGE)
    another.chmod(0o600)
    grid = FakeGrid()
    root = Entry.of(b"", grid.put_directory([Entry.of(b"file", grid.put(LARGE), metadata)]), Metadata(mode=0o40755))
    opened = 0

    def switch(name: bytes, directory: int) -> None:
        nonlocal opened
        opened += name == b"file"
        # First it is opened to be compared, and then to be set.
        if name != b"file" or opened != 2:
            return
        os.unlink(name, dir_fd=directory)
        if in_its_place == "a hard link":
            os.link(precious, name, dst_dir_fd=directory)
        elif in_its_place == "a FIFO":
            os.mkfifo(name, dir_fd=directory)
        elif in_its_place == "a symbolic link":
            os.symlink(precious, name, dir_fd=directory)
        else:
            # Made beforehand: one that is made now could get the same inode, and would be the user's own.
            os.rename(another, name, dst_dir_fd=directory)

    problems: list[Problem] = []
    restore(
        grid,
        root,
        out,
        options=RestoreOptions(overwrite=Overwrite.ALWAYS),
        observer=RestoreObserver(problem=problems.append),
        workers=0,
        system=Switching(switch),
    )
    assert opened >= 2
    status = precious.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, 0)
    assert stat.S_IMODE((out / "file").lstat().st_mode) != 0o666
    assert [problem.path for problem in problems] == [b"file"]


def test_a_fifo_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    """Opening to write what has been made before returns at once, also where nobody reads the FIFO that is there now."""
    os.mkfifo(tmp_path / "file")
    directory = os.open(tmp_path, os.O_RDONLY)
    ended: list[int | None] = []

    def attempt() -> None:
        try:
            os.close(DESTINATION.open_to_write(b"file", directory))
        except OSError as error:
            ended.append(error.errno)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    os.close(directory)
    assert ended == [errno.ENXIO]


@needs_root
def test_a_large_file_gets_its_metadata_by_its_descriptor(tmp_path: Path) -> None:
    """What others have written is finished as the file that it is, whatever has its name by then."""
    (tmp_path / "precious").write_bytes(b"precious")
    descriptor = os.open(tmp_path / "large", os.O_CREAT | os.O_RDWR, 0o600)
    os.rename(tmp_path / "large", tmp_path / "moved")
    os.link(tmp_path / "precious", tmp_path / "large")
    reader: FileReader = FakeGrid()
    writer = FileWriter(reader, RestoreSettings(), DESTINATION)
    result = BatchResult()
    writer.finish(Entry(b"large", b"Lx", Metadata(mode=0o100666, uid=STRANGER, gid=STRANGER)), descriptor, (), result)
    os.close(descriptor)
    assert (tmp_path / "precious").stat().st_uid == 0
    assert (tmp_path / "moved").stat().st_uid == STRANGER
    assert (result.files, result.problems) == (1, [])


# What fills the memory, and what acts on a terminal or on a program that reads names.


def linked(number: int, name: bytes, links: int = 3) -> Entry:
    """Make an entry that says it is one of several links."""
    return Entry(name, b"Lx", Metadata(mode=0o100644, inode=number, device=1, links=links))


def test_false_links_go_to_disk() -> None:
    """However many files say that they have other links, few are in memory, and the right ones are found again."""
    table = LinkTable(in_memory_max=10)
    for number in range(1000):
        entry = linked(number, b"first-%d" % number)
        assert table.first_of(entry) is None
        table.add_first(entry, (b"d%d" % (number % 7),), is_new=number % 2 == 0)
    assert table.in_memory == 10
    for number in range(1000):
        again = linked(number, b"again")
        assert table.first_of(again) == ((b"d%d" % (number % 7),), b"first-%d" % number)
        assert table.is_new(again) == (number % 2 == 0)
        table.count_link(again, (b"x",))
        assert list(table.earlier(again)) == [((b"d%d" % (number % 7),), b"first-%d" % number), ((b"x",), b"again")]
        table.count_link(again, (b"y",))
        assert table.first_of(again) is None
    assert table.in_memory == 0


def test_names_of_one_file_go_to_disk_as_well() -> None:
    """A file with any number of names is told as well, in their order, also when another name takes the first one's place."""
    table = LinkTable(in_memory_max=5)
    table.add_first(linked(1, b"0", links=101), ())
    for number in range(1, 100):
        table.count_link(linked(1, b"%d" % number, links=101), ())
    assert table.in_memory == 5
    assert [name for _, name in table.earlier(linked(1, b"", links=101))] == [b"%d" % number for number in range(100)]
    table.replace_first(linked(1, b"new", links=101), (b"d",))
    assert table.first_of(linked(1, b"", links=101)) == ((b"d",), b"new")
    assert sorted(name for _, name in table.earlier(linked(1, b"", links=101))) == sorted(
        [b"new", *(b"%d" % n for n in range(100))]
    )
    table.count_link(linked(1, b"new", links=101), (b"d",))
    assert table.first_of(linked(1, b"", links=101)) is None
    assert table.in_memory == 0


def test_many_links_are_links_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree with more linked files than fit in memory comes back with all its links."""
    monkeypatch.setattr(LinkTable.__init__, "__defaults__", (5,))
    grid = FakeGrid()
    halves = [grid.put_directory([linked(number, b"%03d" % number, links=2) for number in range(100)]) for _ in range(2)]
    root = grid.put_directory(
        [Entry.of(name, half, Metadata(mode=0o40755)) for name, half in zip((b"a", b"b"), halves, strict=True)]
    )
    summary = restore(grid, root, tmp_path / "out", workers=0)
    assert (summary.files, summary.failed) == (200, 0)
    for number in range(100):
        assert (tmp_path / "out" / "a" / f"{number:03}").samefile(tmp_path / "out" / "b" / f"{number:03}")


NAMES = ["\x9b2J", "\x7f", "\u202etxt.exe", "\u2066x", "\u200b", "\U000e0001", "\x85", "a\nb"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_json_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    """On a terminal JSON has no control character of any kind and nothing that turns text round, and means the same."""
    tallac = Tallac(tmp_path / "home")
    tallac("init")
    entries = [Entry(name.encode(), b"Lx", Metadata(mode=0o100644, user=name, group=name)) for name in NAMES]
    plant(tallac, "odd", sorted(entries, key=lambda entry: entry.name))
    for words in (("ls", "tallac:odd/Latest"), ("find", "tallac:odd", "*"), ("du", "tallac:odd"), ("manifest", "tallac:odd")):
        command = [*COMMAND, "--json", *words]
        shown = run_on_terminal(command, tallac.environment, stream="stdout", other=subprocess.DEVNULL).shown.decode()
        lines = shown.removesuffix("\r\n").split("\r\n")
        assert all(line.isprintable() for line in lines), words
        assert [json.loads(line) for line in lines] == [json.loads(line) for line in tallac("--json", *words).lines]


@pytest.mark.slow
def test_names_with_newlines_are_told_apart(tmp_path: Path) -> None:
    """With -0, ls, find and diff end each name with a zero byte, so that no name passes for two, and print nothing else."""
    tallac = Tallac(tmp_path / "home")
    tallac("init")
    names = sorted(name.encode() for name in (*NAMES, "plain", "c\n+ forged", " blank"))
    plant(tallac, "odd", [Entry(name, b"Lx", Metadata(mode=0o100644)) for name in names])
    plant(tallac, "none", [])
    for null in ("-0", "--null", "--print0"):
        assert tallac("ls", null, "tallac:odd/Latest").out == b"".join(name + b"\0" for name in names)
        found = tallac("-q", "find", null, "tallac:odd/Latest", "*").out.split(b"\0")
        assert sorted(found) == [b"", *names]
        changes = tallac("diff", null, "tallac:none/Latest", "tallac:odd/Latest").out.split(b"\0")
        assert sorted(changes) == sorted([b"", *(b"+ " + name for name in names)])
