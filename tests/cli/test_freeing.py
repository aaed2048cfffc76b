"""Directories that nothing leads to any more: their space comes back once their owner says so, and never before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.interop.gateway import serving

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def vault(tallac: Tallac, source: Path, tmp_path: Path) -> Tallac:
    """Give a vault with a target of some size, a directory with one below it, and a small target beside them."""
    tallac("create-alias", "usb", "--vault", tmp_path / "usb")
    (source / "large").write_bytes(bytes(range(256)) * 997 + source.name.encode())
    tallac("-q", "backup", source, "usb:old")
    tallac("mkdir", "usb:shared/below")
    (tmp_path / "file").write_bytes(bytes(range(255, -1, -1)) * 499)
    tallac("put", tmp_path / "file", "usb:shared/below/file")
    (source / "large").unlink()
    tallac("-q", "backup", source, "usb:kept")
    return tallac


def packs(tmp_path: Path) -> int:
    """Return the bytes of all packs."""
    return sum(path.stat().st_size for path in (tmp_path / "usb" / "packs").iterdir())


def prune(tallac: Tallac, tmp_path: Path) -> int:
    """Prune all that can go, see that the vault is whole, and return the bytes of the packs that are left."""
    tallac("-q", "prune", "usb:", "--max-unused", "0")
    tallac("-q", "check", "--read-data", "usb:")
    return packs(tmp_path)


def test_removed_is_not_freed_and_freed_is(vault: Tallac, tmp_path: Path) -> None:
    """What was removed stays for whoever has a cap of it, until it is freed by the same path; then a prune takes all of it."""
    vault("rm", "usb:kept", "-f")
    before = prune(vault, tmp_path)
    vault("rm", "usb:old", "--force")
    assert prune(vault, tmp_path) == before
    message = vault.fails("rm", "--free", "usb:old")
    assert message.startswith("tallac: usb:old: this empties 2 directories with 1 snapshot, for everybody who has a cap")
    assert prune(vault, tmp_path) == before
    vault("rm", "--free", "-f", "usb:old")
    vault("rm", "--free", "-f", "usb:shared")
    vault("rm", "--free", "-f", "usb:kept")
    assert prune(vault, tmp_path) == 0


def test_it_can_be_undone_until_a_prune(vault: Tallac, source: Path, tmp_path: Path) -> None:
    """All that was freed comes back with `forget --undo`, written to as before; after a prune it says what is lost."""
    before = {place: vault("ls", "-R", place).out for place in ("usb:old", "usb:shared")}
    for place, listed in before.items():
        vault("rm", "--free", "--force", place)
        assert "no such entry" in vault.fails("ls", place)
        vault("forget", "--undo", place)
        assert vault("ls", "-R", place).out == listed
    vault("-q", "backup", source, "usb:old")
    assert len(vault("ls", "usb:old/Archives").lines) == 2
    vault("rm", "--free", "--force", "usb:shared")
    prune(vault, tmp_path)
    assert "file: can't be restored any more" in vault("forget", "--undo", "usb:shared", status=1).err
    assert vault("ls", "usb:shared").out == b"below\n"
    assert vault("ls", "usb:shared/below").out == b""


def test_what_is_led_to_otherwise_stays(vault: Tallac, tmp_path: Path) -> None:
    """A directory that another name or alias of the user leads to stays as it is, with all below, and that is said."""
    vault("ln", "usb:shared/below", "usb:elsewhere")
    result = vault("rm", "--free", "-f", "usb:shared")
    assert "usb:elsewhere leads there too: it stays as it is" in result.err
    assert vault("get", "usb:elsewhere/file").out == (tmp_path / "file").read_bytes()
    # The alias leads to a directory by a cap of its own.
    cap = vault("cap", "--write", "usb:old").out.strip()
    vault("add-alias", "other", "@-", "--vault", tmp_path / "usb", stdin=cap + b"\n")
    result = vault("rm", "--free", "usb:old", "-f")
    assert "other: leads there too" in result.err
    assert vault("ls", "other:Archives").lines


def test_held_means_held(vault: Tallac) -> None:
    """A held snapshot is not freed, whatever switches there are, and nothing beside it."""
    vault("-q", "hold", "usb:old", "Latest")
    listed = vault("ls", "-R", "usb:old").out
    assert "is held" in vault.fails("rm", "--free", "--force", "usb:old")
    assert vault("ls", "-R", "usb:old").out == listed


def test_an_alias_elsewhere_goes_on(vault: Tallac, source: Path, tmp_path: Path) -> None:
    """Another machine whose alias leads to a target that was freed finds it empty, and backs up to it as before."""
    shutil.copytree(vault.home, tmp_path / "other home")
    other = Tallac(tmp_path / "other home")
    cap = vault("cap", "--write", "usb:old").out.strip()
    other("add-alias", "there", "@-", "--vault", tmp_path / "usb", stdin=cap + b"\n")
    other("-q", "backup", source, "there:")
    vault("rm", "--free", "--force", "usb:old")
    prune(vault, tmp_path)
    assert other("snapshots", "--json", "there:").out.count(b'"name"') == 0
    other("-q", "backup", source, "there:")
    other("-q", "check", "--read-data", "there:")
    other("-q", "restore", "there:Latest", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in source.iterdir())


def test_a_mutable_file_is_emptied(vault: Tallac, tmp_path: Path) -> None:
    """A mutable file takes no space any more once it was freed, and has nothing in it for who has a cap of it."""
    before = prune(vault, tmp_path)
    (tmp_path / "mutable").write_bytes(bytes(reversed(range(256))) * 400 + b"m")
    with serving(vault) as gateway:
        root = vault("cap", "--write", "usb:shared").out.decode().strip()
        assert gateway.ask("PUT", f"uri/{root}/m?format=SDMF", (tmp_path / "mutable").read_bytes()).status_code == 201
    assert prune(vault, tmp_path) > before
    vault("rm", "--free", "-f", "usb:shared/m")
    assert prune(vault, tmp_path) == before
