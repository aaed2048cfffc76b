"""Tiny vaults of every released format. `python -m tests.formats.test_old_vaults N` makes that of format N; never make one anew."""

import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from tests.formats.second_reader import Folder, Vault as SecondVault
from tests.formats.second_unlocking import unlock

from tallac.backends.local import LocalBackend
from tallac.caps import DirectoryReadCap, FileReadCap, parse
from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.passphrases import PassphraseCost
from tallac.dag import Entry, Metadata, SnapshotFacts, encode_entry
from tallac.errors import DamageError
from tallac.interfaces import CapReader, CapWriter
from tallac.testing.determinism import START_NS, FakeClock
from tallac.testing.readonly_backend import ReadOnlyBackend
from tallac.testing.sample_vault import Tree, create_target, enter, put_tree, read_file
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import EnvelopeKey, KeeperKey, LocatorKey, WriterKey, parse_vault_key
from tallac.vault.format.structure import Signers
from tallac.vault.vault import create_vault, open_vault

PASSPHRASE = "a passphrase with an \N{LATIN SMALL LETTER U WITH DIAERESIS}"
HERE = Path(__file__).parent
FORMATS = sorted(folder.name for folder in HERE.iterdir() if (folder / "expected.json").exists())


def metadata(number: int) -> Metadata:
    """Make up metadata of many kinds."""
    return (
        Metadata(mode=stat.S_IFREG | 0o644, uid=1000, gid=1000, user="user", group="group", mtime=(1_700_000_000, 123_456_789)),
        Metadata(mode=stat.S_IFREG | 0o4755, mtime=(-5, 1), ctime=(2**40, 0), xattrs=((b"user.\xff", b"\0value"),), flags=16),
        Metadata(mode=stat.S_IFLNK | 0o777, target=b"../else\xffwhere"),
        Metadata(mode=stat.S_IFCHR | 0o600, rdev=(1, 3), inode=7, device=9, links=2),
        Metadata(holes=((0, 4096),), changed=True, other={"tahoe": {"linkcrtime": 1.5}}),
    )[number % 5]


def contents() -> Tree:
    """Give what the vault holds: small and large files, of every kind of cap, and odd names."""
    text = b"".join(b"line %d of a text that compresses\n" % number for number in range(25_000))
    return {
        b"empty directory": {},
        b"empty": b"",
        b"foo.txt": b"foo",
        b"\xff\x00 no UTF-8\n".replace(b"\0", b"_"): b"an odd name",
        b"small": b"a chunk of its own, more than fifty-five bytes in length, and compressible" * 3,
        b"noise": hash_file_bytes(b"1") * 1 + b"".join(hash_file_bytes(b"%d" % number) for number in range(300)),
        b"large": text + bytes(3 << 20) + b"end",
        b"deep": {b"deeper": {b"deepest": {b"file": b"x" * 100}}},
    }


def listing(writer: CapWriter) -> DirectoryReadCap:
    """Store a directory of so many entries that it has several tables, with metadata of all kinds."""
    return writer.put_directory(Entry(b"%05d" % number, b"L%d" % number, metadata(number)) for number in range(6_000))


def make(folder: Path) -> None:
    """Make a vault of the present format in a new folder."""
    vault_folder = folder / "vault"
    vault_folder.mkdir(parents=True)
    backend = LocalBackend(vault_folder)
    key = create_vault(backend)
    with tempfile.TemporaryDirectory() as state:
        vault = open_vault(backend, key, state=Path(state), clock=FakeClock())
        target = create_target(vault)
        for name, tree in ((b"2026-11-23_17:00:00Z", {b"first": b"first " * 50}), (b"2026-11-24_17:00:00Z", contents())):
            with vault.session() as session:
                with session.writing() as writer:
                    cap = put_tree(writer, tree)
                    many = listing(writer)
                session.commit([cap, many])
                enter(vault, target, name, cap)
                vault.edit_directory(target, lambda entries, many=many: _replaced(entries, Entry.of(b"many", many)))  # type: ignore[misc]
        mutable = vault.create_file(BytesIO(b"the content of a mutable file, more than a literal can hold\n"))
        vault.edit_directory(target, lambda entries: _replaced(entries, Entry.of(b"mutable", mutable)))
        facts = SnapshotFacts(host="host", sources=(b"/source",), started_ns=1, ended_ns=2, files=8, tags=("tag",), version="0")
        vault.edit_directory(target, lambda entries: _replaced(entries, Entry(b"facts", b"L", Metadata(snapshot=facts))))
        identity, envelope = key.vault.hex(), EnvelopeKey(os.urandom(32), key.vault)
        cost = PassphraseCost(memory_kib=64, passes=1, lanes=1)
        passphrases = Passphrases(backend, Signers.of(key), key=key, randomness=os.urandom, clock=FakeClock(), cost=cost)
        passphrases.add(PASSPHRASE, "label", envelope)
        aliases = frozenset({("home", target.danger_whole_text())})
        EnvelopeFile(backend, identity, envelope, os.urandom).add(Envelope(key, aliases))
        expected = {
            "keys": [key.danger_whole_text(), key.keeper_key.danger_whole_text(), key.locator_key.danger_whole_text()],
            "write cap": target.danger_whole_text(),
            "read cap": target.read_cap.danger_whole_text(),
            "tree": [list(line) for line in described(vault, target.read_cap)],
        }
        vault.close()
    # Any pieces of the reserve may be there, or none, and they are large.
    shutil.rmtree(vault_folder / "reserve", ignore_errors=True)
    (folder / "expected.json").write_text(json.dumps(expected, indent=0) + "\n", "utf-8")


def _replaced(entries: list[Entry], entry: Entry) -> list[Entry]:
    return [*(each for each in entries if each.name != entry.name), entry]


def described(grid: CapReader, cap: DirectoryReadCap, above: str = "") -> Iterator[tuple[str, str, str]]:
    """Give path, cap or content, and a hash of the entry, of all there is; of a long directory, one hash."""
    entries = list(grid.read_directory(cap))
    if len(entries) > 1000:
        yield (
            above,
            cap.danger_whole_text(),
            hash_file_bytes(b"".join(map(encode_entry, entries))).hex(),
        )
        return
    for entry in entries:
        path = f"{above}/{entry.name.hex()}"
        below = entry.cap
        if isinstance(below, FileReadCap):
            content = read_file(grid, below)
            assert not isinstance(content, DamageError), path
            yield path, f"{len(content)} {hash_file_bytes(content).hex()}", hash_file_bytes(encode_entry(entry)).hex()
        else:
            assert isinstance(below, DirectoryReadCap)
            yield path, below.danger_whole_text(), hash_file_bytes(encode_entry(entry)).hex()
            yield from described(grid, below, path)


@pytest.fixture(params=FORMATS)
def sample(request: pytest.FixtureRequest) -> Path:
    """Give the folder of each old vault in turn."""
    return HERE / str(request.param)


def expected_of(sample: Path) -> tuple[list[WriterKey | KeeperKey | LocatorKey], DirectoryReadCap, list[tuple[str, str, str]]]:
    """Read what an old vault is expected to hold."""
    expected = json.loads((sample / "expected.json").read_text("utf-8"))
    cap = parse(expected["read cap"])
    assert isinstance(cap, DirectoryReadCap)
    return [parse_vault_key(text) for text in expected["keys"]], cap, [(line[0], line[1], line[2]) for line in expected["tree"]]


def test_there_is_a_vault_of_each_format() -> None:
    """Every format so far has its vault here."""
    assert FORMATS == ["2"]


@pytest.mark.slow
def test_an_old_vault_is_read(sample: Path, tmp_path: Path) -> None:
    """All that an old vault holds is read, with each of its keys, without writing to it, and it is healthy."""
    keys, cap, tree = expected_of(sample)
    assert len(tree) > 15
    for number, key in enumerate(keys):
        with open_vault(ReadOnlyBackend(LocalBackend(sample / "vault")), key, state=tmp_path / str(number)) as vault:
            assert list(described(vault, cap)) == tree
            assert vault.check(cap, read_data=True).findings == []
            frame = vault.check_structure(read_data=True)
            assert [finding.message for finding in frame.findings] == (
                ["roots and sessions were not checked: that requires a keeper key"] if number == 2 else []
            )


def test_a_passphrase_opens_an_old_vault(sample: Path) -> None:
    """The passphrase that was set leads to the writer key and to the alias."""
    keys, _, _ = expected_of(sample)
    backend = ReadOnlyBackend(LocalBackend(sample / "vault"))
    identity = keys[0].vault.hex()
    envelope = Passphrases(backend, read_header(backend).signers, randomness=os.urandom, clock=FakeClock()).open(PASSPHRASE)
    found = EnvelopeFile(backend, identity, envelope, os.urandom).read()
    assert found.key == keys[0]
    assert [name for name, _ in found.aliases] == ["home"]


@pytest.mark.slow
def test_the_second_reader_reads_an_old_vault(sample: Path) -> None:
    """A reader that shares nothing with Tallac finds the same, and verifies it from the roots down with the keeper key alone."""
    expected = json.loads((sample / "expected.json").read_text("utf-8"))
    stored = Folder(sample / "vault")
    vault = SecondVault(stored, expected["keys"][0])
    vault.check_packs()
    assert list(described_again(vault, expected["read cap"])) == [(path, leads_to) for path, leads_to, _ in expected["tree"]]
    assert SecondVault(stored, expected["keys"][2]).directory(expected["read cap"]) == vault.directory(expected["read cap"])
    keeper = SecondVault(stored, expected["keys"][1])
    assert len(keeper.walk()) >= len({place.h for places in keeper.places.values() for place in places})
    assert keeper.passed_over == []
    found = unlock(stored, PASSPHRASE)
    assert found == ("label", START_NS, expected["keys"][0], [("home", expected["write cap"])])


def described_again(vault: SecondVault, cap: str, above: str = "") -> Iterator[tuple[str, str]]:
    """Give what `described` does, but for the hashes of entries."""
    entries = vault.directory(cap)
    if len(entries) > 1000:
        yield above, cap
        return
    for entry in entries:
        path = f"{above}/{entry.name.hex()}"
        if "URI:DIR2" in entry.cap:
            yield path, entry.cap
            yield from described_again(vault, entry.cap, path)
        else:
            content = b"".join(bytes(size) if chunk is None else chunk for size, chunk in vault.chunks(entry.cap))
            yield path, f"{len(content)} {hash_file_bytes(content).hex()}"


def test_an_old_vault_is_written_to(sample: Path, tmp_path: Path) -> None:
    """A backup of the same content into a copy of an old vault stores no object again, and gives the same caps."""
    keys, cap, _ = expected_of(sample)
    shutil.copytree(sample / "vault", tmp_path / "vault")
    with open_vault(LocalBackend(tmp_path / "vault"), keys[0], state=tmp_path / "state") as vault:
        latest = vault.read_directory(cap).get(b"Latest")
        many = vault.read_directory(cap).get(b"many")
        assert latest is not None
        assert many is not None
        with vault.session() as session, session.writing() as writer:
            assert put_tree(writer, contents()) == latest.cap
            assert listing(writer) == many.cap
            assert writer.bytes_stored == 0


def test_an_old_vault_is_small(sample: Path) -> None:
    """It lies in the repository for ever."""
    assert sum(path.stat().st_size for path in sample.rglob("*") if path.is_file()) < 100_000


if __name__ == "__main__":
    os.umask(0o077)
    make(HERE / sys.argv[1])
