import tracemalloc
from collections.abc import Iterator

from tallac.caps import Cap, ImmutableDirectory, ImmutableFile
from tallac.dag import Entry, Metadata
from tallac.look.manifest import manifest

ROOT = ImmutableDirectory(bytes(16), bytes(32), 1, 1, 1000)


class ManyFiles:
    """A grid with one directory of many distinct files, each made as it is read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def read_directory(self, cap: Cap) -> Iterator[Entry]:
        """Make the entries."""
        for number in range(self.count):
            file = ImmutableFile(number.to_bytes(16, "big"), bytes(32), 1, 1, 1000)
            yield Entry.of(b"%09d" % number, file, Metadata())


def peak_of(count: int) -> int:
    """Return the most memory that a manifest of so many files takes, in bytes."""
    tracemalloc.start()
    try:
        assert len(set(map(type, manifest(ManyFiles(count), ROOT)))) == 1  # type: ignore[arg-type]  # Nothing else is asked.
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_manifest_keeps_little_of_each_name() -> None:
    """Between 2,000 and 12,000 files the most memory grows by less than 60 bytes a file; with more it grows less."""
    assert (peak_of(12_000) - peak_of(2_000)) / 10_000 < 60
