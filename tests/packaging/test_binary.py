"""The one-file program that `make binary` builds, on a machine without Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.packaging.conftest import PATIENCE_SECONDS, lacks, run

from tallac import __version__

pytestmark = pytest.mark.slow

# What every Linux has, whatever else is on it: the C library and what loads it; and zlib, which the unpacker needs.
LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libz.so.1")


@pytest.fixture(scope="module")
def binary(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the program, built as a release is."""
    folder = tmp_path_factory.mktemp("binary")
    run("scripts/release.sh", "binary", folder)
    [path] = folder.iterdir()
    return path


@pytest.fixture
def bare(tmp_path: Path, binary: Path) -> Path:
    """Give a root with the program, the C library, zlib, /dev/null and nothing else: no Python, no shell."""
    if os.geteuid() != 0 or shutil.which("ldconfig") is None:
        lacks("only root can change the root")
    root = tmp_path / "bare"
    for name in ("bin", "dev", "tmp", "mnt", "home"):
        (root / name).mkdir(parents=True)
    shutil.copy2(binary, root / "bin" / "tallac")
    os.mknod(root / "dev" / "null", 0o666 | 0o020000, os.makedev(1, 3))
    os.mknod(root / "dev" / "urandom", 0o666 | 0o020000, os.makedev(1, 9))
    for path in (*_libraries(), _interpreter(binary)):
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, root / path.lstrip("/"))
    return root


def _libraries() -> list[str]:
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    found = {name: path for name, path in re.findall(r"^\s+(\S+) \(.*x86-64.*\) => (\S+)$|^$", listed, flags=re.MULTILINE) if name}
    return [found[name] for name in LIBRARIES if name in found]


def _interpreter(binary: Path) -> str:
    """Return the dynamic loader that a program asks for."""
    found = re.search(rb"/lib[^\0]*/ld-linux[^\0]*", binary.read_bytes())
    assert found is not None
    return found[0].decode()


def in_root(root: Path, *arguments: str, status: int = 0) -> str:
    """Run the program in the root, without any variable of the environment, and give what it printed."""
    done = subprocess.run(
        [shutil.which("chroot") or "chroot", str(root), "/bin/tallac", *arguments],
        env={"PATH": "/bin", "HOME": "/home", "TALLAC_HOME": "/home/tallac"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == status, done
    return done.stdout + done.stderr


def test_the_rescue_day(tallac: Tallac, source: Path, bare: Path) -> None:
    """On a machine with nothing but the vault, a passphrase and this program, everything comes back, large files as well."""
    (source / "large").write_bytes(os.urandom(5_000_000))
    tallac("-q", "backup", source)
    words = bare / "home" / "words"
    words.write_text("five words drawn by lot")
    tallac("add-passphrase", "tallac:", "--passphrase-file", words)
    shutil.copytree(tallac.vault, bare / "mnt" / "vault")
    assert in_root(bare, "--version") == f"tallac {__version__}\n"
    in_root(bare, "connect", "/mnt/vault", "--passphrase-file", "/home/words")
    assert str(source) in in_root(bare, "snapshots", "tallac:")
    printed = in_root(bare, "restore", "tallac:Latest", "/home/restored", "--verify")
    assert "damaged" not in printed
    restored = bare / "home" / "restored"
    assert (restored / "large").read_bytes() == (source / "large").read_bytes()
    assert (restored / "parent" / "subdir" / "foo.txt").read_text() == "foo"
    assert not list((bare / "tmp").iterdir())


def test_it_does_everything(bare: Path) -> None:
    """It backs up with worker processes, checks, prunes, completes and shows manual pages: it is the command as a whole."""
    source = bare / "home" / "source"
    for number in range(150):
        (source / f"{number % 7}").mkdir(parents=True, exist_ok=True)
        (source / f"{number % 7}" / f"{number}").write_bytes(os.urandom(40_000))
    assert "150 new" in in_root(bare, "backup", "/home/source")
    assert "no damage found" in in_root(bare, "check", "--read-data", "tallac:")
    in_root(bare, "prune", "tallac:")
    assert "tallac" in in_root(bare, "completion", "bash")
    assert "NAME" in in_root(bare, "man", "restore")
    message = in_root(bare, "restore", "nowhere:x", "/home/y", status=1)
    assert message.startswith("tallac: no alias 'nowhere'")
