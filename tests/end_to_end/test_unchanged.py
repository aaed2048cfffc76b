"""An unchanged file is not opened, but looked at once: seen in the system calls of the real command."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.command import Tallac
from tests.ticks import settle

DIRECTORIES = 20
FILES = 300
OPENING = "openat,openat2,?open"
LOOKING = "newfstatat,statx,?stat,?lstat"
CALL = re.compile(r'\b(open|openat|openat2|newfstatat|statx|stat|lstat)\((?:[^"]*, )?"([^"]*)"')


class Calls(NamedTuple):
    """How often a backup opened, and looked at, what its source has: by name."""

    opened: Counter[str]
    looked_at: Counter[str]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Give a source of 300 files in 20 directories, each with a name of its own."""
    source = tmp_path / "many"
    for number in range(DIRECTORIES):
        above = source if number % 2 == 0 else source / f"directory-{number - 1:03}"
        (above / f"directory-{number:03}").mkdir(parents=True)
    directories = sorted(path for path in source.rglob("*"))
    for number in range(FILES):
        (directories[number % DIRECTORIES] / f"file-{number:03}").write_text(f"content {number} " * 100)
    settle(source)
    return source


@pytest.fixture
def traced(tallac: Tallac, many: Path, tmp_path: Path, strace: str) -> Callable[[], Calls]:
    """Give a backup of the source that tells its calls."""
    log = tmp_path / "calls"
    traced = Tallac(tallac.home, [strace, "-f", "-o", str(log), "-e", f"trace={OPENING},{LOOKING}"])

    def back_up() -> Calls:
        traced("-q", "backup", many)
        calls = Calls(Counter(), Counter())
        for line in log.read_text(errors="replace").splitlines():
            found = CALL.search(line)
            name = os.path.basename(found[2]) if found else ""
            if found and name.startswith(("file-", "directory-")):
                (calls.opened if found[1].startswith("open") else calls.looked_at)[name] += 1
        return calls

    return back_up


def contents(vault: Path) -> dict[str, bytes]:
    """Read a whole vault."""
    return {str(path.relative_to(vault)): path.read_bytes() for path in vault.rglob("*") if path.is_file()}


def names(source: Path, prefix: str) -> Counter[str]:
    """Give each name once."""
    return Counter(path.name for path in source.rglob(f"{prefix}*"))


def test_the_first_backup_opens_all(many: Path, traced: Callable[[], Calls]) -> None:
    """These tests can fail: where all is new, each file is seen to be opened."""
    calls = traced()
    assert calls.opened.keys() >= names(many, "file-").keys()
    assert calls.looked_at.keys() >= names(many, "file-").keys()


def test_nothing_has_changed(tallac: Tallac, many: Path, traced: Callable[[], Calls]) -> None:
    """One look at each file and directory, no file opened, each directory once, and nothing stored but two slots' states."""
    tallac("-q", "backup", many)
    before = contents(tallac.vault)
    calls = traced()
    assert calls.looked_at == names(many, "file-") + names(many, "directory-")
    assert calls.opened == names(many, "directory-")
    after = contents(tallac.vault)
    assert after.keys() == before.keys()
    changed = [name for name, content in after.items() if content != before[name]]
    assert len(changed) == 2
    assert all(name.startswith("slots/") for name in changed)


@pytest.mark.parametrize("is_new", [True, False], ids=["changed", "touched"])
def test_one_file_has_changed(tallac: Tallac, many: Path, traced: Callable[[], Calls], is_new: bool) -> None:
    """Of 300 files the one that has changed, or looks as if it had, is opened."""
    tallac("-q", "backup", many)
    [changed] = many.rglob("file-123")
    if is_new:
        changed.write_text("changed")
    else:
        os.utime(changed)
    calls = traced()
    assert [name for name in calls.opened if name.startswith("file-")] == ["file-123"]
    assert calls.looked_at.keys() == (names(many, "file-") + names(many, "directory-")).keys()
    others = {name: count for name, count in calls.looked_at.items() if name.startswith("file-") and name != "file-123"}
    assert set(others.values()) == {1}
    assert tallac("get", f"Latest/{changed.relative_to(many)}").out == changed.read_bytes()
