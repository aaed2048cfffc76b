"""Data sets for measuring, the same on every machine: seeded, and made once in a folder of the caller's."""

from __future__ import annotations

import os
import random
from pathlib import Path

SMALL_FILES = 100_000
FILES_IN_DIRECTORY = 50
LARGE_PARTS = 2_000
_ALPHABET = "etaoinshrdlucmfwypvbgkqjxz"
_SUFFIXES = (".txt", ".md", ".py", ".c", ".json", ".html")


def small_files(folder: Path, count: int = SMALL_FILES) -> None:
    """S1: 100,000 files in 2,000 directories, 652 MB of words, log-normal sizes from 100 B to 64 KB, a tenth of them copies.

    Or another count of files, in a fiftieth as many directories.
    """
    pool = _text(11, 24 << 20)
    chance = random.Random(1)
    directories = [folder / f"a{number % 40:02}" / f"dir{number:04}" for number in range(count // FILES_IN_DIRECTORY)]
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
    recent: list[bytes] = []
    for number in range(count):
        if recent and chance.random() < 0.10:
            content = chance.choice(recent)
        else:
            content = _small_content(number, pool, chance)
            if len(recent) < 3000:
                recent.append(content)
            else:
                recent[chance.randrange(3000)] = content
        path = directories[chance.randrange(len(directories))] / f"f{number:06}{_SUFFIXES[number % 6]}"
        path.write_bytes(content)
        os.utime(path, (1700000000 + number, 1700000000 + number))


def large_file(folder: Path, megabytes: int = LARGE_PARTS) -> None:
    """S3: one file of 2 GB, or of another size, that does not compress."""
    with (folder / "random.bin").open("wb") as file:
        for number in range(megabytes):
            file.write(random.Random(30000 + number).randbytes(1_000_000))


DATA_SETS = {"S1": small_files, "S3": large_file}


def _small_content(number: int, pool: bytes, chance: random.Random) -> bytes:
    size = min(65536, max(100, int(chance.lognormvariate(8.15, 1.15))))
    parts = [f"# file {number} {chance.getrandbits(48)}\n".encode()]
    length = 0
    while length < size:
        part = min(size - length, chance.randint(60, 700))
        start = chance.randrange(len(pool) - part)
        parts.append(pool[start : start + part])
        length += part
    return b"".join(parts)[:size]


def _text(seed: int, size: int) -> bytes:
    words = _words(seed, 8000)
    weights: list[float] = []
    total = 0.0
    for rank in range(len(words)):
        total += 1.0 / (rank + 3) ** 0.9
        weights.append(total)
    chance = random.Random(seed + 1)
    lines: list[str] = []
    length = 0
    while length < size:
        line = " ".join(chance.choices(words, cum_weights=weights, k=14)) + "\n"
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()


def _words(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    weights = [12.0 / (rank + 1) ** 0.6 for rank in range(26)]
    return ["".join(chance.choices(_ALPHABET, weights, k=chance.randint(2, 10))) for _ in range(count)]
