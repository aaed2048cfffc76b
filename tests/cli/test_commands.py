from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def home(tallac: Tallac) -> Tallac:
    """Give a command with an alias `home`."""
    tallac("-q", "create-alias", "home")
    return tallac


def test_aliases(tallac: Tallac, tmp_path: Path) -> None:
    """Aliases are made in vaults of their own or in one, and listed without anything secret."""
    made = tallac("create-alias", "usb", "--vault", tmp_path / "usb")
    again = tallac("create-alias", "home:")
    assert "created a vault in" in made.err
    assert made.out == again.out == b""
    listed = tallac("list-aliases")
    assert listed.lines == [
        b"home:  " + str(tallac.home / "vault").encode(),
        b"usb:   " + str(tmp_path / "usb").encode(),
    ]
    assert [json.loads(line)["alias"] for line in tallac("list-aliases", "--json").lines] == ["home", "usb"]
    secrets = json.loads((tallac.home / "config" / "tallac.json").read_text())
    caps = [alias["cap"] for alias in secrets["aliases"].values()] + [grid["vault_key"] for grid in secrets["grids"].values()]
    assert not any(cap in made.err + again.err + listed.out.decode() for cap in caps)
    assert "already" in tallac.fails("create-alias", "home")


def test_files_in_and_out(home: Tallac, tmp_path: Path) -> None:
    """What is put is what one gets, from and to files and pipes."""
    (tmp_path / "in").write_bytes(bytes(range(256)) * 100)
    home("put", tmp_path / "in", "home:a/file")
    home("get", "home:a/file", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "in").read_bytes()
    home("put", "-", "home:a/file", stdin=b"from a pipe")
    assert home("get", "home:a/file").out == b"from a pipe"
    assert home("get", "home:a/file", "-").out == b"from a pipe"
    (tmp_path / "folder").mkdir()
    home("get", "home:a/file", tmp_path / "folder")
    assert (tmp_path / "folder" / "file").read_bytes() == b"from a pipe"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "home", "in", "out"]


def test_a_file_without_a_name(home: Tallac) -> None:
    """Without a place, put prints the read cap, which get takes."""
    cap = home("put", "-", stdin=b"x" * 1000).out.decode().strip()
    assert cap.startswith("URI:CHK:")
    assert home("get", cap).out == b"x" * 1000
    home("ln", cap, "home:linked")
    assert home("get", "home:linked").out == b"x" * 1000


def test_directories(home: Tallac) -> None:
    """Directories are made, moved into, linked and unlinked."""
    home("mkdir", "home:a/b")
    home("mkdir", "home:a/b")
    home("put", "-", "home:file", stdin=b"content")
    home("mv", "home:file", "home:a/b")
    home("ln", "home:a/b", "home:c")
    home("mv", "home:c/file", "home:c/renamed")
    assert home("ls", "-R", "home:").lines == [b"a", b"a/b", b"a/b/renamed", b"c", b"c/renamed"]
    home("rm", "home:c")
    home("unlink", "home:a/b/renamed")
    assert home("ls", "-R", "home:").lines == [b"a", b"a/b"]


def test_copies(home: Tallac, source: Path, tmp_path: Path) -> None:
    """Trees go up, across and down, under their own names."""
    home("cp", "-r", source, "home:")
    home("cp", "-r", "home:source/parent", "home:copy")
    out = tmp_path / "out"
    home("cp", "-r", "home:copy/parent", out)
    assert (out / "parent" / "subdir" / "foo.txt").read_text() == "foo"
    home("cp", "-r", "home:source", "home:copy/parent/blah.txt", out)
    assert sorted(path.name for path in out.iterdir()) == ["blah.txt", "parent", "source"]
    home("cp", source / "parent" / "blah.txt", "home:source/")
    assert home("ls", "home:source").lines == [b"blah.txt", b"empty", b"parent"]
    assert "use cp -r" in home.fails("cp", "home:source", out)


def test_a_copy_that_lacks_something(home: Tallac, source: Path) -> None:
    """What cp leaves out is named, and the exit status says so."""
    (source / "link").symlink_to("parent")
    result = home("cp", "-r", source, "home:", status=1)
    assert "source/link: neither a file nor a directory" in result.err
    assert home("ls", "home:source").lines == [b"empty", b"parent"]


@pytest.mark.slow
def test_handing_on_a_directory(home: Tallac, source: Path, tmp_path: Path) -> None:
    """Whoever has a read cap and the locator key reads what is below, from a file that holds the cap, and nothing else."""
    home("-q", "backup", source, "home:docs")
    (tmp_path / "cap").write_bytes(home("cap", "home:docs/Latest/parent").out)
    shown = home("locator-key", "home:")
    assert "opens none of them" in shown.err
    (tmp_path / "key").write_bytes(shown.out)
    stranger = type(home)(tmp_path / "stranger")
    given = ("--vault", home.home / "vault", "--vault-key", tmp_path / "key")
    assert stranger("ls", f"@{tmp_path / 'cap'}", *given).lines == [b"blah.txt", b"subdir"]
    assert stranger("get", f"@{tmp_path / 'cap'}:subdir/foo.txt", *given).out == b"foo"
    assert stranger("get", "@-:blah.txt", *given, stdin=(tmp_path / "cap").read_bytes()).out == b"blah"
    both = (tmp_path / "cap").read_bytes() + (tmp_path / "key").read_bytes()
    assert stranger("get", "@-:blah.txt", "--vault", home.home / "vault", "--vault-key", "-", stdin=both).out == b"blah"
    stranger("restore", f"@{tmp_path / 'cap'}", tmp_path / "letters", *given)
    assert (tmp_path / "letters" / "subdir" / "foo.txt").read_text() == "foo"
    stranger("check", "--read-data", f"@{tmp_path / 'cap'}", *given)
    stranger("add-alias", "letters", f"@{tmp_path / 'cap'}", *given)
    assert stranger("ls", "letters:").lines == [b"blah.txt", b"subdir"]
    assert "writer key" in stranger.fails("put", "-", *given, stdin=b"x" * 100)
    assert "can't be changed" in stranger.fails("put", "-", "letters:new")
    assert "can't be changed" in stranger.fails("cap", "--write", "letters:")


def test_caps_of_all_strengths(home: Tallac, source: Path) -> None:
    """Read, write and verify caps are printed on request; the last suffices for a check."""
    home("-q", "backup", source, "home:docs")
    assert home("cap", "home:docs").out.startswith(b"URI:DIR2-RO:")
    write = home("cap", "--write", "home:docs")
    assert write.out.startswith(b"URI:DIR2:")
    assert "can read and change" in write.err
    verify = home("cap", "--verify", "home:docs").out.decode().strip()
    assert verify.startswith("URI:DIR2-Verifier:")
    home("check", "--read-data", verify, "--vault", home.home / "vault")
    assert "not allow reading" in home.fails("ls", verify, "--vault", home.home / "vault")
    assert "give one of them" in home.fails("cap", "--write", "--verify", "home:docs", status=2)
    keeper = home("keeper-key", "home:")
    assert keeper.out.startswith(b"tallac-keeper-2:")
    assert "read nothing" in keeper.err


def test_check(home: Tallac, source: Path) -> None:
    """A healthy target is said to be one; JSON tells the same."""
    home("-q", "backup", source, "home:docs")
    assert b"no damage found" in home("check", "home:").out
    summary = json.loads(home("check", "--json", "--read-data", "home:docs").lines[-1])
    assert (summary["healthy"], summary["findings"]) == (True, 0)
    assert home("-q", "check", "home:").out == b""


def test_restore(home: Tallac, source: Path, tmp_path: Path) -> None:
    """A restore says what it brought back, in words or as JSON."""
    home("-q", "backup", source, "home:docs")
    assert b"restored  3 files, 4 directories, 4.01 kB" in home("restore", "home:docs/Latest", tmp_path / "out").out
    summary = json.loads(home("restore", "--json", "home:docs/Latest/parent", tmp_path / "parent").lines[-1])
    assert (summary["files"], summary["complete"]) == (3, True)
    home("restore", "home:docs/Latest/parent/blah.txt", f"{tmp_path}/file/")
    assert (tmp_path / "file" / "blah.txt").read_text() == "blah"
