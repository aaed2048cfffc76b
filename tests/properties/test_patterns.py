"""Git itself says what ignore files leave out."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from tallac.source import REAL, ChosenScan, DirectorySelection, Patterns, Selection, open_directory, open_root, scan

# Git takes bytes for characters, so a question mark must not get at a name that is not ASCII.
NAMES = ["a", "b", "ab", "a.o", "b.o", "A", "-x", "x y", "ééé", "#h", "!n", "a*", "[a]"]
PIECES = ["a", "b", "ab", "*", "?", "[ab]", "[!a]", "*.o", ".o", "A", "x y", "ééé", "\\#h", "\\!n", "a\\*", "\\[a\\]", "a*b"]

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle here")


class Forester:
    """Grows small random trees with ignore files."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def grow(self, folder: Path, depth: int = 3) -> None:
        """Fill a folder."""
        folder.mkdir()
        if self._chance.random() < 0.5:
            (folder / ".gitignore").write_text("".join(f"{line}\n" for line in self.patterns()), "utf-8")
        for name in self._chance.sample(NAMES, self._chance.randint(1, 5)):
            if depth and self._chance.random() < 0.6:
                self.grow(folder / name, depth - 1)
            else:
                (folder / name).write_text("")

    def patterns(self) -> list[str]:
        """Make up some patterns."""
        return [self._pattern() for _ in range(self._chance.randint(0, 4))]

    def _pattern(self) -> str:
        parts = [self._part() for _ in range(self._chance.randint(1, 3))]
        before = self._chance.choice(["", "", "", "!", "/", "!/", "**/"])
        after = self._chance.choice(["", "", "", "/", "/**", " "])
        return before + "/".join(parts) + after

    def _part(self) -> str:
        if self._chance.random() < 0.1:
            return "**"
        chunks = self._chance.choices(PIECES, k=self._chance.choice([1, 1, 1, 2]))
        # Two stars beside something else mean what one does, by gitignore(5); git has its own mind there.
        return re.sub(r"\*\*+", "*", "".join(chunks))


@needs_git
def test_git_decides_alike(tmp_path: Path, chance: random.Random) -> None:
    """In random trees with nested ignore files and patterns of the user's, the same files are left as git leaves."""
    forester = Forester(chance)
    for number in range(12):
        tree = tmp_path / str(number)
        forester.grow(tree)
        # Only in files git strips spaces.
        patterns = [pattern.rstrip() for pattern in forester.patterns()]
        git = _kept_by_git(tree, patterns)
        own = set(_kept(tree, Selection(Patterns.of(patterns, on_bad=_ignore), b".gitignore")))
        assert own == git, (tree, patterns)


def _ignore(_number: int, _error: Exception) -> None:
    """Do as git does, which says nothing of a bad pattern."""


def _kept_by_git(tree: Path, patterns: list[str]) -> set[bytes]:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    repository = tree.parent / "repository"
    git = ["git", f"--git-dir={repository}", f"--work-tree={tree}"]
    if not repository.exists():
        subprocess.run([*git, "init", "-q"], check=True, env=environment)
    options = [f"--exclude={pattern}" for pattern in patterns]
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", *options],
        check=True,
        env=environment,
        cwd=tree,
        stdout=subprocess.PIPE,
    )
    return set(listed.stdout.split(b"\0")[:-1])


def _kept(tree: Path, selection: Selection) -> Generator[bytes, None, None]:
    root = open_root(tree)
    try:
        yield from _walk(root, b"", selection.at_root(os.fsencode(tree), 0))
    finally:
        REAL.close(root)


def _walk(descriptor: int, prefix: bytes, above: DirectorySelection) -> Generator[bytes, None, None]:
    with scan(descriptor) as listing:
        chosen = ChosenScan(listing, above.reading(listing, descriptor, prefix, lambda *_: None))
        for found in chosen.entries(lambda _: None):
            if not found.is_directory:
                yield prefix + found.name
                continue
            below = open_directory(descriptor, found.name)
            with closing(_walk(below, prefix + found.name + b"/", chosen.selection.beneath(found))) as walk:
                yield from walk
            REAL.close(below)
