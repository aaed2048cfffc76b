"""Measure how time and memory grow with the number of names, of snapshots and of objects, up to what no disk here would hold.

    .venv/bin/python bench/scale.py names 10000 100000 1000000       trees that are made in the vault, not on disk
    .venv/bin/python bench/scale.py directory 10000 1000000          the same, all in one directory
    .venv/bin/python bench/scale.py stored 100000 1000000            the same in directories, of 90 bytes: each is an object
    .venv/bin/python bench/scale.py files 10000 100000               real files of some 90 bytes: backups, checks, restore
    .venv/bin/python bench/scale.py flat 10000 100000                the same, all in one directory
    .venv/bin/python bench/scale.py gigabytes 1 10                   a file of random bytes: backup, check, restore
    .venv/bin/python bench/scale.py streams 1 10 50                  a stream of them that no disk has to hold
    .venv/bin/python bench/scale.py snapshots 100 1000 10000         snapshots of one target
    .venv/bin/python bench/scale.py objects 1000000 10000000         the local copy of an index

Writes a row for each size as it is measured, and at the end the table of docs/performance.md: seconds of CPU and the peak of
resident memory of each command, its start included, and the slope between the last two sizes, on logarithmic scales: 1 is linear.
"""

from __future__ import annotations

import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from made_files import emptied, make_files, pseudo_random, write_pseudo_random
from made_index import NEW_OBJECTS, MadeIndex, write_run
from made_trees import SNAPSHOT_TIMES
from measured import Figures, Rows, run, table, timed

import tallac
from tallac.caps import MutableDirectoryWrite
from tallac.dag import Entry, snapshot_name
from tallac.transfer.directory_edits import find_strongest
from tallac.vault.index.sorted_runs import SortedRun

FILES_IN_DIRECTORY = 50
LOOK_UPS = 100_000
MAKER = Path(__file__).with_name("made_trees.py")


def main() -> None:
    """Measure one kind at some sizes."""
    kind, sizes = sys.argv[1], [int(text) for text in sys.argv[2:]]
    measured: list[Rows] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measured.append(KINDS[kind](size, Path(folder)))
        for name, figures in measured[-1].items():
            print(f"{kind} {size:,}: {name}: {figures}", flush=True)
    print(*table(kind, sizes, measured), sep="\n")


def names(count: int, folder: Path, *, in_directory: int = FILES_IN_DIRECTORY, is_stored: bool = False) -> Rows:
    """Make two snapshots of a tree of small files that differ in a hundredth of them, and measure what reads all of it."""
    run(["-q", "create-alias", "bench", "--vault", folder / "vault"], folder)
    making: list[str | Path] = [MAKER, folder, str(count), str(in_directory), *(["stored"] if is_stored else [])]
    found = {"make": run(making, folder, program=sys.executable)}
    older, newer = (f"bench:Archives/{snapshot_name(time_ns).decode()}" for time_ns in SNAPSHOT_TIMES)
    commands: dict[str, list[str | Path]] = {
        "check": ["check", "-q", newer],
        "vault-stats": ["vault-stats", "bench:"],
        "diff": ["diff", older, newer],
        "ls -R": ["ls", "-R", newer],
        "find, two snapshots": ["find", "bench:", "f000000099.txt"],
        "restore --dry-run": ["restore", "--dry-run", "-q", newer, folder / "out"],
        "stats, two snapshots": ["stats", "bench:"],
        "du": ["du", newer],
        "check --read-data": ["check", "-q", "--read-data", newer],
        "manifest": ["manifest", newer],
        "check --read-data, all of the vault": ["check", "-q", "--read-data", "bench:"],
        "prune --dry-run": ["-q", "prune", "--dry-run", "bench:"],
    }
    return {**found, **_run_all(commands, folder)}


def _run_all(commands: Mapping[str, Sequence[str | Path]], folder: Path) -> Rows:
    found: dict[str, Figures] = {}
    for name, arguments in commands.items():
        found[name] = run(arguments, folder)
        print(f"  {name}: {found[name]}", flush=True)
    return found


def directory(count: int, folder: Path) -> Rows:
    """Do as `names` does with all files in one directory."""
    return names(count, folder, in_directory=count)


def stored(count: int, folder: Path) -> Rows:
    """Do as `names` does with files that do not lie in their directories."""
    return names(count, folder, is_stored=True)


def snapshots(count: int, folder: Path) -> Rows:
    """Make snapshots of one file that changes, by linking them, and measure what lists, thins and searches them."""
    source = folder / "source"
    source.mkdir()
    (source / "file").write_text("one")
    run(["-q", "create-alias", "bench", "--vault", folder / "vault"], folder)
    run(["-q", "backup", source, "bench:"], folder)
    oldest = _multiply(folder, count)
    commands: dict[str, list[str | Path]] = {
        "unchanged backup": ["-q", "backup", source, "bench:"],
        "ls Archives": ["ls", "bench:Archives"],
        "history": ["history", "bench:file"],
        "diff": ["diff", f"bench:Archives/{oldest}", "bench:Latest"],
        "snapshots": ["snapshots", "bench:"],
        "find": ["find", "bench:", "file"],
        "stats": ["stats", "bench:"],
        "forget": ["-q", "forget", "bench:", "--keep-daily", "7"],
        "prune": ["-q", "prune", "bench:"],
    }
    return _run_all(commands, folder)


def _multiply(folder: Path, count: int) -> str:
    """Enter snapshots an hour apart into a target that has one, by one edit for all; return the oldest one's name."""
    with tallac.Client(tallac.Folders.under(folder / "home")) as client:
        grid, located = client.workspace.resolve("bench:Archives")
        archives, _ = find_strongest(grid, located)
        assert isinstance(archives, MutableDirectoryWrite)

        def multiplied(entries: list[Entry]) -> list[Entry]:
            [last] = entries
            made = [_shifted(last, hours) for hours in range(1, count)]
            return sorted([*made, last], key=lambda entry: entry.name)

        return grid.edit_directory(archives, multiplied)[0].name.decode()


def _shifted(entry: Entry, hours: int) -> Entry:
    moment = time.gmtime(time.time() - 3600 * hours)
    return Entry(time.strftime("%Y-%m-%d_%H:%M:%SZ", moment).encode(), entry.encoded, entry.metadata)


def objects(count: int, folder: Path) -> Rows:
    """Write the local copy of an index, and look objects up in it that are there and that are not."""
    path = write_run(folder, count)
    opened: list[SortedRun] = []
    found = {"open": timed(lambda: opened.append(SortedRun(path)))}
    [own] = opened
    chance = random.Random(1)
    present = [own.name_at(chance.randrange(count)) for _ in range(LOOK_UPS)]
    absent = [chance.randbytes(16) for _ in range(LOOK_UPS)]
    for name, wanted in (("100,000 look-ups", present), ("100,000 look-ups in vain", absent)):
        found[name] = timed(lambda wanted=wanted: [own.number_of(each, b"h" * 16) for each in wanted])
    found["all records, in order"] = timed(lambda: sum(1 for _ in own.columns()))
    own.close()
    index = MadeIndex(folder)
    index.add()
    found["refresh with 10,000 more"] = timed(index.refresh)
    assert index.count() == count + NEW_OBJECTS
    index.close()
    return found


def files(count: int, folder: Path, *, in_directory: int = FILES_IN_DIRECTORY) -> Rows:
    """Make small files on the disk, back them up twice, check the vault, and restore them."""
    make_files(folder / "source", count, in_directory)
    run(["-q", "create-alias", "bench", "--vault", folder / "vault"], folder)
    backup: list[str | Path] = ["-q", "backup", folder / "source", "bench:"]
    commands: dict[str, Sequence[str | Path]] = {
        "first backup": backup,
        "unchanged backup": backup,
        "check": ["check", "-q", "bench:"],
        "check --read-data": ["check", "-q", "--read-data", "bench:"],
    }
    found = _run_all(commands, folder)
    # In memory there may be no room for both.
    shutil.rmtree(folder / "source")
    return {**found, **_run_all({"restore": ["-q", "restore", "bench:Latest", folder / "out"]}, folder)}


def flat(count: int, folder: Path) -> Rows:
    """Do as `files` does with all files in one directory."""
    return files(count, folder, in_directory=count)


def gigabytes(count: int, folder: Path) -> Rows:
    """Back up a file that neither compresses nor repeats, check it, and restore it."""
    (folder / "source").mkdir()
    write_pseudo_random(folder / "source" / "file", count)
    run(["-q", "create-alias", "bench", "--vault", folder / "vault"], folder)
    found = {"first backup": run(["-q", "backup", folder / "source", "bench:"], folder)}
    (folder / "source" / "file").unlink()
    found["check --read-data"] = run(["check", "-q", "--read-data", "bench:"], folder)
    found["restore"] = run(["-q", "restore", "bench:Latest", folder / "out"], folder)
    return found


def streams(count: int, folder: Path) -> Rows:
    """Back up such a stream, and look at what became of it; the space of the packs is taken away as they are finished."""
    vault = folder / "vault"
    run(["-q", "create-alias", "bench", "--vault", vault], folder)
    with emptied(vault), pseudo_random(count) as stream:
        found = {"backup of a stream": run(["-q", "backup", "bench:", "--stdin-name", "file"], folder, standard_input=stream)}
    print(f"  backup of a stream: {found['backup of a stream']}", flush=True)
    commands: dict[str, list[str | Path]] = {
        "check": ["check", "-q", "bench:"],
        "stats": ["stats", "bench:"],
        "prune --dry-run": ["-q", "prune", "--dry-run", "bench:"],
    }
    return {**found, **_run_all(commands, folder)}


KINDS: dict[str, Callable[[int, Path], Rows]] = {
    "names": names,
    "directory": directory,
    "stored": stored,
    "files": files,
    "flat": flat,
    "gigabytes": gigabytes,
    "streams": streams,
    "snapshots": snapshots,
    "objects": objects,
}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
