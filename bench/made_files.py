"""Files on the disk, and streams, for measuring backups of many names and of many bytes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GIGABYTE = 10**9
EMPTY_SECONDS = 0.5
WHOLE_PACKS = 4
_KEPT_SIZE = 1 << 20


def make_files(folder: Path, count: int, in_directory: int) -> None:
    """Make files of 60 to 120 bytes, each with a content of its own."""
    for first in range(0, count, in_directory):
        directory = folder / f"d{first:09}"
        directory.mkdir(parents=True)
        descriptor = os.open(directory, os.O_RDONLY)
        for number in range(first, min(first + in_directory, count)):
            file = os.open(b"f%09d.txt" % number, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=descriptor)
            os.write(file, b"%0*d" % (60 + number % 60, number))
            os.close(file)
        os.close(descriptor)


def write_pseudo_random(path: Path, gigabytes: int) -> None:
    """Write a file of bytes that neither compress nor repeat."""
    with path.open("wb") as file, pseudo_random(gigabytes) as stream:
        subprocess.run(["cat"], stdin=stream, stdout=file, check=True)


@contextmanager
def pseudo_random(gigabytes: int) -> Iterator[int]:
    """Give a stream of such bytes, the same each time: zeros, enciphered with AES-CTR."""
    command = f"head -c {gigabytes * GIGABYTE} /dev/zero | openssl enc -aes-128-ctr -nosalt -K {'17' * 16} -iv {'0' * 32}"
    with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        yield made.stdout.fileno()


@contextmanager
def emptied(vault: Path) -> Iterator[None]:
    """Take the space of finished packs away while a backup runs: their middle becomes a hole, and their size stays (Linux).

    So what is stored may be larger than the disk. All that a backup reads of packs is their footers. The newest ones stay whole:
    the lists of a long stream's chunks, which a check reads, are stored last.
    """
    stopped = threading.Event()

    def empty() -> None:
        seen: set[Path] = set()
        while not stopped.wait(EMPTY_SECONDS):
            packs = [path for path in (vault / "packs").rglob("*") if path.is_file() and not path.name.startswith(".")]
            for pack in sorted(packs, key=lambda path: path.stat().st_mtime_ns)[:-WHOLE_PACKS]:
                length = pack.stat().st_size - 2 * _KEPT_SIZE
                if pack not in seen and length > 0:
                    subprocess.run(["fallocate", "-p", "-o", str(_KEPT_SIZE), "-l", str(length), pack], check=True)
                seen.add(pack)

    thread = threading.Thread(target=empty)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
