"""What a vault's folder tells: nothing. Who holds which key reads what that key opens, and nothing else."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard
from tests.command import Tallac

ZSTD_MAGIC = re.compile(re.escape((0xFD2FB528).to_bytes(4, "little")))
OPENED_MAX = 1 << 20

CONTENT, NAME, XATTR, TARGET, FOLDER = (
    b"canary-of-%b-" % message for message in (b"content", b"name", b"xattr", b"target", b"folder")
)


@dataclass(frozen=True)
class Owner:
    """Who has the vault, and what is in it.

    Attributes:
        tallac: The owner's command.
        source: What was backed up.
        canaries: Texts that must not be found in the vault.
    """

    tallac: Tallac
    source: Path
    canaries: list[bytes]

    def text(self, *arguments: str) -> str:
        """Give what a command prints."""
        return self.tallac("-q", *arguments).out.decode().strip()


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Owner:
    """Back up canaries: in contents large and small, in names, attributes, link targets and the source's own path."""
    chance = random.Random(5)
    folder = tmp_path_factory.mktemp("owner")
    source = folder / os.fsdecode(FOLDER + b"source")
    (source / "letters" / "old").mkdir(parents=True)
    (source / "diary").mkdir()
    (source / os.fsdecode(NAME + b"directory")).mkdir()
    (source / os.fsdecode(NAME + b"file")).write_bytes(CONTENT + b"in a file")
    (source / "letters" / "one").write_bytes(CONTENT * 100)
    (source / "letters" / "old" / "two").write_bytes((CONTENT + bytes(8)) * 100_000)
    (source / "letters" / "literal").write_bytes(CONTENT)
    (source / "diary" / "secret").write_bytes(CONTENT * 50 + b"secret")
    (source / "diary" / "noise").write_bytes(chance.randbytes(3_000_000) + CONTENT)
    (source / "link").symlink_to(os.fsdecode(TARGET + b"nowhere"))
    os.setxattr(source / "letters", "user." + os.fsdecode(XATTR), XATTR + b"value")
    tallac = Tallac(folder / "home", is_warm=False)
    tallac("-q", "backup", source, f"tallac:{os.fsdecode(FOLDER)}target")
    tallac("-q", "put", source / "letters" / "one", f"tallac:{os.fsdecode(NAME)}put")
    return Owner(tallac, source, [CONTENT, NAME, XATTR, TARGET, FOLDER])


@pytest.fixture
def stranger(tmp_path: Path) -> Tallac:
    """Give the command to somebody who has no configuration."""
    return Tallac(tmp_path / "stranger", is_warm=False)


def opened_frames(content: bytes) -> Iterator[bytes]:
    """Open what looks like a zstd frame, as far as it can be opened."""
    for found in ZSTD_MAGIC.finditer(content):
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(content[found.start() : found.start() + OPENED_MAX])
        except zstandard.ZstdError:
            continue


def commands(*lines: str) -> list[list[str]]:
    """Split command lines."""
    return [line.split(" ") for line in lines]


def files_with(vault: Path, canaries: list[bytes]) -> list[str]:
    """Name the files that hold any canary, plainly or compressed."""
    found = []
    for path in vault.rglob("*"):
        texts = [os.fsencode(path), path.read_bytes()] if path.is_file() else [os.fsencode(path)]
        texts += [text for content in texts[1:] for text in opened_frames(content)]
        if any(canary in text for canary in canaries for text in texts):
            found.append(str(path))
    return found


def test_no_canary_is_found(owner: Owner) -> None:
    """No file of the vault holds a content, name, attribute, link target or path."""
    assert files_with(owner.tallac.vault, owner.canaries) == []


def test_the_search_finds(owner: Owner, tmp_path: Path) -> None:
    """The search can fail: it finds canaries, plain and in zstd frames."""
    (tmp_path / "plain").write_bytes(b"before" + CONTENT)
    (tmp_path / "compressed").write_bytes(b"before" + zstandard.compress(CONTENT * 50) + b"after")
    assert files_with(tmp_path, owner.canaries) == [str(path) for path in tmp_path.iterdir()]


def test_no_size_is_found(owner: Owner) -> None:
    """No file of the vault has a size that is one of a file or of a stored object's: all are padded."""
    sizes = {path.stat().st_size for path in owner.source.rglob("*") if path.is_file()}
    for path in owner.tallac.vault.rglob("packs/*"):
        assert path.stat().st_size not in sizes


def test_without_configuration_it_is_noise(owner: Owner, stranger: Tallac, tmp_path: Path) -> None:
    """Without the configuration each command fails with one line, and nothing comes out."""
    vault = ("--vault", owner.tallac.vault)
    cap = owner.text("cap", "tallac:")
    out = tmp_path / "out"
    for arguments in commands("ls", "snapshots", "check", f"restore Latest {out}", f"backup {owner.source}"):
        assert re.search("no alias|its key is not known here", stranger(*arguments, *vault, status=None).err)
        assert stranger(*arguments, *vault, status=None).status in (1, 2)
    for arguments in commands(f"ls {cap}", f"get {cap}/x", f"check {cap}", f"restore {cap} {out}", f"add-alias a {cap}"):
        assert "its key is not known here" in stranger.fails(*arguments, *vault, status=2)
    assert not out.exists()


def test_a_lost_configuration(owner: Owner, tmp_path: Path) -> None:
    """Whoever finds the home without its configuration has noise: the state holds no key either."""
    shutil.copytree(owner.tallac.home, tmp_path / "found", ignore=shutil.ignore_patterns("config"))
    found = Tallac(tmp_path / "found", is_warm=False)
    assert "its key is not known here" in found.fails("ls")
    assert "its key is not known here" in found.fails("ls", owner.text("cap", "tallac:"), "--vault", found.vault, status=2)
    configuration = json.loads((owner.tallac.home / "config" / "tallac.json").read_text())
    secrets = [grid["vault_key"] for grid in configuration["grids"].values()]
    secrets += [alias["cap"] for alias in configuration["aliases"].values()]
    secrets += [part for secret in secrets for part in secret.split(":") if len(part) > 20]
    for path in (tmp_path / "found").rglob("*"):
        assert not path.is_file() or not any(secret.encode() in path.read_bytes() for secret in secrets), path


def test_a_read_cap_and_a_locator_key(owner: Owner, stranger: Tallac, tmp_path: Path) -> None:
    """They read what is below the directory, and nothing else: no sibling, nothing above, no change, no more of keys."""
    target = f"tallac:{os.fsdecode(FOLDER)}target/Latest"
    (tmp_path / "locator").write_text(owner.text("locator-key", "tallac:"))
    cap = owner.text("cap", f"{target}/letters")
    stranger("add-alias", "letters", "@-", "--vault", owner.tallac.vault, "--vault-key", tmp_path / "locator", stdin=cap.encode())
    assert stranger("ls", "-R", "letters:").lines == [b"literal", b"old", b"old/two", b"one"]
    assert stranger("get", "letters:one").out == CONTENT * 100
    stranger("-q", "restore", "letters:", tmp_path / "out")
    for name in ("one", "old/two", "literal"):
        assert (tmp_path / "out" / name).read_bytes() == (owner.source / "letters" / name).read_bytes()
    assert stranger("check", "--read-data", "letters:").err == ""
    for line in (
        "ls letters:..",
        "get letters:../diary/secret",
        "ls letters:/../diary",
        "ls tallac:",
        "keeper-key letters:",
        "cap --write letters:",
        "mkdir letters:new",
        "unlink letters:one",
    ):
        stranger.fails(*line.split())
    assert "write cap" in stranger.fails("backup", owner.source, "letters:")
    # The verify cap of a sibling, as a keeper may know it, tells no more.
    sibling = owner.text("cap", "--verify", f"{target}/diary")
    for arguments in commands(f"ls {sibling}", f"get {sibling}/secret", f"restore {sibling} {tmp_path / 'no'}"):
        stranger.fails(*arguments)
    held = b"".join(path.read_bytes() for path in stranger.home.rglob("*") if path.is_file())
    assert b"tallac-locator-2:" in held
    assert b"tallac-writer-2:" not in held
    assert b"tallac-keeper-2:" not in held


def test_a_keeper(owner: Owner, stranger: Tallac, tmp_path: Path) -> None:
    """A keeper key and a verify cap check all that hangs below, byte for byte, find what is lost, and open nothing."""
    (tmp_path / "keeper").write_text(owner.text("keeper-key", "tallac:"))
    shutil.copytree(owner.tallac.vault, tmp_path / "vault")
    options = ("--vault", tmp_path / "vault", "--vault-key", tmp_path / "keeper")
    cap = owner.text("cap", "--verify", "tallac:")
    checked = stranger("--json", "check", "--read-data", cap, *options)
    assert checked.summary("objects") > 10
    assert not any(canary in checked.out + checked.err.encode() for canary in owner.canaries)
    for arguments in commands(f"ls {cap}", f"get {cap}/x", f"restore {cap} {tmp_path / 'out'}", f"add-alias a {cap}"):
        stranger.fails(*arguments, *options)
    # The largest pack holds contents, which he can't open; their damage he finds all the same.
    damaged = max((tmp_path / "vault").rglob("packs/*"), key=lambda path: path.stat().st_size)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert "no copy that is whole" in stranger("check", "--read-data", cap, *options, status=1).err
    assert stranger("check", cap, *options).err == ""
