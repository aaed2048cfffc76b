"""Restoring from vaults that somebody made to do harm (G8): nothing outside is touched, it is told, the rest comes back."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hostile.cases import CASES, METADATA, QUIET
from tests.hostile.crafting import DIRECTORY, FILE, Crafter

from tallac.backends.memory import MemoryBackend
from tallac.caps import MutableDirectoryWrite
from tallac.dag import Entry
from tallac.errors import DamageError, RollbackDetectedError
from tallac.restore import Overwrite, Problem, RestoreObserver, RestoreOptions, RestoreSummary, restore
from tallac.vault.vault import Vault, create_vault, open_vault
from tallac.vault.writing.batch import VaultWriter

IN_PLACE = RestoreOptions(overwrite=Overwrite.ALWAYS, delete=True)
MEMORY_GROWTH_MAX_KIB = 192 << 10
GOOD = b"good" * 200


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Give a vault in memory."""
    backend = MemoryBackend()
    with open_vault(backend, create_vault(backend), state=tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def area(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with something precious in `outside`; restores go into `in/out`."""
    folder = tmp_path / "area"
    (folder / "outside").mkdir(parents=True)
    (folder / "outside" / "precious").write_text("precious")
    (folder / "in").mkdir()
    yield folder
    # Some of it is too deep for Python.
    subprocess.run(["rm", "-rf", folder], check=True)


def looked_at(area: Path) -> dict[str, tuple[object, ...]]:
    """Tell all that is in an area except for what a restore may write."""
    found: dict[str, tuple[object, ...]] = {}
    for top, directories, files in os.walk(area):
        if Path(top) == area / "in":
            directories[:] = [name for name in directories if name != "out"]
        for path in (top, *(os.path.join(top, name) for name in (*directories, *files))):
            status = os.lstat(path)
            content = Path(path).read_bytes() if os.path.isfile(path) else b""
            times = () if Path(path) == area / "in" else (status.st_mtime_ns, status.st_ctime_ns)
            found[path] = (status.st_mode, status.st_nlink if content else 0, content, *times)
    return found


def craft(vault: Vault, name: str, area: Path) -> Entry:
    """Store a snapshot with a case in the middle of what is good."""
    with vault.session() as session, session.writing() as writer:
        assert isinstance(writer, VaultWriter)
        crafter = Crafter(vault, writer, os.fsencode(area / "outside"))
        made = CASES[name](crafter)
        bad = crafter.directory(made) if isinstance(made, list) else made
        entries = [
            Entry(b"a-good", crafter.file(GOOD), FILE),
            Entry(b"bad", bad, DIRECTORY),
            Entry(b"z-good", crafter.directory([Entry(b"file", crafter.file(GOOD), FILE)]), DIRECTORY),
        ]
        return Entry(b"snapshot", crafter.directory(entries), DIRECTORY)


def set_traps(out: Path, outside: Path) -> None:
    """Put links and hard links that lead out in places where a restore writes."""
    (out / "bad").mkdir(parents=True)
    os.link(outside / "precious", out / "a-good")
    (out / "z-good").symlink_to(outside)
    for name in ("a", "inside"):
        (out / "bad" / name).symlink_to(outside)
    (out / "bad" / "victim").symlink_to(outside / "precious")
    (out / "bad" / "deep").symlink_to(outside)
    (out / "bad" / "more").symlink_to(outside)


def assert_harmless(vault: Vault, entry: Entry, area: Path, name: str, options: RestoreOptions) -> RestoreSummary:
    """Restore, and see what may be seen afterwards."""
    before = looked_at(area)
    out = area / "in" / "out"
    problems: list[Problem] = []
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    summary = restore(vault, entry, out, options=options, observer=RestoreObserver(problem=problems.append), workers=0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MEMORY_GROWTH_MAX_KIB
    assert (out / "a-good").read_bytes() == (out / "z-good" / "file").read_bytes() == GOOD
    assert not (out / "z-good").is_symlink()
    after = looked_at(area)
    if options.overwrite is not None:
        # The trap is taken away, so that what is precious has one name less, and the file system notes when.
        for seen in (before, after):
            mode, _, content, mtime_ns, _ = seen[str(area / "outside" / "precious")]
            seen[str(area / "outside" / "precious")] = (mode, content, mtime_ns)
    assert after == before
    assert problems or name in QUIET or is_held(out / "bad" / "victim", name)
    assert all(problem.message and problem.message.isprintable() for problem in problems)
    return summary


def is_held(victim: Path, name: str) -> bool:
    """Tell whether the file system holds even that: tmpfs has times and attributes for which ext4 has no room."""
    wanted = METADATA.get(name.removeprefix("metadata: "))
    if wanted is None or (wanted.mtime is None and not wanted.xattrs):
        return False
    is_time_right = wanted.mtime is None or divmod(victim.lstat().st_mtime_ns, 10**9) == wanted.mtime
    return is_time_right and all(os.getxattr(victim, attribute) == value for attribute, value in wanted.xattrs)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_snapshot_does_no_harm(vault: Vault, area: Path, name: str) -> None:
    """Into a new folder: nothing outside it is touched, something is told, and what is good comes back."""
    assert_harmless(vault, craft(vault, name, area), area, name, RestoreOptions())


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_snapshot_does_no_harm_in_place(vault: Vault, area: Path, name: str) -> None:
    """Over a folder full of links that lead out, with all that may be overwritten and deleted: the same."""
    set_traps(area / "in" / "out", area / "outside")
    assert_harmless(vault, craft(vault, name, area), area, name, IN_PLACE)


def test_there_are_enough_cases() -> None:
    """G8 asks for 200; each counts once, however it is restored."""
    assert len(CASES) >= 200


@pytest.fixture
def slots(tmp_path: Path) -> tuple[MemoryBackend, Vault, list[MutableDirectoryWrite], list[str]]:
    """Give a vault with two mutable directories of two entries each, and the names of their slots."""
    backend = MemoryBackend()
    vault = open_vault(backend, create_vault(backend), state=tmp_path / "state")
    caps = []
    for number in range(2):
        cap = vault.create_directory()
        assert isinstance(cap, MutableDirectoryWrite)
        vault.edit_directory(cap, lambda _, number=number: [Entry(b"file%d" % number, b"Lold", FILE)])  # type: ignore[misc]
        caps.append(cap)
    names = [vault.components.slots.path_of(cap.read_cap.verify_cap.storage_index) for cap in caps]
    return backend, vault, caps, names


def test_an_older_state_is_no_snapshot(
    slots: tuple[MemoryBackend, Vault, list[MutableDirectoryWrite], list[str]], area: Path
) -> None:
    """A store that shows a directory as it was before is found out, and nothing is restored from it."""
    backend, vault, caps, names = slots
    older = backend.snapshot()[names[0]]
    vault.edit_directory(caps[0], lambda _: [Entry(b"file0", b"Lnew", FILE)])
    backend.restore({**backend.snapshot(), names[0]: older})
    with pytest.raises(RollbackDetectedError):
        restore(vault, caps[0].read_cap, area / "in" / "out", workers=0)
    assert not (area / "in" / "out" / "file0").exists()


@pytest.mark.parametrize("given", [0, 1])
def test_another_slot_is_not_taken_for_ones_own(
    slots: tuple[MemoryBackend, Vault, list[MutableDirectoryWrite], list[str]], area: Path, given: int
) -> None:
    """A store that gives one directory's slot for another is found out."""
    backend, vault, caps, names = slots
    objects = backend.snapshot()
    backend.restore({**objects, names[given]: objects[names[1 - given]]})
    with pytest.raises(DamageError):
        restore(vault, caps[given].read_cap, area / "in" / "out", workers=0)
    assert not list((area / "in" / "out").glob("file*"))
