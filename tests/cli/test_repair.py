from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.end_to_end.comparing import differences, look

from tallac.vault.format.header import Header
from tallac.vault.format.keys import WriterKey

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def spread(tmp_path: Path, chance: random.Random) -> Path:
    """Give a source of several packs."""
    source = tmp_path / "spread"
    source.mkdir()
    for number in range(40):
        (source / f"file {number}").write_bytes(chance.randbytes(200_000))
    return source


def largest_pack(vault: Path) -> Path:
    """Give the pack that holds most."""
    return max(vault.glob("packs/*"), key=lambda path: path.stat().st_size)


def flip(pack: Path) -> None:
    """Change one bit in the middle of a pack."""
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0x10
    pack.write_bytes(content)


def test_nothing_to_repair(tallac: Tallac, source: Path) -> None:
    """A whole vault is left as it is, byte for byte."""
    tallac("-q", "backup", source)
    before = {path: path.read_bytes() for path in tallac.vault.rglob("*") if path.is_file()}
    assert b"nothing to repair" in tallac("repair", "tallac:").out
    assert b"nothing to repair" in tallac("repair").out
    assert {path: path.read_bytes() for path in tallac.vault.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_flipped_bit_is_healed_by_the_next_backup(tallac: Tallac, spread: Path, tmp_path: Path) -> None:
    """A damaged pack of the right size: repair salvages what is whole in it, and the next backup stores the file that is not."""
    tallac("-q", "backup", spread)
    flip(largest_pack(tallac.vault))
    hit = [line for line in tallac("check", "--read-data", "tallac:", status=1).error_lines if "Latest/file" in line]
    assert len(hit) == 1
    foretold = json.loads(tallac("repair", "--json", "--dry-run", "tallac:").out)
    assert foretold["aside_packs"] == 1
    assert not (tallac.vault / "damaged").exists()
    report = json.loads(tallac("repair", "--json", "tallac:", status=1).out)
    assert report["salvaged_objects"] > 5
    assert report["missing_objects"] == 1
    assert len(tallac("-q", "restore", "Latest", tmp_path / "before", status=1).error_lines) == 1
    tallac("-q", "backup", spread)
    assert [line for line in tallac("check", "--read-data", "tallac:").error_lines if "damaged packs kept in" not in line] == []
    shutil.rmtree(tallac.vault / "damaged")
    assert tallac("check", "--read-data", "tallac:").err == ""
    tallac("-q", "restore", "Latest", tmp_path / "out")
    assert differences(look(spread), look(tmp_path / "out")) == {}


def test_a_keeper_repairs_from_a_mirror(tallac: Tallac, spread: Path, tmp_path: Path) -> None:
    """With the keeper key and a mirror, damaged and lost packs, index and roots come back, and all is well."""
    tallac("-q", "backup", spread)
    (tmp_path / "key").write_bytes(tallac("keeper-key").out)
    mirror = tmp_path / "mirror"
    tallac("mirror", "tallac:", mirror)
    packs = sorted(tallac.vault.glob("packs/*"), key=lambda path: path.stat().st_size)
    flip(packs[-1])
    packs[0].unlink()
    (tallac.vault / "header").unlink()
    (tallac.vault / "registers" / "roots").write_bytes(b"x" * 100)
    shutil.rmtree(tallac.vault / "index")
    keeper = type(tallac)(tmp_path / "keeper")
    given = ("--vault", tallac.vault, "--vault-key", tmp_path / "key")
    result = keeper("repair", "--from", mirror, *given)
    assert b"repaired" in result.out
    assert b"restored from the mirror: 1 pack\n" in result.out
    # Which pack is lost, nobody knows without an index; what hung there is missed all the same.
    assert b"restored from other packs of the mirror: 1 object\n" in result.out
    assert not (tallac.vault / "damaged").exists()
    assert tallac("check", "--read-data", "tallac:").err == ""
    assert tallac("mirror", "--verify", "tallac:", mirror, status=None).status == 0


def test_both_headers_are_lost(tallac: Tallac, source: Path) -> None:
    """Where the configuration knows which vault it was, both headers are written anew."""
    tallac("-q", "backup", source)
    for name in ("header", "header.copy"):
        (tallac.vault / name).unlink()
    assert "not found" in tallac.fails("ls", "tallac:Latest")
    assert b"rewritten: both headers" in tallac("repair", "-n", "tallac:").out
    assert not (tallac.vault / "header").exists()
    assert b"rewritten: both headers" in tallac("repair", "tallac:").out
    assert tallac("check", "--read-data", "tallac:").err == ""


def test_a_keeper_brings_back_the_headers_that_it_has_seen(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """A keeper has no key that makes a header; its machine remembers the one that it has used, and another machine says so."""
    tallac("-q", "backup", source)
    (tmp_path / "key").write_bytes(tallac("keeper-key").out)
    given = ("--vault", tallac.vault, "--vault-key", tmp_path / "key")
    keeper, other = type(tallac)(tmp_path / "keeper"), type(tallac)(tmp_path / "other")
    keeper("check", *given)
    header = (tallac.vault / "header").read_bytes()
    identity = header.split()[5].decode()
    stranger = Header.of(WriterKey(bytes(32)))
    made_up = msgspec.structs.replace(stranger, signers=msgspec.structs.replace(stranger.signers, vault=bytes.fromhex(identity)))
    for damage in (None, b"", made_up.encode(), header[:-30]):
        for name in ("header", "header.copy"):
            (tallac.vault / name).unlink(missing_ok=True)
            if damage is not None:
                (tallac.vault / name).write_bytes(damage)
        assert "only the writer key, or a machine that has used this vault before" in other.fails("repair", *given)
        assert b"rewritten: both headers" in keeper("repair", *given).out
        assert (tallac.vault / "header").read_bytes() == (tallac.vault / "header.copy").read_bytes() == header
    keeper("prune", *given)
    tallac("check", "--read-data", "tallac:")


def test_the_other_copy_of_a_header_serves(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """With one copy whole, anybody who has a key for repairs writes the other anew, also where somebody has made one up."""
    tallac("-q", "backup", source)
    (tmp_path / "key").write_bytes(tallac("keeper-key").out)
    keeper = type(tallac)(tmp_path / "keeper")
    whole = (tallac.vault / "header").read_bytes()
    made_up = msgspec.structs.replace(Header.of(WriterKey(bytes(32))), signature=bytes(64))
    (tallac.vault / "header.copy").write_bytes(made_up.encode())
    assert b"rewritten: header.copy" in keeper("repair", "--vault", tallac.vault, "--vault-key", tmp_path / "key").out
    assert (tallac.vault / "header.copy").read_bytes() == whole


def test_a_damaged_passphrase_is_written_anew(tallac: Tallac, source: Path) -> None:
    """Of what a passphrase opens there are two copies; either one brings the other back, and without both it is said."""
    tallac("-q", "backup", source)
    tallac("add-passphrase", "tallac:", "--passphrase-file", "-", stdin=b"correct horse battery staple\n")
    first, second = sorted((tallac.vault / "passphrases").iterdir())
    whole = first.read_bytes()
    first.write_bytes(b"x" * len(whole))
    assert f"rewritten: passphrases/{first.name}".encode() in tallac("repair", "tallac:").out
    assert first.read_bytes() == second.read_bytes() == whole
    first.write_bytes(b"x" * len(whole))
    second.write_bytes(b"x" * len(whole))
    assert "change-passphrase" in tallac("repair", "tallac:", status=1).err


@pytest.mark.slow
def test_a_lost_pack_without_a_mirror(tallac: Tallac, spread: Path) -> None:
    """What is lost leaves the index, what is missing is said, and the next backup stores it anew."""
    tallac("-q", "backup", spread)
    largest_pack(tallac.vault).unlink()
    result = tallac("repair", "--quick", "tallac:", status=1)
    assert b"because they are missing: 1 pack\n" in result.out
    assert "run the backups again" in result.err
    tallac("-q", "backup", spread)
    assert tallac("check", "--read-data", "tallac:").err == ""
    assert b"nothing to repair" in tallac("repair", "tallac:").out


def test_what_is_refused(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Another vault as a mirror, a locator key: one line each, and nothing is changed."""
    tallac("-q", "backup", source)
    other = type(tallac)(tmp_path / "other")
    other("-q", "backup", source)
    (tmp_path / "key").write_bytes(tallac("locator-key").out)
    assert "another vault" in tallac.fails("repair", "--from", other.vault, "tallac:")
    assert "keeper key" in other.fails("repair", "--vault", tallac.vault, "--vault-key", tmp_path / "key")
