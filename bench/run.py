"""Measure Tallac beside restic and Borg, over the same data, in turn, in one run.

    make bench                                            everything, three rounds (about half an hour)
    make bench ARGS="--sets S1 --rounds 1 --tools tallac,restic"

Tools that are not installed are left out; RESTIC and BORG name other commands. A round begins with empty
repositories. One tool after the other does each operation, so that a machine whose speed drifts is fair to all; the
table gives medians, and ratios to restic. CPU is of the whole process tree. Restored trees are compared with the
source, and removed only at the end, since creating files soon after many were deleted is slower on some file systems.
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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from datasets import DATA_SETS

OPERATIONS = ("first", "unchanged", "restore")
UNCHANGED_RUNS = 3


@dataclass(frozen=True)
class Tool:
    """How to run one tool. Templates see {source}, {repository}, {cache} and {restored}."""

    version: str
    environment: Mapping[str, str]
    init: str
    backup: str
    restore: str
    restored_at: str


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
        ),
        "restic": Tool(
            version=f"{restic} version",
            environment={"RESTIC_REPOSITORY": "{repository}", "RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": "{cache}"},
            init=f"{restic} -q init",
            backup=f"{restic} -q backup {{source}}",
            restore=f"{restic} -q restore latest --target {{restored}}",
            restored_at="{restored}{source}",
        ),
        "borg": Tool(
            version=f"{borg} --version",
            environment={"BORG_REPO": "{repository}", "BORG_PASSPHRASE": "bench", "BORG_BASE_DIR": "{cache}"},
            init=f"{borg} init -e repokey-blake2",
            backup=f"{borg} create --compression zstd,1 ::$(date +%s%N) {{source}}",
            restore=f"cd {{restored}} && {borg} extract ::$({borg} list --last 1 --short)",
            restored_at="{restored}{source}",
        ),
    }
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

    def first(self) -> tuple[float, float]:
        """Back up; give seconds of wall and CPU."""
        return self._run(self._tool.backup)

    unchanged = first

    def restore(self) -> tuple[float, float]:
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


def measure(name: str, folder: Path, chosen: Mapping[str, Tool], rounds: int) -> None:
    """Measure all tools on one data set and print a table."""
    source = _data_set(name, folder)
    figures: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for number in range(rounds):
        runs = folder / f"run{os.getpid()}"
        contenders = {tool: Contender(chosen[tool], source, runs / f"{name}.{number}.{tool}") for tool in chosen}
        for operation in OPERATIONS:
            for _ in range(UNCHANGED_RUNS if operation == "unchanged" else 1):
                for tool, contender in contenders.items():
                    run: Callable[[], tuple[float, float]] = getattr(contender, operation)
                    figures[operation, tool].append(run())
            if operation == "first":
                sizes = {tool: contender.repository_size() for tool, contender in contenders.items()}
    _print_table(name, list(chosen), figures, sizes)


def _data_set(name: str, folder: Path) -> Path:
    source = (folder / name).resolve()
    if not (folder / f"{name}.done").exists():
        source.mkdir(parents=True, exist_ok=True)
        DATA_SETS[name](source)
        (folder / f"{name}.done").touch()
    subprocess.run(f"find {source} -type f -print0 | xargs -0 cat >/dev/null", shell=True, check=True)  # noqa: S602  Warms the cache.
    return source


def _print_table(
    name: str, names: list[str], figures: Mapping[tuple[str, str], list[tuple[float, float]]], sizes: Mapping[str, int]
) -> None:
    base = "restic" if "restic" in names else names[0]
    print(f"\n{name}: seconds of wall / CPU, medians of {len(figures['first', base])}; ratios to {base}\n")
    print("| |" + "|".join(names) + "|\n|" + "---|" * (len(names) + 1))
    for operation in OPERATIONS:
        cells = [" / ".join(_cell(figures, operation, tool, base, which) for which in (0, 1)) for tool in names]
        print(f"|{operation}|" + "|".join(cells) + "|")
    print("|repository|" + "|".join(f"{sizes[tool] / 1e6:.1f} MB ({sizes[tool] / sizes[base]:.3f})" for tool in names) + "|")


def _cell(figures: Mapping[tuple[str, str], list[tuple[float, float]]], operation: str, tool: str, base: str, which: int) -> str:
    own, other = figures[operation, tool], figures[operation, base]
    median = statistics.median(run[which] for run in own)
    ratio = statistics.median(mine[which] / theirs[which] for mine, theirs in zip(own, other, strict=True))
    return f"{median:.2f} ({ratio:.2f})"


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(DATA_SETS), help="data sets, with commas between them")
    parser.add_argument("--tools", default="tallac,restic,borg", help="tools, with commas between them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("bench/work"), help="where data and repositories go (10 GB)")
    asked = parser.parse_args()
    available = tools()
    chosen = {name: available[name] for name in asked.tools.split(",") if name in available}
    for name, tool in chosen.items():
        version = subprocess.run(tool.version.split(), capture_output=True, text=True, check=True).stdout.splitlines()[0]
        print(f"{name}: {version}")
    folder = asked.folder.resolve()
    try:
        for name in asked.sets.split(","):
            measure(name, folder, chosen, asked.rounds)
    finally:
        shutil.rmtree(folder / f"run{os.getpid()}", ignore_errors=True)


if __name__ == "__main__":
    main()
