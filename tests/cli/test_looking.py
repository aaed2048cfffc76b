from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

TARGET = "tallac:docs"
ODD = b"\x1b[31mred\n\xff"


@pytest.fixture
def docs(tallac: Tallac, source: Path) -> Tallac:
    """Give a command with a target of four snapshots."""
    changing = source / "parent" / "changing"
    os.utime(source / "parent" / "blah.txt", (0, 1_000_000_000))
    for content in (b"one", None, b"three", b"one"):
        changing.unlink(missing_ok=True)
        if content is not None:
            changing.write_bytes(content)
            os.utime(changing, (0, 1_000_000_000))
        tallac("-q", "backup", source, TARGET)
    return tallac


def names(docs: Tallac) -> list[str]:
    """List the snapshots."""
    return [line.decode() for line in docs("ls", f"{TARGET}/Archives").lines]


def records(docs: Tallac, *arguments: str | bytes) -> list[dict[str, object]]:
    """Run with --json."""
    return [json.loads(line) for line in docs(*arguments, "--json").lines]


def found(docs: Tallac, *arguments: str) -> dict[object, list[list[int]]]:
    """Find with --json; give for each path the snapshots of its versions, as numbers."""
    numbers = {name: number for number, name in enumerate(names(docs))}
    paths: dict[object, list[list[int]]] = {}
    for record in records(docs, "find", *arguments)[:-1]:
        snapshots = record["snapshots"]
        assert isinstance(snapshots, list)
        paths.setdefault(record["path"], []).append([numbers[one["snapshot"]] for one in snapshots])
    return paths


@pytest.mark.slow
def test_find(docs: Tallac) -> None:
    """Each path that is found has its versions below it, each with the snapshots that have it."""
    first, _, third, fourth = names(docs)
    result = docs("find", TARGET, "chang*")
    assert result.lines[0] == b"parent/changing"
    assert [line.split()[1:3] + line.split()[5:] for line in result.lines[1:]] == [
        [b"3", b"B", f"{first},".encode(), fourth.encode()],
        [b"5", b"B", third.encode()],
    ]
    assert result.err == "1 path, 2 versions in 4 snapshots\n"
    assert found(docs, TARGET, "*.TXT", "--ignore-case", "--type", "f", "--size", "-4") == {
        "parent/blah.txt": [[0, 1, 2, 3]],
        "parent/subdir/foo.txt": [[0, 1, 2, 3]],
    }
    assert found(docs, TARGET, "*", "--older", "2001-09-10") == {
        "parent/blah.txt": [[0, 1, 2, 3]],
        "parent/changing": [[0, 3], [2]],
    }
    assert found(docs, TARGET, "/parent/*", "--newer", "2 days ago", "--type", "d,l") == {"parent/subdir": [[0, 1, 2, 3]]}
    assert found(docs, TARGET, "nothing") == {}


@pytest.mark.slow
def test_find_in_some_snapshots(docs: Tallac) -> None:
    """Options and the place itself say which snapshots are searched, and what in them."""
    first = names(docs)[0]
    assert found(docs, TARGET, "changing", "--latest", "2") == {"parent/changing": [[2], [3]]}
    assert found(docs, TARGET, "changing", "--snapshot", first) == {"parent/changing": [[0]]}
    assert found(docs, f"{TARGET}/Latest", "changing") == {"parent/changing": [[3]]}
    assert found(docs, f"{TARGET}/Archives/{first}/parent", "changing") == {"parent/changing": [[0]]}
    assert found(docs, f"{TARGET}/parent/subdir", "*.txt", "changing", "--host", "nobody") == {}
    assert list(found(docs, f"{TARGET}/parent/subdir", "*.txt", "changing")) == ["parent/subdir/bar.txt", "parent/subdir/foo.txt"]
    docs("ln", f"{TARGET}/Latest", "tallac:other")
    assert "no snapshots found" in docs.fails("find", "tallac:other", "x")
    assert "no snapshot 2001" in docs.fails("find", TARGET, "x", "--snapshot", "2001")


@pytest.mark.parametrize(
    "arguments", [["x", "--size", "ten"], ["x", "--newer", "soon"], ["x", "--type", "q"], [TARGET, ""], ["x", "--latest", "0"]]
)
def test_what_find_does_not_understand(tallac: Tallac, arguments: list[str]) -> None:
    """What makes no sense is wrong usage."""
    tallac.fails("find", *arguments, status=2)


@pytest.mark.slow
def test_history(docs: Tallac, tmp_path: Path) -> None:
    """Stretches of snapshots say what happened, and the command below each brings that version back."""
    first, second, third, fourth = names(docs)
    lines = [line.decode() for line in docs("history", f"{TARGET}/parent/changing").lines]
    assert [line.split("  ")[0] for line in lines[0::2][:1]] == [first]
    assert [line.split()[:2] for line in lines if not line.startswith(" ")] == [
        [first, "appeared"],
        [second, "absent"],
        [third, "appeared"],
        [fourth, "as"],
    ]
    commands = [line.split()[1:] for line in lines if line.startswith(" ")]
    contents = []
    for words in commands:
        docs(*words[:-1], tmp_path / "out", "--force")
        contents.append((tmp_path / "out").read_bytes())
    assert contents == [b"one", b"three", b"one"]
    assert docs("history", f"{TARGET}/Latest/parent/changing").lines == docs("history", f"{TARGET}/parent/changing").lines
    # Not "today": a midnight may have passed since.
    shown = records(docs, "history", f"{TARGET}/parent/changing", "--since", "yesterday")
    assert [record["turn"] for record in shown] == ["appeared", "absent", "appeared", "as before"]
    assert shown[2]["place"] == f"{TARGET}/Archives/{third}/parent/changing"
    assert (shown[2]["size"], shown[2]["snapshots"]) == (5, [{"snapshot": third}])
    assert "none of 4 snapshots contains this" in docs.fails("history", f"{TARGET}/parent/nothing")
    assert "restore" in docs("history", f"{TARGET}/parent/subdir").out.decode()


@pytest.mark.slow
def test_names_that_do_things(docs: Tallac, source: Path) -> None:
    """A name with control characters is data: written as it is where it stands by itself, and quoted in a command."""
    (source / os.fsdecode(ODD)).write_bytes(b"x")
    docs("-q", "backup", source, TARGET)
    assert docs("find", TARGET, b"*red*").out.startswith(ODD + b"\n  -")
    shown = docs("history", TARGET.encode() + b"/" + ODD).out
    assert b"\x1b" not in shown
    assert rb"$'tallac:docs/" in shown
    assert rb"\x1b[31mred\x0a\xff'" in shown


@pytest.mark.slow
def test_snapshots(docs: Tallac, source: Path, tmp_path: Path) -> None:
    """Filters say which snapshots are listed; tags, holds and notes are shown."""
    (tmp_path / "other").mkdir()
    docs("-q", "backup", tmp_path / "other", TARGET)
    every = names(docs)
    assert b"tags" not in docs("snapshots", TARGET).lines[0]
    docs("tag", TARGET, every[1], "--add", "taxes,2026", "--note", "as sent")
    docs("hold", TARGET, every[1], "--reason", "why")
    lines = docs("snapshots", TARGET).lines
    assert b"  tags" in lines[0]
    assert lines[2].endswith(b"  taxes, 2026  held: why; note: as sent")

    def listed(*options: str | Path) -> list[int]:
        shown = [json.loads(line)["snapshot"] for line in docs("snapshots", TARGET, "--json", *options).lines]
        return [every.index(name) for name in shown]

    assert listed("--tag", "taxes") == listed("--tag", "nothing", "--tag", "2026,taxes") == [1]
    assert listed("--source", tmp_path / "other") == [4]
    assert listed("--source", source, "--latest", "2") == [2, 3]
    assert listed("--host", "nobody") == []
    assert listed("--since", every[2].replace("_", " ")) == [2, 3, 4]
    assert listed("--until", every[1]) == [0, 1]
    assert listed("--until", "2 days ago") == []
    grouped = docs("snapshots", TARGET, "--group-by", "source,tags").lines
    assert [line for line in grouped if line.endswith(b":")] == [
        b"%b; no tags:" % bytes(source),
        b"%b; 2026, taxes:" % bytes(source),
        b"%b; no tags:" % bytes(tmp_path / "other"),
    ]
    [record] = records(docs, "snapshots", TARGET, "--tag", "taxes")
    assert (record["held"], record["note"], record["tags"]) == ("why", "as sent", ["taxes", "2026"])
    docs.fails("snapshots", TARGET, "--since", "soon", status=2)


def test_sorted_listings(docs: Tallac) -> None:
    """A listing is sorted by name, size or time, each directory by itself, and turned round."""
    assert docs("ls", "--sort", "size", f"{TARGET}/Latest/parent/subdir").lines == [b"bar.txt", b"foo.txt"]
    assert docs("ls", "--sort", "size", "-r", f"{TARGET}/Latest/parent/subdir").lines == [b"foo.txt", b"bar.txt"]
    assert docs("ls", "-R", "--reverse", f"{TARGET}/Latest").lines == [
        b"parent",
        b"parent/subdir",
        b"parent/subdir/foo.txt",
        b"parent/subdir/bar.txt",
        b"parent/changing",
        b"parent/blah.txt",
        b"empty",
    ]
    assert docs("ls", "--sort", "time", f"{TARGET}/Latest/parent").lines == [b"subdir", b"blah.txt", b"changing"]
    [line] = docs("ls", "-l", "--bytes", f"{TARGET}/Latest/parent/subdir/bar.txt").lines
    assert line.split()[1] == b"4000"
    docs("ls", "--sort", "colour", status=2)


@pytest.mark.slow
def test_du(docs: Tallac, source: Path) -> None:
    """Sizes are those of the files; directories come after what is in them, as in du."""
    sizes = {b"empty": 0, b"parent/subdir": 4003, b"parent": 4010, b".": 4010}
    assert docs("du", "--bytes", f"{TARGET}/Latest").lines == [b"%d\t%b" % (size, path) for path, size in sizes.items()]
    for human in ((), ("--human",)):
        assert docs("du", "--max-depth", "0", *human, f"{TARGET}/Latest").lines == [b" 4.01 kB  ."]
    [record] = records(docs, "du", "--max-depth", "0", f"{TARGET}/Latest")
    assert record == {"path": "", "bytes": 4010, "files": 4, "directories": 4, "complete": True}
    docs("du", "--max-depth", "-1", status=2)


@pytest.mark.slow
def test_stats(docs: Tallac, source: Path) -> None:
    """What stats says that a snapshot alone takes is what prune frees when it is forgotten."""
    (source / "parent" / "large").write_bytes(os.urandom(1_500_000))
    docs("-q", "backup", source, TARGET)
    (source / "parent" / "large").unlink()
    docs("-q", "backup", source, TARGET)
    lines = docs("stats", TARGET).lines
    assert len([line for line in lines if line.startswith(b"20")]) == 6
    assert lines[-6].startswith(b"restore size")
    *snapshots, summary = records(docs, "stats", TARGET)
    large = snapshots[4]
    assert large["snapshot"] == names(docs)[4]
    assert large["bytes"] == 4010 + 1_500_000
    freed = large["freed"]
    assert isinstance(freed, int)
    # Sizes of stored objects are rounded up, by a 32nd at most.
    assert 1_500_000 < freed < 1_550_000
    assert summary["restore_size"] == 6 * 4007 + (3 + 0 + 5 + 3 + 3 + 3) + 1_500_000
    assert summary["unique"] == 4000 + 3 + 4 + 3 + 5 + 1_500_000
    docs("forget", f"{TARGET}/Archives/{names(docs)[4]}")
    pruned = records(docs, "prune", "tallac:", "--max-unused", "0", "--dry-run")[-1]
    assert pruned["dead_bytes"] == freed


def test_damage(tallac: Tallac, source: Path) -> None:
    """What is lost of one snapshot is named with it; the others answer, nothing is called absent, and the exit status is 1."""
    tallac("-q", "backup", source, TARGET)
    before = set((tallac.vault / "packs").rglob("*"))
    (source / "parent" / "new").write_bytes(b"x" * 100)
    tallac("-q", "backup", source, TARGET)
    for pack in set((tallac.vault / "packs").rglob("*")) - before:
        if pack.is_file():
            pack.chmod(0o600)
            os.truncate(pack, 10)
    first, second = names(tallac)
    result = tallac("find", TARGET, "bar.txt", status=1)
    assert result.lines[0] == b"parent/subdir/bar.txt"
    assert result.lines[1].endswith(first.encode())
    assert result.error_lines[0].startswith(f"tallac: {second}: all of it: can't be read")
    result = tallac("diff", f"{TARGET}/Archives/{first}", f"{TARGET}/Archives/{second}", status=1)
    assert result.out.startswith(b"not compared  1")
    result = tallac("history", f"{TARGET}/parent/blah.txt", status=1)
    assert [line.split()[1] for line in result.lines if not line.startswith(b" ")] == [b"appeared", b"can't"]
    assert second in result.err
    assert second in tallac("stats", TARGET, status=1).err
    tallac("du", f"{TARGET}/Archives/{second}", status=1)
