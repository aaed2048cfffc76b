"""Measure Tallac beside `tahoe backup`, on one real grid, in turn, in one run.

    make oracle && .venv/bin/python bench/tahoe.py                          2,000 small files, and one of 200 MB
    .venv/bin/python bench/tahoe.py --files 300 --size 20 --rounds 1        a quick look

The grid is an introducer and one node, on this machine, with one share of everything. Each tool stores data of its own in each
round, of the same shape: what another one has stored before would be cheaper to store again. Starting the command is part of it.
With --like FOLDER the small files are those of a folder: sizes, copies and directories as they are there, some bytes added to each.
`plain` and `vault` are Tallac in the two layouts.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.interop.tahoe_grid import COMMAND, TahoeGrid, absence, environment, start_grid  # noqa: E402 - the path comes first.

FILE_SIZE = 5_000
FILES_IN_DIRECTORY = 40
SMALL_SIZE_MAX = 65_536
UNCHANGED_RUNS = 3
TOOLS = ("tahoe", "plain", "vault")
OPERATIONS = ("first", "unchanged", "large file")


def main() -> None:
    """Measure, and print a table of medians in seconds, with ratios to `tahoe backup`."""
    options = _options()
    reason = absence()
    if reason is not None:
        sys.exit(reason)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, _grid(Path(folder)) as grid:
        _prepare(grid, Path(folder))
        for turn in range(options.rounds):
            for tool in options.tools:
                _measure(grid, Path(folder), tool, turn, options, seconds)
    _print_table(seconds, options.tools)


def _measure(
    grid: TahoeGrid,
    folder: Path,
    tool: str,
    turn: int,
    options: argparse.Namespace,
    seconds: dict[tuple[str, str], list[float]],
) -> None:
    name = f"{TOOLS.index(tool)}-{turn}"
    small, large = folder / f"small-{name}", folder / f"large-{name}"
    if options.like is None:
        _make_small(small, options.files, name)
    else:
        _make_alike(small, options.like, options.files, name)
    seconds["first", tool].append(_run(grid, folder, tool, small, f"small-{name}"))
    for _ in range(UNCHANGED_RUNS):
        time.sleep(1)  # `tahoe backup` names snapshots by the second.
        seconds["unchanged", tool].append(_run(grid, folder, tool, small, f"small-{name}"))
    large.mkdir()
    (large / "random").write_bytes(random.Random(f"large {name}").randbytes(options.size * 1_000_000))
    seconds["large file", tool].append(_run(grid, folder, tool, large, f"large-{name}"))


def _run(grid: TahoeGrid, folder: Path, tool: str, source: Path, target: str) -> float:
    directory = str(grid.node.directory)
    commands: dict[str, Sequence[str | Path]] = {
        "tahoe": [COMMAND, "-d", directory, "backup", source, f"bench:{target}"],
        "plain": [_tallac(), "-q", "-d", directory, "backup", source, f"bench:{target}"],
        "vault": [_tallac(), "-q", "backup", source, f"vault:{target}"],
    }
    started = time.perf_counter()
    subprocess.run(commands[tool], check=True, stdout=subprocess.DEVNULL, env=_environment(folder))
    return time.perf_counter() - started


def _prepare(grid: TahoeGrid, folder: Path) -> None:
    grid.tahoe("create-alias", "bench")
    place = f"tahoe+vault:{grid.node.directory}"
    subprocess.run([_tallac(), "-q", "create-alias", "vault", "--vault", place], check=True, env=_environment(folder))


@contextmanager
def _grid(folder: Path) -> Iterator[TahoeGrid]:
    grid = start_grid(folder / "grid")
    try:
        yield grid
    finally:
        grid.stop()


def _make_small(folder: Path, files: int, seed: str) -> None:
    chance = random.Random(f"small {seed}")
    for number in range(files):
        path = folder / f"{number // FILES_IN_DIRECTORY:03}" / f"{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(FILE_SIZE))


def _make_alike(folder: Path, like: Path, files: int, seed: str) -> None:
    found = (Path(place) / name for place, _, names in os.walk(like) for name in names)
    for path in islice((each for each in found if each.is_file() and each.stat().st_size <= SMALL_SIZE_MAX), files):
        made = folder / path.relative_to(like)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(path.read_bytes() + seed.encode())


def _tallac() -> Path:
    return Path(sys.executable).with_name("tallac")


def _environment(folder: Path) -> dict[str, str]:
    return environment() | {"TALLAC_HOME": str(folder / "home"), "PATH": os.environ["PATH"]}


def _print_table(seconds: dict[tuple[str, str], list[float]], tools: Sequence[str]) -> None:
    print(f"{'seconds (times as fast as ' + tools[0] + ')':42}" + "".join(f"{tool:>22}" for tool in tools))
    for operation in OPERATIONS:
        base = statistics.median(seconds[operation, tools[0]])
        cells = []
        for tool in tools:
            median = statistics.median(seconds[operation, tool])
            cells.append(f"{f'{median:.2f} ({base / median:.1f})':>22}")
        print(f"{operation:42}" + "".join(cells))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="how many small files (default: %(default)s)")
    parser.add_argument("--like", type=Path, help="take small files from this folder (default: 5 KB each, all different)")
    parser.add_argument("--size", type=int, default=200, help="the large file's size in MB (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is measured (default: %(default)s)")
    parser.add_argument("--tools", type=lambda text: text.split(","), default=TOOLS, help="of tahoe,plain,vault (default: all)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
