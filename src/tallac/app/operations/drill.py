"""Trying a restore: a random sample of a snapshot is restored, compared with its sources, and removed."""

from __future__ import annotations

import os
import random
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tallac.caps import DirectoryReadCap
from tallac.dag import Components, Entry, FileType, display_path, join_components
from tallac.errors import LocalStateError
from tallac.interfaces import Grid
from tallac.look.metadata import kind_of
from tallac.restore import Problem, ProblemKind, RestoreObserver, RestoreOptions, restore
from tallac.restore.path_filter import PathFilter
from tallac.transfer.place import Place, directory_of, find, walk

SIZE_MAX = 256_000_000
"""So many bytes are restored at most, unless every file is larger."""

_BLOCK_SIZE = 1 << 20
_SPECIAL = re.compile(r"([\\*?\[\]!# ])")


class DrillReport(msgspec.Struct):
    """The outcome of trying a restore.

    Attributes:
        files, bytes: What was restored.
        compared: How many of the files were compared with their sources, which have not changed since.
        changed: How many have changed since, or are not there any more; of those only the hash in the snapshot was checked.
        problems: What went wrong, a sentence each.
    """

    files: int = 0
    bytes: int = 0
    compared: int = 0
    changed: int = 0
    problems: list[str] = msgspec.field(default_factory=list)


class _Sampled(msgspec.Struct, frozen=True):
    path: bytes
    size: int
    mtime_ns: int | None


def drill(
    grid: Grid, snapshot: Place, source: bytes, count: int, *, size_max: int = SIZE_MAX, chance: random.Random | None = None
) -> DrillReport:
    """Restore a random sample of a snapshot's files into a temporary folder, and compare them with their sources.

    Args:
        grid: Where the snapshot is.
        snapshot: Its place.
        source: The absolute path that its root was made from.
        count: How many files.
        size_max: How many bytes; of files that are all larger, the smallest of the sample is taken.
        chance: Where chance comes from; None for the system's.

    Raises:
        EntryNotFoundError: There is no such snapshot.
        LocalStateError: There is no room for the sample, or it can't be removed.
        StoreError: The store failed, other than by damage, which is reported.
    """
    found = find(grid, snapshot)
    root = Entry.of(b"", found.cap, found.metadata)
    chosen = _sample(grid, snapshot, directory_of(found.cap, snapshot), count, size_max, chance or random.SystemRandom())
    report = DrillReport()
    if not chosen:
        return report

    failed: set[bytes] = set()

    def note(problem: Problem) -> None:
        # What the temporary folder's file system does not keep, such as attributes, says nothing of the backup.
        if problem.kind is not ProblemKind.UNSET:
            failed.add(problem.path)
            report.problems.append(f"{display_path(problem.path)}: {problem.message}")

    selection = PathFilter([_pattern(file.path) for file in chosen])
    options = RestoreOptions(selection=selection, is_foreign=True, numeric_owners=True)
    try:
        with tempfile.TemporaryDirectory(prefix="tallac-drill-") as name:
            folder = Path(name, "restored")
            restore(grid, root, folder, options=options, observer=RestoreObserver(problem=note))
            for file in chosen:
                if file.path in failed:
                    continue
                _compare(os.path.join(os.fsencode(folder), file.path), os.path.join(source, file.path), file, report)
    except OSError as error:
        raise LocalStateError(
            f"{tempfile.gettempdir()}: can't restore a sample there, or remove it again ({error.strerror}); "
            "make room, or choose another folder with TMPDIR"
        ) from error
    return report


def _sample(
    grid: Grid, snapshot: Place, directory: DirectoryReadCap, count: int, size_max: int, chance: random.Random
) -> list[_Sampled]:
    """Choose files, each one with the same chance, in one walk through the snapshot."""
    chosen: list[_Sampled] = []
    for number, file in enumerate(_files(walk(grid, snapshot, directory))):
        if number < count:
            chosen.append(file)
        elif (place := chance.randrange(number + 1)) < count:
            chosen[place] = file
    chance.shuffle(chosen)
    fitting, size = [], 0
    for file in chosen:
        if size + file.size <= size_max:
            fitting.append(file)
            size += file.size
    return fitting or sorted(chosen, key=lambda file: file.size)[:1]


def _files(walked: Iterable[tuple[Components, Entry]]) -> Iterable[_Sampled]:
    for components, entry in walked:
        if not entry.is_directory and kind_of(entry) is FileType.REGULAR:
            yield _Sampled(join_components(components, entry.name), entry.size, entry.metadata.mtime_ns)


def _pattern(path: bytes) -> str:
    """Write a path as a pattern that matches it alone."""
    return "/" + _SPECIAL.sub(r"\\\1", os.fsdecode(path))


def _compare(restored: bytes, source: bytes, file: _Sampled, report: DrillReport) -> None:
    shown = display_path(file.path)
    try:
        size = os.lstat(restored).st_size
    except OSError as error:
        report.problems.append(f"{shown}: it was not restored ({error.strerror})")
        return
    report.files += 1
    report.bytes += size
    if size != file.size:
        report.problems.append(f"{shown}: {size:,} bytes were restored, and the snapshot has {file.size:,}")
        return
    if not _is_unchanged(source, file):
        report.changed += 1
        return
    is_same = _has_same_bytes(restored, source)
    if is_same is None or (not is_same and not _is_unchanged(source, file)):
        report.changed += 1
        return
    report.compared += 1
    if not is_same:
        report.problems.append(
            f"{shown}: the restored file differs from {display_path(source)}, although that looks unchanged; check that disk"
        )


def _is_unchanged(source: bytes, file: _Sampled) -> bool:
    try:
        status = os.lstat(source)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns)


def _has_same_bytes(restored: bytes, source: bytes) -> bool | None:
    """Compare two files; None where the source can't be read any more."""
    with open(restored, "rb") as ours:
        try:
            with open(source, "rb") as theirs:
                while True:
                    block = ours.read(_BLOCK_SIZE)
                    if block != theirs.read(_BLOCK_SIZE):
                        return False
                    if not block:
                        return True
        except OSError:
            return None
