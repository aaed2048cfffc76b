"""Measure how time and memory grow with the number of names, of snapshots and of objects, up to what no disk here would hold.

    .venv/bin/python bench/scale.py names 10000 100000 1000000       trees that are made in the vault, not on disk
    .venv/bin/python bench/scale.py directory 10000 1000000          the same, all in one directory
    .venv/bin/python bench/scale.py snapshots 100 1000 10000         snapshots of one target
    .venv/bin/python bench/scale.py objects 1000000 10000000         the local copy of an index

Writes a row for each size as it is measured, and at the end the table of docs/performance.md: seconds of CPU and the peak of
resident memory of each command, its start included, and the slope between the last two sizes, on logarithmic scales: 1 is linear.
"""

from __future__ import annotations

import math
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from tallac.backends.local import LocalBackend
from tallac.caps import LiteralFile
from tallac.dag import Entry, Metadata
from tallac.vault.format.footers import FinishedPack, encode_body
from tallac.vault.index.index import VaultIndex
from tallac.vault.index.sorted_runs import SortedRun, write_records
from tallac.vault.vault import create_vault, open_vault

FILES_IN_DIRECTORY = 50
LOOK_UPS = 100_000
NEW_OBJECTS = 10_000
_TALLAC = Path(sys.executable).with_name("tallac")


def main() -> None:
    """Measure one kind at some sizes."""
    kind, sizes = sys.argv[1], [int(text) for text in sys.argv[2:]]
    measured: list[Mapping[str, tuple[float, float]]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measured.append(KINDS[kind](size, Path(folder)))
        for name, figures in measured[-1].items():
            print(f"{kind} {size:,}: {name}: {_shown(figures)}", flush=True)
    print(*_table(kind, sizes, measured), sep="\n")


def _table(kind: str, sizes: list[int], measured: list[Mapping[str, tuple[float, float]]]) -> Iterator[str]:
    yield f"| {' | '.join([kind, *(f'{size:,}' for size in sizes), 'slope of the last step'])} |"
    yield "|---" * (len(sizes) + 2) + "|"
    for name in measured[0]:
        row = [figures[name] for figures in measured]
        slope = f"{_slope(*sizes[-2:], row[-2][0], row[-1][0]):.2f}" if len(row) > 1 else ""
        yield f"| {' | '.join([name, *map(_shown, row), slope])} |"


def _shown(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.3g} s, {figures[1]:.0f} MB"


def _slope(size: int, larger: int, seconds: float, more: float) -> float:
    return math.log(more / seconds) / math.log(larger / size)


def names(count: int, folder: Path, *, in_directory: int = FILES_IN_DIRECTORY) -> dict[str, tuple[float, float]]:
    """Make a tree of small files, and measure what reads all of it."""
    (folder / "vault").mkdir()
    key = create_vault(LocalBackend(folder / "vault"))
    started = time.process_time()
    with open_vault(LocalBackend(folder / "vault"), key, state=folder / "state") as vault, vault.session() as session:
        with session.writing() as writer:
            top = writer.build_directory()
            for first in range(0, count, in_directory):
                below = writer.build_directory()
                for number in range(first, min(first + in_directory, count)):
                    metadata = Metadata(mode=0o100644, uid=0, gid=0, mtime=(1_700_000_000 + number, number), inode=number)
                    below.add(Entry.of(b"f%09d.txt" % number, LiteralFile(b"content of %d" % number), metadata))
                top.add(Entry.of(b"d%09d" % first, below.finish(), Metadata(mode=0o040755, uid=0, gid=0, mtime=(1_700_000_000, 0))))
            cap = top.finish()
        session.keep([cap])
    found = {"make": (time.process_time() - started, _own_peak())}
    cap_file = folder / "cap"
    cap_file.write_text(cap.danger_whole_text())
    key_file = folder / "key"
    key_file.write_text(key.danger_whole_text())
    place = f"@{cap_file}:"
    commands = {
        "ls -R": ["ls", "-R", place],
        "du": ["du", place],
        "manifest": ["manifest", place],
        "restore --dry-run": ["restore", "--dry-run", "-q", place, str(folder / "out")],
        "check": ["check", "-q", place],
        "check --read-data": ["check", "-q", "--read-data", place],
        "vault-stats": ["vault-stats"],
    }
    for name, arguments in commands.items():
        found[name] = _run(["--vault", str(folder / "vault"), "--vault-key", str(key_file), *arguments], folder)
    return found


def directory(count: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Do as `names` does with all files in one directory."""
    return names(count, folder, in_directory=count)


def snapshots(count: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Make snapshots of one file that changes, by linking them, and measure what lists, thins and searches them."""
    source = folder / "source"
    source.mkdir()
    (source / "file").write_text("one")
    for arguments in (["create-alias", "bench", "--vault", str(folder / "vault")], ["-q", "backup", str(source), "bench:"]):
        _run(arguments, folder)
    _multiply(folder, count)
    commands = {
        "backup": ["-q", "backup", str(source), "bench:"],
        "snapshots": ["snapshots", "bench:"],
        "find": ["find", "bench:", "file"],
        "stats": ["stats", "bench:"],
        "forget": ["-q", "forget", "bench:", "--keep-daily", "7"],
        "prune": ["-q", "prune", "bench:"],
    }
    return {name: _run(arguments, folder) for name, arguments in commands.items()}


def _multiply(folder: Path, count: int) -> None:
    """Enter snapshots an hour apart into a target that has one: what a directory's edit does, for all of them at once."""
    import tallac  # lazy import: it is configured by the environment, see below
    from tallac.caps import MutableDirectoryWrite  # lazy import: as above
    from tallac.transfer.directory_edits import find_strongest  # lazy import: as above

    with tallac.Client(tallac.Folders.under(folder / "home")) as client:
        grid, located = client.inspect._workspace.resolve("bench:Archives")  # noqa: SLF001  A bench may look behind the front.
        archives, _ = find_strongest(grid, located)
        assert isinstance(archives, MutableDirectoryWrite)

        def multiplied(entries: list[Entry]) -> list[Entry]:
            [last] = entries
            made = [_shifted(last, hours) for hours in range(1, count)]
            return sorted([*made, last], key=lambda entry: entry.name)

        grid.edit_directory(archives, multiplied)


def _shifted(entry: Entry, hours: int) -> Entry:
    moment = time.gmtime(time.time() - 3600 * hours)
    return Entry(time.strftime("%Y-%m-%d_%H:%M:%SZ", moment).encode(), entry.encoded, entry.metadata)


def objects(count: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Write the local copy of an index, and look objects up in it that are there and that are not."""
    chance = random.Random(1)
    path = write_records(folder, [b"i" * 32], [(b"p" * 32, 1 << 24)], _records(count, chance), count)
    started = time.process_time()
    run = SortedRun(path)
    found = {"open": (max(time.process_time() - started, 1e-6), _own_peak())}
    present = [run.name_at(chance.randrange(count)) for _ in range(LOOK_UPS)]
    absent = [chance.randbytes(16) for _ in range(LOOK_UPS)]
    for name, wanted in (("100,000 look-ups", present), ("100,000 look-ups in vain", absent)):
        found[name] = _timed(lambda wanted=wanted: [run.number_of(each, b"h" * 16) for each in wanted])
    found["all records, in order"] = _timed(lambda: sum(1 for _ in run.columns()))
    run.close()
    register = _Register(b"i" * 32)
    index = VaultIndex(register, _NewPack(), folder, _NoPacks())
    index.refresh()
    register.text += b"n" * 32
    found["refresh with 10,000 more"] = _timed(index.refresh)
    assert index.count() == count + NEW_OBJECTS
    index.close()
    return found


class _Register:
    """The register of an index, without a vault."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def read(self, age: object) -> _Register:
        """Return this state."""
        return self

    @property
    def version(self) -> bytes:
        """Another one for each text."""
        return self.text


class _NewPack:
    """An index object with one pack."""

    def get(self, name: bytes) -> list[FinishedPack]:
        """Make it up."""
        chance = random.Random(2)
        columns = [[chance.randbytes(16) for _ in range(NEW_OBJECTS)] for _ in ("names", "hashes")]
        return [FinishedPack(name, 1 << 24, encode_body(*columns, [100] * NEW_OBJECTS, [0] * NEW_OBJECTS))]


class _NoPacks:
    """A store that nobody looks into."""


def _records(count: int, chance: random.Random) -> Iterator[bytes]:
    step = (1 << 64) // count
    for number in range(count):
        yield struct.pack(">Q8s16sIIII", number * step + chance.randrange(step), chance.randbytes(8), b"h" * 16, 0, number, 100, 0)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    started = time.process_time()
    work()
    return time.process_time() - started, _own_peak()


def _own_peak() -> float:
    """Return the peak of memory that is not of mapped files, in MB: those the kernel can take back."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1000


def _run(arguments: Iterable[str], folder: Path) -> tuple[float, float]:
    """Run a command; return seconds of CPU and MB of its peak of resident memory."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment["TALLAC_HOME"] = str(folder / "home")
    with subprocess.Popen([_TALLAC, *arguments], stdout=subprocess.DEVNULL, env=environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


KINDS = {"names": names, "directory": directory, "snapshots": snapshots, "objects": objects}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
