"""A vault on a real FAT file system, which loses its power.

Few machines that test have FAT in their kernel, but any may boot one that has in a process: Debian's user-mode-linux, whose root is
this machine's own. It takes seconds; what happens at each boundary is tried on a disk that was made up from its behaviour.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS, SOURCES, clean_environment
from tests.end_to_end import on_fat
from tests.end_to_end.conftest import miss

pytestmark = pytest.mark.slow

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
EXPORTED = ("TALLAC_HOME", "PYTHONPATH", "LC_ALL", "PATH")
PROCESSOR = Path("/proc/cpuinfo")


class Machine:
    """A machine with a FAT disk, which is an image on this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = folder / "disk"
        self.mount = folder / "stick"
        self.mount.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.vfat", "-F", "32", self.image], check=True, capture_output=True)

    def run(self, *commands: Sequence[str | Path]) -> list[dict[str, object]]:
        """Boot, run commands, and cut the power after the last one. Return how they have ended."""
        kernel_modules = next(MODULES.glob("*/kernel/fs"))
        texts = [json.dumps([str(word) for word in command]) for command in commands]
        call = [sys.executable, on_fat.__file__, str(kernel_modules), str(self.mount), *texts]
        environment = clean_environment() | {"TALLAC_HOME": str(self.folder / "home"), "PYTHONPATH": str(SOURCES)}
        exports = "".join(f"export {name}='{value}'\n" for name, value in environment.items() if name in EXPORTED)
        init = self.folder / "init"
        init.write_text(f"#!/bin/sh\n{exports}exec " + " ".join(f"'{word}'" for word in call) + "\n")
        init.chmod(0o755)
        words = ["mem=512M", "root=/dev/root", "rootfstype=hostfs", "rw", "quiet", f"init={init}", f"ubd0={self.image}"]
        machine = subprocess.Popen(
            [KERNEL, *words, "con=null", "con0=null,fd:1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self.folder,
            env=environment | {"HOME": str(self.folder), "TMPDIR": str(self.folder)},
        )
        try:
            return list(self._ended(machine))
        finally:
            # All at once, as power goes.
            os.killpg(machine.pid, 9)
            machine.communicate(timeout=PATIENCE_SECONDS)

    @staticmethod
    def _ended(machine: subprocess.Popen[bytes]) -> Iterator[dict[str, object]]:
        assert machine.stdout is not None
        for line in machine.stdout:
            if line.strip() == b"waiting":
                return
            if line.startswith(b"{"):
                yield json.loads(line)
        pytest.fail("the kernel has ended by itself")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine that is off."""
    for tool in (KERNEL, "mkfs.vfat", "fsck.vfat"):
        if shutil.which(tool) is None:
            miss(f"{tool} is missing")
    if os.geteuid() != 0:
        pytest.skip("this takes root")
    if " amx_tile " in PROCESSOR.read_text("ascii", "replace"):
        # No package mends that: it sets registers by a size that is fixed in it, and a kernel above takes no other than its own.
        pytest.skip(f"{KERNEL} 6.1 starts no program on a processor with AMX, whose registers are more than it has room for")
    return Machine(tmp_path)


def test_a_stick_loses_its_power(machine: Machine, tmp_path: Path) -> None:
    """After a power failure every finished backup is there, whole, without a repair of the vault, and the next one works."""
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for number in range(20):
        (source / f"{number}").write_bytes(os.urandom(20_000))
    backup = ("-q", "backup", source, "usb:d", "--tag")
    begun = machine.run(("create-alias", "usb", "--vault", machine.mount / "vault"), (*backup, "1"), (*backup, "2"))
    assert [ended["status"] for ended in begun] == [0, 0, 0], begun
    subprocess.run(["fsck.vfat", "-a", machine.image], check=False, capture_output=True)
    later = machine.run(
        ("snapshots", "--json", "usb:d"),
        ("check", "--read-data", "usb:"),
        ("-q", "restore", "usb:d/Latest", out),
        (*backup, "3"),
    )
    assert [ended["status"] for ended in later] == [0] * 4, later
    assert all(f'"tags":["{tag}"]' in str(later[0]["out"]).replace(" ", "") for tag in "12"), later
    # Times come through the file system by which the other machine sees this one, which counts seconds.
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {path.name: path.read_bytes() for path in source.iterdir()}
