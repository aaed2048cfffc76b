from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.ticks import settle

if TYPE_CHECKING:
    from tests.command import Result, Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow

CACHE_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"


def listed(tallac: Tallac, place: str) -> list[str]:
    """List all that is below a place."""
    return [os.fsdecode(line) for line in tallac("ls", "-R", place).lines]


def rows(result: Result) -> dict[str, str]:
    """Read the summary that a person gets."""
    return dict(line.split("  ", 1) for line in result.out.decode().splitlines())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a folder with much that one might leave out."""
    folder = tmp_path / "tree"
    for name in (".git", "cache", "marked", "src"):
        (folder / name).mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref")
    (folder / "cache" / "CACHEDIR.TAG").write_text(CACHE_TAG)
    (folder / "cache" / "cached").write_text("cached")
    (folder / "marked" / ".nobackup").write_text("please\n")
    (folder / "marked" / "secret").write_text("secret")
    (folder / "src" / "main.c").write_text("main")
    (folder / "src" / "Main.O").write_text("object")
    (folder / "large").write_bytes(bytes(2_000))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--exclude", "*.c", "--exclude", "/src/M*"], {"src/main.c", "src/Main.O"}),
        (["--exclude", "main.o"], set()),
        (["--iexclude", "main.o"], {"src/Main.O"}),
        (["--exclude-vcs"], {".git", ".git/HEAD"}),
        (["--exclude-caches"], {"cache/cached"}),
        (["--exclude-if-present", ".nobackup"], {"marked/secret"}),
        (["--exclude-if-present", ".nobackup:please"], {"marked/secret"}),
        (["--exclude-if-present", ".nobackup:no"], set()),
        (["--exclude-larger-than", "1.9k"], {"large"}),
        (["--exclude-larger-than", "2kB"], set()),
        (["-x"], set()),
        (["--exclude", "*", "--exclude", "!src"], {"*"}),
    ],
)
def test_what_is_left_out(tallac: Tallac, tree: Path, options: list[str], gone: set[str]) -> None:
    """Each option leaves out what it says, and nothing else."""
    tallac("-q", "backup", tree)
    everything = set(listed(tallac, "Latest"))
    tallac("-q", "backup", tree, *options)
    kept = set(listed(tallac, "Latest"))
    assert kept == ({"src"} if gone == {"*"} else everything - gone)


def test_files_of_patterns(tallac: Tallac, tree: Path, tmp_path: Path) -> None:
    """Patterns come from files and from standard input; the command line has the last word."""
    (tmp_path / "patterns").write_text("# mine\n*.c\n\nlarge\n")
    tallac(
        "-q",
        "backup",
        tree,
        "--exclude-from",
        tmp_path / "patterns",
        "--exclude-from",
        "-",
        "--exclude",
        "!large",
        stdin=b"cache\n",
    )
    kept = listed(tallac, "Latest")
    assert "large" in kept
    assert not {"cache", "src/main.c"} & set(kept)


def test_ignore_files(tallac: Tallac, tree: Path) -> None:
    """A folder's own file says what is not to be kept; what is left out is counted, and named with -v."""
    (tree / "src" / ".tallacignore").write_text("*.O\n")
    result = tallac("-v", "backup", tree)
    assert f"excluded   {tree / 'src' / 'Main.O'}".encode() in result.lines
    assert rows(result)["excluded"].strip() == "1 path"
    assert "src/Main.O" not in listed(tallac, "Latest")
    assert tallac("--json", "backup", tree).summary("excluded") == 1
    tallac("-q", "backup", tree, "--no-ignore-files")
    assert "src/Main.O" in listed(tallac, "Latest")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--exclude", "!"], "says nothing after its `!`"),
        (["--exclude", ""], "matches nothing"),
        (["--iexclude", "[z-a"], "bracket that is not closed"),
        (["--exclude-from", "/nowhere"], "/nowhere: can't read it"),
        (["--exclude-from", "-"], "-, line 2: '!' says nothing"),
        (["--exclude-if-present", ":header"], "give a file's name"),
        (["--time", "2999-01-01"], "in the future"),
        (["--time", "soon"], "is not a time"),
        (["--tag", ""], "tag"),
        (["--stdin-name", "a/b"], "can't be a file's name"),
        (["--files-from", "/nowhere"], "/nowhere: can't read it"),
    ],
)
def test_what_makes_no_sense(tallac: Tallac, source: Path, options: list[str], said: str) -> None:
    """An option that can't be meant is refused in one line, and nothing is made."""
    paths = [] if "--stdin-name" in options else [source]
    assert said in tallac.fails("backup", *paths, *options, status=2, stdin=b"fine\n!\n")
    assert not tallac.home.exists()


def test_several_sources(tallac: Tallac, source: Path, tree: Path) -> None:
    """Several sources, files among them, lie under their absolute paths, and come back from there."""
    settle(tree)
    tallac("-q", "backup", source, tree / "large", "tallac:all")
    kept = listed(tallac, f"all/Latest{source.parent}")
    assert kept == ["source", *(f"source/{path.relative_to(source)}" for path in sorted(source.rglob("*"))), "tree", "tree/large"]
    [snapshot] = [json.loads(line) for line in tallac("--json", "snapshots", "tallac:all").lines]
    assert [place["path"] for place in snapshot["sources"]] == [str(source), str(tree / "large")]
    again = tallac("--json", "backup", source, tree / "large", "tallac:all")
    assert (again.summary("files_unchanged"), again.summary("files_gone"), again.summary("bytes_read")) == (4, 0, 0)
    assert "source or the target" in tallac.fails("backup", source, tree, status=2)
    assert "nothing to back up" in tallac.fails("backup", status=2)


def test_relative_sources(tallac: Tallac, source: Path, tree: Path, tmp_path: Path) -> None:
    """Sources lie under their paths from a folder of the user's choice; patterns begin there as well."""
    paths = [source / "parent" / "blah.txt", tree / "src"]
    tallac("-q", "backup", "--relative-to", tmp_path, "--exclude", "/tree/src/*.c", *paths, "tallac:a")
    assert listed(tallac, "a/Latest") == [
        "source",
        "source/parent",
        "source/parent/blah.txt",
        "tree",
        "tree/src",
        "tree/src/Main.O",
    ]
    tallac("-q", "backup", "--relative-to", source, source / "empty", "tallac:b")
    assert listed(tallac, "b/Latest") == ["empty"]
    tallac("-q", "backup", "--relative-to", source, source, "tallac:c")
    assert listed(tallac, "c/Latest")[0] == "empty"
    assert "not below" in tallac.fails("backup", "--relative-to", source, tree, "tallac:a", status=2)


def test_a_source_under_a_link(tallac: Tallac, source: Path, tree: Path, tmp_path: Path) -> None:
    """Links on the way to a source are followed; one that a list names is kept as itself."""
    (tmp_path / "link").symlink_to(source)
    tallac("-q", "backup", tmp_path / "link" / "parent", tree, "tallac:a")
    assert "parent/blah.txt" in listed(tallac, f"a/Latest{source}")
    tallac("-q", "backup", "--files-from", "-", "tallac:b", stdin=os.fsencode(tmp_path / "link"))
    assert listed(tallac, f"b/Latest{tmp_path}") == ["link"]


def test_lists(tallac: Tallac, source: Path) -> None:
    """Lists name what is backed up; what is missing is named, and the snapshot is incomplete."""
    odd = source / "line\nbreak"
    odd.write_text("odd")
    names = b"\0".join(os.fsencode(path) for path in (odd, source / "parent", source / "missing"))
    result = tallac("backup", "--files-from0", "-", "tallac:", stdin=names, status=3)
    assert f"tallac: {source / 'missing'}: No such file or directory; left out" in result.error_lines
    assert tallac("ls", "-0", f"Latest{source}").out == b"line\nbreak\0parent\0"
    assert "no path in the lists exists" in tallac.fails("backup", "--files-from", "-", stdin=b"/nowhere\n")


def test_standard_input(tallac: Tallac) -> None:
    """Standard input becomes a file, however long it is; an unchanged one need not become a snapshot."""
    content = bytes(range(256)) * 30_000
    tallac("-q", "backup", "tallac:db", "--stdin-name", "dump.sql", stdin=content)
    assert tallac("get", "db/Latest/dump.sql").out == content
    assert tallac("snapshots", "tallac:db").lines[1].split()[2] == b"stdin:dump.sql"
    tallac("-q", "backup", "tallac:db", "--stdin-name", "dump.sql", "--skip-if-unchanged", stdin=content)
    assert len(tallac("snapshots", "tallac:db").lines) == 2
    tallac("-q", "backup", "tallac:db", "--stdin-name", "dump.sql", "--skip-if-unchanged", stdin=b"another")
    assert len(tallac("snapshots", "tallac:db").lines) == 3


def test_a_command(tallac: Tallac) -> None:
    """What a command writes becomes a file, under the default target as well."""
    tallac("-q", "backup", "--stdin-from-command", "--", "echo", "-n", "hello")
    assert tallac("get", "Latest/stdin").out == b"hello"
    tallac("-q", "backup", "tallac:a", "--stdin-from-command", "--stdin-name", "x", "--", "sh", "-c", "echo $1 --", "--", "--")
    assert tallac("get", "a/Latest/x").out == b"-- --\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["sh", "-c", "echo part; exit 4", "secret"], "sh: it ended with exit status 4"),
        (["sh", "-c", "echo part; kill -9 $$", "secret"], "sh: it was ended by signal 9"),
        (["/nowhere/dump", "secret"], "/nowhere/dump: can't be run"),
    ],
)
def test_a_command_that_fails(tallac: Tallac, command: list[str], said: str) -> None:
    """A command that fails enters nothing, and its arguments are not told."""
    tallac("-q", "create-alias", "tallac")
    message = tallac.fails("backup", "--stdin-from-command", "--stdin-name", "dump", "--", *command)
    assert said in message
    assert "secret" not in message
    assert "Latest" not in listed(tallac, "tallac:")
    assert tallac("check", "tallac:").status == 0


def test_a_command_is_needed(tallac: Tallac, source: Path) -> None:
    """A stream is backed up by itself."""
    assert "no command given" in tallac.fails("backup", "tallac:", "--stdin-from-command", status=2)
    assert "alone" in tallac.fails("backup", source, "tallac:", "--stdin-name", "x", status=2)
    assert "alone" in tallac.fails("backup", "--stdin-name", "x", "--dry-run", status=2)


def test_a_dry_run_makes_nothing(tallac: Tallac, source: Path) -> None:
    """What would be stored is shown, also where there is no vault yet; nothing is made."""
    result = tallac("-v", "backup", "-n", source)
    assert rows(result)["files"].strip() == "3 new, 0 changed, 0 unchanged"
    assert f"new        {source / 'parent' / 'blah.txt'}".encode() in result.lines
    assert not tallac.home.exists()
    tallac("-q", "backup", source, "tallac:docs")
    (source / "parent" / "blah.txt").write_text("changed")
    (source / "empty").rmdir()
    before = sorted(tallac.vault.rglob("*"))
    summary = json.loads(tallac("--json", "backup", "--dry-run", source, "tallac:docs").out)
    assert (summary["files_changed"], summary["directories_gone"], summary["bytes_to_read"]) == (1, 1, 7)
    tallac("-q", "backup", "--dry-run", source, "tallac:elsewhere")
    assert sorted(tallac.vault.rglob("*")) == before
    assert listed(tallac, "tallac:docs/Archives") == listed(tallac, "tallac:docs/Archives")
    assert len(tallac("snapshots", "tallac:docs").lines) == 2


def test_facts(tallac: Tallac, source: Path) -> None:
    """Tags, host and time are what the user says."""
    tallac("-q", "backup", source, "--tag", "a,b", "--tag", "b,c", "--host", "attic", "--time", "2020-02-03 04:05:06Z")
    snapshot = json.loads(tallac("--json", "snapshots").out)
    assert (snapshot["snapshot"], snapshot["host"], snapshot["tags"]) == ("2020-02-03_04:05:06Z", "attic", ["a", "b", "c"])


def test_unchanged_is_skipped(tallac: Tallac, source: Path) -> None:
    """No snapshot is made where nothing has changed, and that is said."""
    tallac("-q", "backup", source)
    result = tallac("backup", source, "--skip-if-unchanged")
    assert rows(result)["snapshot"].strip() == "none: nothing changed since tallac:Latest"
    assert json.loads(tallac("--json", "backup", source, "--skip-if-unchanged").lines[-1])["snapshot"] is None
    assert len(tallac("snapshots").lines) == 2
    (source / "parent" / "blah.txt").write_text("changed")
    tallac("-q", "backup", source, "--skip-if-unchanged")
    assert len(tallac("snapshots").lines) == 3


def test_all_is_read_where_timestamps_are_ignored(tallac: Tallac, source: Path) -> None:
    """With --ignore-timestamps every file is read again."""
    settle(source)
    tallac("-q", "backup", source)
    assert tallac("--json", "backup", source).summary("bytes_read") == 0
    again = tallac("--json", "backup", source, "--ignore-timestamps")
    assert (again.summary("bytes_read"), again.summary("files_unchanged")) == (4007, 3)


def test_gone(tallac: Tallac, source: Path) -> None:
    """The summary counts what the last snapshot has and this one has not."""
    tallac("-q", "backup", source)
    (source / "parent" / "subdir" / "foo.txt").unlink()
    (source / "empty").rmdir()
    result = rows(tallac("backup", source))
    assert result["files"].strip() == "0 new, 0 changed, 2 unchanged, 1 removed"
    assert result["directories"].endswith("1 removed")


def test_backup_restore_and_rewrite_choose_alike(tallac: Tallac, tmp_path: Path) -> None:
    """A file that a later pattern brings back is kept by all three, also below a folder that is only brought back itself."""
    folder = tmp_path / "logs"
    (folder / "x").mkdir(parents=True)
    for name in ("f.txt", "x/g.log", "x/h.txt"):
        (folder / name).write_text(name)
    options = ("--exclude", "*", "--exclude", "!*/", "--exclude", "!*.log")
    tallac("backup", folder, "tallac:logs", *options)
    assert listed(tallac, "tallac:logs/Latest") == ["x", "x/g.log"]
    tallac("backup", folder, "tallac:all")
    tallac("restore", "tallac:all/Latest", tmp_path / "out", *options)
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")) == ["x", "x/g.log"]
    tallac("rewrite", "tallac:all", *options)
    assert listed(tallac, "tallac:all/Latest") == ["x", "x/g.log"]
