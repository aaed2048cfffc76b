"""What all processes of a command together take of memory."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.command import Tallac

MEMORY_MAX = 200_000_000
SAMPLE_SECONDS = 0.05

LONG = pytest.mark.torture


@pytest.fixture
def peak(tallac: Tallac) -> Callable[..., int]:
    """Run a command and give the peak of what all its processes hold together: what several share counts once."""

    def run(*arguments: str | Path) -> int:
        process = tallac.start("-q", *arguments)
        highest = 0
        while process.poll() is None:
            highest = max(highest, sum(map(held_by, tallac.processes())))
            # Shorter than any peak that matters; looking more often would take the core from the command.
            time.sleep(SAMPLE_SECONDS)
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert highest > 10_000_000
        return highest

    return run


def held_by(process: int) -> int:
    """Give the memory that a process has, in bytes: of pages that several share, its part."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0  # It has ended meanwhile.
    sizes = {name: int(rest.split()[0]) * 1000 for name, _, rest in (line.partition(":") for line in lines)}
    return sizes["Pss"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder beside the test's own: removing a million files is quicker without Python."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)
        subprocess.run(["rm", "-rf", made], check=True)
        Path(made).mkdir()


@pytest.mark.parametrize("count", [30_000, pytest.param(1_000_000, marks=LONG)])
def test_many_names(tallac: Tallac, folder: Path, tmp_path: Path, peak: Callable[..., int], count: int) -> None:
    """A directory of very many names stays below 200 MB: backed up, backed up again, listed, checked and restored."""
    source = folder / "source"
    source.mkdir()
    for number in range(count):
        (source / f"{number} is a name of some length").touch()
    assert peak("backup", source) < MEMORY_MAX
    assert peak("backup", source) < MEMORY_MAX
    assert peak("check", "--read-data", "tallac:") < MEMORY_MAX
    assert peak("restore", "Latest", folder / "out") < MEMORY_MAX
    assert sum(1 for _ in (folder / "out").iterdir()) == count


@pytest.mark.parametrize("megabytes", [300, pytest.param(10_000, marks=LONG)])
def test_a_large_file(tallac: Tallac, folder: Path, peak: Callable[..., int], megabytes: int) -> None:
    """A large file stays below 200 MB: backed up, changed, checked and restored."""
    source = folder / "source"
    source.mkdir()
    with (source / "large").open("wb") as file:
        for number in range(megabytes):
            file.write(random.Random(number).randbytes(1_000_000))
    assert peak("backup", source) < MEMORY_MAX
    with (source / "large").open("r+b") as file:
        file.seek(megabytes * 500_000)
        file.write(b"changed")
    assert peak("backup", source) < MEMORY_MAX
    assert peak("check", "--read-data", "tallac:") < MEMORY_MAX
    assert peak("restore", "Latest", folder / "out") < MEMORY_MAX
    assert subprocess.run(["cmp", source / "large", folder / "out" / "large"], check=False).returncode == 0
