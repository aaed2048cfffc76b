from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

TARGET = "ALIAS:docs"


@pytest.fixture
def docs(tallac: Tallac, source: Path) -> Tallac:
    """Give a command with a target of three snapshots, each with another content."""
    tallac("-q", "create-alias", "ALIAS")
    for number in range(3):
        (source / "changing").write_text(f"content {number}" * 20)
        tallac("-q", "backup", source, TARGET)
    return tallac


def names(docs: Tallac) -> list[str]:
    """List the snapshots."""
    return [line.decode() for line in docs("ls", f"{TARGET}/Archives").lines]


def records(docs: Tallac, *arguments: str, status: int = 0) -> list[dict[str, object]]:
    """Run with --json; how far a slow machine is says nothing here."""
    found = [json.loads(line) for line in docs(*arguments, "--json", status=status).lines]
    return [record for record in found if record.get("type") != "progress"]


def test_rules(docs: Tallac) -> None:
    """A table says what each rule keeps; a dry run changes nothing, the real one does, and `Latest` leads to the newest."""
    before = names(docs)
    shown = docs("forget", TARGET, "--keep-last", "1", "--keep-yearly", "1", "-n").lines
    assert [line.split() for line in shown[1:4]] == [
        [before[2].encode(), b"keep", b"last,", b"yearly"],
        [before[1].encode(), b"forget"],
        [before[0].encode(), b"forget"],
    ]
    assert shown[-1].split() == [b"would", b"be", b"forgotten", b"2"]
    assert names(docs) == before
    *decisions, summary = records(docs, "forget", TARGET, "--keep-last", "1")
    assert [(found["snapshot"], found["kept"], found["reasons"]) for found in decisions] == [
        (before[2], True, ["last"]),
        (before[1], False, []),
        (before[0], False, []),
    ]
    assert summary == {"type": "summary", "kept": 1, "forgotten": 2, "dry_run": False}
    assert names(docs) == before[2:]
    assert docs("ls", TARGET).lines == [b"Archives", b"Latest"]
    docs("check", "--read-data", "ALIAS:")


@pytest.mark.slow
def test_the_newest_by_name_and_back(docs: Tallac) -> None:
    """`Latest` follows when the newest is forgotten, and when it comes back."""
    before = names(docs)
    newest = docs("get", f"{TARGET}/Latest/changing").out
    docs("forget", f"{TARGET}/Archives/{before[2]}")
    assert docs("get", f"{TARGET}/Latest/changing").out == b"content 1" * 20
    assert before[2] in docs("forget", "--undo", TARGET).out.decode()
    assert docs("get", f"{TARGET}/Latest/changing").out == newest
    assert names(docs) == before
    docs("forget", *(f"{TARGET}/Archives/{name}" for name in before[:2]))
    assert records(docs, "forget", "--undo", f"{TARGET}/Archives/{before[0]}")[0]["type"] == "back"
    assert names(docs) == [before[0], before[2]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "rules",
    [
        [],
        ["--keep-last", "0"],
        ["--keep-last", "-1"],
        ["--keep-daily", "seven"],
        ["--keep-within", "14"],
        ["--keep-within-weekly", "1x"],
        ["--keep-tag", "a,,b"],
        ["--keep-last", "1", "--keep-daily", "x"],
        ["--keep-last", "1", "--group-by", "user"],
        ["--undo", "--keep-last", "1"],
    ],
)
def test_what_is_no_rule(docs: Tallac, rules: list[str]) -> None:
    """A rule that makes no sense, or none, is wrong usage, and nothing is forgotten."""
    assert docs.fails("forget", TARGET, *rules, status=2)
    assert len(names(docs)) == 3


@pytest.mark.slow
def test_the_last_one(docs: Tallac) -> None:
    """The last snapshot of a group goes only with --allow-empty."""
    docs("forget", TARGET, "--keep-tag", "none")
    [last] = names(docs)
    assert "--allow-empty" in docs.fails("forget", f"{TARGET}/Archives/{last}")
    docs("forget", TARGET, "--keep-tag", "none", "--allow-empty")
    assert docs("ls", TARGET).lines == [b"Archives"]
    docs("forget", "--undo", TARGET)
    assert names(docs) == [last]
    assert docs("get", f"{TARGET}/Latest/changing").out == b"content 2" * 20


@pytest.mark.slow
def test_marks(docs: Tallac, source: Path) -> None:
    """What is held or tagged stays; the next backup leaves the marks alone."""
    before = names(docs)
    assert b"held: why" in docs("hold", TARGET, before[0], "--reason", "why").out
    assert records(docs, "tag", TARGET, "Latest", "--add", "a,b", "--note", "n") == [
        {"tags": ["a", "b"], "dry_run": False, "held": None, "note": "n", "snapshot": before[2]}
    ]
    docs("-q", "backup", source, TARGET)
    assert "held" in docs.fails("forget", f"{TARGET}/Archives/{before[0]}")
    docs("forget", TARGET, "--keep-tag", "a,b", "--keep-last", "1")
    assert names(docs)[:2] == [before[0], before[2]]
    docs("tag", TARGET, before[2], "--set", "")
    docs("release", TARGET, before[0])
    docs("forget", TARGET, "--keep-tag", "a", "--keep-last", "1")
    assert len(names(docs)) == 1
    assert "use one or the other" in docs.fails("tag", TARGET, "Latest", "--set", "a", "--add", "b", status=2)
    assert "nothing to change" in docs.fails("tag", TARGET, "Latest", status=2)
    assert "no snapshot" in docs.fails("hold", TARGET, "nothing")


@pytest.mark.slow
def test_rewrite(docs: Tallac, tmp_path: Path) -> None:
    """A path is gone from all snapshots, everything else is as it was, and the vault is whole."""
    before = names(docs)
    assert b"removed" in docs("rewrite", TARGET, "--exclude", "/parent/subdir/foo.txt", "--dry-run").out
    assert docs("get", f"{TARGET}/Latest/parent/subdir/foo.txt").out == b"foo"
    docs("rewrite", TARGET, "--exclude", "*.txt", "--exclude", "!blah.txt", "--snapshot", before[0])
    assert docs("ls", "-R", f"{TARGET}/Archives/{before[0]}/parent").lines == [b"blah.txt", b"subdir"]
    *changed, _ = records(docs, "rewrite", TARGET, "--exclude", "/parent/subdir/foo.txt")
    assert [(found["snapshot"], found["files"]) for found in changed] == [(name, 1) for name in before[1:]]
    assert names(docs) == before
    docs("restore", f"{TARGET}/Latest", tmp_path / "out")
    assert not (tmp_path / "out" / "parent" / "subdir" / "foo.txt").exists()
    assert (tmp_path / "out" / "parent" / "subdir" / "bar.txt").read_text() == "bar\n" * 1000
    docs("check", "--read-data", "ALIAS:")
    assert "matches nothing" in docs.fails("rewrite", TARGET, "--exclude", "# comment", status=2)


@pytest.mark.slow
def test_names_that_are_no_snapshots(docs: Tallac, source: Path) -> None:
    """What is in `Archives/` and is no snapshot is named once by backup, snapshots and forget, not with -q, and left alone."""
    docs("put", source / "parent" / "blah.txt", f"{TARGET}/Archives/notes.txt")
    docs("mkdir", f"{TARGET}/Archives/old things")
    (source / "changing").write_text("changed again")
    for line in (("backup", source, TARGET), ("snapshots", TARGET), ("forget", TARGET, "--keep-last", "1")):
        told = [line for line in docs(*line).error_lines if "not a snapshot's name" in line]
        assert [each.partition(":")[0] for each in told] == ["Archives/notes.txt", "Archives/old things"], told
        assert all("ignored" in each for each in told)
    assert docs("-q", "snapshots", TARGET).err == ""
    assert len(names(docs)) == 3
    assert docs("get", f"{TARGET}/Archives/notes.txt", "-").out == b"blah"


def packs(docs: Tallac) -> set[str]:
    """Name the packs of the default vault."""
    return {path.name for path in (docs.vault / "packs").rglob("*") if path.is_file()}


def test_prune_at_once(docs: Tallac) -> None:
    """With --prune the space is reclaimed at once, and that is reported after what was forgotten; an undo finds nothing then."""
    before = packs(docs)
    *_, summary, pruned = records(docs, "forget", TARGET, "--keep-last", "1", "--prune", "--max-unused", "0")
    assert (summary["type"], summary["forgotten"]) == ("summary", 2)
    assert (pruned["type"], pruned["dry_run"]) == ("prune", False)
    assert pruned["dead_objects"]
    assert before - packs(docs)
    assert len(names(docs)) == 1
    docs("forget", "--undo", TARGET, status=1)
    docs("check", "--read-data", "ALIAS:")


def test_prune_what_was_forgotten_before(docs: Tallac) -> None:
    """Nothing need be forgotten this time: a command that was stopped between its two halves is simply given again."""
    docs("forget", TARGET, "--keep-last", "1")
    shown = docs("forget", TARGET, "--keep-last", "1", "--prune", "--max-unused", "0").out
    assert b"forgotten  0\n" in shown
    assert b"\nfreed " in shown


def test_prune_by_name(docs: Tallac) -> None:
    """Single snapshots that are named are forgotten and pruned as well."""
    first, *others = names(docs)
    shown = docs("forget", f"{TARGET}/Archives/{first}", "--prune").lines
    assert shown[0] == f"forgotten  {first}".encode()
    assert shown[1].startswith(b"in use ")
    assert names(docs) == others


def test_prune_in_a_dry_run(docs: Tallac) -> None:
    """A dry run forgets and prunes nothing, and tells what both would come to, also for snapshots that are named."""
    before = packs(docs)
    unpruned = records(docs, "prune", "--dry-run", "--max-unused", "0")[-1]
    oldest = f"{TARGET}/Archives/{names(docs)[0]}"
    named = records(docs, "forget", oldest, "--prune", "--max-unused", "0", "--dry-run")[-1]
    foreseen = records(docs, "forget", TARGET, "--keep-last", "1", "--prune", "--max-unused", "0", "--dry-run")[-1]
    assert (foreseen["type"], foreseen["dry_run"]) == ("prune", True)
    counts = [int(str(found["dead_objects"])) for found in (unpruned, named, foreseen)]
    assert counts == sorted(set(counts))
    assert packs(docs) == before
    assert len(names(docs)) == 3
    shown = docs("forget", TARGET, "--keep-last", "1", "--prune", "--max-unused", "0", "--dry-run").out
    assert b"\nwould be freed " in shown
    done = records(docs, "forget", TARGET, "--keep-last", "1", "--prune", "--max-unused", "0")[-1]
    same = ("alive_objects", "dead_objects", "dead_bytes", "deleted_packs", "deleted_bytes", "repacked_packs")
    assert {key: done[key] for key in same} == {key: foreseen[key] for key in same}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--undo", "--prune"), "--undo takes no --prune"),
        (("--keep-last", "1", "--max-unused", "5%"), "add --prune"),
        (("--keep-last", "1", "--prune", "--max-unused", "101"), "give a percentage from 0 to 100"),
    ],
)
def test_prune_options_that_make_no_sense(docs: Tallac, options: tuple[str, ...], message: str) -> None:
    """Contradictions are refused before anything is forgotten."""
    assert message in docs.fails("forget", TARGET, *options, status=2)
    assert len(names(docs)) == 3


@pytest.mark.slow
def test_undo_after_a_prune(docs: Tallac) -> None:
    """What a prune has deleted is lost: one line says so however many snapshots it is, and no damage is reported."""
    before = names(docs)
    docs("forget", TARGET, "--keep-last", "1")
    docs("prune", "ALIAS:", "--max-unused", "0")
    line = docs.fails("forget", "--undo", TARGET)
    assert line == (
        f"tallac: 2 forgotten snapshots, {before[0]} to {before[1]}, can't be restored any more: a prune has deleted data of them"
    )
    assert names(docs) == before[2:]
    assert "nothing that this machine has forgotten" in docs.fails("forget", "--undo", TARGET)


@pytest.mark.slow
def test_undo_of_a_few_after_a_prune(docs: Tallac, source: Path) -> None:
    """Of what a prune has left enough the snapshots come back; the one that is lost is named, and -v says what it lacks."""
    docs("-q", "backup", source, TARGET)
    before = names(docs)
    docs("forget", *(f"{TARGET}/Archives/{name}" for name in (before[1], before[3])))
    docs("prune", "ALIAS:", "--max-unused", "0")
    undone = docs("-v", "forget", "--undo", TARGET, status=1)
    assert undone.error_lines == [f"tallac: {before[1]}: can't be restored any more: a prune has deleted data of it"]
    assert b"missing" in undone.lines[0]
    assert before[3] in undone.out.decode()
    assert names(docs) == [before[0], *before[2:]]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["forget", TARGET, "--keep-last", "1"], ["rm", "--force", f"{TARGET}@latest"]])
def test_state_that_may_not_be_written(docs: Tallac, command: list[str]) -> None:
    """Where nothing can be recorded, snapshots are dropped all the same, and the warning names the cause, which is no full disk."""
    folders = [docs.home / "state", *(found for found in (docs.home / "state").iterdir() if found.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    dropped = docs(*command, as_user=True)
    assert "(Permission denied), so `tallac forget --undo` can't restore it" in dropped.err
    assert "room" not in dropped.err
    assert len(names(docs)) < 3


@pytest.mark.slow
def test_a_backup_beside_state_that_may_not_be_written(docs: Tallac, source: Path) -> None:
    """A backup goes on without its source database, and says why in one line which names the file once."""
    (docs.home / "state").chmod(0o500)
    (docs.home / "state" / "source.db").chmod(0o400)
    [line] = docs("backup", source, TARGET, as_user=True).error_lines
    database = docs.home / "state" / "source.db"
    assert line == f"{database}: the source database can't be opened (Permission denied); this backup continues without it"
