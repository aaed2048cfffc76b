"""Git itself says what ignore files leave out."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from tallac import restore
from tallac.restore.path_filter import Scope
from tallac.source import REAL, ChosenScan, DirectorySelection, Patterns, Selection, open_directory, open_root, scan


def _words(text: str) -> list[str]:
    return text.split("|")


# Git takes bytes for characters: names that are not ASCII are longer than what question marks and brackets can get at.
NAMES = _words("a|b|ab|a.o|b.o|A|-x|x y|ééé|#h|!n|a*|[a]|x |x  |a\t|ééé\u00a0|ééé\u2028|FOO|]|^")
PIECES = _words(
    "a|b|ab|*|?|[ab]|[!a]|*.o|.o|A|x y|ééé|\\#h|\\!n|a\\*|\\[a\\]|a*b|*a*|**|***|a**|[x\\]|[a\\-c]|"
    "[a-c-e]|[]a]|[!]a]|[^a]|[z-a]|[--0]|[[:alpha:]]|[![:upper:]]|[[:nope:]]|[[:a]|[a-|FO[!/]|"
    "[a/b]|a\\/b|\\a|a\\|x\\ |ééé\u00a0|ééé\u2028|a\t|x"
)
ENDS = _words("||||/|/|/**|/*| |   |\t|\u00a0|\u2028|\r| \r|\\ |\\  |\\ \r|\\\\ |\\/")

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
        if self._chance.random() < 0.15:
            return self._chance.choice(["*", "!*/", "!*.o", "/*", "!a", "!/a/", "#a", "", "!"])
        parts = [self._part() for _ in range(self._chance.randint(1, 3))]
        before = self._chance.choice(["", "", "", "!", "/", "!/", "**/", "!!", "//"])
        return before + "/".join(parts) + self._chance.choice(ENDS)

    def _part(self) -> str:
        if self._chance.random() < 0.1:
            return "**"
        return "".join(self._chance.choices(PIECES, k=self._chance.choice([1, 1, 1, 2])))


@pytest.mark.slow
@needs_git
def test_git_decides_alike(tmp_path: Path, chance: random.Random) -> None:
    """In 150 random trees with nested ignore files and patterns of the user's, the same files are left as git leaves."""
    forester = Forester(chance)
    for number in range(150):
        tree = tmp_path / str(number)
        forester.grow(tree, depth=2)
        # Only in files git strips spaces and ends of lines.
        patterns = [pattern.rstrip(" \r\\") for pattern in forester.patterns()]
        git = _kept_by_git(tree, patterns, "--exclude-per-directory=.gitignore")
        own = set(_kept(tree, Selection(Patterns.of(patterns, on_bad=_ignore), b".gitignore")))
        assert own == git, (tree, patterns)


@pytest.mark.slow
@needs_git
def test_git_chooses_alike_in_a_snapshot(tmp_path: Path, chance: random.Random) -> None:
    """What a restore excludes is what git leaves out with the same file of patterns, case ignored or not."""
    forester = Forester(chance)
    for number in range(150):
        tree = tmp_path / str(number)
        forester.grow(tree, depth=2)
        lines = forester.patterns()
        ignores_case = number % 3 == 0
        if ignores_case:
            # Git folds no letter that stands by itself in brackets.
            lines = [line for line in lines if "[" not in line]
        (tmp_path / "patterns").write_bytes("".join(f"{line}\n" for line in lines).encode())
        git = _kept_by_git(tree, [], f"--exclude-from={tmp_path / 'patterns'}", ignores_case=ignores_case)
        options = [line for line in (line.removesuffix("\r") for line in lines) if _is_pattern(line)]
        chosen = restore.PathFilter(iexclude=options) if ignores_case else restore.PathFilter(exclude=options)
        assert set(_wanted(tree, b"", chosen, chosen.top)) == git, (tree, lines)


def _is_pattern(line: str) -> bool:
    return bool(Patterns.of([line], on_bad=_ignore))


def _wanted(folder: Path, prefix: bytes, chosen: restore.PathFilter, scope: Scope) -> Generator[bytes, None, None]:
    for name in os.listdir(os.fsencode(folder)):
        path = prefix + name
        below = folder / os.fsdecode(name)
        here = chosen.scope(path, below.is_dir(), scope)
        if here is not Scope.OUT and below.is_dir():
            yield from _wanted(below, path + b"/", chosen, here)
        elif here is Scope.IN:
            yield path


def _ignore(_number: int, _error: Exception) -> None:
    """Do as git does, which says nothing of a bad pattern."""


def _kept_by_git(tree: Path, patterns: list[str], source: str, *, ignores_case: bool = False) -> set[bytes]:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    repository = tree.parent / "repository"
    folding = f"core.ignorecase={str(ignores_case).lower()}"
    git = ["git", f"--git-dir={repository}", f"--work-tree={tree}", "-c", folding]
    if not repository.exists():
        subprocess.run([*git, "init", "-q"], check=True, env=environment)
    options = [f"--exclude={pattern}" for pattern in patterns]
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--others", source, *options],
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
