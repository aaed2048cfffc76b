from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

PARTS = ("json", "email", "concurrent", "ctypes")
ODD = b"\x1b[31mred\n\xff"


def lines_of_diff(old: Path, new: Path) -> set[tuple[str, bytes]]:
    """Ask `diff -rq`; give signs and paths, without what is below something that came, went or changed its type."""
    environment = os.environ | {"LC_ALL": "C"}
    command = ["diff", "-rq", "--no-dereference", str(old), str(new)]
    shown = subprocess.run(command, capture_output=True, check=False, env=environment).stdout
    found = set()
    for line in shown.splitlines():
        if line.startswith(b"Only in "):
            folder, _, name = line.removeprefix(b"Only in ").partition(b": ")
            side, sign = (old, "-") if folder == bytes(old) or folder.startswith(bytes(old) + b"/") else (new, "+")
            found.add((sign, os.path.relpath(folder + b"/" + name, bytes(side))))
        else:
            sign = "M" if line.endswith(b" differ") else "T"
            found.add((sign, os.path.relpath(line.split(b" ")[1], bytes(old))))
    return found


def outermost(tallac: Tallac, *arguments: str | Path) -> set[tuple[str, bytes]]:
    """Compare; give signs and paths, without what is below something that came, went or changed its type."""
    found: dict[bytes, str] = {}
    for line in tallac("diff", "--content", "--json", *arguments).lines[:-1]:
        record = json.loads(line)
        path = bytes.fromhex(record["path_hex"]) if "path_hex" in record else record["path"].encode()
        above = path.split(b"/")[:-1]
        if not any(found.get(b"/".join(above[: length + 1])) in ("+", "-", "T") for length in range(len(above))):
            found[path] = record["sign"]
    return {(sign, path) for path, sign in found.items()}


def change(path: Path) -> None:
    """Change what is in a file; its size and its times stay."""
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([(content[-1] + 1) % 256]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def mutate(folder: Path, chance: random.Random) -> None:
    """Change a tree here and there, and some of it in each way, since the files depend on Python's version."""
    for path in (folder / "html" / name for name in ("__init__.py", "entities.py")):
        path.unlink()
    (folder / "html" / "__init__.py").mkdir()
    change(folder / "html" / "parser.py")
    others = (path for part in PARTS for path in (folder / part).rglob("*") if not path.is_symlink())
    for path in sorted(others):
        if not path.exists() or path.is_symlink():
            continue
        kind = chance.randrange(40)
        if kind == 0:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif kind == 1 and path.is_file():
            change(path) if path.stat().st_size else path.write_text("new")
        elif kind == 2:
            os.utime(path, (1, chance.randrange(10**9)))
        elif kind == 3:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            path.write_text("other") if chance.random() < 0.5 else path.mkdir()
        elif kind == 4 and path.is_dir():
            (path / "new").write_text("new")
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        (part / "added").mkdir()
        (part / "added" / "file").write_text("added")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("diff") is None, reason="there is no diff(1)")
def test_the_same_as_diff(tallac: Tallac, tmp_path: Path, chance: random.Random) -> None:
    """Snapshots of parts of a Python installation, and a snapshot and a folder, differ as `diff -rq` of the trees says."""
    standard = Path(sysconfig.get_path("stdlib"))
    before, after = tmp_path / "before", tmp_path / "after"
    for part in ("html", *PARTS):
        # Somebody may be compiling them just now.
        shutil.copytree(standard / part, before / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(before, after, symlinks=True)
    mutate(after, chance)
    expected = lines_of_diff(before, after)
    assert {sign for sign, _ in expected} == {"+", "-", "M", "T"}
    tallac("-q", "backup", before, "tallac:py")
    tallac("-q", "backup", after, "tallac:py")
    first, second = (f"tallac:py/Archives/{name.decode()}" for name in tallac("ls", "tallac:py/Archives").lines)
    assert outermost(tallac, first, second) == expected
    assert outermost(tallac, first, after) == expected
    assert outermost(tallac, before, second) == expected
    assert outermost(tallac, before, after) == expected
    tallac("restore", first, tmp_path / "restored")
    assert tallac("diff", first, tmp_path / "restored").lines == [b"result  no differences"]
    assert tallac("diff", second, after).lines == [b"result  no differences"]


@pytest.fixture
def docs(tallac: Tallac, source: Path) -> Tallac:
    """Give a command with a snapshot of the source."""
    (source / os.fsdecode(ODD)).write_bytes(b"odd")
    tallac("-q", "backup", source, "tallac:docs")
    return tallac


def test_lines_and_summary(docs: Tallac, source: Path) -> None:
    """A line has sign, sizes and path, byte for byte; the summary counts; a part of a snapshot can be compared."""
    (source / "parent" / "blah.txt").write_text("longer")
    (source / "parent" / "subdir" / "foo.txt").chmod(0o600)
    (source / "more").mkdir()
    (source / os.fsdecode(ODD)).unlink()
    shown = docs("diff", "tallac:docs/Latest", source).out
    assert shown == (
        b"-                     3 B  " + ODD + b"\n"
        b"+                          more/\n"
        b"M              4 B -> 6 B  parent/blah.txt\n"
        b"U                    mode  parent/subdir/foo.txt\n"
        b"added          0 files, 1 directory, 0 B\n"
        b"removed        1 file, 0 directories, 3 B\n"
        b"changed        1 file, 0 directories, 4 B -> 6 B\n"
        b"metadata only  1 file, 0 directories\n"
    )
    assert docs("diff", "tallac:docs/Latest/parent/blah.txt", source / "parent" / "blah.txt").lines[0].endswith(b"  .")
    records = [json.loads(line) for line in docs("diff", "--json", "tallac:docs/Latest", source).lines]
    assert records[0]["path_hex"] == ODD.hex()
    assert records[2] == {
        "path": "parent/blah.txt",
        "type": "change",
        "change": "changed",
        "sign": "M",
        "old_type": "regular",
        "old_size": 4,
        "new_type": "regular",
        "new_size": 6,
    }
    assert records[3]["metadata"] == ["mode"]
    assert records[4]["files"] == {"added": 0, "removed": 1, "changed": 1, "metadata only": 1, "type changed": 0}
    assert docs("diff", "-q", "tallac:docs/Latest", source).out == shown[: shown.index(b"added ")]


def test_what_is_not_there(docs: Tallac, source: Path) -> None:
    """What is missing is said in one line."""
    assert "no such entry" in docs.fails("diff", "tallac:docs/Latest/nothing", source)
    assert "can't read it" in docs.fails("diff", "tallac:docs/Latest", source / "nothing")
    docs("diff", "tallac:docs/Latest", status=2)


def test_what_cannot_be_read(docs: Tallac, source: Path) -> None:
    """A folder that may not be read is named; it is not said to be removed, and the exit status is 1."""
    (source / "parent" / "subdir").chmod(0)
    (source / "parent" / "blah.txt").write_text("b")
    result = docs("diff", "--content", "tallac:docs/Latest", source, status=1, as_user=True)
    (source / "parent" / "subdir").chmod(0o755)
    assert [line.split()[0] for line in result.lines] == [b"M", b"changed", b"not"]
    assert all("parent/subdir" in line and "Permission denied" in line for line in result.error_lines)


def test_what_the_backup_left_out_is_no_difference(tallac: Tallac, tmp_path: Path) -> None:
    """Against a folder, what the rules left out and what lies beside the sources is not shown as added; what is new is."""
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    for name in ("a.o", "kept", "below/b.o", "below/x.log"):
        (source / name).write_text(name)
    (source / "below/.tallacignore").write_text("*.log\n")
    tallac("-q", "backup", source, "tallac:", "--exclude", "*.o")
    assert "no differences" in tallac("diff", "tallac:Latest", source).out.decode()
    (source / "below/new").touch()
    (source / "below/c.o").touch()
    shown = tallac("diff", "tallac:Latest", source).out.decode()
    assert "below/new" in shown
    assert ".o" not in shown
    assert ".log" not in shown
    tallac("-q", "backup", "--relative-to", source, source / "below", "tallac:part")
    assert "kept" not in tallac("diff", "tallac:part/Latest", source).out.decode()


def test_what_would_be_left_out_of_a_new_directory_is_no_difference(tallac: Tallac, tmp_path: Path) -> None:
    """In a directory that only the folder has, or that was a file, what the rules leave out is not shown as added, at any depth."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "was").write_text("a file")
    (source / ".tallacignore").write_text("*.log\n")
    tallac("-q", "backup", source, "tallac:", "--exclude", "*.o", "--exclude", "/new/build/")
    (source / "was").unlink()
    for folder in ("new/deep", "new/build/x", "was/deep"):
        (source / folder).mkdir(parents=True)
        for name in ("a.o", "a.log", "a.txt"):
            (source / folder / name).touch()
    for shown in (tallac("diff", "tallac:Latest", source), tallac("diff", source, "tallac:Latest")):
        paths = {line.split()[-1].rstrip(b"/") for line in shown.lines if line[:1] in b"+-T"}
        assert paths == {b"new", b"new/deep", b"new/deep/a.txt", b"was", b"was/deep", b"was/deep/a.txt"}
