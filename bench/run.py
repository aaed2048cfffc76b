"""Measure Tallac beside restic and Borg, over the same data, in turn, in one run.

    make bench                                            everything, three rounds (about half an hour)
    make bench ARGS="--sets S1 --rounds 1 --tools tallac,restic"

Tools that are not installed are left out; RESTIC and BORG name other commands. A round begins with empty
repositories. One tool after the other does each operation, so that a machine whose speed drifts is fair to all; the
table gives medians, and ratios to restic. CPU is of the whole process tree. Restored trees are compared with the
source, and removed only at the end, since creating files soon after many were deleted is slower on some file systems.
`limit` is what the operation takes without a backup: to archive, compress and encrypt all, to list the tree, to copy it.
`tallac-off`, `tallac-fast` and `tallac-max` are first backups with that compression, for their time and their size.
The table is printed, and with --write put into docs/performance.md, between its marks.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import DATA_SETS

OPERATIONS = ("first", "unchanged", "changed", "restore", "check", "read data", "list", "diff", "find", "stats", "prune")
"""In this order: what is listed, compared and pruned has two snapshots that differ, made before and after `changed`."""

UNCHANGED_RUNS = 3
CHANGED_EVERY = 100
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


@dataclass(frozen=True)
class Tool:
    """How to run one tool. Templates see {source}, {repository}, {cache} and {restored}."""

    version: str
    environment: Mapping[str, str]
    init: str
    backup: str
    restore: str
    restored_at: str
    others: Mapping[str, str]
    is_for_first: bool = False
    """Whether it only makes the first backup."""


def tools() -> dict[str, Tool]:
    """Give the tools that this machine has."""
    restic, borg = os.environ.get("RESTIC", "restic"), os.environ.get("BORG", "borg")
    tallac = str(Path(sys.executable).with_name("tallac"))
    known = {
        "tallac": Tool(
            version=f"{tallac} --version",
            environment={"TALLAC_HOME": "{cache}"},
            init=f"{tallac} -q create-alias bench --vault {{repository}}",
            backup=f"{tallac} -q backup {{source}} bench:",
            restore=f"{tallac} -q restore bench:Latest {{restored}}/out",
            restored_at="{restored}/out",
            others={
                "check": f"{tallac} -q check bench:",
                "read data": f"{tallac} -q check --read-data bench:",
                "list": f"{tallac} ls -R bench:Latest >{{cache}}/list",
                "diff": f"{tallac} diff bench:Archives/$({tallac} ls bench:Archives | head -n 1) bench:Latest >{{cache}}/diff",
                "find": f"{tallac} find bench: f000099.c >{{cache}}/found",
                "stats": f"{tallac} stats bench: >{{cache}}/stats",
                "prune": f"{tallac} -q forget bench: --keep-last 1 && {tallac} -q prune bench:",
            },
        ),
        "restic": Tool(
            version=f"{restic} version",
            environment={"RESTIC_REPOSITORY": "{repository}", "RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": "{cache}"},
            init=f"{restic} -q init",
            backup=f"{restic} -q backup {{source}}",
            restore=f"{restic} -q restore latest --target {{restored}}",
            restored_at="{restored}{source}",
            others={
                "check": f"{restic} -q check",
                "read data": f"{restic} -q check --read-data",
                "list": f"{restic} -q ls latest >{{cache}}/list",
                "diff": f"{restic} -q diff $({restic} snapshots -c | grep -oE '^[0-9a-f]{{{{8}}}}' | tail -n 2) >{{cache}}/diff",
                "find": f"{restic} -q find f000099.c >{{cache}}/found",
                "stats": f"{restic} -q stats --mode raw-data >{{cache}}/stats",
                "prune": f"{restic} -q forget --keep-last 1 --prune",
            },
        ),
        "borg": Tool(
            version=f"{borg} --version",
            environment={"BORG_REPO": "{repository}", "BORG_PASSPHRASE": "bench", "BORG_BASE_DIR": "{cache}"},
            init=f"{borg} init -e repokey-blake2",
            backup=f"{borg} create --compression zstd,1 ::$(date +%s%N) {{source}}",
            restore=f"cd {{restored}} && {borg} extract ::$({borg} list --last 1 --short)",
            restored_at="{restored}{source}",
            others={
                "check": f"{borg} check",
                "read data": f"{borg} check --verify-data",
                "list": f"{borg} list ::$({borg} list --last 1 --short) >{{cache}}/list",
                "diff": f"{borg} diff ::$({borg} list --first 1 --short) $({borg} list --last 1 --short) >{{cache}}/diff",
                "stats": f"{borg} info >{{cache}}/stats",
                "prune": f"{borg} prune --keep-last 1 && {borg} compact",
            },
        ),
        "limit": Tool(
            version="zstd --version",
            environment={},
            init="mkdir {repository}",
            backup="tar -C {source} -c . | zstd -1 -q | openssl enc -aes-256-ctr -pbkdf2 -pass pass:bench >{repository}/all",
            restore="cp -a {source} {restored}/out",
            restored_at="{restored}/out",
            others={"unchanged": "find {source} -printf '%s %T@ %C@ %i %m %U %G\\n' >{cache}/list"},
        ),
    }
    own = known["tallac"]
    for how in ("off", "fast", "max"):
        backup = f"{tallac} -q backup --compression {how} {{source}} bench:"
        known[f"tallac-{how}"] = replace(own, backup=backup, is_for_first=True)
    return {name: tool for name, tool in known.items() if shutil.which(tool.version.split()[0])}


class Contender:
    """One tool with its repository, in one round."""

    def __init__(self, tool: Tool, source: Path, folder: Path) -> None:
        """Begin with an empty repository."""
        self._tool = tool
        self._folder = folder
        self._names = {
            "source": str(source),
            "repository": str(folder / "repository"),
            "cache": str(folder / "cache"),
            "restored": str(folder / "restored"),
        }
        for each in ("cache", "restored"):
            (folder / each).mkdir(parents=True)
        self._run(tool.init)

    def run(self, operation: str) -> tuple[float, float] | None:
        """Do one operation; return seconds of wall and CPU, or None where this tool has no such thing."""
        if self._tool.is_for_first and operation != "first":
            return None
        if operation == "restore":
            return self._restore()
        if operation in self._tool.others:
            return self._run(self._tool.others[operation])
        return self._run(self._tool.backup) if operation in ("first", "unchanged", "changed") else None

    def _restore(self) -> tuple[float, float]:
        """Restore and compare."""
        figures = self._run(self._tool.restore)
        restored = self._tool.restored_at.format(**self._names)
        subprocess.run(["diff", "-r", "--no-dereference", restored, self._names["source"]], check=True)
        return figures

    def repository_size(self) -> int:
        """Give the bytes of all files in the repository."""
        return sum(path.lstat().st_size for path in Path(self._names["repository"]).rglob("*") if path.is_file())

    def _run(self, command: str) -> tuple[float, float]:
        environment = {name: value.format(**self._names) for name, value in self._tool.environment.items()}
        os.sync()
        before, start = os.times(), time.monotonic()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        subprocess.run(["bash", "-c", command.format(**self._names)], check=True, env={**inherited, **environment})
        wall, after = time.monotonic() - start, os.times()
        cpu = after.children_user - before.children_user + after.children_system - before.children_system
        return wall, cpu


@contextmanager
def _changeable(source: Path) -> Iterator[Callable[[], None]]:
    """Yield what appends a line to each hundredth file; at the end they are as they were."""
    sizes: dict[Path, int] = {}

    def change() -> None:
        sizes.update((path, path.stat().st_size) for path in sorted(source.rglob("f*"))[::CHANGED_EVERY])
        for path in sizes:
            with path.open("ab") as file:
                file.write(b"changed\n")

    try:
        yield change
    finally:
        for path, size in sizes.items():
            os.truncate(path, size)


def measure(name: str, folder: Path, chosen: Mapping[str, Tool], rounds: int) -> list[str]:
    """Measure all tools on one data set and return a table."""
    source = _data_set(name, folder)
    figures: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    operations = OPERATIONS if name == "S1" else tuple(each for each in OPERATIONS if each not in ("changed", "diff", "prune"))
    sizes: dict[str, int] = {}
    for number in range(rounds):
        runs = folder / f"run{os.getpid()}"
        contenders = {tool: Contender(chosen[tool], source, runs / f"{name}.{number}.{tool}") for tool in chosen}
        with _changeable(source) as change:
            for operation in operations:
                if operation == "changed":
                    change()
                for _ in range(UNCHANGED_RUNS if operation == "unchanged" else 1):
                    for tool, contender in contenders.items():
                        found = contender.run(operation)
                        if found is not None:
                            figures[operation, tool].append(found)
                if operation == "first":
                    sizes = {tool: contender.repository_size() for tool, contender in contenders.items()}
    return _table(name, list(chosen), figures, sizes)


def _data_set(name: str, folder: Path) -> Path:
    source = (folder / name).resolve()
    if not (folder / f"{name}.done").exists():
        source.mkdir(parents=True, exist_ok=True)
        DATA_SETS[name](source)
        (folder / f"{name}.done").touch()
    subprocess.run(f"find {source} -type f -print0 | xargs -0 cat >/dev/null", shell=True, check=True)  # noqa: S602  Warms the cache.
    return source


def _table(
    name: str, names: list[str], figures: Mapping[tuple[str, str], list[tuple[float, float]]], sizes: Mapping[str, int]
) -> list[str]:
    base = "restic" if "restic" in names else names[0]
    rows = [f"{name}: seconds of wall clock / CPU, medians of {len(figures['first', base])}; ratios to {base}", ""]
    rows += ["| |" + "|".join(names) + "|", "|" + "---|" * (len(names) + 1)]
    for operation in OPERATIONS:
        if (operation, base) in figures:
            cells = [" / ".join(_cell(figures, operation, tool, base, which) for which in (0, 1)) for tool in names]
            rows.append(f"|{operation}|" + "|".join(cells).replace("- / -", "-") + "|")
    return [
        *rows,
        "|repository|" + "|".join(f"{sizes[tool] / 1e6:.1f} MB ({sizes[tool] / sizes[base]:.3f})" for tool in names) + "|",
        "",
    ]


def _cell(figures: Mapping[tuple[str, str], list[tuple[float, float]]], operation: str, tool: str, base: str, which: int) -> str:
    if (operation, tool) not in figures:
        return "-"
    own, other = figures[operation, tool], figures[operation, base]
    median = statistics.median(run[which] for run in own)
    ratio = statistics.median(mine[which] / theirs[which] for mine, theirs in zip(own, other, strict=True))
    return f"{median:.2f} ({ratio:.2f})"


def write_page(rows: list[str]) -> None:
    """Put the tables into the page, in place of those that are there."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, "", *rows, END]) + after)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(DATA_SETS), help="data sets, with commas between them")
    parser.add_argument(
        "--tools", default="tallac,tallac-fast,tallac-max,restic,borg,limit", help="tools, with commas between them"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("bench/work"), help="where data and repositories go (10 GB)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    asked = parser.parse_args()
    available = tools()
    chosen = {name: available[name] for name in asked.tools.split(",") if name in available}
    rows = [f"{name}: {_version(tool)}  " for name, tool in chosen.items()] + [""]
    folder = asked.folder.resolve()
    try:
        for name in asked.sets.split(","):
            rows += measure(name, folder, chosen, asked.rounds)
    finally:
        shutil.rmtree(folder / f"run{os.getpid()}", ignore_errors=True)
    print("\n".join(rows))
    if asked.write:
        write_page(rows)


def _version(tool: Tool) -> str:
    return subprocess.run(tool.version.split(), capture_output=True, text=True, check=True).stdout.splitlines()[0].strip("* ")


if __name__ == "__main__":
    main()
