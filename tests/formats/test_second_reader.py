from __future__ import annotations

import ast
import contextlib
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from blake3 import blake3
from pyfastcdc import FastCDC
from tests.command import PATIENCE_SECONDS, Tallac
from tests.formats.second_reader import Entry, Folder, Vault
from tests.formats.second_values import (
    CHUNK,
    DIRECTORY,
    IMMUTABLE,
    LIST,
    SLOT,
    FormatError,
    attenuate,
    keyed,
    link_of,
    read_entries,
    unbase32,
)

from tallac import dag
from tallac.dag import Metadata, SnapshotFacts, SnapshotRules, encode_table

SOURCES = Path(__file__).parents[2] / "src"
MIB = 1 << 20
BLOCK_BYTES = 65_536


@dataclass(frozen=True)
class Described:
    """All of a file or directory that a snapshot keeps."""

    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    ctime_ns: int
    identity: tuple[int, int]
    link_count: int
    target: bytes | None
    attributes: dict[bytes, bytes]
    holes: list[tuple[int, int]]
    size: int
    digest: bytes


Tree = dict[bytes, Described]


@dataclass(frozen=True)
class Made:
    """A vault that the command made, what opens it, and what each snapshot was made of."""

    folder: Path
    home: Path
    writer_key: str
    keeper_key: str
    locator_key: str
    root_cap: str
    trees: list[Tree]

    def at(self, folder: Path) -> Made:
        """Give the same for a copy of the vault, which is made here."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)


def _environment(home: Path) -> dict[str, str]:
    return Tallac(home).environment


def _tallac(home: Path, *arguments: str | Path) -> str:
    command = [sys.executable, "-m", "tallac", *arguments]
    return subprocess.run(
        command, env=_environment(home), check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    ).stdout.strip()


def _fill(source: Path) -> None:
    """Make a tree that has a bit of everything."""
    noise = random.Random(7)
    for size in (0, 1, 55, 56, 524_287, 524_288, 524_289):
        (source / f"size {size}").write_bytes(noise.randbytes(size))
    (source / "large").write_bytes(noise.randbytes(18 * MIB) + b"All of this is compressible. " * (2 * MIB // 29))
    for size in (3_000_000, MIB, MIB - BLOCK_BYTES, MIB - BLOCK_BYTES + 1):
        with (source / f"zeros {size}").open("wb") as file:
            file.truncate(size)
    with (source / "sparse").open("wb") as file:
        file.write(b"a" * 100)
        file.seek(2_000_000)
        file.write(noise.randbytes(1_600_000))
        file.truncate(8_000_000)
    with (source / "list of two levels").open("wb") as file:
        for number in range(66):
            file.seek(number * 17 * BLOCK_BYTES)
            file.write(b"%d" % number * 1000)
        file.truncate(66 * 17 * BLOCK_BYTES)
    (source / "nested/a/b/c").mkdir(parents=True)
    (source / "nested/a/file").write_text("deep")
    (source / "wide").mkdir()
    for number in range(3000):
        (source / f"wide/{number:06}-{'x' * 60}").write_text(str(number))
    (source / "symlink").symlink_to("nested/a")
    (source / "hard link").hardlink_to(source / "size 56")
    with contextlib.suppress(OSError):
        Path(os.fsdecode(os.fsencode(source) + b"/name \xff")).symlink_to(os.fsdecode(b"target \xfe"))
    with contextlib.suppress(OSError):
        os.setxattr(source / "size 1", "user.second", b"2")
        os.setxattr(source / "size 1", "user.first", b"1")
    os.mkfifo(source / "fifo")
    (source / "size 55").chmod(0o4751)
    os.utime(source / "size 55", ns=(-1, -1))


def _describe(source: Path) -> Tree:
    """Describe what lies below a folder, by lstat."""
    tree: Tree = {}
    for path in source.rglob("*"):
        facts = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        tree[os.fsencode(path.relative_to(source))] = Described(
            mode=facts.st_mode,
            owner=(facts.st_uid, facts.st_gid),
            mtime_ns=facts.st_mtime_ns,
            ctime_ns=facts.st_ctime_ns,
            identity=(facts.st_ino, facts.st_dev),
            link_count=1 if path.is_dir() and not path.is_symlink() else facts.st_nlink,
            target=os.fsencode(path.readlink()) if path.is_symlink() else None,
            attributes={os.fsencode(name): os.getxattr(path, name, follow_symlinks=False) for name in _attribute_names(path)},
            holes=list(_holes(path)) if stat.S_ISREG(facts.st_mode) else [],
            size=len(content),
            digest=blake3(content).digest(),
        )
    return tree


def _holes(path: Path) -> Iterator[tuple[int, int]]:
    """Yield where a file has holes, as its file system says: offset and length."""
    with path.open("rb") as file:
        size, end = os.fstat(file.fileno()).st_size, 0
        while end < size and (start := os.lseek(file.fileno(), end, os.SEEK_HOLE)) < size:
            try:
                end = os.lseek(file.fileno(), start, os.SEEK_DATA)
            except OSError:
                end = size
            yield start, end - start


def _attribute_names(path: Path) -> list[str]:
    return [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith("user.")]


def _read_tree(vault: Vault, cap: str, prefix: bytes = b"") -> Tree:
    """Describe what hangs from a cap, by the second reader."""
    tree: Tree = {}
    for entry in vault.directory(cap):
        metadata = entry.metadata
        hasher, size = blake3(), 0
        if stat.S_ISDIR(metadata["m"]):
            tree |= _read_tree(vault, entry.cap, prefix + entry.name + b"/")
        else:
            for chunk_size, chunk in vault.chunks(entry.cap):
                hasher.update(bytes(chunk_size) if chunk is None else chunk)
                size += chunk_size
        tree[prefix + entry.name] = Described(
            mode=metadata["m"],
            owner=(metadata["u"], metadata["g"]),
            mtime_ns=metadata["t"][0] * 10**9 + metadata["t"][1],
            ctime_ns=metadata["c"][0] * 10**9 + metadata["c"][1],
            identity=(metadata["i"], metadata["d"]),
            link_count=metadata["l"],
            target=metadata["k"],
            attributes={name: value for name, value in metadata["x"] if name.startswith(b"user.")},
            holes=[(start, length) for start, length in metadata["h"]],
            size=size,
            digest=hasher.digest(),
        )
    return tree


def _snapshots(vault: Vault, made: Made) -> tuple[list[Entry], Entry]:
    """Give the entries of `Archives`, and `Latest`."""
    archives, latest = vault.directory(made.root_cap)
    assert (archives.name, latest.name) == (b"Archives", b"Latest")
    return vault.directory(archives.write_cap or archives.cap), latest


def _check_trees(vault: Vault, made: Made) -> None:
    """Compare both snapshots with what they were made of."""
    snapshots, latest = _snapshots(vault, made)
    assert [_read_tree(vault, snapshot.cap) for snapshot in snapshots] == made.trees
    assert (latest.cap, latest.metadata) == (snapshots[-1].cap, snapshots[-1].metadata)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a vault with two snapshots by the real command."""
    base = tmp_path_factory.mktemp("made")
    home, source, folder = base / "home", base / "source", base / "vault"
    source.mkdir()
    _fill(source)
    _tallac(home, "create-alias", "home", "--vault", folder)
    trees = []
    for compression in ("fast", "max"):
        _tallac(home, "compression", "home:", compression)
        trees.append(_describe(source))
        _tallac(home, "backup", source, "home:")
        large = (source / "large").read_bytes()
        (source / "large").write_bytes(large[: 9 * MIB] + b"inserted" + large[9 * MIB :])
        (source / "wide/new").write_text("new")
        (source / "size 524288").unlink(missing_ok=True)
    configuration = json.loads((home / "config/tallac.json").read_text())
    [grid] = configuration["grids"].values()
    return Made(
        folder=folder,
        home=home,
        writer_key=grid["vault_key"],
        keeper_key=_tallac(home, "keeper-key", "home:"),
        locator_key=_tallac(home, "locator-key", "home:"),
        root_cap=configuration["aliases"]["home"]["cap"],
        trees=trees,
    )


@pytest.fixture(scope="module")
def vault(made: Made) -> Vault:
    """Open the vault with the writer key."""
    return Vault(Folder(made.folder), made.writer_key)


@pytest.mark.parametrize("file", sorted(path.stem for path in Path(__file__).parent.glob("second_*.py")))
def test_the_reader_is_independent(file: str) -> None:
    """The second reader takes nothing from Tallac, and no library that Tallac reads with; of BLAKE3 there is but one."""
    tree = ast.parse(Path(__file__).with_name(f"{file}.py").read_bytes())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
    packages = {module.partition(".")[0] for module in modules if not module.startswith("tests.formats.second_")}
    libraries = {"Crypto", "argon2", "backports", "compression", "ormsgpack", *(["blake3"] if file == "second_hash" else [])}
    assert packages - sys.stdlib_module_names <= libraries


@pytest.mark.slow
def test_all_comes_back(made: Made, vault: Vault) -> None:
    """With the writer key and the root's write cap, both snapshots are as their source was, in contents and metadata."""
    _check_trees(vault, made)
    assert not vault.was_rebuilt


@pytest.mark.slow
def test_a_locator_key_and_a_read_cap_suffice(made: Made, vault: Vault) -> None:
    """Whoever holds one snapshot's read cap and the locator key reads all of it, and finds no roots."""
    snapshots, _ = _snapshots(vault, made)
    located = Vault(Folder(made.folder), made.locator_key)
    assert _read_tree(located, snapshots[0].cap) == made.trees[0]
    with pytest.raises(FormatError):
        located.roots()


@pytest.mark.slow
def test_the_facts_of_snapshots(made: Made, vault: Vault) -> None:
    """Each snapshot's facts count what its source held, and its name is the second when it was entered, after it began."""
    for entry, tree in zip(_snapshots(vault, made)[0], made.trees, strict=True):
        facts = entry.metadata["S"]
        files = [described for described in tree.values() if stat.S_ISREG(described.mode)]
        directories = [described for described in tree.values() if stat.S_ISDIR(described.mode)]
        assert facts["n"] == sum(described.size for described in files)
        assert (facts["f"], facts["d"], facts["x"]) == (len(tree) - len(directories), len(directories), 0)
        assert facts["b"] <= facts["e"]
        begin = time.strftime("%Y-%m-%d_%H:%M:%SZ", time.gmtime(facts["b"] // 10**9)).encode()
        # The second snapshot's is a second ahead, where both were entered within one.
        assert begin <= entry.name <= time.strftime("%Y-%m-%d_%H:%M:%SZ", time.gmtime(time.time() + 2)).encode()


@pytest.mark.slow
def test_what_snapshots_added(made: Made, vault: Vault) -> None:
    """What the snapshots' facts say was added is together the size of all packs."""
    added = [entry.metadata["S"]["a"] for entry in _snapshots(vault, made)[0]]
    assert sum(added) == sum(path.stat().st_size for path in (made.folder / "packs").iterdir())


def test_what_was_left_out() -> None:
    """The second reader reads what a snapshot says of what it left out, and refuses names that are out of order."""
    rules = SnapshotRules(patterns=((b"*.\xff", True), (b"/a", False)), ignore_file=None, size_max=7, is_cut=True)
    facts = SnapshotFacts(host="host", rules=rules)
    entries = [
        dag.Entry(b"a", b"M", Metadata(missing=(b"one", b"two"), snapshot=facts)),
        dag.Entry(b"b", b"M", Metadata(partial=True)),
        dag.Entry(b"c", b"M", Metadata(mounted=True)),
    ]
    one, two, three = (entry.metadata for entry in read_entries(encode_table(entries)))
    assert (one["M"], one["S"]["r"]) == ([b"one", b"two"], {"p": [[b"*.\xff", True], [b"/a", False]], "i": None, "z": 7, "c": True})
    assert (two, three) == ({"P": True}, {"N": True})
    disordered = [dag.Entry(b"a", b"M", Metadata(missing=(b"two", b"one")))]
    with pytest.raises(FormatError):
        read_entries(encode_table(disordered))


def test_packs_are_as_described(vault: Vault) -> None:
    """Every pack has its hash for a name and a padded size, and its footer says what the index says."""
    vault.check_packs()


def test_a_keeper_finds_everything(made: Made, vault: Vault) -> None:
    """By links alone a keeper reaches exactly what a reader reaches, and all that is stored."""
    keeper = Vault(Folder(made.folder), made.keeper_key)
    met = keeper.walk()
    assert {link.kind for link in met} == {CHUNK, LIST, DIRECTORY, SLOT}
    assert {link.digest for link in met if link.kind != SLOT} == set(vault.places)
    assert {path.name for path in (made.folder / "slots").iterdir()} == {
        keyed(vault.key("naming key"), link.storage_index)[:16].hex() for link in met if link.kind == SLOT
    }
    with pytest.raises(FormatError):
        keeper.key("convergence secret")


def test_the_index_is_made_again(made: Made, vault: Vault, tmp_path: Path) -> None:
    """Without index objects and their register, the packs' footers give the same index, and all comes back."""
    copy = made.at(tmp_path / "copy")
    shutil.rmtree(copy.folder / "index")
    (copy.folder / "registers/index").unlink()
    rebuilt = Vault(Folder(copy.folder), made.writer_key)
    assert rebuilt.was_rebuilt
    assert rebuilt.places == vault.places
    _check_trees(rebuilt, made)


def test_a_damaged_index_object_is_noticed(made: Made, vault: Vault, tmp_path: Path) -> None:
    """Where one index object is damaged, the packs' footers stand in for it."""
    copy = made.at(tmp_path / "copy")
    _damage(next((copy.folder / "index").iterdir()))
    rebuilt = Vault(Folder(copy.folder), made.locator_key)
    assert rebuilt.was_rebuilt
    assert rebuilt.places == vault.places


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("folder", ["slots", "packs"])
def test_damage_is_noticed(made: Made, tmp_path: Path, folder: str) -> None:
    """One wrong bit in the middle of every slot, or of every pack, keeps a keeper from walking on."""
    copy = made.at(tmp_path / "copy")
    for path in (copy.folder / folder).iterdir():
        _damage(path)
    with pytest.raises(FormatError):
        Vault(Folder(copy.folder), made.keeper_key).walk()


def test_either_header_suffices(made: Made, tmp_path: Path) -> None:
    """A damaged or missing header is made good by the other, and without both there is no vault."""
    copy = made.at(tmp_path / "copy")
    _damage(copy.folder / "header")
    assert Vault(Folder(copy.folder), made.locator_key).header == Vault(Folder(made.folder), made.locator_key).header
    (copy.folder / "header.copy").unlink()
    with pytest.raises(FormatError):
        Vault(Folder(copy.folder), made.locator_key)


def test_files_are_cut_as_described(made: Made, vault: Vault) -> None:
    """Holes, and the pieces of the stretches between them, are where the page puts them."""
    seed = (int.from_bytes(vault.key("chunker seed")[:8], "big") >> 1) or 1
    cutter = FastCDC(524_288, min_size=524_288, max_size=4 * MIB, normalized_chunking=1, seed=seed)
    lists = 0
    for entry in vault.directory(_snapshots(vault, made)[0][0].cap):
        match = IMMUTABLE.fullmatch(entry.cap)
        if match and match[1] == "CHK" and int(match[4]) > 524_288:
            chunks = list(vault.chunks(entry.cap))
            content = b"".join(bytes(size) if chunk is None else chunk for size, chunk in chunks)
            assert [(size, chunk is None) for size, chunk in chunks] == list(_cut(content, cutter)), entry.name
            lists += 1
    assert lists >= 7


def _cut(content: bytes, cutter: FastCDC) -> Iterator[tuple[int, bool]]:
    """Divide a file as section 5 says: yield each piece's size and whether it is a hole."""
    zero = [not content[start : start + BLOCK_BYTES].strip(b"\0") for start in range(0, len(content), BLOCK_BYTES)]
    is_hole = [False] * len(zero)
    start = 0
    for end in range(1, len(zero) + 1):
        if end == len(zero) or zero[end] != zero[start]:
            if zero[start] and end - start >= 16:
                is_hole[start:end] = [True] * (end - start)
            start = end
    start = 0
    for end in range(1, len(zero) + 1):
        if end == len(zero) or is_hole[end] != is_hole[start]:
            stretch = content[start * BLOCK_BYTES : end * BLOCK_BYTES]
            if is_hole[start]:
                yield len(stretch), True
            else:
                yield from ((chunk.length, False) for chunk in cutter.cut_buf(stretch))
            start = end


def test_trees_have_the_heights_that_they_should(made: Made, vault: Vault) -> None:
    """The sample holds a list of two levels and a directory of several tables, so that their nodes were read."""
    levels = {}
    for entry in vault.directory(_snapshots(vault, made)[0][0].cap):
        match = IMMUTABLE.fullmatch(entry.cap)
        if match and entry.name in {b"wide", b"large", b"list of two levels"}:
            kind = DIRECTORY if match[1] == "DIR2-CHK" else LIST
            levels[entry.name] = vault.content(kind, unbase32(match[2]), unbase32(match[3]))[0]
    assert levels == {b"wide": 1, b"large": 1, b"list of two levels": 2}


def _copy_with_home(made: Made, folder: Path) -> tuple[Made, Path]:
    """Give a copy of the vault, and a home whose alias leads to it."""
    copy, home = made.at(folder / "copy"), folder / "home"
    shutil.copytree(made.home, home)
    configuration = (home / "config/tallac.json").read_text()
    assert made.folder.as_uri() in configuration
    (home / "config/tallac.json").write_text(configuration.replace(made.folder.as_uri(), copy.folder.as_uri()))
    return copy, home


def test_mutable_states_follow_each_other(made: Made, tmp_path: Path) -> None:
    """A new directory changes the roots' register and its parent's slot once: one number on, with the hash of the state before."""
    copy, home = _copy_with_home(made, tmp_path)
    keeper = Vault(Folder(copy.folder), made.keeper_key)
    link = link_of(attenuate(made.root_cap))
    assert link
    slot_path = copy.folder / "slots" / keyed(keeper.key("naming key"), link.storage_index)[:16].hex()
    register_path = copy.folder / "registers/roots"
    slot, slot_hash = keeper.slot(link), blake3(slot_path.read_bytes()).digest()
    register, register_hash = keeper.register("roots"), blake3(register_path.read_bytes()).digest()
    _tallac(home, "mkdir", "home:new")
    assert keeper.slot(link)[:2] == (slot.number + 1, slot_hash)
    assert keeper.register("roots")[:2] == (register.number + 1, register_hash)
    assert len(keeper.roots()) == len(register.text) // 48 + 1


def test_a_session_is_seen(made: Made, tmp_path: Path) -> None:
    """While a command stores what it is given, a keeper reads its open session; afterwards there is none."""
    copy, home = _copy_with_home(made, tmp_path)
    keeper = Vault(Folder(copy.folder), made.keeper_key)
    assert keeper.sessions() == []
    command = [sys.executable, "-m", "tallac", "put", "-", "home:slow"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=_environment(home)) as writer:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not keeper.sessions() and time.monotonic() < deadline:
            time.sleep(0.02)
        [(state, started_ns, _, links)] = keeper.sessions()
        assert (state, links) == ("open", [])
        assert abs(time.time_ns() - started_ns) < 60 * 10**9
        writer.communicate(b"what was put")
    assert writer.returncode == 0
    assert keeper.sessions() == []
    [_, _, slow] = Vault(Folder(copy.folder), made.locator_key).directory(made.root_cap)
    assert (slow.name, list(keeper.chunks(slow.cap))) == (b"slow", [(12, b"what was put")])


@pytest.mark.slow
def test_a_pruned_vault_is_whole(made: Made, tmp_path: Path) -> None:
    """After a snapshot was forgotten and the vault was pruned, nothing is left that no root leads to, and the other comes back."""
    copy, home = _copy_with_home(made, tmp_path)
    before = sum(path.stat().st_size for path in (copy.folder / "packs").iterdir())
    _tallac(home, "forget", "home:", "--keep-last", "1")
    _tallac(home, "prune", "--max-unused", "0%", "home:")
    assert sum(path.stat().st_size for path in (copy.folder / "packs").iterdir()) < before
    keeper = Vault(Folder(copy.folder), made.keeper_key)
    keeper.check_packs()
    assert {link.digest for link in keeper.walk() if link.kind != SLOT} == set(keeper.places)
    # The names of packs that are gone stay among the pending deletions.
    assert keeper.register("quarantine").text
    located = Vault(Folder(copy.folder), made.locator_key)
    [snapshot] = _snapshots(Vault(Folder(copy.folder), made.writer_key), made)[0]
    assert _read_tree(located, snapshot.cap) == made.trees[1]


@pytest.mark.slow
def test_a_mirror_is_read(made: Made, tmp_path: Path) -> None:
    """A mirror that the keeper key made holds the same, and either vault's keys open it."""
    _, home = _copy_with_home(made, tmp_path)
    _tallac(home, "mirror", "home:", (tmp_path / "mirror").as_uri())
    keeper = Vault(Folder(tmp_path / "mirror"), made.keeper_key)
    keeper.check_packs()
    assert keeper.walk() == Vault(Folder(made.folder), made.keeper_key).walk()


@pytest.mark.slow
def test_a_repaired_vault_is_whole(made: Made, tmp_path: Path) -> None:
    """What a repair makes anew, a header and the index, is as the page says; also where this machine has seen the lost one."""
    copy, home = _copy_with_home(made, tmp_path)
    shutil.rmtree(copy.folder / "index")
    for name in ("header.copy", "registers/index"):
        (copy.folder / name).unlink()
    _tallac(home, "repair", "home:")
    keeper, before = Vault(Folder(copy.folder), made.keeper_key), Vault(Folder(made.folder), made.keeper_key)
    assert not keeper.was_rebuilt
    assert keeper.register("index").number > before.register("index").number
    assert keeper.walk() == before.walk()
    assert Folder(copy.folder)["header.copy"] == Folder(copy.folder)["header"]
