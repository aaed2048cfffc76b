"""Jobs that read their sources from snapshots of file systems: a real Btrfs, and ZFS and LVM as far as their commands go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

IMAGE_SIZE = 256 << 20


def need(is_there: bool, what: str) -> None:
    """Skip a test for lack of a file system; what CI is to have is asserted elsewhere."""
    if not is_there:
        pytest.skip(f"{what} is missing")


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """Return a Btrfs of its own, mounted from an image."""
    need(
        sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mkfs.btrfs") is not None,
        "mkfs.btrfs, or the right to mount",
    )
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_SIZE)
    subprocess.run(["mkfs.btrfs", "--quiet", image], check=True, capture_output=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], check=False, capture_output=True)
    need(mounted.returncode == 0, "Btrfs in the kernel, or a loop device")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def write_job(tallac: Tallac, sources: list[Path], keys: str) -> None:
    """Write a file with one job."""
    file = tallac.home / "config" / "jobs.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'[job.docs]\ntarget = "tallac:docs"\nsources = {json.dumps(list(map(str, sources)))}\n{keys}\n')


def subvolumes(folder: Path) -> list[str]:
    """Return the subvolumes of a Btrfs."""
    listed = subprocess.run(["btrfs", "subvolume", "list", folder], check=True, capture_output=True, text=True).stdout
    return sorted(line.partition(" path ")[2] for line in listed.splitlines())


def make_home(btrfs: Path) -> Path:
    """Make a subvolume with files in it, and one in a folder of it."""
    home = btrfs / "home"
    subprocess.run(["btrfs", "subvolume", "create", home], check=True, capture_output=True)
    (home / "ann").mkdir()
    (home / "ann" / "file").write_text("before")
    subprocess.run(["btrfs", "subvolume", "create", home / "ann" / "inner"], check=True, capture_output=True)
    (home / "ann" / "inner" / "deep").write_text("deep")
    (home / "bob").mkdir()
    (home / "bob" / "note").write_text("note")
    return home


# It changes a source once the snapshot has been taken: whoever reads the source itself stores what it is then.
CHANGING = """#!/bin/sh
{real} "$@" || exit
case "$*" in
*"snapshot -r"*) echo after > {file} ;;
esac
"""


@pytest.fixture
def changing(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Return a machine on which a file changes right after its file system was snapshot."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "btrfs"
    program.write_text(CHANGING.format(real=shutil.which("btrfs"), file=tmp_path / "disk" / "home" / "ann" / "file"))
    program.chmod(0o755)
    return type(tallac)(tallac.home, ("env", f"PATH={tmp_path}/bin:{os.environ['PATH']}"))


def test_a_folder_is_read_from_a_snapshot(btrfs: Path, changing: Tallac, tallac: Tallac, tmp_path: Path) -> None:
    """The backup has what was there when the snapshot was taken, with what lies in a subvolume of it, and the source's own path."""
    home = make_home(btrfs)
    before = subvolumes(btrfs)
    write_job(tallac, [home / "ann"], 'snapshot = "btrfs"\nkeep = { last = 5 }')
    assert changing("-q", "run", "docs").err == ""
    assert (home / "ann" / "file").read_text() == "after\n"
    tallac("-q", "restore", "tallac:docs/Latest", tmp_path / "restored")
    assert (tmp_path / "restored" / "file").read_text() == "before"
    assert (tmp_path / "restored" / "inner" / "deep").read_text() == "deep"
    (snapshot,) = (json.loads(line) for line in tallac("--json", "snapshots", "tallac:docs").lines)
    assert snapshot["sources"] == [{"path": str(home / "ann")}]
    assert subvolumes(btrfs) == before, "the snapshots are gone"
    again = json.loads(tallac("--json", "run", "docs").lines[-1])
    counts = next(step["counts"] for step in again["steps"] if step["step"] == "backup")
    assert (counts["files"], counts["files_changed"], counts["files_new"]) == (2, 1, 0), (
        "unchanged files are recognised in a snapshot"
    )
    mounts = Path("/proc/self/mountinfo").read_text()
    assert "tallac-view" not in mounts


def test_several_sources_and_a_vault_among_them(btrfs: Path, tmp_path: Path, tallac: Tallac) -> None:
    """Sources on several file systems lie in the snapshot under their paths; keys and vaults in them are left out all the same."""
    home = make_home(btrfs)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("elsewhere")
    machine = type(tallac)(home / "ann" / "tallac")
    machine("create-alias", "key")
    machine("key-source", "key:", "--file", home / "ann" / "my key")
    write_job(machine, [home / "ann", home / "bob" / "note", tmp_path / "elsewhere"], 'snapshot = "btrfs"\none-file-system = false')
    assert machine("run", "docs").error_lines == [f"{home}/ann/tallac/vault: left out: it is the vault that this backup goes into"]
    listed = [os.fsdecode(line) for line in machine("ls", "-R", "tallac:docs/Latest").lines]
    names = {name.rpartition("/")[2] for name in (line.split("  ")[-1].strip() for line in listed)}
    assert {"file", "note", "deep", "elsewhere"} <= names
    assert names.isdisjoint({"tallac.json", "source.db", "header", "my key"})


def test_what_a_killed_run_has_left_is_removed(btrfs: Path, tallac: Tallac) -> None:
    """A snapshot of an earlier run under the job's name is replaced."""
    home = make_home(btrfs)
    before = subvolumes(btrfs)
    subprocess.run(["btrfs", "subvolume", "snapshot", "-r", home, home / ".tallac-docs"], check=True, capture_output=True)
    write_job(tallac, [home], 'snapshot = "btrfs"')
    tallac("-q", "run", "docs")
    assert subvolumes(btrfs) == before
    assert b".tallac-docs" not in tallac("ls", "tallac:docs/Latest").out


def test_a_backup_that_fails_leaves_nothing(btrfs: Path, tallac: Tallac) -> None:
    """Whatever goes wrong, snapshots are removed."""
    home = make_home(btrfs)
    before = subvolumes(btrfs)
    write_job(tallac, [home], 'snapshot = "btrfs"\nmax-removed = "0%"')
    tallac("-q", "run", "docs")
    (home / "bob" / "note").unlink()
    assert "were removed since the last backup" in tallac("run", "docs", status=1).err
    assert subvolumes(btrfs) == before


def test_a_source_that_is_on_another_file_system(tallac: Tallac, source: Path) -> None:
    """It is said, and no snapshot of Tallac's is made either."""
    need(sys.platform == "linux" and os.geteuid() == 0, "root on Linux")
    write_job(tallac, [source], 'snapshot = "zfs"')
    assert f"docs: backup: {source}: not on zfs, but on " in tallac("run", "docs", status=1).err


# The module as it is, with another table of mounts, commands that only record, and a folder that stands for the snapshot.
PRETEND = """
import os, sys
from pathlib import Path
from tallac.errors import SourceError
from tallac.jobs import file_systems
table, kind, source, one_alone = sys.argv[1:5]
file_systems._TABLE = Path(table)
file_systems._enter_namespace = lambda: None
answers = {"lvs": os.environ.get("LVS", "")}
def run(command):
    print(*command)
    if command[0] == "lvs" and "vg_name,lv_name,segtype" in command:
        if not answers["lvs"]:
            raise SourceError("lvs: no such volume")
        return answers["lvs"]
    return os.environ.get("LISTED", "")
with file_systems.snapshot_view(kind, [source], "docs", one_file_system=one_alone == "1", run=run) as view:
    print("READ", view.place(source).decode().removeprefix(view.root))
"""


def pretend(tmp_path: Path, kind: str, source: Path, table: str, *, one_file_system: bool = False, **variables: str) -> list[str]:
    """Return the commands that would be run, with temporary names made alike."""
    (tmp_path / "table").write_text(table)
    arguments = [str(tmp_path / "table"), kind, str(source), "1" if one_file_system else "0"]
    finished = subprocess.run(
        [sys.executable, "-c", PRETEND, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "TMPDIR": str(tmp_path)} | variables,
    )
    lines = finished.stdout.splitlines()
    views = {word for line in lines for word in line.split() if "/tallac-view-" in word or "/tallac-lvm-" in word}
    for view in sorted(views, key=len, reverse=True):
        end = view.index("/", view.index("/tallac-") + 1) if "/" in view[view.index("/tallac-") + 1 :] else len(view)
        name = "VIEW" if "/tallac-view-" in view else "VOLUME"
        lines = [line.replace(view[:end], name) for line in lines]
    return lines


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root on Linux")
def test_zfs(tmp_path: Path) -> None:
    """Each dataset at and below the source is snapshot, shown under the source's paths, and its snapshot is destroyed."""
    source = tmp_path / "home" / "ann"
    (source / "mail").mkdir(parents=True)
    table = (
        f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / {tmp_path}/home rw - zfs tank/home rw\n"
        f"3 2 0:41 / {source}/mail rw - zfs tank/home/mail rw\n"
    )
    lines = pretend(tmp_path, "zfs", source, table, LISTED="tank/home@tallac-docs\ntank/home@other")
    assert lines == [
        "zfs list -H -t snapshot -o name tank/home",
        "zfs destroy tank/home@tallac-docs",
        "zfs snapshot tank/home@tallac-docs",
        "zfs list -H -t snapshot -o name tank/home/mail",
        "zfs snapshot tank/home/mail@tallac-docs",
        f"mount --bind {tmp_path}/home/.zfs/snapshot/tallac-docs/ann VIEW{source}",
        f"READ {source}",
        f"umount --lazy VIEW{source}",
        "zfs destroy tank/home/mail@tallac-docs",
        "zfs destroy tank/home@tallac-docs",
    ]
    alone = pretend(tmp_path, "zfs", source, table, one_file_system=True)
    assert not [line for line in alone if "mail" in line]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root on Linux")
@pytest.mark.parametrize(("segment", "room"), [("linear", " --extents 20%ORIGIN"), ("thin", "")])
def test_lvm(segment: str, room: str, tmp_path: Path) -> None:
    """A volume's snapshot is made, mounted read-only, shown under the source's path, and removed; XFS gets its option."""
    source = tmp_path / "srv"
    source.mkdir()
    table = f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 253:0 / {source} rw - xfs /dev/mapper/vg-srv rw\n"
    lines = pretend(tmp_path, "lvm", source, table, LVS=f"  vg/srv/{segment}\n", LISTED="srv tallac-docs-srv")
    activation = ["lvchange --activate y --ignoreactivationskip vg/tallac-docs-srv"] if segment == "thin" else []
    assert lines == [
        "lvs --noheadings --separator / -o vg_name,lv_name,segtype /dev/mapper/vg-srv",
        "lvs --noheadings -o lv_name vg",
        "lvremove --yes vg/tallac-docs-srv",
        f"lvcreate --snapshot --name tallac-docs-srv{room} vg/srv",
        *activation,
        "mount -t xfs -o ro,nouuid /dev/vg/tallac-docs-srv VOLUME",
        f"mount --bind VOLUME/. VIEW{source}",
        f"READ {source}",
        f"umount --lazy VIEW{source}",
        "umount VOLUME",
        "lvremove --yes vg/tallac-docs-srv",
    ]
